// Penalties that change while a model is fitted.
#include <cmath>

#include "frontends/sequential/callbacks/callbacks.hpp"
#include "frontends/sequential/sequential.hpp"
#include "ops/ops.hpp"
#include "tests/support/testing.hpp"
#include "tests/support/toy_fits.hpp"

namespace lariat::penalties_over_time_test {

using testing::fit_with;
using testing::other_points;
using testing::small_model;
using testing::train_points;

TEST_CASE("callbacks: a wanted share of zeros is reached from any strength") {
  for (const double lambda : {1e-5, 1e-3, 1e-1}) {
    Sequential model = small_model(lambda, 0.01);
    FitOptions fit = fit_with({TargetZeros{.target = 0.7, .every = 5}}, 80);
    fit.schedule = [](int64_t steps) { return schedule::cosine(steps); };
    fit.settle_from = 0.9;
    const FitResult result = model.fit(train_points(), fit);
    CAPTURE(lambda);
    CAPTURE(result.epochs.back().penalty_strength);
    CHECK(result.epochs.back().penalised.fraction() == doctest::Approx(0.7).epsilon(0.1));
    // The same again.
    Sequential again = small_model(lambda, 0.01);
    again.fit(train_points(), fit);
    CHECK(again.parameter_hash() == model.parameter_hash());
  }
}

TEST_CASE("callbacks: penalties grow while the validation stays close to its best") {
  Sequential model = small_model(1e-4, 0.01);
  const FitResult result =
      model.fit(train_points(), fit_with({PenaltyByValidation{.tolerance = 0.05, .up = 2, .down = 0.5}}, 12));
  double strength = 1, best = INFINITY;
  for (const EpochReport& epoch : result.epochs) {
    CHECK(epoch.penalty_strength == doctest::Approx(strength));
    best = std::min(best, *epoch.validation_loss);
    strength *= *epoch.validation_loss - best <= 0.05 * best ? 2 : 0.5;
  }
  CHECK(strength > 1);
}

TEST_CASE("callbacks: L1 with factors of its own shrinks large weights less") {
  Sequential plain = small_model(2e-2), model = small_model(2e-2);
  plain.fit(train_points(), fit_with({}, 40));
  std::vector<double> factors;
  FitOptions fit = fit_with({Reweight{.every = 10, .times = 2, .epsilon = 0.1}}, 40);
  std::vector<Tensor> seen, weights;
  fit.on_epoch_end = [&](const EpochReport& epoch) {
    if (epoch.epoch % 10 != 0) return;
    seen.push_back(model.store().get("l1_factors/dense_1/kernel").clone());
    weights.push_back(model.store().get("dense_1/kernel").clone());
  };
  const int64_t count = plain.parameter_count();
  model.fit(train_points(), fit);
  REQUIRE(seen.size() == 4);
  for (const size_t time : {0, 1})
    for (int64_t i = 0; i < seen[0].count(); ++i)
      CHECK(seen[time].at(i) == doctest::Approx(0.1 / (std::abs(weights[time].at(i)) + 0.1)).epsilon(1e-6));
  CHECK(testing::largest_difference(seen[1], seen[3]) == 0);
  // Factors are no weights of the model.
  CHECK(model.parameter_count() == count);
  double largest = 0, plainly = 0;
  for (int64_t i = 0; i < seen[0].count(); ++i) {
    largest = std::max(largest, std::abs(model.store().get("dense_1/kernel").at(i)));
    plainly = std::max(plainly, std::abs(plain.store().get("dense_1/kernel").at(i)));
  }
  CHECK(largest > plainly);
  CHECK(testing::contains(model.report().text(), "dense_1/kernel"));
}

TEST_CASE("callbacks: L1, L2 and dropout together make zeros, and the report names them") {
  Sequential model{Dense(16, relu, {.kernel_penalty = elastic_net(1e-2, 1e-3)}), Dropout(0.3), Dense(3)};
  model.compile(Adam{.learning_rate = 0.02});
  FitOptions fit = fit_with({}, 30);
  fit.penalty_ramp = 0.5;
  const FitResult result = model.fit(train_points(), fit);
  CHECK(result.epochs.back().penalised.zeros > 20);
  CHECK(model.report().refused.empty());
  CHECK(testing::contains(model.report().text(), "dense_1/kernel"));
}

}  // namespace lariat::penalties_over_time_test
