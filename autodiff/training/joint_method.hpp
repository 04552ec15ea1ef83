#pragma once

#include <functional>
#include <vector>

#include "graph/io/store.hpp"

namespace lariat {

/// A method that moves all parameters together and looks at the loss as often as it likes.
class JointMethod {
 public:
  struct Problem {
    /// The loss as written at the present weights; fills the gradients.
    std::function<double()> evaluate;
    /// The store's: what is written to them moves them.
    std::vector<Tensor> weights;
    /// Of the smooth loss, parameter by parameter, and λ of the term Σ λ|w| element by element.
    std::vector<std::vector<double>> gradients, l1;
    Store& store;
    double learning_rate;
  };
  virtual ~JointMethod() = default;
  /// Adds its own state to the store, for so many elements in all.
  virtual void prepare(Store& store, int64_t elements) const = 0;
  /// One step; where none makes the loss less, the weights stay.
  virtual void step(Problem& problem) const = 0;
};

}  // namespace lariat
