#pragma once

#include <functional>
#include <map>
#include <optional>
#include <set>
#include <vector>

#include "frontends/spec/spec.hpp"
#include "frontends/spec/weight_penalty.hpp"
#include "graph/io/store.hpp"
#include "graph/ir/graph.hpp"

namespace lariat {

class ModelValue;

/// What each of a signal's channels is of the data: the column's name, or its number in data whose columns
/// have none.
struct ChannelNames {
  std::vector<std::string> names;
  /// The columns that there were, those that a layer left out among them.
  std::set<std::string> known;
};

/// What flows between layers: data [batch, channels], images [batch, height, width, channels], or sequences
/// [batch, time, channels] with the number of valid frames of each, i32 [batch]; time is the height of
/// sequences that are images, [batch, time, width, channels]. What lies behind a sequence's end is finite but
/// arbitrary, and no layer lets it through: not its values nor, on the way back, what is computed from them.
/// A layer that may make something else of it, such as infinity, chooses it away by masked(): an adjoint of 0
/// times infinity is NaN.
struct Signal {
  Value value;
  Value lengths = {};
  /// Where each channel is one of the data, or made of that one alone.
  std::shared_ptr<const ChannelNames> columns = {};
  /// What its layer ends with, [batch, units] each, in the order of LayerKind::states; none where nothing
  /// takes them.
  std::vector<Value> states = {};

  bool is_sequence() const { return bool(lengths); }
  /// The size of the last dimension.
  int64_t channels() const { return value.shape().back().size(); }
};
/// Whether it is images that are no sequences, [batch, height, width, channels].
inline bool is_image(const Signal& signal) {
  return !signal.is_sequence() && signal.value.shape().size() == 4;
}

/// How far a parameter's steps differ from those of the others.
struct LayerSteps {
  /// Times the optimizer's learning rate.
  double learning_rate_factor = 1;
  /// The learning rate times this share of the weights is taken off at each step, apart from the gradient
  /// (Loshchilov and Hutter 2019).
  double weight_decay = 0;
  friend bool operator==(const LayerSteps&, const LayerSteps&) = default;
};

/// The penalties of a model's layers, and what else is said of how its parameters are trained.
struct Penalties {
  /// One scalar for each penalised parameter.
  std::vector<Value> values;
  std::map<std::string, WeightPenalty> by_parameter;
  /// The rows that group_inputs has as one, of the parameters that have such a penalty.
  std::map<std::string, RowGroups> input_rows = {};
  /// Those of the values that are over several parameters at once, and make zeros: as text, for each of
  /// these.
  std::vector<Value> shared_values = {};
  std::map<std::string, std::string> shared = {};
  /// A penalty that only training needs is not among the values where its op is not known: its name, or "".
  std::string unknown_op = {};
  /// Parameters that training leaves as they are, and those that have steps of their own.
  std::set<std::string> frozen = {};
  std::map<std::string, LayerSteps> groups = {};
};

/// A layer's place in a model. Every kind of layer has these among its options.
struct LayerPlace : LayerSteps {
  /// Its own; empty: "dense_1", the kind and how many of it there are up to here.
  std::string name = {};
  /// The layers, or columns of the data, whose outputs it takes; empty: the layer before.
  std::vector<std::string> input = {};
  /// What a layer with states begins with: states of layers such as "encoder.hidden", layers or columns;
  /// empty: zeros.
  std::vector<std::string> initial_state = {};
  /// The layer whose weights and options it has as well; empty: it has its own.
  std::string shares = {};
  bool trainable = true;
  /// What its kernels are at first, as initializer_from_text() has it; empty: as its kind has it.
  std::string kernel_initializer = {};
  /// Columns of the data that the penalty group_inputs has as one, a text such as "height, width" for each
  /// group; each of the others is one by itself.
  std::vector<std::string> input_groups = {};
};

/// Of a layer that is built for what it computes alone: nothing trains it, and it has no penalties.
inline LayerPlace untrained() {
  LayerPlace place;
  place.trainable = false;
  return place;
}

/// A layer: a kind and its options, those of its place among them.
struct LayerSpec : Spec {
  /// What `spec` does not say of the place has its default.
  template <class S>
  requires std::is_same_v<std::remove_cvref_t<S>, Spec> LayerSpec(S&& spec)
      : LayerSpec(spec.kind, spec.options) {
    written = spec.written;
  }
  LayerSpec(std::string kind, std::vector<std::pair<std::string, std::string>> options);

