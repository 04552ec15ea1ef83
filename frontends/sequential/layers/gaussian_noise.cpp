#include "frontends/sequential/layer_records.hpp"
#include "frontends/sequential/layers.hpp"
#include "ops/ops.hpp"

namespace lariat {

namespace {

struct GaussianNoiseFields {
  double deviation = 0.1;
};

const Fields<GaussianNoiseFields>& gaussian_noise_fields() {
  static const Fields<GaussianNoiseFields> list = Fields<GaussianNoiseFields>().number(
      "deviation", &GaussianNoiseFields::deviation, 0, 1e6, "standard deviation of the noise");
  return list;
}

Signal build_gaussian_noise(LayerContext&, const Signal& input, const GaussianNoiseFields& options) {
  return {options.deviation > 0 ? gaussian_noise(input.value, options.deviation) : input.value, input.lengths,
          input.columns};
}

}  // namespace

LayerKind layer_records::gaussian_noise() {
  return layer_kind("gaussian_noise", "adds normal noise, in training only", gaussian_noise_fields(),
                    build_gaussian_noise);
}

GaussianNoise::GaussianNoise(double deviation)
    : LayerSpec(gaussian_noise_fields().write("gaussian_noise", {deviation})) {}

}  // namespace lariat
