#pragma once

#include <map>

#include "frontends/sequential/spec.hpp"
#include "frontends/sequential/weight_penalty.hpp"
#include "graph/ir/graph.hpp"

namespace lariat {

/// What flows between layers: data [batch, channels], images [batch, height, width, channels], or sequences
/// [batch, time, channels] with the number of valid frames of each, i32 [batch]; time is the height of
/// sequences that are images, [batch, time, width, channels]. What lies behind a sequence's end is finite but
/// arbitrary, and no layer lets it through: not its values nor, on the way back, what is computed from them.
/// A layer that may make something else of it, such as infinity, chooses it away by masked(): an adjoint of 0
/// times infinity is NaN.
struct Signal {
  Value value;
  Value lengths = {};

  bool is_sequence() const { return bool(lengths); }
  /// The size of the last dimension.
  int64_t channels() const { return value.shape().back().size(); }
};

/// The penalties of a stack of layers.
struct Penalties {
  /// One scalar for each penalised parameter.
  std::vector<Value> values;
  std::map<std::string, WeightPenalty> by_parameter;
  /// A penalty that only training needs is not among the values where its op is not known: its name, or "".
  std::string unknown_op = {};
};

/// What a layer may ask for while it is built.
class LayerContext {
 public:
  /// The layer's penalties are added to `penalties`.
  LayerContext(Graph& graph, std::string name, int64_t outputs, Penalties& penalties)
      : graph(graph), name(std::move(name)), outputs(outputs), penalties_(penalties) {}

  Graph& graph;
  /// "dense_1": the kind, and how many of it there are up to here.
  const std::string name;
  /// How many outputs the model must have: one for each class, label or number that is learned.
  const int64_t outputs;

  /// The parameter "name/what"; its penalty joins the loss.
  Value parameter(const std::string& what, Extents extents, const Initializer& initializer,
                  const WeightPenalty& penalty = {});
  /// The state "name/what": kept in the store and saved, but no weight, so that nothing trains it.
  Value state(const std::string& what, Extents extents, const Initializer& initializer = init::zeros());
  /// What a state is after each step of training.
  void update(Value state, Value next);
  /// What it is after each batch, in training and at inference. It is 0 when an epoch begins, or an
  /// evaluation; its first dimension is the number of a batch's rows, which each have their own.
  void carry(Value state, Value next);
  /// Throws UserError naming the layer.
  [[noreturn]] void fail(const std::string& message) const;
  /// Throws UserError where `input` is no sequence of frames without a width; it names the layer that made
  /// one frame of a sequence, by last_state().
  void need_sequence(const Signal& input) const;
  /// The state behind each sequence's last frame, of the states [batch, time, units] at all of them.
  Value last_state(Value states, Value lengths) const;
  /// `input` as images; a sequence's frames become rows of one channel. Throws UserError for plain data.
  Signal images(const Signal& input) const;

 private:
  Penalties& penalties_;
};

/// A layer: a kind and its options.
using LayerSpec = Spec;

/// A kind of layer as one record: its options, and how it is built into a graph.
struct LayerKind {
  SpecKind spec;
  std::function<Signal(LayerContext&, const Signal&, const LayerSpec&)> build;
  /// How many frames must go in so that `frames` come out.
  std::function<int64_t(const LayerSpec&, int64_t frames)> frames_needed;
};

/// A record from typed parts. Without `frames_needed` as many frames come out as go in.
template <class Options>
LayerKind layer_kind(std::string name, std::string doc, const Fields<Options>& fields,
                     Signal (*build)(LayerContext&, const Signal&, const Options&),
                     int64_t (*frames_needed)(const Options&, int64_t frames) = nullptr) {
  return {fields.kind(std::move(name), std::move(doc)),
          [fields, build](LayerContext& context, const Signal& input, const LayerSpec& spec) {
            return build(context, input, fields.read(spec));
          },
          [fields, frames_needed](const LayerSpec& spec, int64_t frames) {
            return frames_needed == nullptr ? frames : frames_needed(fields.read(spec), frames);
          }};
}

/// Every kind of layer, by name.
const std::vector<LayerKind>& layer_kinds();
const LayerKind& layer_kind_of(const LayerSpec& layer);
/// The same as kinds of options.
const SpecKinds& layer_spec_kinds();

/// [{"kind": "dense", "units": 512, …}, …] and back. Throws UserError for what to_json did not write.
std::string to_json(const std::vector<LayerSpec>& layers);
std::vector<LayerSpec> layers_from_json(std::string_view json);

/// The fewest frames that leave every layer at least one.
int64_t frames_needed(const std::vector<LayerSpec>& layers);

/// 1 for the frames within each sequence, 0 behind its end: [batch, time, 1], or [batch, time, 1, 1].
Value frame_mask(const Signal& signal);
/// The frames within each sequence, and 0 behind its end; what is no sequence stays as it is.
Value masked(const Signal& signal);
/// max(0, ⌊(lengths + add)/divisor⌋), with valid lengths in and out.
Value scaled_lengths(Value lengths, int64_t add, int64_t divisor);

}  // namespace lariat
