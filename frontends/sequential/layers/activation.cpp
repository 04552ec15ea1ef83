#include "frontends/sequential/activation.hpp"

#include "frontends/sequential/layers.hpp"
#include "frontends/sequential/layers/records.hpp"

namespace lariat {

namespace {

struct Options {
  ActivationFunction function = {};
};

const Fields<Options>& fields() {
  static const Fields<Options> list =
      Fields<Options>().choice("function", &Options::function, activation_names(), "the function");
  return list;
}

Signal build(LayerContext&, const Signal& input, const Options& options) {
  return {options.function(input.value), input.lengths};
}

}  // namespace

LayerKind layer_records::activation() {
  return layer_kind("activation", "a function of each element", fields(), build);
}

Activation::Activation(ActivationFunction function) : LayerSpec(fields().write("activation", {function})) {}

}  // namespace lariat
