#pragma once

#include "frontends/sequential/sequential.hpp"

namespace lariat::testing {

/// Points of three classes to train on, 60 of them, and 30 others.
const data::Dataset& train_points();
const data::Dataset& other_points();

/// 8 units with an L1 penalty before three outputs, by Adam.
Sequential small_model(double lambda = 2e-3, double rate = 0.02);

/// Batches of 10, the other points for validation, and no word of warning.
FitOptions fit_with(std::vector<Callback> callbacks, int epochs = 6);

/// Fits `other` on from where a fit of `model` stopped, as another process would: with its store, and its
/// state and epochs as text.
FitResult go_on(Sequential& other, Sequential& model, const FitResult& stopped, const data::Dataset& data,
                FitOptions options);

}  // namespace lariat::testing
