#include "graph/passes/to_inference.hpp"

#include "graph/ir/op_def.hpp"

namespace lariat {

namespace {

void copy_at_inference(const Graph& from, int32_t id, GraphCopy& copy) {
  const int input = from.node(id).op->traits.inference_input;
  copy.copy(id);
  if (input < 0) return;
  std::vector<Value> values = copy.values(id);
  values[0] = copy.inputs(id)[input];
  copy.replace(id, std::move(values));
}

}  // namespace

Value to_inference(Value of, Graph& to) {
  const Graph& from = of.graph();
  const Edge root{of.node(), of.output()};
  const std::vector<bool> live = ancestors(from, {&root, 1});
  GraphCopy copy(from, to);
  for (int32_t id = 0; id <= of.node(); ++id) {
    const SourceKind source = from.node(id).op->traits.source;
    const bool is_named = source != SourceKind::none && source != SourceKind::constant;
    if (live[id] || is_named) copy_at_inference(from, id, copy);
  }
  return copy(of);
}

void to_inference(const Graph& from, Graph& to) {
  GraphCopy copy(from, to);
  for (int32_t id = 0; id < from.size(); ++id) copy_at_inference(from, id, copy);
  for (const Output& output : from.outputs()) {
    const Value value = copy(output.value);
    if (!output.is_update) {
      to.output(output.name, value);
    } else if (!is_same(value, to.find_source(output.name))) {
      to.update(output.name, value);
    }
  }
}

}  // namespace lariat
