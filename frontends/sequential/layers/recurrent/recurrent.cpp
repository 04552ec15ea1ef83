#include "frontends/sequential/layers/recurrent/recurrent.hpp"

#include <fmt/format.h>

namespace lariat {

Value dropped_inputs(Value x, double rate) { return rate > 0 ? dropout(x, rate) : x; }

Frames frames_of(LayerContext& context, Value x, Value lengths, int64_t units, double recurrent_dropout,
                 size_t states) {
  const Value zero = context.graph.constant(0, x.dtype());
  Frames frames{x, lengths, std::vector(states, zero), zero};
  if (recurrent_dropout > 0) {
    const Value ones = broadcast_to(context.graph.constant(1, x.dtype()), {x.shape()[0], units});
    frames.recurrent_mask = dropout(ones, recurrent_dropout);
  }
  return frames;
}

void penalise_units(LayerContext& context, const std::vector<Value>& weights, int64_t units,
                    double strength) {
  if (strength == 0) return;
  std::vector<Value> by_unit;
  for (const Value weight : weights) by_unit.push_back(reshape(weight, {-1, units}));
  context.penalise(strength * sum(norm2(concat(by_unit, 0), {0})), fmt::format("group_units={}", strength),
                   weights);
}

void check_bidirectional(const LayerContext& context, int64_t stateful, bool go_backwards) {
  if (stateful > 0)
    context.fail(
        "goes over each sequence both ways, so that no state of it is the next one's first; leave out "
        "stateful");
  if (go_backwards) context.fail("goes over each sequence both ways; leave out go_backwards");
}

Value carried_state(Value state, Value x) { return reshape(state, {x.shape()[0], state.shape()[1]}); }

void carry_state(LayerContext& context, Value state, Value sequence, Value lengths) {
  context.carry(state, reshape(last_step(sequence, lengths), state.shape()));
}

}  // namespace lariat
