#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "frontends/cli/arguments.hpp"
#include "frontends/cli/command_records.hpp"
#include "frontends/cli/commands/compositions.hpp"
#include "frontends/cli/console.hpp"
#include "frontends/cli/outputs.hpp"
#include "frontends/cli/table.hpp"
#include "graph/base/error.hpp"
#include "graph/base/json.hpp"
#include "graph/ir/print.hpp"
#include "graph/ir/registry.hpp"
#include "ops/plugin/loader.hpp"

namespace lariat::cli {

namespace {

using Rows = std::vector<Strings>;

constexpr const char* composed = "made of ops";

// A line of the list.
struct Listed {
  std::string name, room, doc;
  Json json;
};

std::vector<Listed> all_listed() {
  std::vector<Listed> list;
  for (const OpDef* op : registry().all()) {
    const std::string room = room_of(op->name);
    Json inputs = Json::array(), attributes = Json::array();
    for (const InputSpec& input : op->inputs) inputs.push_back(input.name);
    for (const AttributeSpec& attribute : op->attributes) attributes.push_back(attribute.name);
    list.push_back({op->name,
                    room,
                    op->doc,
                    {{"name", op->name},
                     {"group", room},
                     {"doc", op->doc},
                     {"inputs", inputs},
                     {"attributes", attributes},
                     {"penalty", op->penalty.has_value()},
                     {"composition", false}}});
  }
  for (const Composition& made : compositions())
    list.push_back({made.name,
                    composed,
                    fmt::format("{} ({})", made.doc, made.arguments),
                    {{"name", made.name},
                     {"group", composed},
                     {"doc", made.doc},
                     {"arguments", made.arguments},
                     {"composition", true}}});
  return list;
}

std::string in_lower_case(std::string text) {
  for (char& c : text)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  return text;
}

// Whether every word is somewhere in the name, the group or the text.
bool holds(const Listed& line, const Strings& words) {
  const std::string text = in_lower_case(line.name + " " + line.room + " " + line.doc);
  return std::all_of(words.begin(), words.end(),
                     [&](const std::string& word) { return text.find(in_lower_case(word)) != text.npos; });
}

void list_ops(const Strings& words) {
  Arguments arguments(
      "lariat ops list",
      "Lists all ops by groups, and the functions that are made of them, with what each computes.",
      "lariat ops list --search softmax");
  Strings wanted;
  std::string json_name;
  arguments.repeated("--search", "WORD", wanted, "only those with this word in their name, group or text");
  arguments.plugins();
  arguments.json(json_name);
  if (!arguments.read(words)) return;
  check_outputs({json_name});
  std::vector<Listed> list = all_listed();
  std::erase_if(list, [&](const Listed& line) { return !holds(line, wanted); });
  if (list.empty())
    throw UserError(fmt::format("no op or function has '{}' in its name or text; lariat ops list shows all",
                                fmt::join(wanted, "' and '")));
  size_t width = 0;
  Strings rooms;
  for (const Listed& line : list) {
    width = std::max(width, line.name.size());
    if (std::find(rooms.begin(), rooms.end(), line.room) == rooms.end()) rooms.push_back(line.room);
  }
  // What is made of ops comes last.
  std::sort(rooms.begin(), rooms.end(), [](const std::string& a, const std::string& b) {
    return std::pair(a == composed, a) < std::pair(b == composed, b);
  });
  Json all = Json::array();
  for (const std::string& room : rooms) {
    std::string text = fmt::format("[{}]\n", room);
    for (const Listed& line : list) {
      if (line.room != room) continue;
      text += fmt::format("{:<{}}  {}\n", line.name, width, line.doc);
      all.push_back(line.json);
    }
    print(text);
  }
  JsonFile(json_name).write({{"ops", all}});
}

std::string section(const std::string& title, const Rows& rows) {
  return rows.empty() ? "" : fmt::format("\n{}\n{}", title, columns(rows));
}

std::string range_of(const AttributeSpec& spec) {
  const bool below = spec.minimum > -1e300, above = spec.maximum < 1e300;
  return below && above ? fmt::format("{} to {}", spec.minimum, spec.maximum)
         : below        ? fmt::format("from {}", spec.minimum)
         : above        ? fmt::format("to {}", spec.maximum)
                        : "";
}

Rows attribute_rows(const OpDef& op) {
  Rows rows;
  for (const AttributeSpec& spec : op.attributes)
    rows.push_back({spec.name, std::string(name_of(spec.kind)),
                    spec.otherwise ? "= " + to_text(*spec.otherwise) : "required", range_of(spec), spec.doc});
  return rows;
}

template <class Function>
std::string dtypes_of(const PerDType<Function>& functions) {
  Strings names;
  for (const DType dtype : {f32, f64, i32})
    if (functions.get(dtype)) names.emplace_back(name_of(dtype));
  return fmt::format("{}", fmt::join(names, ", "));
}

Rows trait_rows(const OpDef& op) {
  const Traits& traits = op.traits;
  Rows rows;
  const auto trait = [&](bool holds, std::string name, std::string meaning) {
    if (holds) rows.push_back({std::move(name), std::move(meaning)});
  };
  const auto input_name = [&](int index) {
    const size_t last = op.inputs.size() - 1;
    return op.inputs.empty() ? std::string() : op.inputs[std::min(static_cast<size_t>(index), last)].name;
  };
  trait(traits.elementwise, "element-wise",
        "each output element depends on the inputs' elements at its place");
  trait(traits.commutative, "commutative", "the inputs may be exchanged");
  trait(traits.source != SourceKind::none, "source", "takes its value from outside the graph");
  trait(traits.alias, "alias", "the output is the input with another shape, in the same memory");
  trait(traits.selection, "selection", "each output element is one input element, or 0");
  trait(traits.stops_gradient, "stops the gradient", "nothing flows back");
  trait(traits.additive, "additive", "a fixed input only shifts the result");
  Strings linear;
  for (size_t i = 0; i < op.inputs.size(); ++i)
    if (traits.is_linear(i)) linear.push_back(op.inputs[i].name);
  trait(!linear.empty(), "linear", fmt::format("in {} while the others are fixed", fmt::join(linear, ", ")));
  trait(traits.inference_input >= 0, "at inference",
        fmt::format("the output is {}", input_name(traits.inference_input)));
  for (const auto& [output, input] : traits.in_place)
    trait(true, "in place",
          fmt::format("{} may be written over {}", op.outputs[output].name,
                      input_name(static_cast<int>(input))));
  return rows;
}

Rows derivative_rows(const OpDef& op) {
  Rows rows{{"gradient", op.vjp ? "yes" : op.traits.stops_gradient ? "none, by design" : "none"}};
  if (op.vjp) rows.push_back({"second order", op.traits.second_order ? "yes" : "no"});
  if (!op.kinks.empty()) rows.push_back({"kinks", op.kinks});
  if (op.penalty) {
    rows.push_back({"penalty", op.penalty->formula + (op.penalty->nonsmooth ? ", with a kink" : ", smooth")});
    rows.push_back({"prox", op.penalty->operator_name});
  }
  const std::string kernels = dtypes_of(op.kernel), blocks = dtypes_of(op.block);
  if (!(kernels + blocks).empty()) rows.push_back({"dtypes", kernels.empty() ? blocks : kernels});
  return rows;
}

std::string describe(const SampleInput& input) {
  const std::string type = fmt::format("{}{}", name_of(input.dtype), text(input.extents));
  if (!input.values.empty() && input.values.size() <= 8)
    return fmt::format("{} {{{}}}", type, fmt::join(input.values, ", "));
  return input.values.empty() ? fmt::format("{} in [{}, {}]", type, input.low, input.high) : type + " {…}";
}

std::string describe(const Attributes& attributes) {
  Strings entries;
  for (const auto& [name, value] : attributes) entries.push_back(name + "=" + to_text(value));
  return fmt::format("{}", fmt::join(entries, ", "));
}

Rows sample_rows(const OpDef& op) {
  Rows rows;
  for (const Sample& sample : op.samples) {
    Strings inputs;
    for (const SampleInput& input : sample.inputs) inputs.push_back(describe(input));
    const size_t shown = std::min<size_t>(sample.expected.size(), 8);
    const std::vector<double> first(sample.expected.begin(),
                                    sample.expected.begin() + static_cast<int64_t>(shown));
    std::string expected;
    if (shown > 0)
      expected =
          fmt::format("→ {{{}{}}}", fmt::join(first, ", "), shown < sample.expected.size() ? ", …" : "");
    rows.push_back(
        {sample.name, fmt::format("{}", fmt::join(inputs, "; ")), describe(sample.attributes), expected});
  }
  return rows;
}

Rows reject_rows(const OpDef& op) {
  Rows rows;
  for (const Reject& reject : op.rejects) {
    Strings types;
    for (const TensorType& type : reject.inputs) types.push_back(text(type));
    rows.push_back({fmt::format("{}", fmt::join(types, "; ")), describe(reject.attributes), reject.message});
  }
  return rows;
}

Rows origin_rows(const OpDef& op) {
  if (!op.plugin) return {};
  const PluginOrigin origin = plugin_origin(op);
  Rows rows{{"plugin", fmt::format("{} {}", origin.plugin, origin.version)},
            {"file", origin.file},
            {"op", fmt::format("version {}", origin.op_version)}};
  if (!origin.domain.empty()) rows.push_back({"domain", origin.domain});
  if (!origin.thread_safe) rows.push_back({"threads", "one call at a time, on one thread"});
  if (!origin.deterministic) rows.push_back({"results", "equal inputs may give other bits"});
  return rows;
}

Rows named(const std::vector<InputSpec>& specs) {
  Rows rows;
  for (const InputSpec& spec : specs) rows.push_back({spec.name, spec.doc});
  return rows;
}

std::string describe(const OpDef& op) {
  Strings inputs;
  for (const InputSpec& input : op.inputs) inputs.push_back(input.name);
  std::string result =
      fmt::format("{}({}{})\n{}\n", op.name, fmt::join(inputs, ", "), op.variadic ? ", …" : "", op.doc);
  result += section("Origin", origin_rows(op));
  result += section("Inputs", named(op.inputs));
  result +=
      section(op.variadic_outputs ? "Outputs (as many as the attributes say)" : "Outputs", named(op.outputs));
  result += section("Attributes", attribute_rows(op));
  result += section("Traits", trait_rows(op));
  result += section("Derivatives and kernels", derivative_rows(op));
  result += section("Samples", sample_rows(op));
  result += section("Refused", reject_rows(op));
  return result;
}

void show_op(const Strings& words) {
  Arguments arguments("lariat ops show",
                      "Shows an op's record: inputs, outputs, attributes, traits, derivatives, samples.",
                      "lariat ops show matmul");
  std::string name;
  arguments.word("NAME", name, "the op, as lariat ops list names it");
  arguments.plugins();
  if (!arguments.read(words)) return;
  for (const Composition& made : compositions())
    if (made.name == name)
      return print(fmt::format("{}({})\n{}\n\nA function that is made of ops (lariat/ops/ops.hpp).\n",
                               made.name, made.arguments, made.doc));
  print(describe(registry().get(name)));
}

}  // namespace

static void ops(const Strings& arguments) {
  static const std::vector<Command> commands{
      {"list", "all ops by groups, one line each", list_ops},
      {"show", "all that is known of one op", show_op},
  };
  dispatch("lariat ops", commands, arguments);
}

Command command_records::ops() {
  return {"ops", "list the ops, or show one", cli::ops, CommandGroup::graphs};
}

}  // namespace lariat::cli
