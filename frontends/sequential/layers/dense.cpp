#include "frontends/sequential/layer_records.hpp"
#include "frontends/sequential/layers.hpp"
#include "frontends/sequential/layers/limits.hpp"
#include "frontends/sequential/layers/units.hpp"
#include "ops/ops.hpp"

namespace lariat {

namespace {

struct DenseFields : DenseOptions {
  int64_t units = 0;
  ActivationFunction activation = {};
};

const Fields<DenseFields>& dense_fields() {
  static const Fields<DenseFields> list =
      Fields<DenseFields>()
          .integer("units", &DenseFields::units, 0, most_units,
                   "size of the output; 0: one for each class, label or number that is learned")
          .choice("activation", &DenseFields::activation, activation_names(),
                  "function applied to the output")
          .boolean("use_bias", &DenseFields::use_bias, "add a bias")
          .parsed("kernel_penalty", &DenseFields::kernel_penalty, weight_penalty_range,
                  "penalties of the kernel", to_text, parse_weight_penalty)
          .parsed("bias_penalty", &DenseFields::bias_penalty, weight_penalty_range, "penalties of the bias",
                  to_text, parse_weight_penalty);
  return list;
}

// y = activation(x·K + b)
Signal build_dense(LayerContext& context, const Signal& input, const DenseFields& options) {
  const int64_t units = options.units == 0 ? context.outputs : options.units;
  if (units == 0) context.fail("units = 0 is for an output, and this is none of several; say how many");
  const Value kernel =
      context.parameter("kernel", {input.channels(), units}, init::glorot_uniform(), options.kernel_penalty);
  Value y = matmul(input.value, kernel);
  if (options.use_bias) y = y + context.parameter("bias", {units}, init::zeros(), options.bias_penalty);
  return {options.activation(y), input.lengths};
}

}  // namespace

LayerKind layer_records::dense() {
  return layer_kind("dense", "activation(x·kernel + bias), on each frame of a sequence", dense_fields(),
                    build_dense)
      .with(kernel_units<DenseFields>(dense_fields(), &DenseFields::units,
                                      [](const LayerInModel&, const DenseFields&, float) { return ""; }));
}

Dense::Dense(int64_t units, ActivationFunction activation, const DenseOptions& options)
    : LayerSpec(dense_fields().write("dense", {options, units, activation})) {}

}  // namespace lariat
