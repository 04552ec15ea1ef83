// Bounds as terms of a loss: on any view the loss, as it is computed, is finite at them.
#include <cmath>

#include "autodiff/training/trainer.hpp"
#include "graph/base/error.hpp"
#include "ops/ops.hpp"
#include "tests/support/testing.hpp"

namespace lariat::bounds_test {

using namespace lariat::testing;

namespace {

struct View {
  std::string name;
  std::function<Value(Value w)> of;
};

// Of w [4] around some point; the bounds are those of the view.
const std::vector<View>& views() {
  const auto numbers = [](Value w, std::vector<double> values) {
    return w.graph().constant(Tensor::of<double>({4}, std::span<const double>(values)).cast(w.dtype()));
  };
  static const std::vector<View> all{
      {"itself", [](Value w) { return w; }},
      {"scaled", [](Value w) { return 1.9 * w; }},
      {"a third", [](Value w) { return w / 3; }},
      {"negated and scaled", [](Value w) { return -0.66 * w; }},
      {"shifted", [](Value w) { return w - 0.3; }},
      {"shifted far", [](Value w) { return w + 1234.567; }},
      {"scaled and shifted", [](Value w) { return 1.3 * (w - 0.7) + 0.1; }},
      {"scaled one by one",
       [=](Value w) {
         return w * numbers(w, {0.9, 1.7, 0.3, 1.1});
       }},
      {"with signs",
       [=](Value w) {
         return w * numbers(w, {-1, 1, -0.7, 1.3});
       }},
      {"with signs, shifted one by one",
       [=](Value w) {
         return numbers(w, {-1, 1, -0.7, 1.3}) * w + numbers(w, {0.1, 0.7, -0.3, 11});
       }},
      {"fused", [](Value w) { return multiply_add(w + 0.42, 1.5, 0.2); }},
      {"some twice",
       [](Value w) {
         return concat({0.7 * w, slice(0.3 * w, 0, 0, 2)}, 0);
       }},
  };
  return all;
}

}  // namespace

TEST_CASE("bounds on any view: training ends within them as the loss computes them, pushed to either side") {
  for (const View& view : views())
    for (const DType dtype : {f32, f64})
      for (const auto& [low, high] : {std::pair{-0.4, 0.59}, std::pair{0.1, 0.35}, std::pair{0.0, 1.01}})
        for (const double target : {-4000.0, 4000.0}) {
          CAPTURE(view.name);
          CAPTURE(low);
          CAPTURE(target);
          Graph g;
          const Value w = g.parameter("w", {4}, init::constant(0.01), dtype);
          const Value x = view.of(w);
          Trainer trainer(0.5 * sum(square(w - target)) + box(x, low, high), Sgd{.learning_rate = 0.5},
                          {.threads = 1});
          CAPTURE(trainer.report().text());
          CHECK(trainer.report().refused.empty());
          StepResult last;
          for (int i = 0; i < 3; ++i) last = trainer.step(Feeds{});
          CHECK(std::isfinite(last.loss));
          const Certificate there = trainer.certify(Feeds{});
          CHECK(std::isfinite(there.loss));
          CHECK(*there.distance() == 0);
          // On a bound, up to rounding.
          const std::vector<Value> wanted{x};
          const Tensor at = trainer.evaluate(wanted, Feeds{})[0];
          const double rounding = (dtype == f32 ? 1e-6 : 1e-14) * (view.name == "shifted far" ? 5000 : 10);
          for (int64_t i = view.name == "some twice" ? 2 : 0; i < 4; ++i)
            CHECK(std::min(std::abs(at.at(i) - low), std::abs(at.at(i) - high)) <= rounding);
        }
}

TEST_CASE("bounds may say what a weight is") {
  Graph g;
  const Value w = g.parameter("w", {2}, init::constant(0.1));
  Trainer trainer(sum(square(w - 1)) + box(w - 0.3, 0, 0), Sgd{.learning_rate = 0.1}, {.threads = 1});
  for (int i = 0; i < 3; ++i) trainer.step(Feeds{});
  CHECK(trainer.value(w).at(0) == 0.3f);
}

TEST_CASE("bounds beside a total variation in another scale: the loss stays finite") {
  for (const double scale : {0.3, 0.7, -1.9}) {
    Graph g;
    const Value w = g.parameter("w", {6}, init::constant(0.1));
    const Value target = g.constant(Tensor::of<double>({6}, {3, -3, 3, 3, -3, 0.1}).cast(f32));
    Trainer trainer(
        0.5 * sum(square(w - target)) + 0.2 * sum(absolute_differences(scale * w, 0)) + box(w, -0.37, 0.59),
        Sgd{.learning_rate = 0.5}, {.threads = 1});
    CHECK(trainer.report().refused.empty());
    for (int i = 0; i < 20; ++i) CHECK(std::isfinite(trainer.step(Feeds{}).loss));
  }
}

TEST_CASE("bounds that exclude each other, or are left without a prox, are told of") {
  Graph g;
  const Value w = g.parameter("w", {2}, init::constant(0.5)), v = g.parameter("v", {2}, init::constant(0.4));
  const Value data = sum(square(w - 1)) + sum(square(v - 2));
  CHECK(
      message_of<UserError>([&] { Trainer(data + nonnegative(w - 0.75) + box(w, -1, 0.5), Sgd{}); }) ==
      "the bounds on 'w' exclude each other, so that the loss is infinite: w >= 0.75 and w >= -1, w <= 0.5; "
      "take one of them away");
  for (const bool in_parts : {false, true}) {
    Trainer trainer(data + nonnegative(w - v), Sgd{.learning_rate = 0.4},
                    {.threads = 1, .accumulates = in_parts});
    const std::vector<Feeds> parts{{}, {}};
    const double shares[] = {0.25, 0.75};
    const std::string message = message_of<JobError>([&] {
      for (int i = 0; i < 10; ++i) in_parts ? trainer.step(parts, shares) : trainer.step(Feeds{});
    });
    CHECK(message.starts_with(
        "diverged at step 2: the loss is inf, through the bound built at bounds_test.cpp:"));
    CHECK(message.ends_with(
        ", which the weights have left, and no gradient leads back: its argument mixes elements "
        "of parameters ('subtract') (L102); penalise each parameter element by element"));
  }
}

TEST_CASE("elements without a bound are judged by their gradients, whatever bounds others have") {
  using Bounded = std::function<Value(Value)>;
  const std::vector<Bounded> some{
      [](Value w) { return box(slice(w, 0, 1, 3), -0.5, 0.5); },
      [](Value w) {
        return box(gather_rows(w, w.graph().constant(Tensor::of<int32_t>({2}, {2, 1}))), -0.5, 0.5);
      },
      [](Value w) {
        return box(slice(reshape(w, {3, 1}), 0, 1, 3), -0.5, 0.5);
      },
      [](Value w) { return box(2 * slice(w, 0, 1, 3) + 0.25, -0.75, 1.25); },
      [](Value w) {
        return box(concat({slice(w, 0, 1, 2), slice(w, 0, 2, 3)}, 0), -0.5, 0.5);
      },
  };
  const std::vector<Bounded> beside{
      [](Value w) { return 0 * sum(w); },
      [](Value w) { return 1e-9 * sum(abs(w)); },
      [](Value w) { return 1e-9 * norm2(w); },
      [](Value w) { return 1e-9 * square(sum(abs(w))); },
  };
  for (const DType dtype : {f32, f64})
    for (const Bounded& bounds : some)
      for (const Bounded& other : beside) {
        Graph g;
        const Value w = g.parameter("w", {3}, init::constant(0), dtype);
        const Value target = g.constant(Tensor::of<double>({3}, {1, 1, -1}).cast(dtype));
        Trainer trainer(0.5 * sum(square(w - target)) + bounds(w) + other(w), Sgd{.learning_rate = 0.5});
        for (int step = 0; step < 2; ++step) trainer.step(Feeds{});
        CHECK(trainer.value(w).at(0) == doctest::Approx(0.75).epsilon(1e-6));
        // The first has a gradient of -1/4, the others are at their bounds.
        CHECK(*trainer.certify(Feeds{}).distance() == doctest::Approx(0.25).epsilon(1e-5));
        for (int step = 0; step < 60; ++step) trainer.step(Feeds{});
        CHECK(*trainer.certify(Feeds{}).distance() <= 1e-6);
      }
}

}  // namespace lariat::bounds_test
