// A plugin's description of an op becomes the records that the host keeps.
#include <fmt/format.h>

#include "graph/base/error.hpp"
#include "ops/elementwise/elementwise.hpp"
#include "ops/plugin/plugin_op.hpp"
#include "ops/plugin/structs.hpp"

namespace lariat::plugin {

namespace {

constexpr int64_t most_arguments = 64;  // one bit each

// Throws UserError "op 'name' …".
class Reader {
 public:
  Reader(const lariat_op& op, std::string name) : op_(op), name_(std::move(name)) {}

  void check(bool holds, const std::string& what) const {
    if (!holds) throw UserError(fmt::format("op '{}' {}", name_, what));
  }

  std::vector<InputSpec> arguments(const lariat_argument_spec* specs, int32_t count,
                                   const std::string& what) const {
    check(count >= 1 && count <= most_arguments,
          fmt::format("has {} {}; it must be 1 to {}", count, what, most_arguments));
    std::vector<InputSpec> result;
    for_each(specs, count, first::argument_spec, place(what),
             [&](const lariat_argument_spec& spec, int64_t i) {
               result.push_back({text_of(spec.name), text_of(spec.doc)});
               check(!result.back().name.empty(),
                     fmt::format("has no name for one of its {}: number {}", what, i));
             });
    return result;
  }

  std::vector<AttributeSpec> attributes() const {
    std::vector<AttributeSpec> result;
    for_each(op_.attributes, op_.attribute_count, first::attribute_spec, place("attributes"),
             [&](const lariat_attribute_spec& spec, int64_t i) {
               AttributeSpec entry{text_of(spec.name), {}, text_of(spec.doc)};
               check(!entry.name.empty() && !entry.doc.empty(),
                     fmt::format("has an attribute without name or documentation: number {}", i));
               for (const AttributeSpec& other : result)
                 check(other.name != entry.name, fmt::format("has two attributes '{}'", entry.name));
               entry.kind = kind_of(spec.kind, entry.name);
               if (spec.is_bounded) {
                 entry.minimum = spec.minimum;
                 entry.maximum = spec.maximum;
                 check(spec.minimum <= spec.maximum, fmt::format("allows no value of '{}': {} to {}",
                                                                 entry.name, spec.minimum, spec.maximum));
               }
               if (spec.otherwise) {
                 const auto value = read_struct<lariat_attribute>(spec.otherwise, first::attribute,
                                                                  place("default of '" + entry.name + "'"));
                 check(value.kind == spec.kind,
                       fmt::format("has a default of another kind than its attribute '{}'", entry.name));
                 entry.otherwise = from_c(value);
               }
               result.push_back(std::move(entry));
             });
    return result;
  }

  std::vector<Sample> samples() const {
    std::vector<Sample> result;
    for_each(op_.samples, op_.sample_count, first::sample, place("samples"),
             [&](const lariat_sample& sample, int64_t i) {
               Sample entry{text_of(sample.name), inputs(sample.inputs, sample.input_count),
                            given(sample.attributes, sample.attribute_count)};
               check(!entry.name.empty(), fmt::format("has a sample without a name: number {}", i));
               if (sample.expected)
                 entry.expected.assign(sample.expected,
                                       sample.expected + std::max<int64_t>(0, sample.expected_count));
               result.push_back(std::move(entry));
             });
    return result;
  }

  std::vector<Reject> rejects() const {
    std::vector<Reject> result;
    for_each(op_.rejects, op_.reject_count, first::reject, place("rejects"),
             [&](const lariat_reject& reject, int64_t) {
               Reject entry{{}, given(reject.attributes, reject.attribute_count), text_of(reject.message)};
               for (const SampleInput& input : inputs(reject.inputs, reject.input_count))
                 entry.inputs.push_back({input.dtype, to_shape(input.extents)});
               result.push_back(std::move(entry));
             });
    return result;
  }

  std::optional<lariat_penalty> penalty() const {
    if (op_.penalty == nullptr) return std::nullopt;
    const auto penalty = read_struct<lariat_penalty>(op_.penalty, first::penalty, place("penalty"));
    check(penalty.prox && penalty.residual, "is a penalty without prox or residual");
    check(penalty.formula && penalty.operator_name, "is a penalty without formula or the name of its prox");
    check(op_.input_count == 1, "is a penalty of more than one input");
    check(penalty.combination >= LARIAT_PROX_ALONE && penalty.combination <= LARIAT_PROX_LAST,
          fmt::format("is a penalty whose combination is {}; it must be 0 to 2", penalty.combination));
    return penalty;
  }

 private:
  std::string place(const std::string& what) const { return fmt::format("op '{}': {}", name_, what); }

  AttributeKind kind_of(lariat_kind kind, const std::string& attribute) const {
    check(kind >= LARIAT_BOOLEAN && kind <= LARIAT_INTEGERS,
          fmt::format("has an attribute '{}' of kind {}; kinds are 0 to 4", attribute, kind));
    // The first kinds are the same on both sides.
    return static_cast<AttributeKind>(kind);
  }

