#include "frontends/sequential/layer_records.hpp"
#include "frontends/sequential/layers.hpp"
#include "frontends/sequential/layers/units.hpp"
#include "ops/ops.hpp"

namespace lariat {

namespace {

struct DropoutFields {
  double rate = 0.5;
};

const Fields<DropoutFields>& dropout_fields() {
  static const Fields<DropoutFields> list = Fields<DropoutFields>().number(
      "rate", &DropoutFields::rate, 0, 0.99, "share of the values that training sets to zero");
  return list;
}

Signal build_dropout(LayerContext&, const Signal& input, const DropoutFields& options) {
  return {options.rate > 0 ? dropout(input.value, options.rate) : input.value, input.lengths, input.columns};
}

}  // namespace

LayerKind layer_records::dropout() {
  return layer_kind("dropout", "zeros at random, in training only", dropout_fields(), build_dropout)
      .with(channelwise());
}

Dropout::Dropout(double rate) : LayerSpec(dropout_fields().write("dropout", {rate})) {}

}  // namespace lariat
