// Sums of penalties, on views of several parameters: whatever the optimizer and its metric, training must end
// at the one minimum of a strongly convex loss, which a random search cannot improve.
#include <random>

#include "autodiff/training/trainer.hpp"
#include "graph/program/program.hpp"
#include "ops/ops.hpp"
#include "tests/ops/kernel_runner.hpp"

namespace lariat::prox_combination_test {

using namespace lariat::testing;

namespace {

struct Weights {
  Graph& g;
  Value w, v;
  Value row(std::vector<double> values) const {
    return g.constant(
        Tensor::of<double>({static_cast<int64_t>(values.size())}, std::span<const double>(values)));
  }
};

struct Sum {
  std::string name;
  std::function<Value(const Weights&)> penalty;
  /// Rewritten terms, and refusals.
  size_t terms, refused = 0;
};

const std::vector<Sum> sums{
    {"rows of a transpose", [](const Weights& s) { return sum(norm2(transpose(s.w), {0})); }, 1},
    {"rows of a slice", [](const Weights& s) { return sum(norm2(slice(s.w, 0, 1, 3), {1})); }, 1},
    {"blocks of a reshape",
     [](const Weights& s) {
       return sum(norm2(reshape(s.w, {2, 2, 3}), {1, 2}));
     },
     1},
    {"scaled and shifted rows", [](const Weights& s) { return sum(norm2(2 * s.w - 0.5, {1})); }, 1},
    {"columns of scaled rows",
     [](const Weights& s) {
       return sum(norm2(reshape(s.row({1, 2, 3, 4}), {4, 1}) * s.w, {0}));
     },
     1},
    {"one group over two parameters",
     [](const Weights& s) {
       return sum(norm2(concat({s.w, 0.5 * s.v}, 1), {1}));
     },
     1},
    {"sparse groups", [](const Weights& s) { return sum(norm2(s.w, {1})) + 0.4 * sum(abs(s.w)); }, 2},
    {"sparse groups with different weights, a square and a sign",
     [](const Weights& s) {
       return sum(norm2(s.w, {1})) + sum(s.row({0.1, 0.5, 0.2}) * abs(s.w)) + 0.3 * sum(square(s.w)) +
              nonnegative(s.w);
     },
     4},
    {"nested groups", [](const Weights& s) { return 0.4 * sum(norm2(s.w, {1})) + norm2(s.w); }, 2},
    {"disjoint groups",
     [](const Weights& s) { return norm2(slice(s.w, 0, 0, 2)) + sum(norm2(slice(s.w, 0, 2, 4), {0})); }, 2},
    {"fused lasso within bounds",
     [](const Weights& s) {
       return 0.5 * sum(absolute_differences(s.w, 0)) + 0.3 * sum(abs(s.w)) + box(s.w, -0.5, 0.5);
     },
     3},
    {"total variation alone, weighted",
     [](const Weights& s) {
       return sum(s.row({0.1, 0.4, 0.8}) * absolute_differences(transpose(s.w), 1));
     },
     1},
    {"total variation and a square",
     [](const Weights& s) { return 0.5 * sum(absolute_differences(s.w, 1)) + 0.3 * sum(square(s.w)); }, 2},
    {"largest magnitude of shifted columns", [](const Weights& s) { return sum(norm_inf(s.w + 0.2, {0})); },
     1},
    {"rows of a difference of two parameters", [](const Weights& s) { return sum(norm2(s.w - s.v, {1})); },
     1},
    {"a difference beside a kink on one side",
     [](const Weights& s) { return 0.5 * sum(abs(s.w - s.v)) + 0.3 * sum(abs(s.w)); }, 2},
    {"sums of rows and a square",
     [](const Weights& s) { return 0.4 * sum(abs(sum(s.w, {1}) - 0.2)) + 0.3 * sum(square(s.w)); }, 2},
    {"largest difference, scaled",
     [](const Weights& s) { return norm_inf(2 * s.w - 0.5 * transpose(transpose(s.v))); }, 1},
    {"low rank, scaled", [](const Weights& s) { return nuclear_norm(0.5 * s.w); }, 1},
    {"low rank and a square", [](const Weights& s) { return nuclear_norm(s.w) + 0.3 * sum(square(s.w)); }, 2},
    {"several kinks",
     [](const Weights& s) {
       return 0.4 * sum(abs(s.w)) + 0.3 * sum(abs(s.w - 0.5)) + 0.5 * sum(relu(-s.w - 0.3));
     },
     3},
};

struct Problem {
  Graph g;
  Value w = g.parameter("w", {4, 3}, init::uniform(1), f64),
        v = g.parameter("v", {4, 3}, init::uniform(1), f64);
  Value loss;
  explicit Problem(const Sum& used) {
    const auto near = [&](Value x, uint64_t seed) {
      // Curvatures of their own, so that metrics differ.
      const Value target = g.constant(random_tensor<double>({4, 3}, seed)),
                  curvature = g.constant(random_tensor<double>({4, 3}, seed + 1, 0.3, 2));
      return sum(curvature * square(x - target));
    };
    loss = near(w, 90) + near(v, 92) + used.penalty({g, w, v});
  }
};

struct Point {
  Tensor w, v;
};

// The loss as it is written, at any point.
class LossAt {
 public:
  explicit LossAt(const Sum& used)
      : problem_(used), program_(outputs(problem_)), executor_(make_serial_executor()) {}
  double operator()(const Point& at) {
    store_.set("w", at.w);
    store_.set("v", at.v);
    return program_.run({}, store_, *executor_)[0].item();
  }