  /// The same layer with another option.
  LayerSpec named(const std::string& name) const;
  LayerSpec frozen() const;
  /// With the penalty group_inputs over these columns of the data, by name or, where they have none, by
  /// number or as "0-15".
  LayerSpec grouped(const std::vector<std::vector<std::string>>& columns) const;
  LayerSpec with(const std::string& option, const std::string& value) const;

  /// What the layer makes of these, in a Model. Applied again, it has the same weights.
  template <class... Others>
  ModelValue operator()(const ModelValue& input, const Others&... others) const;
  /// The same of a layer that begins with these states, as many as its kind has: `decoder(x, {hidden,
  /// cell})`.
  ModelValue operator()(const ModelValue& input, const std::vector<ModelValue>& initial_state) const;

  /// Copies of a layer are the same layer.
  std::shared_ptr<const int> identity;

 private:
  ModelValue apply(const std::vector<ModelValue>& inputs) const;
};

/// What a layer with states begins with, each with its name, and whether anything takes what it ends with.
struct GivenStates {
  std::vector<std::pair<std::string, Signal>> initial = {};
  bool taken = false;
};

/// What a layer may ask for while it is built.
class LayerContext {
 public:
  /// The layer's penalties are added to `penalties`. Its parameters are those of the layer `owner`.
  /// `columns` are those of the data that the layer takes, where it does.
  LayerContext(Graph& graph, std::string name, int64_t outputs, Penalties& penalties,
               const LayerPlace& place = {}, std::string owner = {},
               std::shared_ptr<const ChannelNames> columns = {})
      : graph(graph),
        name(std::move(name)),
        outputs(outputs),
        penalties_(penalties),
        place_(place),
        owner_(owner.empty() ? this->name : std::move(owner)),
        columns_(std::move(columns)) {}

  Graph& graph;
  /// "dense_1": the kind, and how many of it there are up to here; or the layer's own name.
  const std::string name;
  /// How many outputs the model must have: one for each class, label or number that is learned. 0: the layer
  /// is none of several outputs.
  const int64_t outputs;

  /// The parameter "name/what"; its penalty joins the loss unless it is frozen. Throws UserError where the
  /// layer shares it and needs it in another shape.
  Value parameter(const std::string& what, Extents extents, const Initializer& initializer,
                  const WeightPenalty& penalty = {});
  /// A penalty over several parameters, which makes zeros of them, joins the loss; `text` stands for it in
  /// reports.
  void penalise(Value penalty, const std::string& text, const std::vector<Value>& parameters);
  /// The state "name/what": kept in the store and saved, but no weight, so that nothing trains it.
  Value state(const std::string& what, Extents extents, const Initializer& initializer = init::zeros());
  /// What a state is after each step of training.
  void update(Value state, Value next);
  /// What it is after each batch, in training and at inference. It is 0 when an epoch begins, or an
  /// evaluation; its first dimension is the number of a batch's rows, which each have their own.
  void carry(Value state, Value next);
  /// What the layer's states `names` of `units` each begin with, [batch, units]; empty where it begins with
  /// zeros. Throws UserError naming the one that does not fit.
  std::vector<Value> initial_states(const std::vector<std::string>& names, int64_t units) const;
  GivenStates given_states = {};
  /// Whether training moves the layer.
  bool is_trainable() const { return place_.trainable; }
  /// Of a layer within this one: its parameters are "name/inner/what".
  LayerContext within(const std::string& inner) const {
    return {graph, name + "/" + inner, outputs, penalties_, place_, owner_ + "/" + inner};
  }
  /// Once the layer is built: throws UserError for an option of its place that has no effect on it.
  void check_place() const;
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
  const LayerPlace place_;
  const std::string owner_;
  const std::shared_ptr<const ChannelNames> columns_;

  /// The rows of a kernel that group_inputs has as one.
  RowGroups input_rows(const std::string& what) const;
};

/// A layer of a model with its weights, as what takes units out sees it; which of them may change.
struct LayerInModel {
  LayerSpec& spec;
  const std::string& name;
  /// Of what goes in and what comes out.
  Shape input, output;
  Store& weights;

