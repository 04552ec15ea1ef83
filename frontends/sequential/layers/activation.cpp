#include "frontends/spec/activation.hpp"

#include "frontends/sequential/layer_records.hpp"
#include "frontends/sequential/layers.hpp"
#include "frontends/sequential/layers/units.hpp"

namespace lariat {

namespace {

struct ActivationFields {
  ActivationFunction function = {};
};

const Fields<ActivationFields>& activation_fields() {
  static const Fields<ActivationFields> list = Fields<ActivationFields>().choice(
      "function", &ActivationFields::function, activation_names(), "the function");
  return list;
}

Signal build_activation(LayerContext&, const Signal& input, const ActivationFields& options) {
  return {options.function(input.value), input.lengths, input.columns};
}

}  // namespace

LayerKind layer_records::activation() {
  return layer_kind("activation", "a function of each element", activation_fields(), build_activation)
      .with(channelwise([](const LayerInModel& layer, float x) {
        return applied(activation_fields().read(layer.spec).function, {x}).front();
      }));
}

Activation::Activation(ActivationFunction function)
    : LayerSpec(activation_fields().write("activation", {function})) {}

}  // namespace lariat
