#include "frontends/sequential/layers.hpp"
#include "frontends/sequential/layers/limits.hpp"
#include "frontends/sequential/layers/records.hpp"
#include "ops/ops.hpp"

namespace lariat {

namespace {

struct Options : DenseOptions {
  int64_t units = 0;
  ActivationFunction activation = {};
};

const Fields<Options>& fields() {
  static const Fields<Options> list =
      Fields<Options>()
          .integer("units", &Options::units, 0, most_units, "size of the output; 0: one for each class")
          .choice("activation", &Options::activation, activation_names(), "function applied to the output")
          .boolean("use_bias", &Options::use_bias, "add a bias")
          .parsed("kernel_penalty", &Options::kernel_penalty, weight_penalty_range, "penalties of the kernel",
                  to_text, parse_weight_penalty)
          .parsed("bias_penalty", &Options::bias_penalty, weight_penalty_range, "penalties of the bias",
                  to_text, parse_weight_penalty);
  return list;
}

// y = activation(x·K + b)
Signal build(LayerContext& context, const Signal& input, const Options& options) {
  const int64_t units = options.units == 0 ? context.classes : options.units;
  const Value kernel =
      context.parameter("kernel", {input.channels(), units}, init::glorot_uniform(), options.kernel_penalty);
  Value y = matmul(input.value, kernel);
  if (options.use_bias) y = y + context.parameter("bias", {units}, init::zeros(), options.bias_penalty);
  return {options.activation(y), input.lengths};
}

}  // namespace

LayerKind layer_records::dense() {
  return layer_kind("dense", "activation(x·kernel + bias), on each frame of a sequence", fields(), build);
}

Dense::Dense(int64_t units, ActivationFunction activation, const DenseOptions& options)
    : LayerSpec(fields().write("dense", {options, units, activation})) {}

}  // namespace lariat
