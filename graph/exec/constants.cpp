#include "graph/exec/constants.hpp"

#include <cstring>

#include "graph/exec/executor.hpp"
#include "graph/exec/plan.hpp"
#include "graph/ir/op_def.hpp"

namespace lariat {

Tensor copy_of(const TensorView& view) {
  const std::shared_ptr<std::byte> memory = allocate_bytes(view.bytes());
  std::memcpy(memory.get(), view.data, view.bytes());
  return Tensor::on(view.dtype, view.extents, memory.get(), memory);
}

void* constant_data(const Graph& graph, int32_t id) {
  return graph.node(id).attributes.get<Tensor>("value").view().data;
}

std::vector<Tensor> evaluate_constant(const Graph& graph) {
  Plan plan(graph, {});
  std::vector<void*> source_data(graph.size());
  for (int32_t id = 0; id < graph.size(); ++id)
    if (graph.node(id).op->traits.source == SourceKind::constant) source_data[id] = constant_data(graph, id);
  const auto arena = allocate_bytes(plan.arena_bytes());
  plan.bind(arena.get(), source_data);
  make_serial_executor()->run_plan(plan);
  std::vector<Tensor> results;
  for (size_t i = 0; i < graph.outputs().size(); ++i) results.push_back(copy_of(plan.result(i)));
  return results;
}

}  // namespace lariat
