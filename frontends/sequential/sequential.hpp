#pragma once

#include <memory>

#include "frontends/sequential/fit.hpp"
#include "frontends/sequential/layers.hpp"
#include "frontends/sequential/model_value.hpp"
#include "frontends/sequential/network.hpp"
#include "graph/base/owned.hpp"
#include "graph/io/short_numbers.hpp"

namespace lariat {

struct EvaluateOptions {
  int batch_size = 128;
  int time_multiple = 1;
  /// 0: as many as fit() was given, or what the machine allows.
  int threads = 0;
  /// Whether states that go on from batch to batch begin with zeros, and are then as they were; else they go
  /// on from where they are, and stay where the data end. Such a model takes examples in their order, in
  /// batches of as many as it has rows.
  bool reset_states = true;
  /// Of a model of symbols: how many beginnings a prefix beam search keeps at each frame; 0: the best path.
  int64_t beam = 0;
};

/// Zeros of one parameter.
struct TensorZeros {
  std::string name;
  Extents extents;
  Sparsity sparsity;
  /// Its penalties as text, "none" where there is none.
  std::string penalty;
  /// Whether one of them makes weights exactly zero.
  bool penalised = false;
  /// Whether training leaves it as it is.
  bool frozen = false;
};

class Sequential;

/// The weights of one layer of a model, by their names within it: "kernel", "bias".
class LayerWeights {
 public:
  std::vector<std::string> names() const;
  /// Throws UserError with the nearest name.
  Tensor weight(const std::string& name) const;
  /// Throws UserError for another type or shape.
  void set(const std::string& name, const Tensor& value);

 private:
  friend class Sequential;
  std::string full(const std::string& name) const;
  LayerWeights(Sequential& model, std::string layer) : model_(model), layer_(std::move(layer)) {}
  Sequential& model_;
  const std::string layer_;
};

/// A stack of layers that learns classes, or whatever the task of its loss is:
///
///     Sequential model{Dense(512, relu, {.kernel_penalty = l1(1e-4)}), Dropout(0.2), Dense(10)};
///     model.compile(Adam{}, SoftmaxCrossEntropy{}, {Accuracy{}});
///     model.fit(train, {.epochs = 5, .batch_size = 128, .validation = test});
///     model.save("mnist.safetensors");
///
///     model.compile(Adam{}, MeanSquaredError{}, {R2{}, MeanAbsoluteError{}});     // numbers
///     model.compile(Adam{}, SigmoidCrossEntropy{}, {Accuracy{}, F1{}, Auc{}});    // two classes, or labels
///
/// Layers that are no stack are a Model, of values that layers make of each other. A layer that is applied
/// twice has its weights once; a model is a layer of others, with a copy of the weights that it has:
///
///     const ModelValue image = input("image"), age = input("age"), seen = Dense(64, relu)(image);
///     Model model({image, age}, {Dense(1)(Concat()(seen, age))});
///
/// Several outputs are named by their layers and learn one thing each:
///
///     Model two({image}, {Dense(10).named("digit")(seen), Dense(1).named("slant")(seen)});
///     two.compile(Adam{}, {{"digit", SoftmaxCrossEntropy{}}, {"slant", MeanSquaredError{}, {}, 0.1}});
///
/// The shapes of its parameters follow from the first data it sees. One thread at a time may use a model; its
/// work runs on many.
class Sequential {
 public:
  Sequential(std::initializer_list<LayerSpec> layers);
  /// Layers may name what they take, and so be no stack. `outputs` are the names of layers; none: the last.
  explicit Sequential(std::vector<LayerSpec> layers, const std::vector<std::string>& outputs = {});
  Sequential(const std::vector<ModelValue>& inputs, const std::vector<ModelValue>& outputs);
  Sequential(Sequential&&) noexcept;
  Sequential& operator=(Sequential&&) noexcept;
  ~Sequential();

