#pragma once

#include "frontends/sequential/layer_records.hpp"
#include "frontends/sequential/layers.hpp"
#include "frontends/sequential/layers/limits.hpp"
#include "ops/ops.hpp"

namespace lariat {

struct LstmFields : LstmOptions {
  int64_t units = 0;
};
struct GruFields : GruOptions {
  int64_t units = 0;
};
struct SimpleRnnFields : SimpleRnnOptions {
  int64_t units = 0;
};

/// What a recurrent layer is made of in one direction.
struct Frames {
  /// [batch, time, channels], in the order in which they are taken, and i32 [batch].
  Value x, lengths;
  /// The states before the first frame, hidden first, [batch, units].
  std::vector<Value> initial;
  /// [batch, units], what the hidden state is multiplied by within the recurrent product; a scalar: nothing.
  Value recurrent_mask;
};

/// A cell as layers take it: what its states are called, and how it runs over frames. Its parameters are
/// "layer/prefix…"; it gives each state at all frames, [batch, time, units].
template <class Options>
struct RecurrentLayer {
  std::vector<std::string> states;
  std::vector<Value> (*run)(LayerContext& context, const std::string& prefix, const Frames& frames,
                            const Options& options);
};

template <class Options>
void add_recurrent_fields(Fields<Options>& fields) {
  fields.integer("units", &Options::units, 1, most_units, "size of the state, in each direction")
      .boolean("return_sequences", &Options::return_sequences,
               "the states of all frames rather than the last one")
      .integer("stateful", &Options::stateful, 0, 1 << 20,
               "rows of a batch, which go on where those of the batch before ended; 0: from zeros")
      .boolean("go_backwards", &Options::go_backwards, "from each sequence's last frame to its first")
      .number("dropout", &Options::dropout, 0, 0.99, "share of the inputs that training drops")
      .number("recurrent_dropout", &Options::recurrent_dropout, 0, 0.99,
              "share of the state's channels that training drops, the same ones at all frames")
      .parsed("kernel_penalty", &Options::kernel_penalty, weight_penalty_range, "penalties of the kernel",
              to_text, parse_weight_penalty)
      .parsed("recurrent_penalty", &Options::recurrent_penalty, weight_penalty_range,
              "penalties of the recurrent kernel", to_text, parse_weight_penalty)
      .parsed("bias_penalty", &Options::bias_penalty, weight_penalty_range, "penalties of the bias", to_text,
              parse_weight_penalty)
      .number("group_units", &Options::group_units, 0, 1e9,
              "λ of Σ‖all that comes into a unit, with all its gates and biases‖: whole units become zero");
}

/// Kernel, recurrent kernel and bias of one direction, of `gates`·units columns.
struct RecurrentWeights {
  Value kernel, recurrent, bias;
};
/// Σ over units of ‖all that comes into a unit, by all gates of these weights‖, times `strength`; 0: nothing.
/// Each weight is [.., units], or as many such side by side as there are gates.
void penalise_units(LayerContext& context, const std::vector<Value>& weights, int64_t units, double strength);
template <class Options>
RecurrentWeights recurrent_weights(LayerContext& context, const std::string& prefix, Value x, int64_t gates,
                                   const Options& options) {
  const int64_t channels = x.shape().back().size(), wide = gates * options.units;
  return {
      context.parameter(prefix + "kernel", {channels, wide}, init::glorot_uniform(), options.kernel_penalty),
      context.parameter(prefix + "recurrent_kernel", {options.units, wide}, init::orthogonal(),
                        options.recurrent_penalty),
      context.parameter(prefix + "bias", {wide}, init::zeros(), options.bias_penalty)};
}

/// `x` with a share of its values dropped.
Value dropped_inputs(Value x, double rate);
/// Frames that begin with zeros, with a share of the state's channels dropped.
Frames frames_of(LayerContext& context, Value x, Value lengths, int64_t units, double recurrent_dropout,
                 size_t states);
/// Throws UserError where the states would begin in two ways.
void check_stateful(const LayerContext& context, int64_t stateful);
/// Throws UserError where both are asked for.
void check_bidirectional(const LayerContext& context, int64_t stateful, bool go_backwards);
/// The state of the same row in the batch before, [batch, units].
Value carried_state(Value state, Value x);
/// From where the sequences of this batch end.
void carry_state(LayerContext& context, Value state, Value sequence, Value lengths);

/// What the states of both directions of a layer are called: forward_hidden, …
std::vector<std::string> states_of_both(const std::vector<std::string>& states);
/// The states behind each sequence's last frame, where anything takes them.
std::vector<Value> final_states(const LayerContext& context, const std::vector<Value>& sequences,
                                Value lengths);

template <class Options>
Signal build_recurrent(LayerContext& context, const Signal& input, const Options& options,
                       const RecurrentLayer<Options>& layer) {
  context.need_sequence(input);
  const std::vector<Value> initial = context.initial_states(layer.states, options.units);
  check_stateful(context, options.stateful);
  const Value x = dropped_inputs(input.value, options.dropout);
  Frames frames = frames_of(context, options.go_backwards ? reverse_sequence(x, input.lengths) : x,
                            input.lengths, options.units, options.recurrent_dropout, layer.states.size());
  std::copy(initial.begin(), initial.end(), frames.initial.begin());
  std::vector<Value> states;
  for (size_t i = 0; i < layer.states.size() && options.stateful > 0; ++i) {
    states.push_back(context.state(layer.states[i], {options.stateful, options.units}));
    frames.initial[i] = carried_state(states[i], x);
  }
  const std::vector<Value> sequences = layer.run(context, "", frames, options);
  for (size_t i = 0; i < states.size(); ++i) carry_state(context, states[i], sequences[i], input.lengths);
  const std::vector<Value> last = final_states(context, sequences, input.lengths);
  if (options.return_sequences) return {sequences[0], input.lengths, {}, last};
  return {context.last_state(sequences[0], input.lengths), {}, {}, last};
}

/// One forwards and one backwards over each sequence, side by side.
template <class Options>
Signal build_bidirectional(LayerContext& context, const Signal& input, const Options& options,
                           const RecurrentLayer<Options>& layer) {
  context.need_sequence(input);
  check_bidirectional(context, options.stateful, options.go_backwards);
  const std::vector<Value> initial = context.initial_states(states_of_both(layer.states), options.units);
  const Value x = dropped_inputs(input.value, options.dropout), lengths = input.lengths;
  std::vector<Value> last;
  const auto run = [&](const std::string& prefix, Value in_order, size_t first) {
    Frames frames =
        frames_of(context, in_order, lengths, options.units, options.recurrent_dropout, layer.states.size());
    for (size_t i = 0; i < layer.states.size() && !initial.empty(); ++i)
      frames.initial[i] = initial[first + i];
    const std::vector<Value> sequences = layer.run(context, prefix, frames, options);
    const std::vector<Value> states = final_states(context, sequences, lengths);
    last.insert(last.end(), states.begin(), states.end());
    return sequences[0];
  };
  const Value forward = run("forward/", x, 0);
  // Each sequence is turned round within its own length, so its last frame comes first and padding stays
  // behind.
  const Value backward = run("backward/", reverse_sequence(x, lengths), layer.states.size());
  if (!options.return_sequences)
    return {concat({last_step(forward, lengths), context.last_state(backward, lengths)}, 1), {}, {}, last};
  return {concat({forward, reverse_sequence(backward, lengths)}, 2), lengths, {}, last};
}

/// The options and the layer of each cell.
const Fields<LstmFields>& lstm_fields();
const RecurrentLayer<LstmFields>& lstm_layer();
const Fields<GruFields>& gru_fields();
const RecurrentLayer<GruFields>& gru_layer();
const Fields<SimpleRnnFields>& simple_rnn_fields();
const RecurrentLayer<SimpleRnnFields>& simple_rnn_layer();

}  // namespace lariat
