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

void check_stateful(const LayerContext& context, int64_t stateful) {
  if (stateful > 0 && !context.given_states.initial.empty())
    context.fail(
        fmt::format("stateful = {} begins where the batch before ended, and initial_state = {} anew; leave "
                    "one of them out",
                    stateful, context.given_states.initial.front().first));
}

std::vector<std::string> states_of_both(const std::vector<std::string>& states) {
  std::vector<std::string> both;
  for (const char* direction : {"forward_", "backward_"})
    for (const std::string& state : states) both.push_back(direction + state);
  return both;
}

std::vector<Value> final_states(const LayerContext& context, const std::vector<Value>& sequences,
                                Value lengths) {
  std::vector<Value> states;
  for (const Value sequence : sequences)
    if (context.given_states.taken) states.push_back(last_step(sequence, lengths));
  return states;
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
