#include "frontends/sequential/layers/recurrent/recurrent_units.hpp"

namespace lariat {

LayerKind layer_records::bidirectional_lstm() {
  return layer_kind<LstmFields>("bidirectional_lstm", "one LSTM forwards and one backwards, side by side",
                                lstm_fields(),
                                [](LayerContext& context, const Signal& input, const LstmFields& options) {
                                  return build_bidirectional(context, input, options, lstm_layer());
                                })
      .having(states_of_both(lstm_layer().states))
      .with(recurrent_units<LstmFields>({.gates = 4, .candidate = 2, .prefixes = {"forward/", "backward/"}},
                                        lstm_fields()));
}

LayerKind layer_records::bidirectional_gru() {
  return layer_kind<GruFields>("bidirectional_gru", "one GRU forwards and one backwards, side by side",
                               gru_fields(),
                               [](LayerContext& context, const Signal& input, const GruFields& options) {
                                 return build_bidirectional(context, input, options, gru_layer());
                               })
      .having(states_of_both(gru_layer().states))
      .with(recurrent_units<GruFields>({.gates = 3,
                                        .candidate = 2,
                                        .candidate_bias = "candidate_bias",
                                        .prefixes = {"forward/", "backward/"}},
                                       gru_fields()));
}

LayerKind layer_records::bidirectional_simple_rnn() {
  return layer_kind<SimpleRnnFields>(
             "bidirectional_simple_rnn",
             "one simple recurrent layer forwards and one backwards, side by side", simple_rnn_fields(),
             [](LayerContext& context, const Signal& input, const SimpleRnnFields& options) {
               return build_bidirectional(context, input, options, simple_rnn_layer());
             })
      .having(states_of_both(simple_rnn_layer().states))
      .with(recurrent_units<SimpleRnnFields>({.prefixes = {"forward/", "backward/"}}, simple_rnn_fields()));
}

Bidirectional::Bidirectional(const Lstm& layer) : LayerSpec(layer) { kind = "bidirectional_lstm"; }
Bidirectional::Bidirectional(const Gru& layer) : LayerSpec(layer) { kind = "bidirectional_gru"; }
Bidirectional::Bidirectional(const SimpleRnn& layer) : LayerSpec(layer) { kind = "bidirectional_simple_rnn"; }

}  // namespace lariat
