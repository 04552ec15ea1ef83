#include "frontends/sequential/layer_records.hpp"
#include "frontends/sequential/layers/recurrent.hpp"
#include "ops/ops.hpp"

namespace lariat {

namespace {

Signal build_lstm(LayerContext& context, const Signal& input, const LstmFields& options) {
  context.need_sequence(input);
  const Value x = options.dropout > 0 ? dropout(input.value, options.dropout) : input.value;
  const Value states = lstm_states(context, "", x, options);
  if (options.return_sequences) return {states, input.lengths};
  return {last_step(states, input.lengths)};
}

}  // namespace

LayerKind layer_records::lstm() {
  return layer_kind("lstm", "long short-term memory over sequences", lstm_fields(), build_lstm)
      .with(lstm_units({""}));
}

Lstm::Lstm(int64_t units, const LstmOptions& options)
    : LayerSpec(lstm_fields().write("lstm", {options, units})) {}

}  // namespace lariat
