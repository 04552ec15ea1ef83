#pragma once

#include <memory>

#include "autodiff/penalty/penalty.hpp"

namespace lariat {

/// A loss split into f and its penalties, in a graph of its own.
struct LossParts {
  std::unique_ptr<Graph> graph = std::make_unique<Graph>();
  Value loss;
  std::vector<Value> parameters;
  /// The nodes of the penalties.
  std::vector<Value> cut;
  PenaltySplit split;

  /// Of the output "loss" of `written`.
  LossParts(Graph& written, const std::vector<std::string>& parameters, Sums sums);

  struct Gradients {
    /// Of f, by each parameter.
    std::vector<Value> smooth;
    /// What the penalties come to.
    Value penalty;
  };
  Gradients gradients() const;
};

}  // namespace lariat
