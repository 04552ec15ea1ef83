#pragma once

#include <optional>
#include <span>

#include "autodiff/penalty/penalty.hpp"

namespace lariat {

/// A loss split into f and its penalties.
struct LossParts {
  Value loss;
  std::vector<Value> parameters;
  /// The nodes of the penalties.
  std::vector<Value> cut;
  PenaltySplit split;

  /// All of the loss is f.
  LossParts(Value loss, std::vector<Value> parameters) : loss(loss), parameters(std::move(parameters)) {}
  /// The loss once more in `to`, by parameters of these names.
  LossParts(Value written, Graph& to, const std::vector<std::string>& parameters, Sums sums = Sums::exact);
  /// The same, and in `of_all` the one with Sums::all, in the same graph.
  LossParts(Value written, Graph& to, const std::vector<std::string>& parameters,
            std::optional<LossParts>& of_all);

  struct Gradients {
    /// Of f, by each parameter.
    std::vector<Value> smooth;
    /// What the penalties come to; empty where there are none.
    Value penalty;
  };
  /// `gradient_of` as gradient() has it. All of it times `share`, a scalar, where there is one.
  Gradients gradients(std::vector<int32_t>* gradient_of = nullptr, Value share = {}) const;
  /// What the penalties come to, as gradients() has it.
  Value penalty() const;

 private:
  void cut_terms();
  Value penalty_by(std::span<const Value> adjoints) const;
};

}  // namespace lariat
