// Zeros that settle, in a table: kinks and bounds at 0 and elsewhere, groups, shifts. Settled or not, a
// training must end at the optimum of what is left to it, and its certificate must say how far it is.
#include <cmath>
#include <functional>
#include <limits>

#include "autodiff/training/trainer.hpp"
#include "ops/ops.hpp"
#include "tests/support/testing.hpp"

namespace lariat::settling_test {

namespace {

using Numbers = std::vector<double>;
constexpr double unlimited = std::numeric_limits<double>::infinity();
const Numbers target{2, -2, 0.05, -0.3};

Value vector(Graph& graph, const Numbers& values) {
  return graph.constant(
      Tensor::of<double>({static_cast<int64_t>(values.size())}, std::span<const double>(values)));
}

struct Bounds {
  std::string name;
  Numbers low, high;
};

const Numbers nowhere_low(4, -unlimited), nowhere_high(4, unlimited);
const std::vector<Bounds> bounds{
    {"none", nowhere_low, nowhere_high},
    {"[0.1, 0.5]", Numbers(4, 0.1), Numbers(4, 0.5)},
    {"[-0.5, -0.1]", Numbers(4, -0.5), Numbers(4, -0.1)},
    {"[-0.5, 0.5]", Numbers(4, -0.5), Numbers(4, 0.5)},
    {"[0, 0.5]", Numbers(4, 0), Numbers(4, 0.5)},
    {"[-0.5, 0]", Numbers(4, -0.5), Numbers(4, 0)},
    {">= 0.1", Numbers(4, 0.1), nowhere_high},
    {"<= -0.1", nowhere_low, Numbers(4, -0.1)},
    {"by element", {0.1, -0.5, -1, -0.2}, {0.6, 0, 1.5, 0.3}},
};

// Σ bounds of w, as a shifted box where they differ by element.
Value bounded(Value w, const Bounds& b) {
  if (b.low == Numbers(4, b.low[0]) && b.high == Numbers(4, b.high[0]))
    return sum(within(w, b.low[0], b.high[0]));
  Value total;
  for (int64_t i = 0; i < 4; ++i) {
    const auto at = static_cast<size_t>(i);
    const Value term = sum(within(slice(w, 0, i, i + 1), b.low[at], b.high[at]));
    total = total ? total + term : term;
  }
  return total;
}

struct Kink {
  std::string name;
  double weight;
  Numbers at;
};
const std::vector<Kink> kinks{{"none", 0, Numbers(4, 0)},
                              {"at 0", 0.1, Numbers(4, 0)},
                              {"at 0.4", 0.1, Numbers(4, 0.4)},
                              {"by element", 0.1, {0, 0.3, -0.2, 0}}};

// argmin ½(w − a)² + weight·|w − at| within the bounds.
double optimum(double a, double weight, double at, double low, double high) {
  const double v = a - at, s = v > weight ? v - weight : v < -weight ? v + weight : 0;
  return std::min(std::max(at + s, low), high);
}

// Trains from `start` with zeros that settle from `from` on, and returns the weights and the certificate.
std::pair<Tensor, Certificate> trained(const std::function<Value(Value)>& penalty, const Numbers& start,
                                       int64_t from, int steps) {
  Graph graph;
  const Value w = graph.parameter("w", {4}, init::zeros(), f64);
  TrainerOptions options{.threads = 1, .settle_from = from};
  options.warn = {};
  Trainer trainer(0.5 * sum(square(w - vector(graph, target))) + penalty(w), Sgd{.learning_rate = 0.2},
                  options);
  trainer.store().set("w", Tensor::of<double>({4}, std::span<const double>(start)));
  for (int i = 0; i < steps; ++i) trainer.step(Feeds{});
  return {trainer.value(w), trainer.certify(Feeds{})};
}

}  // namespace

TEST_CASE("settling: bounds and kinks anywhere") {
  for (const Bounds& b : bounds)
    for (const Kink& k : kinks) {
      if (b.name == "none" && k.name == "none") continue;
      CAPTURE(b.name);
      CAPTURE(k.name);
      const auto penalty = [&](Value w) {
        Value total;
        if (k.weight > 0) total = k.weight * sum(abs(w - vector(w.graph(), k.at)));
        if (b.name != "none") total = total ? total + bounded(w, b) : bounded(w, b);
        return total;
      };
      const auto at = [&](size_t i) { return optimum(target[i], k.weight, k.at[i], b.low[i], b.high[i]); };
      const auto allows_zero = [&](size_t i) { return b.low[i] <= 0 && b.high[i] >= 0; };
      const auto settles = [&](size_t i) {
        return allows_zero(i) && ((k.weight > 0 && k.at[i] == 0) || b.low[i] == 0 || b.high[i] == 0);
      };
      // Settled at the optimum, nothing changes; the other way round, and from zero, what may settle stays at
      // zero.
      for (const Numbers& start : {Numbers{1, 1, 1, 1}, Numbers(4, 0)}) {
        for (const int64_t from : {int64_t{0}, int64_t{200}}) {
          CAPTURE(from);
          CAPTURE(start[0]);
          const auto [w, certificate] = trained(penalty, start, from, 300);
          for (size_t i = 0; i < 4; ++i) {
            CAPTURE(i);
            const double free = at(i);
            const bool kept = from == 0 && settles(i) && (start[i] == 0 || free * start[i] < 0);
            CHECK(w.at(static_cast<int64_t>(i)) == doctest::Approx(kept ? 0 : free).epsilon(1e-12));
          }
          CHECK(certificate.prox_residual() <= 1e-12);
          CHECK(std::isfinite(certificate.loss));
        }
      }
      // What the bounds exclude is no kept zero: at zero the certificate sees it.
      const auto [w, certificate] = trained(penalty, Numbers(4, 0), 0, 0);
      bool excluded = false;
      for (size_t i = 0; i < 4; ++i) excluded |= !settles(i) && at(i) != 0;
      CHECK((certificate.prox_residual() > 1e-3) == excluded);
    }
}

TEST_CASE("settling: groups go and stay as a whole, and elements of living ones move freely") {
  struct Case {
    std::string name;
    std::function<Value(Value)> penalty;
    // argmin of ½‖w − target‖² + penalty, and whether each pair of elements is a group at 0.
    std::function<Numbers()> optimum;
    bool settles;
  };
  const auto shrunk = [](const Numbers& center, double by) {
    Numbers w(4);
    for (size_t g = 0; g < 4; g += 2) {
      const double a = target[g] - center[g], b = target[g + 1] - center[g + 1], norm = std::hypot(a, b);
      const double keep = norm > by ? 1 - by / norm : 0;
      w[g] = center[g] + keep * a, w[g + 1] = center[g + 1] + keep * b;
    }
    return w;
  };
  const auto rows = [](Value w) { return reshape(w, {2, 2}); };
  const Numbers zero(4, 0), shift{0.5, 0.5, 0, 0.25};
  const std::vector<Case> cases{
      {"groups", [&](Value w) { return 0.5 * sum(norm2(rows(w), {1})); }, [&] { return shrunk(zero, 0.5); },
       true},
      {"shifted groups", [&](Value w) { return 0.5 * sum(norm2(rows(w - vector(w.graph(), shift)), {1})); },
       [&] { return shrunk(shift, 0.5); }, false},
      {"scaled groups", [&](Value w) { return 0.25 * sum(norm2(rows(-2 * w), {1})); },
       [&] { return shrunk(zero, 0.5); }, true},
  };
  for (const Case& c : cases) {
    CAPTURE(c.name);
    const Numbers best = c.optimum();
    for (const int64_t from : {int64_t{0}, int64_t{200}}) {
      CAPTURE(from);
      // The second element of the first group has to change its sign.
      const auto [w, certificate] = trained(c.penalty, {1, 0.1, 0.3, 0.3}, from, 300);
      for (size_t i = 0; i < 4; ++i)
        CHECK(w.at(static_cast<int64_t>(i)) == doctest::Approx(best[i]).epsilon(1e-9));
      CHECK(certificate.prox_residual() <= 1e-9);
    }
    // From zero a group at 0 stays, and one around another point does not.
    const auto [w, certificate] = trained(c.penalty, zero, 0, 300);
    for (size_t i = 0; i < 4; ++i)
      CHECK(w.at(static_cast<int64_t>(i)) == doctest::Approx(c.settles ? 0 : best[i]).epsilon(1e-9));
    CHECK(certificate.prox_residual() <= 1e-9);
  }
  // One zero in a group that lives is no kept zero: the certificate sees that it should move.
  const auto [w, certificate] = trained(cases[0].penalty, {1.5, 0, 0, 0}, 0, 0);
  CHECK(certificate.prox_residual() > 1);
}

TEST_CASE("settling: weights without a penalty of their own are left alone") {
  // A mask leaves the second half free: it may start at zero, and may change its sign.
  const auto masked = [](Value w) {
    return 0.1 * sum(vector(w.graph(), {1, 1, 0, 0}) * abs(w)) +
           0.2 * sum(norm2(reshape(slice(w, 0, 0, 2), {1, 2}), {1}));
  };
  const auto [w, certificate] = trained(masked, {1, -1, 0, 0.5}, 0, 300);
  CHECK(w.at(2) == doctest::Approx(0.05));
  CHECK(w.at(3) == doctest::Approx(-0.3));
  CHECK(certificate.prox_residual() <= 1e-9);
  // Of a total variation it is differences that become zero.
  const auto fused = [](Value w) { return 0.1 * sum(absolute_differences(w, 0)); };
  const auto [v, second] = trained(fused, {0, 0, 0, 0}, 0, 2000);
  CHECK(v.at(0) == doctest::Approx(1.9));
  CHECK(second.prox_residual() <= 1e-9);
}

TEST_CASE("settling: zeros stay where the pressure is taken away") {
  Graph graph;
  const Value w = graph.parameter("w", {2}, init::zeros(), f64), lambda = graph.input("lambda", {}, f64);
  TrainerOptions options{.threads = 1, .settle_from = 50};
  options.scheduled = {{lambda, [](int64_t step) { return step < 50 ? 0.5 : 0.0; }}};
  options.warn = {};
  Trainer trainer(0.5 * sum(square(w - vector(graph, {2, 0.3}))) + lambda * sum(abs(w)),
                  Sgd{.learning_rate = 0.5}, options);
  for (int i = 0; i < 150; ++i) trainer.step(Feeds{});
  CHECK(trainer.value(w).at(0) == doctest::Approx(2));
  CHECK(trainer.value(w).at(1) == 0);
}

}  // namespace lariat::settling_test
