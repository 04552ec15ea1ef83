#include "graph/ir/parse.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <unordered_map>

#include "graph/base/error.hpp"
#include "graph/ir/graph.hpp"
#include "graph/ir/print.hpp"
#include "graph/ir/registry.hpp"
#include "graph/ir/scanner.hpp"

namespace lariat {

namespace {

// text      := (node | output | update)*, each on its own line
// node      := label "=" op "(" operands ")" ["{" attributes "}"] [":" types] [string]
// output    := ("output" | "update") name "=" operand
// attribute := name "=" value
class GraphParser {
 public:
  GraphParser(std::string_view text, const Registry& ops) : in_(text), ops_(ops) {}

  void parse(Graph& into) {
    statements(into, 0);
    if (!in_.at_end()) in_.fail("a node, an output or an update");
  }

 private:
  // By label in the text; each stands for output 0 of its node.
  using Labels = std::unordered_map<int64_t, Value>;

  // Runs `action`, putting the line of `position` before the message of what it throws.
  template <class Action>
  auto on_line(size_t position, Action&& action) const {
    try {
      return action();
    } catch (const UserError& error) {
      in_.refuse(position, error.what());
    }
  }

  // ---- attributes

  template <class T>
  std::vector<T> numbers(char open, char close, std::string_view expected) {
    in_.expect(open, "before a list of numbers");
    in_.skip_layout();
    std::vector<T> result;
    if (in_.accept(close)) return result;
    do {
      in_.skip_layout();
      result.push_back(in_.number<T>(expected));
      in_.skip_layout();
    } while (in_.accept(','));
    in_.expect(close, "or ',' after a number");
    return result;
  }

  Shape shape() {
    const size_t start = in_.position();
    const std::string_view written = in_.brackets();
    return on_line(start, [&] { return parse_shape(written); });
  }

  TensorType type() {
    const size_t start = in_.position();
    const std::optional<DType> dtype = dtype_named(in_.plain_word());
    if (!dtype) {
      in_.rewind(start);
      in_.fail("a type such as f32[batch, 3]");
    }
    return {*dtype, shape()};
  }

  Attribute tensor(DType dtype) {
    const size_t start = in_.position();
    const Shape declared = shape();
    if (!is_known(declared))
      in_.refuse(start, fmt::format("the shape {} of a tensor must be numbers", text(declared)));
    const Extents extents = evaluate(declared, {});
    return with_type(dtype, [&](auto zero) -> Attribute {
      using T = decltype(zero);
      const std::vector<T> values = numbers<T>('{', '}', fmt::format("a number of type {}", name_of(dtype)));
      return on_line(start, [&] {
        // Before the tensor is made: its shape may ask for any amount of memory.
        if (element_count(extents) != static_cast<int64_t>(values.size()))
          throw UserError(fmt::format("a tensor of shape {} takes {} values, {} given", text(extents),
                                      element_count(extents), values.size()));
        return Tensor::of<T>(extents, values);
      });
    });
  }

  Attribute graph(int depth) {
    if (depth >= max_graph_nesting)
      in_.refuse(in_.position(), fmt::format("graphs are nested more than {} deep", max_graph_nesting));
    in_.skip_blanks();
    in_.expect('{', "after 'graph'");
    auto nested = std::make_shared<Graph>();
    statements(*nested, depth + 1);
    in_.expect('}', "after the last line of a graph");
    return std::shared_ptr<const Graph>(std::move(nested));
  }

  Attribute attribute(int depth) {
    constexpr std::string_view expected = "the value of an attribute";
    if (in_.peek() == '"') return in_.quoted();
    if (in_.peek() == '[') return numbers<int64_t>('[', ']', "a 64-bit integer");
    if (in_.at_letter()) {
      const size_t start = in_.position();
      const std::string_view word = in_.plain_word();
      if (word == "true" || word == "false") return word == "true";
      if (word == "shape") return shape();
      if (word == "graph") return graph(depth);
      if (const std::optional<DType> dtype = dtype_named(word))
        return in_.peek() == '[' ? tensor(*dtype) : Attribute(*dtype);
      in_.rewind(start);
      if (word != "inf" && word != "nan") in_.fail(expected);
    } else if (!in_.at_digit() && in_.peek() != '-') {
      in_.fail(expected);
    }
    if (in_.at_integer()) return in_.number<int64_t>("a 64-bit integer");
    return in_.number<double>("a number");
  }

  Attributes attributes(int depth) {
    Attributes result;
    if (!in_.accept('{')) return result;
    do {
      in_.skip_layout();
      const size_t start = in_.position();
      std::string key = in_.name("the name of an attribute");
      if (result.find(key)) in_.refuse(start, fmt::format("the attribute '{}' is given twice", key));
      in_.expect('=', fmt::format("after the attribute's name '{}'", key));
      in_.skip_layout();
      result.set(std::move(key), attribute(depth));
      in_.skip_layout();
    } while (in_.accept(','));
    in_.expect('}', "or ',' after an attribute");
    return result;
  }

  // ---- statements

  int64_t label() {
    in_.accept('%');
    return in_.digits<int64_t>("the digits of a label such as %3");
  }

  Value operand(const Labels& labels) {
    const size_t start = in_.position();
    if (in_.peek() != '%') in_.fail("a value such as %3");
    const int64_t id = label();
    const auto known = labels.find(id);
    if (known == labels.end()) in_.refuse(start, fmt::format("%{} is not defined on an earlier line", id));
    const Value value = known->second;
    if (!in_.accept('.')) return value;
    const int32_t output = in_.digits<int32_t>("the number of an output after '.'");
    const size_t outputs = value.graph().node(value.node()).outputs.size();
    if (static_cast<size_t>(output) >= outputs)
      in_.refuse(start, fmt::format("%{}.{} does not exist: %{} has {} output{}", id, output, id, outputs,
                                    outputs == 1 ? "" : "s"));
    return {&value.graph(), value.node(), output};
  }

