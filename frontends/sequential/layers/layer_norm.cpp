#include "frontends/sequential/layer_records.hpp"
#include "frontends/sequential/layers.hpp"
#include "frontends/sequential/layers/units.hpp"
#include "ops/ops.hpp"

namespace lariat {

namespace {

const Fields<LayerNormOptions>& layer_norm_fields() {
  static const Fields<LayerNormOptions> list = Fields<LayerNormOptions>().number(
      "epsilon", &LayerNormOptions::epsilon, 1e-12, 1, "added to the variance");
  return list;
}

// y = scale·(x - μ)/√(σ² + ε) + offset, μ and σ² over the channels
Signal build_layer_norm(LayerContext& context, const Signal& input, const LayerNormOptions& options) {
  const Value centred = input.value - mean(input.value, {-1}, true);
  const Value variance = mean(square(centred), {-1}, true);
  const Value scale = context.parameter("scale", {input.channels()}, init::constant(1));
  const Value offset = context.parameter("offset", {input.channels()}, init::zeros());
  return {centred / sqrt(variance + options.epsilon) * scale + offset, input.lengths};
}

}  // namespace

LayerKind layer_records::layer_norm() {
  return layer_kind("layer_norm", "each frame's channels to mean 0 and variance 1, then scaled and shifted",
                    layer_norm_fields(), build_layer_norm)
      .with(joined_channels("its statistics are over all channels"));
}

LayerNorm::LayerNorm(const LayerNormOptions& options)
    : LayerSpec(layer_norm_fields().write("layer_norm", options)) {}

}  // namespace lariat
