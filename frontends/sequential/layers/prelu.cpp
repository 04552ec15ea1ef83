#include "frontends/sequential/layer_records.hpp"
#include "frontends/sequential/layers/units.hpp"
#include "graph/program/evaluate.hpp"
#include "ops/ops.hpp"

namespace lariat {

namespace {

struct PreluFields {
  double slope = 0.25;
  WeightPenalty slope_penalty = {};
};

const Fields<PreluFields>& prelu_fields() {
  static const Fields<PreluFields> list =
      Fields<PreluFields>()
          .number("slope", &PreluFields::slope, -1e6, 1e6, "what the slopes below 0 are at first")
          .parsed("slope_penalty", &PreluFields::slope_penalty, weight_penalty_range,
                  "penalties of the slopes", to_text, parse_weight_penalty);
  return list;
}

// y = max(x, 0) + slope·min(x, 0), with a slope for each channel
Value rectified(Value x, Value slope) { return relu(x) - slope * relu(-x); }

Signal build_prelu(LayerContext& context, const Signal& input, const PreluFields& options) {
  const Value slope =
      context.parameter("slope", {input.channels()}, init::constant(options.slope), options.slope_penalty);
  return {rectified(input.value, slope), input.lengths, input.columns};
}

std::vector<float> rectified_constants(const LayerInModel& layer, const std::vector<float>& x) {
  Graph graph;
  const Value values = graph.constant(Tensor::of<float>({std::ssize(x)}, std::span<const float>(x)));
  const Tensor computed = evaluate(rectified(values, graph.constant(layer.weight("slope"))));
  const auto found = computed.values<float>();
  return {found.begin(), found.end()};
}

}  // namespace

LayerKind layer_records::prelu() {
  return layer_kind("prelu", "x above 0, a trained slope times x below, for each channel; He et al. (2015)",
                    prelu_fields(), build_prelu)
      .with(weighted_channels({"slope"}, rectified_constants));
}

}  // namespace lariat