 private:
  static const Graph& outputs(Problem& problem) {
    problem.g.output("loss", problem.loss);
    return problem.g;
  }
  Problem problem_;
  Program program_;
  Store store_;
  std::unique_ptr<Executor> executor_;
};

// How much a random search around the point finds below it.
double improvement(LossAt& cost, Point best) {
  const double first = cost(best);
  double least = first, reach = 0.1;
  std::mt19937_64 engine(1);
  std::normal_distribution<double> normal;
  for (int step = 0; step < 1500; ++step) {
    Point next{best.w.clone(), best.v.clone()};
    const bool one = engine() % 2 == 0;  // element, or all
    const auto only = static_cast<int64_t>(engine() % 24);
    for (int64_t i = 0; i < 24; ++i)
      if (!one || i == only) (i < 12 ? next.w : next.v).data<double>()[i % 12] += reach * normal(engine);
    const double value = cost(next);
    reach = value < least ? std::min(0.5, 2 * reach) : std::max(1e-7, 0.9 * reach);
    if (step % 100 == 0) reach = 0.1;
    if (value < least) least = value, best = next;
  }
  return first - least;
}

Point trained(const Sum& used, const Optimizer& optimizer, int steps) {
  Problem p(used);
  Trainer trainer(p.loss, optimizer, {.threads = 1});
  size_t terms = 0;
  for (const auto& entry : trainer.report().rewritten) terms += entry.terms.size();
  CAPTURE(trainer.report().text());
  CHECK(terms == used.terms);
  CHECK(trainer.report().refused.size() == used.refused);
  for (int i = 0; i < steps; ++i) trainer.step(Feeds{});
  return {trainer.value(p.w), trainer.value(p.v)};
}

}  // namespace

TEST_CASE("sums of penalties on views: every optimizer finds the minimum") {
  for (const Sum& used : sums) {
    CAPTURE(used.name);
    const Point by_sgd = trained(used, Sgd{.learning_rate = 0.1}, 800);
    LossAt cost(used);
    CHECK(improvement(cost, by_sgd) < 1e-8);
    const std::vector<Optimizer> others{
        Momentum{.learning_rate = 0.03, .momentum = 0.7}, Nesterov{.learning_rate = 0.03, .momentum = 0.7},
        Adam{.learning_rate = 0.01}, NAdam{.learning_rate = 0.01}, AmsGrad{.learning_rate = 0.03}};
    for (const Optimizer& optimizer : others) {
      const Point found = trained(used, optimizer, 3000);
      CAPTURE(optimizer.metric);
      CHECK(largest_difference(found.w, by_sgd.w) < 1e-5);
      CHECK(largest_difference(found.v, by_sgd.v) < 1e-5);
    }
  }
}

}  // namespace lariat::prox_combination_test
