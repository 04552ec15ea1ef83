// Corners of the rewrite and its certificate: elements that a structured penalty multiplies by 0, kinks that
// bend down, batches of no rows.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "autodiff/training/trainer.hpp"
#include "graph/base/error.hpp"
#include "graph/ir/graph.hpp"
#include "ops/ops.hpp"
#include "tests/autodiff/convex_cases.hpp"
#include "tests/support/testing.hpp"

namespace lariat::corners_test {

using namespace lariat::testing;

namespace {

Value vector(Graph& g, const std::vector<double>& values, DType dtype) {
  return g.constant(
      Tensor::of({static_cast<int64_t>(values.size())}, std::span<const double>(values)).cast(dtype));
}

// Structured penalties of an argument beside kinks and bounds of single elements.
std::vector<Value> beside_kinks(Value argument, Value w) {
  return {0.1 * sum(absolute_differences(argument, 0)) + 0.1 * sum(abs(w)),
          0.1 * sum(absolute_differences(argument, 0)) + 0.1 * sum(relu(w)),
          0.1 * sum(absolute_differences(argument, 0)) + sum(within(w, -1.0, 0.4)),
          0.4 * norm2(argument) + 0.1 * sum(abs(w - 0.2)),
          0.2 * norm2(argument) + 0.1 * sum(relu(w - 0.1)),
          0.4 * norm2(argument) + sum(within(w, -0.1, 0.4))};
}

}  // namespace

TEST_CASE("rewrite: elements that a structured penalty multiplies by 0 feel the other terms alone") {
  for (const DType dtype : {f32, f64})
    for (const bool fed : {false, true})
      for (const std::vector<double>& factors :
           {std::vector{1.0, 0.0, 1.0}, {-1.0, 0.0, -2.0}, {0.0, 0.0, 3.0}})
        for (size_t which = 0; which < 6; ++which) {
          CAPTURE(which);
          Graph g;
          const Value w = g.parameter("w", {3}, init::constant(0.3), dtype),
                      own = g.parameter("own", {3}, init::constant(0.3), dtype);
          const Value mask = fed ? g.input("mask", {3}, dtype) : vector(g, factors, dtype);
          // `own` has the other terms alone: what the penalty does not see is as it is there.
          const Value loss = 0.5 * sum(square(w - 0.5)) + 0.5 * sum(square(own - 0.5)) +
                             beside_kinks(mask * w, w)[which] + beside_kinks(0.0 * own, own)[which];
          Trainer trainer(loss, Sgd{.learning_rate = 0.1}, {.threads = 1, .check_finite = true});
          Feeds feeds;
          if (fed) feeds.emplace("mask", Tensor::of({3}, std::span<const double>(factors)).cast(dtype));
          for (int step = 0; step < 300; ++step) trainer.step(feeds);
          for (int64_t i = 0; i < 3; ++i) {
            const double found = trainer.store().get("w").at(i);
            CHECK(std::isfinite(found));
            if (factors[static_cast<size_t>(i)] == 0)
              CHECK(found == doctest::Approx(trainer.store().get("own").at(i)).epsilon(1e-6));
          }
          if (!fed && trainer.report().refused.empty())
            CHECK(trainer.certify(feeds).distance().value_or(1) < (dtype == f32 ? 1e-5 : 1e-10));
        }
}

TEST_CASE("certificate: of kinks that bend down the steeper side of each weight counts") {
  uint64_t drawn = 0;
  const auto draw = [&] { return uniform(drawn++) + 0.5; };
  for (int c = 0; c < 60; ++c) {
    CAPTURE(c);
    const int64_t count = 1 + c % 6;
    const double lambda = c % 3 == 0 ? 0 : 0.2 * draw();
    std::vector<double> down, slopes;
    double squares = 0;
    for (int64_t i = 0; i < count; ++i) {
      down.push_back(0.2 + draw());
      slopes.push_back(4 * draw() - 2);
      // From 0 the loss falls by d - s - λ a unit forwards, and by d + s - λ backwards.
      const double fall = std::max(0.0, down.back() + std::abs(slopes.back()) - lambda);
      squares += fall * fall;
    }
    Graph g;
    const Value w = g.parameter("w", {count}, init::zeros(), f64);
    Value loss =
        0.5 * sum(square(w)) + sum(vector(g, slopes, f64) * w) + sum(vector(g, down, f64) * exp(-abs(w)));
    if (lambda > 0) loss = loss + lambda * sum(abs(w));
    Trainer trainer(loss, Sgd{}, {.threads = 1});
    CHECK(trainer.certify(Feeds{}).distance().value() == doctest::Approx(std::sqrt(squares)).epsilon(1e-3));
  }
}

TEST_CASE("certificate: batches without rows say nothing") {
  Graph g;
  const Value w = g.parameter("w", {3}, init::constant(1)), x = g.input("x", {dim::batch, 3});
  Trainer trainer(mean(sum(square(x * w), {1})) + 0.1 * sum(abs(w)), Sgd{}, {.threads = 1});
  const Feeds none{{"x", Tensor(f32, {0, 3})}};
  CHECK(message_of<UserError>([&] { trainer.certify(none); }) ==
        "the batches of a certificate have no rows; give it some");
  Tensor rows(f32, {2, 3});
  for (int64_t i = 0; i < 6; ++i) rows.data<float>()[i] = 0.25F * static_cast<float>(i);
  const Feeds some{{"x", rows}};
  const FeedsList both(2, [&](size_t i) { return i == 0 ? none : some; });
  CHECK(trainer.certify(both).distance() == trainer.certify(some).distance());
}

}  // namespace lariat::corners_test