  std::vector<SampleInput> inputs(const lariat_sample_input* inputs, int32_t count) const {
    std::vector<SampleInput> result;
    for_each(inputs, count, first::sample_input, place("inputs of a sample"),
             [&](const lariat_sample_input& input, int64_t i) {
               check(input.dtype >= LARIAT_F32 && input.dtype <= LARIAT_I32 && input.rank >= 0 &&
                         input.rank <= LARIAT_MAX_RANK && (input.shape || input.rank == 0),
                     fmt::format("has a sample whose input {} has no dtype or shape", i));
               SampleInput entry;
               entry.extents.assign(input.shape, input.shape + input.rank);
               check(
                   std::all_of(entry.extents.begin(), entry.extents.end(), [](int64_t n) { return n >= 0; }),
                   fmt::format("has a sample whose input {} has a size below 0", i));
               if (input.values)
                 entry.values.assign(input.values, input.values + element_count(entry.extents));
               entry.low = input.low;
               entry.high = input.high;
               entry.gap = input.gap;
               check(input.kinks == nullptr || input.kink_count >= 0, "has a sample with less than no kinks");
               if (input.kinks) entry.kinks.assign(input.kinks, input.kinks + input.kink_count);
               entry.dtype = static_cast<DType>(input.dtype);
               result.push_back(std::move(entry));
             });
    return result;
  }

  Attributes given(const lariat_attribute* attributes, int32_t count) const {
    Attributes result;
    for_each(attributes, count, first::attribute, place("attributes of a sample"),
             [&](const lariat_attribute& value, int64_t) { result.set(text_of(value.name), from_c(value)); });
    return result;
  }

