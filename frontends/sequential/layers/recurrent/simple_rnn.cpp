#include "frontends/sequential/layers/recurrent/recurrent_units.hpp"

namespace lariat {

const Fields<SimpleRnnFields>& simple_rnn_fields() {
  static const Fields<SimpleRnnFields> list = [] {
    Fields<SimpleRnnFields> fields;
    add_recurrent_fields(fields);
    return fields.choice("activation", &SimpleRnnFields::activation, {"tanh", "relu"},
                         "function applied to the state");
  }();
  return list;
}

const RecurrentLayer<SimpleRnnFields>& simple_rnn_layer() {
  static const RecurrentLayer<SimpleRnnFields> layer{
      {"hidden"},
      [](LayerContext& context, const std::string& prefix, const Frames& frames,
         const SimpleRnnFields& options) {
        const RecurrentWeights weights = recurrent_weights(context, prefix, frames.x, 1, options);
        penalise_units(context, {weights.kernel, weights.recurrent, weights.bias}, options.units,
                       options.group_units);
        return std::vector{simple_rnn_sequence(
            matmul(frames.x, weights.kernel) + weights.bias, weights.recurrent, frames.initial[0],
            options.activation == RnnActivation::relu, frames.lengths, frames.recurrent_mask)};
      }};
  return layer;
}

LayerKind layer_records::simple_rnn() {
  return layer_kind<SimpleRnnFields>(
             "simple_rnn", "a simple recurrent layer over sequences", simple_rnn_fields(),
             [](LayerContext& context, const Signal& input, const SimpleRnnFields& options) {
               return build_recurrent(context, input, options, simple_rnn_layer());
             })
      .having(simple_rnn_layer().states)
      .with(recurrent_units<SimpleRnnFields>({}, simple_rnn_fields()));
}

SimpleRnn::SimpleRnn(int64_t units, const SimpleRnnOptions& options)
    : LayerSpec(simple_rnn_fields().write("simple_rnn", {options, units})) {}

}  // namespace lariat
