#pragma once

#include "frontends/sequential/sequential.hpp"
#include "graph/ranks/ranks.hpp"

namespace lariat {

/// What came out of a training run.
struct RunResult {
  /// On the test split, unless the run left it alone or was stopped.
  std::optional<Evaluation> test;
  /// On the validation split, where there is one.
  std::optional<Evaluation> validation;
  /// What was learned: "classes", "numbers", …
  std::string task;
  std::vector<std::string> classes;
  size_t train_examples = 0;

  /// Exact zeros: among weights with a penalty that makes zeros, among all, and per tensor.
  Sparsity penalised, weights;
  std::vector<TensorZeros> tensors;
  RewriteReport report;
  std::vector<EpochReport> history;
  /// On the training examples, without augmentation and dropout, unless the run was stopped.
  std::optional<Certificate> certificate;

  /// Of training, without loading and evaluating.
  double seconds = 0;
  uint64_t seed = 0;
  int threads = 0;
  /// How many trained together, and what this one sent and waited; 0: this process alone.
  int ranks = 0;
  Traffic traffic = {};
  /// Of the parameters, in hexadecimal: equal states have equal hashes, and a model that is loaded has the
  /// hash of its training.
  std::string state_hash;
  /// Of parameters, optimizer slots and counters.
  std::string training_state_hash;
  /// Whether the run was stopped before its end; it goes on from `checkpoint` then.
  bool stopped = false;
  /// Why it ended before its last epoch without that, or "".
  std::string ended;
  /// The files written, "" where there is none.
  std::string model, checkpoint;
  /// "file: reason" for files that were not used, and what else was noticed.
  std::vector<std::string> skipped, notices;
  /// Of the recipe with all its defaults, as JSON.
  std::string recipe;

  int64_t parameters() const { return weights.count; }
  int64_t nonzeros() const { return weights.count - weights.zeros; }
  /// {"accuracy": …, "confusion": […], …}; accuracy and loss are null where there is no test.
  std::string json() const;
  /// {"test": {"accuracy": …}, "validation": …}, without confusions: what a model file keeps.
  std::string measured_json() const;
};

}  // namespace lariat
