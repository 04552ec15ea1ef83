#pragma once

#include <memory>

#include "frontends/sequential/fit.hpp"
#include "frontends/sequential/layers.hpp"
#include "frontends/sequential/network.hpp"
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
/// The shapes of its parameters follow from the first data it sees. One thread at a time may use a model; its
/// work runs on many.
class Sequential {
 public:
  Sequential(std::initializer_list<LayerSpec> layers);
  explicit Sequential(std::vector<LayerSpec> layers);
  Sequential(Sequential&&) noexcept;
  Sequential& operator=(Sequential&&) noexcept;
  ~Sequential();

  const std::vector<LayerSpec>& layers() const;
  /// Says how to train; the weights stay. Without metrics the task has its own. What does not fit the data is
  /// refused when they are known.
  void compile(const Optimizer& optimizer, const Loss& loss = SoftmaxCrossEntropy{},
               std::vector<Metric> metrics = {});
  /// Builds the model for data of this shape, where that has not happened. fit() does it too.
  void build(const DataShape& shape, uint64_t seed = 0);

  /// Trains. Called again it goes on with the weights, and with the optimizer's state where that fits. Throws
  /// UserError before compile() or for data that do not fit, JobError where the loss is not finite.
  FitResult fit(TrainingData data, const FitOptions& options = {});
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
  struct Implementation;
  std::unique_ptr<Implementation> self_;
};

/// The sum over tensors: all of them, or those with a penalty that makes zeros.
Sparsity total(const std::vector<TensorZeros>& zeros, bool penalised_only = false);

}  // namespace lariat
