#include "tests/sequential/one_layer.hpp"

#include "tests/ops/kernel_runner.hpp"

namespace lariat::testing {

Applied apply(const LayerSpec& layer, const Tensor& features, const std::vector<int32_t>& lengths) {
  Graph graph;
  Signal input{graph.input("features", to_shape(features.extents()))};
  Feeds feeds{{"features", features}};
  if (!lengths.empty()) {
    input.lengths = graph.input("lengths", {features.extents()[0]}, i32);
    feeds.emplace("lengths", integers(lengths));
  }
  Penalties penalties;
  LayerContext context(graph, "layer", 2, penalties);
  const Signal output = layer_kind_of(layer).build(context, input, layer);
  graph.output("values", output.value);
  if (output.is_sequence()) graph.output("lengths", output.lengths);
  Applied result;
  initialize_store(graph, result.store, 7);
  const std::vector<Tensor> found = Program(graph).run(feeds, result.store, *make_serial_executor());
  result.values = found[0];
  if (found.size() > 1) result.lengths = found[1];
  return result;
}

}  // namespace lariat::testing
