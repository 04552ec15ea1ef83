#include "autodiff/double_graph.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "graph/base/error.hpp"
#include "graph/ir/builder.hpp"
#include "graph/ir/op_def.hpp"
#include "ops/ops.hpp"

namespace lariat::convex {

namespace {

Tensor widened(const Tensor& tensor) { return tensor.dtype() == f32 ? tensor.cast(f64) : tensor; }

// The sizes that the feeds give to symbols such as `batch`.
Bindings bindings_of(const Graph& graph, const std::vector<bool>& used, const Feeds& feeds) {
  Bindings bindings;
  for (int32_t id = 0; id < graph.size(); ++id) {
    const Node& node = graph.node(id);
    if (!used[id] || node.op->traits.source != SourceKind::input) continue;
    const auto fed = feeds.find(node.name);
    const Shape& shape = node.outputs[0].shape;
    if (fed == feeds.end())
      throw UserError(fmt::format("the input '{}' {} was not fed", node.name, text(node.outputs[0])));
    if (fed->second.extents().size() == shape.size())
      for (size_t i = 0; i < shape.size(); ++i)
        if (!shape[i].symbol_name().empty())
          bindings.emplace(shape[i].symbol_name(), fed->second.extents()[i]);
  }
  for (int32_t id = 0; id < graph.size(); ++id) {
    const Node& node = graph.node(id);
    if (!used[id] || node.op->traits.source != SourceKind::input) continue;
    const Tensor& fed = feeds.find(node.name)->second;
    const Extents expected = evaluate(node.outputs[0].shape, bindings);
    if (fed.extents() != expected || is_float(fed.dtype()) != is_float(node.outputs[0].dtype))
      throw UserError(fmt::format("the input '{}' is {}, but {}{} was fed; it must be {}{}", node.name,
                                  text(node.outputs[0]), name_of(fed.dtype()), text(fed.extents()),
                                  name_of(node.outputs[0].dtype), text(expected)));
  }
  return bindings;
}

Attributes widened(const Attributes& attributes) {
  Attributes result;
  for (const auto& [name, value] : attributes) {
    if (const DType* dtype = std::get_if<DType>(&value)) {
      result.set(name, *dtype == f32 ? f64 : *dtype);
    } else if (const Tensor* tensor = std::get_if<Tensor>(&value)) {
      result.set(name, widened(*tensor));
    } else {
      result.set(name, value);
    }
  }
  return result;
}

// The same with the sizes of symbols put into shapes.
Attributes widened(const Attributes& attributes, const Bindings& bindings) {
  Attributes result = widened(attributes);
  for (const auto& [name, value] : attributes)
    if (const Shape* shape = std::get_if<Shape>(&value))
      result.set(name, to_shape(evaluate(*shape, bindings)));
  return result;
}

}  // namespace

Value in_double(Value loss, const Feeds& feeds, const Store& store, std::span<const Value> trained,
                Graph& to) {
  const Graph& from = loss.graph();
  const Edge root{loss.node(), loss.output()};
  const std::vector<bool> used = ancestors(from, {&root, 1});
  const Bindings bindings = bindings_of(from, used, feeds);
  GraphCopy copy(from, to);
  for (int32_t id = 0; id <= loss.node(); ++id) {
    if (!used[id]) continue;
    const Node& node = from.node(id);
    switch (node.op->traits.source) {
      case SourceKind::input:
        copy.replace(id, {to.constant(widened(feeds.find(node.name)->second), node.where)});
        continue;
      case SourceKind::constant:
        copy.replace(id, {to.constant(widened(node.attributes.get<Tensor>("value")), node.where)});
        continue;
      case SourceKind::parameter:
      case SourceKind::state: {
        if (node.name == random_state_name)
          throw UserError("the loss draws random numbers (dropout); a solver needs one that does not");
        const bool kept =
            std::any_of(trained.begin(), trained.end(), [&](Value v) { return v.name() == node.name; });
        copy.replace(id, {kept ? to.parameter(node.name, evaluate(node.outputs[0].shape, {}), init::zeros(),
                                              f64, node.where)
                               : to.constant(widened(store.get(node.name)), node.where)});
        continue;
      }
      case SourceKind::none:
        break;
    }
    const Value first =
        to.add(*node.op, copy.inputs(id), widened(node.attributes, bindings), node.name, node.where);
    std::vector<Value> values;
    for (size_t i = 0; i < node.outputs.size(); ++i)
      values.push_back({&to, first.node(), static_cast<int32_t>(i)});
    copy.replace(id, std::move(values));
  }
  return copy(loss);
}

void copy_in_double(const Graph& from, Graph& to) {
  GraphCopy copy(from, to);
  for (int32_t id = 0; id < from.size(); ++id) {
    const Node& node = from.node(id);
    const TensorType& type = node.outputs[0];
    const DType dtype = type.dtype == f32 ? f64 : type.dtype;
    Value first;
    switch (node.op->traits.source) {
      case SourceKind::input:
        first = to.input(node.name, type.shape, dtype, node.where);
        break;
      case SourceKind::parameter:
        first = to.parameter(node.name, evaluate(type.shape, {}), init::zeros(), dtype, node.where);
        break;
      case SourceKind::state:
        first = to.state(node.name, evaluate(type.shape, {}), init::zeros(), dtype, node.where);
        break;
      default:
        first = to.add(*node.op, copy.inputs(id), widened(node.attributes), node.name, node.where);
    }
    std::vector<Value> values;
    for (size_t i = 0; i < node.outputs.size(); ++i)
      values.push_back({&to, first.node(), static_cast<int32_t>(i)});
    copy.replace(id, std::move(values));
  }
  copy.copy_outputs();
}

Value copy_without(Value loss, std::span<const Value> zeroed, Value cut, Graph& to) {
  Graph& from = loss.graph();
  std::vector<bool> needed(from.size()), stops(from.size());
  for (Value value : zeroed) stops[value.node()] = true;
  if (cut) stops[cut.node()] = true;
  needed[loss.node()] = true;
  for (int32_t id = loss.node(); id >= 0; --id)
    if (needed[id] && !stops[id])
      for (const Edge& edge : from.node(id).inputs) needed[edge.node] = true;
  GraphCopy copy(from, to);
  for (int32_t id = 0; id <= loss.node(); ++id) {
    if (!needed[id]) continue;
    if (cut && id == cut.node()) {
      copy.replace(id, {to.input("z", cut.shape(), cut.dtype())});
    } else if (stops[id]) {
      const TensorType& type = from.node(id).outputs[0];
      copy.replace(id, {broadcast_to(to.constant(0.0, type.dtype), type.shape)});
    } else {
      copy.copy(id);
    }
  }
  return copy(loss);
}

}  // namespace lariat::convex