  std::vector<Value> operands(const Labels& labels) {
    std::vector<Value> result;
    in_.expect('(', "after the name of an op");
    if (in_.accept(')')) return result;
    do result.push_back(operand(labels));
    while (in_.accept(','));
    in_.expect(')', "or ',' after an operand");
    return result;
  }

  // Through Graph::input and its kin, which keep the table of names, once a scratch graph has checked the
  // attributes.
  static Value add_source(Graph& into, const OpDef& op, std::span<const Value> inputs, Attributes attributes,
                          std::string name) {
    constexpr std::source_location nowhere;
    Graph scratch;
    const Node& node =
        scratch.node(scratch.add(op, inputs, std::move(attributes), std::move(name), nowhere).node());
    const auto& [dtype, shape] = node.outputs[0];
    if (op.traits.source == SourceKind::input) return into.input(node.name, shape, dtype, nowhere);
    if (!is_known(shape))
      throw UserError(
          fmt::format("[{}] '{}': the shape {} must be numbers", op.name, node.name, text(shape)));
    const Initializer initializer{node.attributes.get<std::string>("initializer"),
                                  node.attributes.get<double>("scale")};
    const Extents extents = evaluate(shape, {});
    return op.traits.source == SourceKind::parameter
               ? into.parameter(node.name, extents, initializer, dtype, nowhere)
               : into.state(node.name, extents, initializer, dtype, nowhere);
  }

  void node(Graph& into, Labels& labels, int depth) {
    const size_t start = in_.position();
    const int64_t id = label();
    if (labels.contains(id)) in_.refuse(start, fmt::format("%{} is defined twice", id));
    in_.expect('=', "after a label");
    const size_t op_start = in_.position();
    const std::string op_name = in_.name("the name of an op");
    const OpDef& op = on_line(op_start, [&] { return std::cref(ops_.get(op_name)); });
    const std::vector<Value> inputs = operands(labels);
    Attributes given = attributes(depth);
    std::vector<TensorType> types;
    if (in_.accept(':')) {
      do types.push_back(type());
      while (in_.accept(','));
    }
    in_.skip_blanks();
    std::string node_name = in_.peek() == '"' ? in_.quoted() : "";
    const SourceKind source = op.traits.source;
    const bool is_named_source = source != SourceKind::none && source != SourceKind::constant;
    const Value made = on_line(start, [&] {
      return is_named_source
                 ? add_source(into, op, inputs, std::move(given), std::move(node_name))
                 : into.add(op, inputs, std::move(given), std::move(node_name), std::source_location());
    });
    labels.emplace(id, made);
    const std::vector<TensorType>& inferred = into.node(made.node()).outputs;
    if (!types.empty() && types != inferred)
      in_.refuse(start, fmt::format("%{} is given the type {}, but {} makes {} of its operands", id,
                                    text_of(types), op.name, text_of(inferred)));
  }

  static std::string text_of(const std::vector<TensorType>& types) {
    std::vector<std::string> texts;
    for (const TensorType& type : types) texts.push_back(text(type));
    return fmt::format("{}", fmt::join(texts, ", "));
  }

  void result(Graph& into, const Labels& labels, bool is_update) {
    const size_t start = in_.position();
    in_.skip_blanks();
    std::string key = in_.name(is_update ? "the name of a parameter or state" : "the name of an output");
    in_.expect('=', fmt::format("after the name '{}'", key));
    const Value value = operand(labels);
    on_line(start, [&] {
      if (!is_update) return into.output(std::move(key), value);
      const Value target = into.find_source(key);
      if (!target || into.node(target.node()).op->traits.source == SourceKind::input) {
        std::vector<std::string> known;
        for (int32_t id = 0; id < into.size(); ++id) {
          const SourceKind kind = into.node(id).op->traits.source;
          if (kind == SourceKind::parameter || kind == SourceKind::state) known.push_back(into.node(id).name);
        }
        throw UserError(
            fmt::format("there is no parameter or state '{}' to update.{}", key, did_you_mean(key, known)));
      }
      if (target.type() != value.type())
        throw UserError(
            fmt::format("'{}' is {}, its update is {}", key, text(target.type()), text(value.type())));
      into.update(std::move(key), value);
    });
  }

  void statements(Graph& into, int depth) {
    Labels labels;
    for (in_.skip_layout(); !in_.at_end() && in_.peek() != '}'; in_.skip_layout()) {
      if (in_.peek() == '%') {
        node(into, labels, depth);
      } else {
        const size_t start = in_.position();
        const std::string_view keyword = in_.word();
        if (keyword != "output" && keyword != "update") {
          in_.rewind(start);
          in_.fail("a node, an output or an update");
        }
        result(into, labels, keyword == "update");
      }
      in_.skip_blanks();
      in_.skip_comment();
      if (!in_.at_end() && in_.peek() != '\n' && in_.peek() != '}') in_.fail("the end of the line");
    }
  }

  Scanner in_;
  const Registry& ops_;
};

}  // namespace

void parse_graph(std::string_view text, Graph& into, const Registry& ops) {
  GraphParser(text, ops).parse(into);
}
void parse_graph(std::string_view text, Graph& into) { parse_graph(text, into, registry()); }

}  // namespace lariat