  /// The weight "name/what".
  Tensor weight(const std::string& what) const;
  void set_weight(const std::string& what, Tensor tensor) const;
  /// Other options of its kind; its name and what else says its place stay.
  void set_options(const Spec& options) const;
  /// Leaves only these places of an axis of it, counted from the last where it is negative.
  void keep(const std::string& what, int axis, const std::vector<int64_t>& places) const;
};

/// A mark for each channel, and what a channel is at every place of every example, where that is one number.
using ChannelMarks = std::vector<bool>;
using ChannelConstants = std::vector<std::optional<float>>;

/// What a kind of layer says of its channels, the places of the last axis that go in and come out, so that
/// those may be taken out of a model which zeros have made useless. A function that is empty is an answer
/// that the kind does not have; the channels that it is about stay.
struct LayerUnits {
  /// Of a layer that lets channels through: the one that each outgoing channel is made of alone.
  std::function<std::vector<int64_t>(const LayerInModel&)> sources = {};
  /// Of a layer of several inputs: it lets their channels through, those of one behind those of the other.
  bool side_by_side = false;
  /// How many channels come out of a layer with these options where so many of one input go in; 0: the data
  /// alone say it.
  std::function<int64_t(const LayerSpec&, int64_t inputs)> count = {};
  /// What outgoing channels always are, given what ingoing ones always are.
  std::function<ChannelConstants(const LayerInModel&, const ChannelConstants& inputs)> constants = {};
  /// Which ingoing channels matter where these outgoing ones do; with `sources` it follows from them.
  std::function<ChannelMarks(const LayerInModel&, const ChannelMarks& outputs)> reads = {};
  /// Which outgoing channels matter where these are read: more than those, where units read each other.
  std::function<ChannelMarks(const LayerInModel&, const ChannelMarks& read)> needs = {};
  /// Why the layer cannot do without an ingoing channel that it reads and that is always `value`; "" where it
  /// can.
  std::function<std::string(const LayerInModel&, float value)> why_reads = {};
  /// Leaves out all ingoing channels but `kept`; each of the others is unread or always the constant given.
  std::function<void(const LayerInModel&, const std::vector<int64_t>& kept, const ChannelConstants& inputs)>
      keep_inputs = {};
  /// Leaves out all outgoing channels but `kept`. A layer that lets channels through has it for weights of
  /// its own.
  std::function<void(const LayerInModel&, const std::vector<int64_t>& kept)> keep_outputs = {};
  /// Why none of its outgoing channels, or none of its ingoing ones, can be left out; "" where they can.
  std::function<std::string(const LayerInModel&, bool outgoing)> why_fixed = {};
  /// Of the outgoing channels that could go, those that may go together.
  std::function<ChannelMarks(const LayerInModel&, const ChannelMarks& gone)> together = {};
  /// Multiplications of weights, where all sizes of what goes in and comes out are known.
  std::function<double(const LayerInModel&)> multiply_adds = {};
  /// Why there are no answers, for the report: "its statistics are over all channels".
  std::string reason = "this kind of layer says nothing of its channels";
};

/// A kind of layer as one record: its options, and how it is built into a graph.
struct LayerKind {
  SpecKind spec;
  std::function<Signal(LayerContext&, const Signal&, const LayerSpec&)> build;
  /// How many frames must go in so that `frames` come out.
  std::function<int64_t(const LayerSpec&, int64_t frames)> frames_needed;
  LayerUnits units = {};
  /// What the states are called that it begins and ends with, where it has any.
  std::vector<std::string> states = {};
  template <class Options>
  LayerKind taking(const Fields<Options>& fields, std::vector<int64_t> (*values)(const Options&)) && {
    values_taken = [fields, values](const LayerSpec& spec) { return values(fields.read(spec)); };
    return std::move(*this);
  }
  LayerKind having(std::vector<std::string> of_states) && {
    states = std::move(of_states);
    return std::move(*this);
  }
  LayerKind with(LayerUnits of_units) && {
    units = std::move(of_units);
    return std::move(*this);
  }
  /// Of a layer that takes several inputs: what `build` does of one.
  std::function<Signal(LayerContext&, const std::vector<Signal>&, const LayerSpec&)> merge = {};
  /// Of a layer whose options say how many values an example has: the numbers that it takes.
  std::function<std::vector<int64_t>(const LayerSpec&)> values_taken = {};
  /// Of a layer whose inputs are symbols, whole numbers from 0: how many there are.
  std::function<int64_t(const LayerSpec&)> symbols = {};
};

/// The options that every kind has behind its own.
const Fields<LayerPlace>& place_fields();
LayerPlace place_of(const LayerSpec& layer);

SpecKind with_place(SpecKind kind);

/// A record from typed parts. Without `frames_needed` as many frames come out as go in.
template <class Options>
LayerKind layer_kind(std::string name, std::string doc, const Fields<Options>& fields,
                     Signal (*build)(LayerContext&, const Signal&, const Options&),
                     int64_t (*frames_needed)(const Options&, int64_t frames) = nullptr) {
  return {with_place(fields.kind(std::move(name), std::move(doc))),
          [fields, build](LayerContext& context, const Signal& input, const LayerSpec& spec) {
            return build(context, input, fields.read(spec));
          },
          [fields, frames_needed](const LayerSpec& spec, int64_t frames) {
            return frames_needed == nullptr ? frames : frames_needed(fields.read(spec), frames);
          },
          {},
          {}};
}

/// A record of a layer that takes several inputs.
template <class Options>
LayerKind merge_kind(std::string name, std::string doc, const Fields<Options>& fields,
                     Signal (*merge)(LayerContext&, const std::vector<Signal>&, const Options&)) {
  const auto of_several = [fields, merge](LayerContext& context, const std::vector<Signal>& inputs,
                                          const LayerSpec& spec) {
    return merge(context, inputs, fields.read(spec));
  };
  return {with_place(fields.kind(std::move(name), std::move(doc))),
          [of_several](LayerContext& context, const Signal& input, const LayerSpec& spec) {
            return of_several(context, {input}, spec);
          },
          [](const LayerSpec&, int64_t frames) { return frames; },
          {},
          {},
          of_several};
}

/// "dense_1", … or the layers' own names.
std::vector<std::string> names_of(const std::vector<LayerSpec>& layers);

/// A layer of any kind by name, with options as a recipe has them: "dense units=10 kernel_penalty=l1=1e-4".
/// Throws UserError for a kind or an option that is none, with the nearest.
LayerSpec make_layer(std::string_view text);

/// Every kind of layer, by name.
const std::vector<LayerKind>& layer_kinds();
const LayerKind& layer_kind_of(const LayerSpec& layer);
/// The same as kinds of options.
const SpecKinds& layer_spec_kinds();

/// Whether no option of it says that it has none.
bool has_bias(const LayerSpec& layer);

/// What LayerContext::carry() makes go on from batch to batch, each with the rows that a batch has
/// then.
std::vector<std::pair<std::string, int64_t>> carried_states(const Graph& graph);

/// Penalties of all weights that have none of their own: of kernels and tables, and of biases.
struct GeneralPenalty {
  WeightPenalty kernels = {}, biases = {};
  /// The names of layers that are left out.
  std::vector<std::string> except = {};
};
/// The layers with it. Throws UserError with the nearest name for a layer that is not there.
std::vector<LayerSpec> penalised(std::vector<LayerSpec> layers, const GeneralPenalty& penalty);

/// Whether any weight that training moves has a penalty, and one that makes zeros.
struct PenaltiesThere {
  bool any = false, makes_zeros = false;
};
PenaltiesThere penalties_of(const std::vector<LayerSpec>& layers);

/// [{"kind": "dense", "units": 512, …}, …] and back. Throws UserError for what to_json did not write.
std::string to_json(const std::vector<LayerSpec>& layers);
std::vector<LayerSpec> layers_from_json(std::string_view json);

/// The fewest frames that leave every layer at least one, and one of them so many: the one of that name, or
/// the last.
int64_t frames_needed(const std::vector<LayerSpec>& layers, int64_t left = 1, const std::string& layer = {});

/// 1 for the frames within each sequence, 0 behind its end: [batch, time, 1], or [batch, time, 1, 1].
Value frame_mask(const Signal& signal);
/// The frames within each sequence, and 0 behind its end; what is no sequence stays as it is.
Value masked(const Signal& signal);
/// max(0, ⌊(lengths + add)/divisor⌋), with valid lengths in and out.
Value scaled_lengths(Value lengths, int64_t add, int64_t divisor);

}  // namespace lariat
