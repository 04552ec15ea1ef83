#include "frontends/sequential/layers.hpp"
#include "frontends/sequential/layers/records.hpp"
#include "ops/ops.hpp"

namespace lariat {

namespace {

struct Options {
  double rate = 0.5;
};

const Fields<Options>& fields() {
  static const Fields<Options> list = Fields<Options>().number(
      "rate", &Options::rate, 0, 0.99, "share of the values that training sets to zero");
  return list;
}

Signal build(LayerContext&, const Signal& input, const Options& options) {
  return {options.rate > 0 ? dropout(input.value, options.rate) : input.value, input.lengths};
}

}  // namespace

LayerKind layer_records::dropout() {
  return layer_kind("dropout", "zeros at random, in training only", fields(), build);
}

Dropout::Dropout(double rate) : LayerSpec(fields().write("dropout", {rate})) {}

}  // namespace lariat
