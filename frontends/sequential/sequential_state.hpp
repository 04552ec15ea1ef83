#pragma once

#include <fmt/format.h>

#include "frontends/sequential/evaluation.hpp"
#include "frontends/sequential/fit_loop.hpp"
#include "frontends/sequential/sequential.hpp"
#include "frontends/sequential/wiring.hpp"
#include "graph/base/error.hpp"

namespace lariat {

/// What a fit begins with, once model and trainer are made for it.
struct Sequential::FitBeginning {
  FitOptions options;
  FitState state;
  std::shared_ptr<FitCallbacks> callbacks;
};

/// What a model is at one time: its layers, and once it is built its graph, weights, trainer and programs.
struct Sequential::Implementation {
  std::vector<LayerSpec> layers;
  std::optional<Optimizer> optimizer;
  std::vector<ModelOutput> outputs{1};
  std::vector<std::string> columns{all_columns};  // what it takes, in the order of a layer's inputs
  std::map<std::string, Tensor> first_weights;    // of models that are layers of it
  bool weighted = false;                          // whether the network asks for examples' weights
  DataShape shape;
  std::optional<Network> network;
  std::unique_ptr<Trainer> trainer;
  Schedule strength;  // of the penalties while the trainer trains; empty: always 1
  Store loaded;       // until there is a trainer
  std::unique_ptr<Executor> executor;
  std::unique_ptr<Inference> evaluation, prediction, outputs_alone;
  // Weights may change between two runs while they are trained, and since store() gave them away: programs
  // must not freeze them then.
  bool training = false, given_away = false;

  Store& store() { return trainer ? trainer->store() : loaded; }

  void make_network() {
    network = build_network(layers, shape, outputs, weighted);
    forget_programs();
  }

  void forget_programs() {
    evaluation.reset();
    prediction.reset();
    outputs_alone.reset();
  }

  void set_training(bool on) {
    training = on;
    forget_programs();
  }

  std::unique_ptr<Inference> inference(std::span<const Value> values) {
    return std::make_unique<Inference>(*network->graph, values, training || given_away ? nullptr : &store(),
                                       network->rows);
  }

  /// What each output gives for a dataset, its views not looked at.
  std::vector<HeadValues> measured(const data::Dataset& dataset, const EvaluateOptions& options);
  std::vector<HeadValues> outputs_for(const data::Dataset& dataset, const EvaluateOptions& options);
  void infer(Inference& program, const data::Dataset& dataset, const EvaluateOptions& options,
             const std::function<void(const data::Batch&, const std::vector<Tensor>&)>& take);

  /// Whether every frame has outputs of its own.
  bool is_by_frame() const { return shape.targets.by_frame || shape.targets.symbols; }

  void check_beam(const EvaluateOptions& options) const {
    if (options.beam < 0) throw UserError(fmt::format("beam = {}: must be an integer from 0", options.beam));
    if (options.beam > 0 && network->task->decode == nullptr)
      throw UserError(
          fmt::format("beam = {}: has no effect, for the model learns {}, and no symbols; leave "
                      "it out",
                      options.beam, network->task->name));
  }

  void need_network() const {
    if (!network) throw UserError("the model has no weights yet; call fit, or load a saved model");
  }

  /// A callback may look at the model, but what the fit at hand stands on must stay.
  void need_no_fit(const char* call) const {
    if (training)
      throw UserError(
          fmt::format("{} was called while the model is in a fit; call it before or after", call));
  }

  Executor& executor_for(int threads) {
    if (trainer && (threads == 0 || threads == trainer->executor().threads())) return trainer->executor();
    if (!executor || (threads != 0 && threads != executor->threads())) executor = make_tbb_executor(threads);
    return *executor;
  }

  void check(const data::Dataset& dataset, bool labelled) const {
    check_data(dataset, *network, layers, shape, labelled);
  }
  void make_trainer(const FitOptions& options, const FitState& state,
                    const std::shared_ptr<const FitCallbacks>& callbacks);
  std::vector<std::string> warnings(const data::Batch& batch);
};

}  // namespace lariat
