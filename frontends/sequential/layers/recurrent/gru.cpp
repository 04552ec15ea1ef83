#include "frontends/sequential/layers/recurrent/recurrent_units.hpp"

namespace lariat {

const Fields<GruFields>& gru_fields() {
  static const Fields<GruFields> list = [] {
    Fields<GruFields> fields;
    add_recurrent_fields(fields);
    return fields.boolean("reset_after", &GruFields::reset_after,
                          "the reset gate after the recurrent product, as Keras has it, or before it");
  }();
  return list;
}

const RecurrentLayer<GruFields>& gru_layer() {
  static const RecurrentLayer<GruFields> layer{
      {"hidden"},
      [](LayerContext& context, const std::string& prefix, const Frames& frames, const GruFields& options) {
        const RecurrentWeights weights = recurrent_weights(context, prefix, frames.x, 3, options);
        std::vector<Value> all{weights.kernel, weights.recurrent, weights.bias};
        Value candidate_bias = context.graph.constant(Tensor(frames.x.dtype(), {options.units}));
        if (options.reset_after)
          all.push_back(candidate_bias = context.parameter(prefix + "candidate_bias", {options.units},
                                                           init::zeros(), options.bias_penalty));
        penalise_units(context, all, options.units, options.group_units);
        return std::vector{gru_sequence(matmul(frames.x, weights.kernel) + weights.bias, weights.recurrent,
                                        frames.initial[0], candidate_bias, options.reset_after,
                                        frames.lengths, frames.recurrent_mask)};
      }};
  return layer;
}

LayerKind layer_records::gru() {
  return layer_kind<GruFields>("gru", "gated recurrent units over sequences", gru_fields(),
                               [](LayerContext& context, const Signal& input, const GruFields& options) {
                                 return build_recurrent(context, input, options, gru_layer());
                               })
      .having(gru_layer().states)
      .with(recurrent_units<GruFields>({.gates = 3, .candidate = 2, .candidate_bias = "candidate_bias"},
                                       gru_fields()));
}

Gru::Gru(int64_t units, const GruOptions& options) : LayerSpec(gru_fields().write("gru", {options, units})) {}

}  // namespace lariat
