#include "frontends/sequential/layers/recurrent/recurrent_units.hpp"

namespace lariat {

const Fields<LstmFields>& lstm_fields() {
  static const Fields<LstmFields> list = [] {
    Fields<LstmFields> fields;
    add_recurrent_fields(fields);
    return fields.number("forget_bias", &LstmFields::forget_bias, -100, 100, "added to the forget gate");
  }();
  return list;
}

const RecurrentLayer<LstmFields>& lstm_layer() {
  static const RecurrentLayer<LstmFields> layer{
      {"hidden", "cell"},
      [](LayerContext& context, const std::string& prefix, const Frames& frames, const LstmFields& options) {
        const RecurrentWeights weights = recurrent_weights(context, prefix, frames.x, 4, options);
        penalise_units(context, {weights.kernel, weights.recurrent, weights.bias}, options.units,
                       options.group_units);
        const Value hidden = lstm_sequence(matmul(frames.x, weights.kernel) + weights.bias, weights.recurrent,
                                           frames.initial[0], frames.initial[1], options.forget_bias, {},
                                           frames.recurrent_mask);
        return std::vector{hidden, output_of(hidden, 1)};
      }};
  return layer;
}

LayerKind layer_records::lstm() {
  return layer_kind<LstmFields>("lstm", "long short-term memory over sequences", lstm_fields(),
                                [](LayerContext& context, const Signal& input, const LstmFields& options) {
                                  return build_recurrent(context, input, options, lstm_layer());
                                })
      .having(lstm_layer().states)
      .with(recurrent_units<LstmFields>({.gates = 4, .candidate = 2}, lstm_fields()));
}

Lstm::Lstm(int64_t units, const LstmOptions& options)
    : LayerSpec(lstm_fields().write("lstm", {options, units})) {}

}  // namespace lariat
