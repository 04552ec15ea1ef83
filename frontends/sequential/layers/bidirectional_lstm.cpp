#include "frontends/sequential/layer_records.hpp"
#include "frontends/sequential/layers/recurrent.hpp"
#include "ops/ops.hpp"

namespace lariat {

namespace {

Signal build_bidirectional_lstm(LayerContext& context, const Signal& input, const LstmFields& options) {
  context.need_sequence(input);
  const Value x = options.dropout > 0 ? dropout(input.value, options.dropout) : input.value;
  const Value forward = lstm_states(context, "forward/", x, options);
  // Each sequence is turned round within its own length, so its last frame comes first and padding stays
  // behind.
  const Value backward = lstm_states(context, "backward/", reverse_sequence(x, input.lengths), options);
  if (!options.return_sequences)
    return {concat({last_step(forward, input.lengths), last_step(backward, input.lengths)}, 1)};
  return {concat({forward, reverse_sequence(backward, input.lengths)}, 2), input.lengths};
}

}  // namespace

LayerKind layer_records::bidirectional_lstm() {
  return layer_kind("bidirectional_lstm", "one LSTM forwards and one backwards, side by side", lstm_fields(),
                    build_bidirectional_lstm)
      .with(lstm_units({"forward/", "backward/"}));
}

Bidirectional::Bidirectional(const Lstm& lstm) : LayerSpec(lstm) { kind = "bidirectional_lstm"; }

}  // namespace lariat
