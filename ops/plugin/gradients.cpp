// Shape inference and derivatives of records that call a plugin's.
#include <fmt/format.h>

#include "graph/base/error.hpp"
#include "graph/ir/registry.hpp"
#include "ops/elementwise/elementwise.hpp"
#include "ops/ops.hpp"
#include "ops/plugin/guard.hpp"

namespace lariat::plugin {

namespace {

// Whether a gradient by kernel gets an adjoint of output `index`.
bool has_adjoint(const PluginOp& op, const GradContext& g, size_t index) {
  return op.is_result(index) && is_float(g.out(index).dtype());
}

// Without the attributes that only a gradient's node has.
Attributes own_attributes(const Attributes& attributes) {
  Attributes own;
  for (const auto& [name, value] : attributes) own.set(name, value);
  return own;
}

// Element-wise functions read each input at the place of the element that they write.
void check_elementwise(const InferContext& c, const TensorType& result, const PluginOp& op) {
  const TensorType expected = infer_elementwise(c)[0];
  if (result != expected)
    throw UserError(
        fmt::format("its plugin '{}' infers {} for an element-wise function, whose inputs broadcast to {}; "
                    "infer that, or "
                    "give a forward function",
                    op.plugin->file, text(result), text(expected)));
}

// A prox takes one number for all elements, or one for each.
Value one_or_each(Value value, const Shape& shape) {
  return value.shape() == shape || element_count(value.shape()) == Dim(1) ? value
                                                                          : broadcast_to(value, shape);
}

}  // namespace

std::string shape_attribute(size_t input) { return fmt::format("input{}", input); }

std::vector<TensorType> infer(const InferContext& c) {
  const PluginOp& op = *op_of(c.attributes()).plugin;
  const auto outputs_count = static_cast<size_t>(op.functions.output_count);
  if (op.functions.infer == nullptr)
    return std::vector<TensorType>(outputs_count, infer_elementwise_float(c)[0]);
  // Filled with what is no type, so that an output without one is seen.
  lariat_type none{};
  none.size = sizeof none;
  none.dtype = none.rank = -1;
  std::vector<lariat_type> inputs(c.size(), none), outputs(outputs_count, none);
  std::vector<const lariat_type*> input_pointers;
  std::vector<lariat_type*> output_pointers;
  for (size_t i = 0; i < c.size(); ++i) {
    plugin::to_c(c.in(i), inputs[i]);
    input_pointers.push_back(&inputs[i]);
  }
  for (lariat_type& output : outputs) output_pointers.push_back(&output);
  const lariat_infer call{sizeof(lariat_infer),     op.functions.user,      to_c(c.attributes()),
                          input_pointers.data(),    output_pointers.data(), static_cast<int32_t>(c.size()),
                          op.functions.output_count};
  plugin::call(op, "shape inference", [&] { return op.functions.infer(&call); });
  std::vector<TensorType> types;
  for (size_t o = 0; o < outputs_count; ++o) {
    if (outputs[o].dtype == -1 && outputs[o].rank == -1)
      throw UserError(fmt::format("its plugin '{}' gave output {} no type", op.plugin->file, o));
    try {
      types.push_back(from_c(outputs[o]));
    } catch (const UserError& error) {
      throw UserError(
          fmt::format("its plugin '{}' gave output {} a wrong type: {}", op.plugin->file, o, error.what()));
    }
  }
  if (op_of(c.attributes()).traits.elementwise) check_elementwise(c, types[0], op);
  return types;
}

Adjoints gradient_by_nodes(const GradContext& g) {
  const PluginOp& op = *op_of(g.attributes()).plugin;
  Graph& graph = g.out(0).graph();
  const auto output_count = static_cast<size_t>(op.functions.output_count);
  std::vector<lariat_value> inputs, outputs, adjoints;
  std::vector<uint8_t> needed;
  for (size_t i = 0; i < g.input_count(); ++i) {
    inputs.push_back(plugin::to_c(g.in(i)));
    needed.push_back(g.needs(i));
  }
  for (size_t o = 0; o < output_count; ++o) {
    outputs.push_back(plugin::to_c(g.out(o)));
    adjoints.push_back(has_adjoint(op, g, o) ? plugin::to_c(g.adjoint(o)) : 0);
  }
  std::vector<lariat_value> gradients(inputs.size(), 0);
  const lariat_gradient call{sizeof(lariat_gradient),
                             op.functions.user,
                             to_c(g.attributes()),
                             reinterpret_cast<lariat_graph*>(&graph),
                             inputs.data(),
                             outputs.data(),
                             adjoints.data(),
                             needed.data(),
                             gradients.data(),
                             static_cast<int32_t>(inputs.size()),
                             op.functions.output_count};
  plugin::call(op, "gradient", [&] { return op.functions.gradient(&call); });
  Adjoints result;
  for (size_t i = 0; i < inputs.size(); ++i) {
    try {
      result.push_back(from_c(graph, gradients[i]));
    } catch (const UserError& error) {
      throw UserError(fmt::format("its plugin '{}' gave a wrong gradient of input {}: {}", op.plugin->file, i,
                                  error.what()));
    }
    if (result.back() && result.back().dtype() != g.in(i).dtype())
      throw UserError(fmt::format("its plugin '{}' gave a gradient of input {} that is {}; the input is {}",
                                  op.plugin->file, i, name_of(result.back().dtype()),
                                  name_of(g.in(i).dtype())));
  }
  return result;
}

Adjoints gradient_by_kernel(const GradContext& g) {
  const OpDef& def = op_of(g.attributes());
  const PluginOp& op = *def.plugin;
  Graph& graph = g.out(0).graph();
  Attributes attributes = own_attributes(g.attributes());
  std::vector<int64_t> needed, dtypes;
  std::vector<Value> operands;
  for (size_t i = 0; i < g.input_count(); ++i) {
    if (g.needs(i)) needed.push_back(static_cast<int64_t>(i));
    dtypes.push_back(static_cast<int64_t>(g.in(i).dtype()));
    attributes.set(shape_attribute(i), g.in(i).shape());
    if (op.functions.gradient_inputs >> i & 1) operands.push_back(g.in(i));
  }
  const auto output_count = static_cast<size_t>(op.functions.output_count);
  for (size_t o = 0; o < output_count; ++o)
    if (op.functions.gradient_outputs >> o & 1) operands.push_back(g.out(o));
  for (size_t o = 0; o < output_count; ++o)
    if (op.is_result(o)) operands.push_back(g.adjoint(o));
  attributes.set(needed_attribute, needed);
  attributes.set(dtypes_attribute, dtypes);
  const Value first = graph.add(registry().get(def.name + "_gradient"), operands, attributes, {}, {});
  Adjoints result(g.input_count());
  for (size_t k = 0; k < needed.size(); ++k)
    result[static_cast<size_t>(needed[k])] = output_of(first, static_cast<int32_t>(k));
  return result;
}

std::vector<TensorType> infer_gradient(const InferContext& c) {
  const auto& dtypes = c.attribute<std::vector<int64_t>>(dtypes_attribute);
  std::vector<TensorType> types;
  for (const int64_t input : c.attribute<std::vector<int64_t>>(needed_attribute))
    types.push_back({static_cast<DType>(dtypes.at(static_cast<size_t>(input))),
                     c.attribute<Shape>(shape_attribute(static_cast<size_t>(input)))});
  return types;
}

Value build_prox(ProxPoint at, Value weight, const Attributes& attributes) {
  const OpDef& def = op_of(attributes);
  const std::vector<TensorType> type{at.point.type()};
  const Shape value = def.infer(InferContext(type, attributes))[0].shape;
  const std::vector<Value> operands{at.point, one_or_each(at.step, at.point.shape()),
                                    one_or_each(weight, value)};
  return at.point.graph().add(registry().get(def.name + "_prox"), operands, own_attributes(attributes));
}

Value build_residual(Value x, Value gradient, Value weight, const Attributes& attributes) {
  const OpDef& def = op_of(attributes);
  const std::vector<TensorType> type{x.type()};
  const Shape value = def.infer(InferContext(type, attributes))[0].shape;
  const std::vector<Value> operands{x, one_or_each(gradient, x.shape()), one_or_each(weight, value)};
  return x.graph().add(registry().get(def.name + "_residual"), operands, own_attributes(attributes));
}

}  // namespace lariat::plugin