  const lariat_op& op_;
  std::string name_;
};

PerDType<Kernel> for_dtypes(uint32_t dtypes, Kernel kernel) {
  const auto where = [&](int dtype) { return dtypes >> dtype & 1 ? kernel : nullptr; };
  return {where(LARIAT_F32), where(LARIAT_F64), where(LARIAT_I32)};
}

// gradient, prox and residual are nodes of ops of their own.
OpDef companion(const OpDef& def, const char* suffix, std::string doc, std::vector<InputSpec> inputs) {
  OpDef result{.name = def.name + suffix, .doc = std::move(doc), .inputs = std::move(inputs)};
  result.attributes = def.attributes;
  result.plugin = def.plugin;
  return result;
}

OpDef gradient_record(const OpDef& def) {
  const lariat_op& f = def.plugin->functions;
  std::vector<InputSpec> operands;
  for (size_t i = 0; i < def.inputs.size(); ++i)
    if (f.gradient_inputs >> i & 1) operands.push_back(def.inputs[i]);
  for (size_t o = 0; o < def.outputs.size(); ++o)
    if (f.gradient_outputs >> o & 1) operands.push_back(def.outputs[o]);
  for (size_t o = 0; o < def.outputs.size(); ++o)
    if (def.plugin->is_result(o)) operands.push_back({"adjoint of " + def.outputs[o].name, ""});
  OpDef result =
      companion(def, "_gradient", fmt::format("The gradient of {} by its inputs.", def.name), operands);
  result.gradient_of = def.name;
  result.outputs = {{"gradients", "of each input that needs one"}};
  result.variadic_outputs = true;
  result.attributes.push_back(
      {needed_attribute, AttributeKind::integers, "the inputs whose gradients it gives"});
  result.attributes.push_back({dtypes_attribute, AttributeKind::integers, "0, 1 or 2: f32, f64 or i32"});
  for (size_t i = 0; i < def.inputs.size(); ++i)
    result.attributes.push_back({shape_attribute(i), AttributeKind::shape, "of that input"});
  result.infer = infer_gradient;
  result.kernel = {run_backward, run_backward, nullptr};
  if (f.backward_scratch_bytes) result.workspace = scratch_of_backward;
  return result;
}

std::vector<TensorType> infer_as_first(const InferContext& c) { return {c.in(0)}; }

Combination combination_of(int32_t combination) {
  return combination == LARIAT_PROX_FIRST  ? Combination::first
         : combination == LARIAT_PROX_LAST ? Combination::last
                                           : Combination::alone;
}

// The first sample's point, beside it a step or a gradient, and a weight of 3/10.
std::vector<Sample> at_point(const OpDef& def, SampleInput second) {
  if (def.samples.empty() || def.samples[0].inputs.size() != 1) return {};
  const Sample& first = def.samples[0];
  return {{first.name, {first.inputs[0], std::move(second), {{}, {0.3}}}, first.attributes}};
}

void add_penalty(std::vector<OpDef>& records, const lariat_penalty& penalty) {
  OpDef& def = records.front();
  const InputSpec weight{"weight", "of each value of the penalty, or of all"};
  OpDef prox =
      companion(def, "_prox", fmt::format("{}, the prox of {}.", text_of(penalty.operator_name), def.name),
                {{"point", ""}, {"step", "of each element, or of all"}, weight});
  prox.infer = infer_as_first;
  prox.kernel = {run_prox, run_prox, nullptr};
  prox.samples = at_point(def, {{}, {0.5}});
  OpDef residual = companion(
      def, "_residual",
      fmt::format("The element of least norm of a gradient plus the subdifferential of {}.", def.name),
      {{"x", ""}, {"gradient", ""}, weight});
  residual.infer = infer_as_first;
  residual.kernel = {run_residual, run_residual, nullptr};
  SampleInput gradient;
  if (!prox.samples.empty()) gradient.extents = prox.samples[0].inputs[0].extents;
  residual.samples = at_point(def, gradient);
  def.penalty = Penalty{.formula = text_of(penalty.formula),
                        .operator_name = text_of(penalty.operator_name),
                        .nonsmooth = (penalty.flags & LARIAT_PENALTY_SMOOTH) == 0,
                        .combination = combination_of(penalty.combination),
                        .convex = (penalty.flags & LARIAT_PENALTY_NONCONVEX) == 0,
                        .scalar_metric = (penalty.flags & LARIAT_PENALTY_SCALAR_METRIC) != 0,
                        .prox = build_prox,
                        .residual = build_residual};
  records.push_back(std::move(prox));
  records.push_back(std::move(residual));
}

}  // namespace

const OpDef& op_of(const Attributes& attributes) {
  require(attributes.op() != nullptr && attributes.op()->plugin != nullptr, "a plugin's op is in a graph");
  return *attributes.op();
}

std::vector<OpDef> records_of(const lariat_op& op, const std::shared_ptr<const Plugin>& plugin) {
  const std::string name = text_of(op.name);
  if (!is_op_name(name))
    throw UserError(
        fmt::format("an op is called '{}'; a name is a letter from a to z, then letters, digits or _", name));
  const Reader reader(op, name);
  const bool elementwise = op.elementwise[0] || op.elementwise[1] || op.elementwise[2];
  reader.check(!text_of(op.doc).empty(), "has no documentation");
  reader.check(op.forward || elementwise, "has no forward function");
  reader.check(!op.forward || !elementwise,
               "has a forward function and element-wise ones; give one of the two");
  reader.check(!op.gradient || !op.backward,
               "has its gradient as nodes and as a kernel; give one of the two");
  reader.check(elementwise || (op.dtypes & 7) != 0, "names no dtype that its forward function takes");

  auto own = std::make_shared<PluginOp>();
  own->plugin = plugin;
  own->functions = op;
  own->penalty = reader.penalty();

  OpDef def{.name = name, .doc = text_of(op.doc), .inputs = {}};
  def.inputs = reader.arguments(op.inputs, op.input_count, "inputs");
  def.outputs = reader.arguments(op.outputs, op.output_count, "outputs");
  reader.check(!elementwise || op.output_count == 1, "is element-wise with more than one output");
  reader.check(op.first_saved_output >= 0 && op.first_saved_output <= op.output_count,
               fmt::format("saves outputs from {} on; it has {}", op.first_saved_output, op.output_count));
  if (elementwise) {
    OpDef shared = elementwise_op(name, def.doc, def.inputs, blocks(op));
    shared.outputs = def.outputs;
    shared.rejects.clear();
    def = std::move(shared);
    def.traits.refuses_elements = true;
    def.traits.of_finite = Traits::OfFinite::or_nan;  // nothing says otherwise
  } else {
    def.infer = infer;
    def.kernel = for_dtypes(op.dtypes, run_forward);
    if (op.flags & LARIAT_IN_PLACE) def.traits.in_place = {{0, 0}};
    if (op.scratch_bytes) def.workspace = scratch_of_forward;
  }
  if (op.infer) def.infer = infer;
  def.plugin = own;
  def.attributes = reader.attributes();
  def.traits.commutative = (op.flags & LARIAT_COMMUTATIVE) != 0;
  for (size_t i = 0; i < def.inputs.size() && op.linear_inputs != 0; ++i)
    def.traits.linear.push_back(op.linear_inputs >> i & 1);
  if (op.first_saved_output > 0) def.traits.saved_outputs = static_cast<size_t>(op.first_saved_output);
  def.traits.second_order = op.gradient != nullptr;
  def.kinks = text_of(op.kinks);
  def.samples = reader.samples();
  def.rejects = reader.rejects();
  if (op.gradient) def.vjp = gradient_by_nodes;
  if (op.backward) def.vjp = gradient_by_kernel;

  std::vector<OpDef> records;
  records.push_back(std::move(def));
  if (own->penalty) add_penalty(records, *own->penalty);
  if (op.backward) records.push_back(gradient_record(records.front()));
  return records;
}

}  // namespace lariat::plugin