  const std::vector<LayerSpec>& layers() const;
  /// Says how to train; the weights stay. Without metrics the task has its own. What does not fit the data is
  /// refused when they are known.
  void compile(const Optimizer& optimizer, const Loss& loss = SoftmaxCrossEntropy{},
               std::vector<Metric> metrics = {});
  /// The same of a model of several outputs.
  void compile(const Optimizer& optimizer, std::vector<ModelOutput> outputs);
  /// Penalises all weights that have no penalty of their own, where the model has not been built.
  void penalise(const GeneralPenalty& penalty);
  /// Whether fit() moves a layer's weights from here on.
  void set_trainable(const std::string& layer, bool trainable);
  /// What this model, as a layer, makes of others; its first output.
  template <class... Others>
  ModelValue operator()(const ModelValue& input, const Others&... others) {
    return applied({input, others...}).front();
  }
  /// The same with all outputs.
  std::vector<ModelValue> applied(const std::vector<ModelValue>& inputs);
  /// Throws UserError with the nearest name.
  LayerWeights layer(const std::string& name);

  /// Builds the model for data of this shape, where that has not happened. fit() does it too.
  void build(const DataShape& shape, uint64_t seed = 0);

  /// Trains. Called again it goes on with the weights, and with the optimizer's state where that fits. Throws
  /// UserError before compile() or for data that do not fit, JobError where the loss is not finite.
  FitResult fit(TrainingData data, const FitOptions& options = {});
  /// Throws UserError for what fit() would refuse before its first step.
  void check_fit(TrainingData data, const FitOptions& options = {});
  /// The same for data of that shape, of which nothing else is known.
  void check_fit(const DataShape& shape, const FitOptions& options = {});
  /// Throws UserError for data that evaluate() would refuse, without computing anything; `what` stands before
  /// the message. Returned is a warning of what it would not: a loss that is 0 whatever the model answers.
  std::vector<std::string> check(const data::Dataset& dataset, const std::string& what = {});
  /// Throws UserError where there are no weights yet, or for data that do not fit.
  Evaluation evaluate(const data::Dataset& dataset, const EvaluateOptions& options = {});
  std::vector<Prediction> predict(const data::Dataset& dataset, const EvaluateOptions& options = {});
  /// How close the weights are to a stationary point of the loss that fit() made small, with its penalties at
  /// their present strength, on these data and without dropout. Throws UserError before fit().
  Certificate certify(const data::Dataset& dataset, const EvaluateOptions& options = {.batch_size = 256});

  /// Rounds the weights to numbers of that form, in which a saved model is smaller: kernels to float16 or,
  /// with a scale for each unit, to int8; what has no two axes to float16. They stay floats, and zeros stay
  /// zero. Throws UserError naming the tensor that holds NaN, infinity, or what float16 cannot hold.
  void round_weights(NumberForm form);
  /// The states of stateful layers, which go on from batch to batch, by name: "lstm_1/hidden", each [rows,
  /// units]. fit() begins each epoch with zeros.
  std::map<std::string, Tensor> states() const;
  /// Throws UserError for a state that there is not, or of another shape.
  void set_states(const std::map<std::string, Tensor>& states);
  void reset_states();

  /// Writes a model file: the parameters, and the layers in the metadata, to which `notes` and `tensors` are
  /// added. Tensors are coded where that is shorter, which keeps every bit.
  void save(const std::string& file, const std::map<std::string, std::string>& notes = {},
            const std::map<std::string, Tensor>& tensors = {});
  /// Throws UserError naming the file, and the tensor where one is missing or of another shape.
  static Sequential load(const std::string& file);
  static Sequential from_store(const Store& store, const std::string& file);

  const DataShape& shape() const;
  /// Parameters, and what training needs beside them. Whoever has it may change them, so that predict() and
  /// evaluate() no longer keep work on weights from one run to the next.
  Store& store();
  std::vector<TensorZeros> zeros();
  int64_t parameter_count();
  /// Depends on the bits of all parameters: equal before saving and after loading.
  uint64_t parameter_hash();
  /// How many threads it runs on.
  int threads();
  /// What the rewrite did to the penalties; empty before fit().
  const RewriteReport& report() const;
  const Network& network() const;

 private:
  friend class LayerWeights;
  Tensor weight(const std::string& name) const;
  void set_weight(const std::string& name, const Tensor& value);
  struct FitBeginning;
  FitBeginning prepare_fit(TrainingData& data, FitOptions options);
  FitBeginning begin_fit(FitOptions options, FitState state);
  FitView view_of(const FitBeginning& begun, const std::vector<EpochReport>& epochs);
  struct Implementation;
  Owned<Implementation, "model"> self_;
};

using Model = Sequential;

/// The sum over tensors: all of them, or those with a penalty that makes zeros.
Sparsity total(const std::vector<TensorZeros>& zeros, bool penalised_only = false);

}  // namespace lariat
