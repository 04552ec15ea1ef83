#pragma once

#include <cstring>

#include "graph/exec/plan.hpp"
#include "graph/program/program.hpp"

namespace lariat::testing {

/// The results of a graph of inputs and constants, run node by node as it was built: the oracle of the
/// passes.
inline std::vector<Tensor> run_as_built(const Graph& graph, const Feeds& feeds, const Bindings& bindings) {
  Plan plan(graph, bindings);
  std::vector<void*> sources(graph.size());
  for (int32_t id = 0; id < graph.size(); ++id) {
    const Node& node = graph.node(id);
    if (node.op->traits.source == SourceKind::input) sources[id] = feeds.find(node.name)->second.view().data;
    if (node.op->traits.source == SourceKind::constant)
      sources[id] = node.attributes.get<Tensor>("value").view().data;
  }
  const auto arena = allocate_bytes(plan.arena_bytes());
  plan.bind(arena.get(), sources);
  make_serial_executor()->run_plan(plan);
  std::vector<Tensor> results;
  for (size_t i = 0; i < graph.outputs().size(); ++i) {
    const TensorView& view = plan.result(i);
    results.emplace_back(view.dtype, view.extents);
    std::memcpy(results.back().view().data, view.data, view.bytes());
  }
  return results;
}

}  // namespace lariat::testing
