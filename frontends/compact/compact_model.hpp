#pragma once

#include "frontends/compact/compact.hpp"
#include "frontends/recipe/saved_model.hpp"

namespace lariat {

/// The stack of a model file. Throws UserError naming the file where it is no model.
Stack stack_of(const Store& model, const std::string& file);
/// The model file of `stack` in place of the one that `model` is: with its other notes and tensors, and its
/// recipe with the layers' new options. It is not sealed yet.
Store with_stack(const Store& model, const Stack& stack, const std::string& file);

/// How far apart two models' predictions are on the same data.
struct ModelDifference {
  size_t examples = 0;
  int64_t other_labels = 0;
  /// Of probabilities, or of numbers; and the largest of these.
  double largest = 0, largest_number = 0;
  bool same_bits = true;
};

/// Data to compare models on: a folder as lariat evaluate takes it, of which the test split is taken, rows as
/// lariat predict takes them, or a recording. Throws UserError naming `path`.
data::Dataset data_for(const SavedModel& model, const std::string& path);
/// Throws UserError, with `name` before it, where the data have another shape than the models take.
ModelDifference difference_of(SavedModel& before, SavedModel& after, const data::Dataset& dataset,
                              const std::string& name);

}  // namespace lariat
