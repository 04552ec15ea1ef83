#pragma once

#include "frontends/sequential/sequential.hpp"

namespace lariat {

/// An example of which a model says something wrong.
struct WorstExample {
  size_t index = 0;  ///< in the dataset
  std::string source, truth, said;
  /// How far what is said is from what is true: Σ|probability − truth|, or Σ|number − truth|; of symbols how
  /// many are wrong.
  double distance = 0;
};

/// The wrong ones of a dataset, or where numbers are learned all, that are furthest from the truth, at most
/// `most`, the worst first. None where targets are by frame.
std::vector<WorstExample> worst_examples(Sequential& model, const data::Dataset& dataset, size_t most,
                                         const EvaluateOptions& options = {});

}  // namespace lariat
