#include "frontends/export/concrete.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "frontends/export/c_op.hpp"
#include "graph/base/error.hpp"
#include "graph/passes/freeze.hpp"
#include "graph/passes/pass_list.hpp"
#include "graph/passes/remove_dead.hpp"
#include "graph/passes/to_inference.hpp"

namespace lariat::to_c {

namespace {

// Lengths are divided in 64 bits; below 2^24 frames quotients in 32 are as exact.
void in_single_precision(const Graph& from, Graph& to) {
  GraphCopy copy(from, to);
  for (int32_t id = 0; id < from.size(); ++id) {
    const Node& node = from.node(id);
    const auto wide = [](const TensorType& type) { return type.dtype == f64; };
    if (std::none_of(node.outputs.begin(), node.outputs.end(), wide)) {
      copy.copy(id);
      continue;
    }
    if (node.op->traits.source == SourceKind::constant) {
      copy.replace(id, {to.constant(node.attributes.get<Tensor>("value").cast(f32), node.where)});
      continue;
    }
    Attributes attributes = node.attributes;
    for (const auto& [name, value] : node.attributes)
      if (const DType* dtype = std::get_if<DType>(&value); dtype && *dtype == f64) attributes.set(name, f32);
    const Value first = to.add(*node.op, copy.inputs(id), attributes, node.name, node.where);
    std::vector<Value> values;
    for (size_t i = 0; i < node.outputs.size(); ++i)
      values.emplace_back(&to, first.node(), static_cast<int32_t>(i));
    copy.replace(id, values);
  }
  copy.copy_outputs();
}

}  // namespace

void inference_graph(const Graph& graph, const Value& value, const Store& store, Graph& to,
                     const std::vector<std::string>& names) {
  Graph copied, inference, constant, live;
  GraphCopy copy(graph, copied);
  for (int32_t id = 0; id < graph.size(); ++id) {
    copy.copy(id);
    const Node& node = graph.node(id);
    if (node.op->traits.source == SourceKind::none && node.name.empty() && !names.empty())
      copied.rename(copy(Edge{id, 0}).node(), names[static_cast<size_t>(id)]);
  }
  copied.output("result", copy(value));
  to_inference(copied, inference);
  freeze(inference, store, constant);
  remove_dead(constant, live);
  in_single_precision(live, to);
}

void check_ops(const Graph& graph) {
  for (int32_t id = 0; id < graph.size(); ++id) {
    const Node& node = graph.node(id);
    if (node.op->traits.source != SourceKind::none) continue;
    if (node.op->plugin)
      throw UserError(fmt::format(
          "{}is an op of a plugin, which has no form in C; take layers of built-in ops", place_of(node)));
    const COp* op = find_c_op(node.op->name);
    if (!op)
      throw UserError(fmt::format(
          "{}has no form in C; take layers of other ops (docs/export_to_c.md lists them)", place_of(node)));
    if (op->of_floats && graph.type(node.inputs[0]).dtype == i32)
      throw UserError(fmt::format("{}has no form in C for {}; cast them to f32", place_of(node),
                                  text(graph.type(node.inputs[0]))));
  }
}

Attributes concrete_attributes(const Node& node, const Bindings& bindings) {
  Attributes attributes = node.attributes;
  for (const auto& [name, value] : node.attributes)
    if (const auto* shape = std::get_if<Shape>(&value); shape && !is_known(*shape))
      attributes.set(name, to_shape(evaluate(*shape, bindings)));
  return attributes;
}

void concrete_graph(const Graph& from, const Bindings& bindings, Graph& to) {
  GraphCopy copy(from, to);
  for (int32_t id = 0; id < from.size(); ++id) {
    const Node& node = from.node(id);
    if (node.op->traits.source == SourceKind::input) {
      copy.replace(id, {to.input(node.name, to_shape(evaluate(node.outputs[0].shape, bindings)),
                                 node.outputs[0].dtype, node.where)});
      continue;
    }
    if (node.op->traits.source != SourceKind::none) {
      copy.copy(id);
      continue;
    }
    const Value first =
        to.add(*node.op, copy.inputs(id), concrete_attributes(node, bindings), node.name, node.where);
    std::vector<Value> values;
    for (size_t i = 0; i < node.outputs.size(); ++i)
      values.emplace_back(&to, first.node(), static_cast<int32_t>(i));
    copy.replace(id, values);
  }
  copy.copy_outputs();
}

std::unique_ptr<Graph> shortened(const Graph& graph) {
  std::unique_ptr<Graph> result = optimize(graph);
  for (int32_t id = 0; id < result->size(); ++id) {
    const Node& node = result->node(id);
    const Attribute* body = node.attributes.find("body");
    if (!body || !std::holds_alternative<std::shared_ptr<const Graph>>(*body)) continue;
    const Graph& inner = *std::get<std::shared_ptr<const Graph>>(*body);
    for (int32_t i = 0; i < inner.size(); ++i)
      // A loop that ends in a sum.
      if (inner.node(i).op->traits.source == SourceKind::none && !inner.node(i).op->traits.elementwise)
        return optimize(graph, {.last = {}, .without = {"fuse_elementwise"}});
  }
  return result;
}

}  // namespace lariat::to_c
