// The distance to the subdifferential that each structured penalty's record builds.
#include "autodiff/gradient.hpp"
#include "graph/exec/constants.hpp"
#include "graph/program/program.hpp"
#include "ops/ops.hpp"
#include "tests/autodiff/prox_cases.hpp"

namespace lariat::penalty_residual_test {

using namespace lariat::testing;

namespace {

// One use of a penalty op on x [3, 4].
struct Use {
  std::string op;
  Attributes attributes;
  /// Of the weights.
  Extents result;
};

const std::vector<Use> uses{
    {"norm2", {{"axes", std::vector<int64_t>{1}}, {"keep_dims", false}}, {3}},
    {"norm2", {{"axes", std::vector<int64_t>{0}}, {"keep_dims", true}}, {1, 4}},
    {"norm2", {{"axes", std::vector<int64_t>{}}, {"keep_dims", false}}, {}},
    {"norm_inf", {{"axes", std::vector<int64_t>{1}}, {"keep_dims", true}}, {3, 1}},
    {"norm_inf", {{"axes", std::vector<int64_t>{}}, {"keep_dims", false}}, {}},
    {"absolute_differences", {{"axis", int64_t{0}}}, {2, 4}},
    {"absolute_differences", {{"axis", int64_t{-1}}}, {3, 3}},
    {"nuclear_norm", {}, {}},
    {"count_nonzero", {}, {3, 4}},
    {"mcp", {{"lambda", 1.0}, {"gamma", 3.0}}, {3, 4}},
    {"scad", {{"lambda", 1.0}, {"a", 3.7}}, {3, 4}},
    {"log_sum", {{"epsilon", 0.5}}, {3, 4}},
};

std::string named(const Use& use) { return use.op + " with weights " + text(use.result); }

using Feeder = std::map<std::string, Tensor>;

// Builds nodes of the use from inputs x, gradient, v [3, 4], a scalar step, and the weight, and runs them.
Tensor run_use(const Use& use,
               const std::function<Value(const Penalty&, std::map<std::string, Value>&)>& make,
               const Feeder& given) {
  Graph graph;
  std::map<std::string, Value> inputs;
  for (const auto& [name, tensor] : given) inputs[name] = graph.constant(tensor);
  graph.output("y", make(*registry().get(use.op).penalty, inputs));
  return evaluate_constant(graph)[0];
}

Tensor prox(const Use& use, const Feeder& given) {
  return run_use(
      use,
      [&](const Penalty& penalty, auto& in) {
        return penalty.prox({in["v"], in["step"]}, in["weight"],
                            completed(registry().get(use.op), use.attributes));
      },
      given);
}

Tensor residual(const Use& use, const Feeder& given) {
  return run_use(
      use,
      [&](const Penalty& penalty, auto& in) {
        return penalty.residual(in["x"], in["gradient"], in["weight"],
                                completed(registry().get(use.op), use.attributes));
      },
      given);
}

// h(x) = Σ weightᵢ φᵢ(x) and its gradient.
double value(const Use& use, const Tensor& x, const Tensor& weight) {
  return run_use(use,
                 [&](const Penalty&, auto& in) {
                   return sum(in["weight"] * build(use.op, {in["x"]}, use.attributes));
                 },
                 {{"x", x}, {"weight", weight}})
      .item();
}
Tensor slope(const Use& use, const Tensor& x, const Tensor& weight) {
  return run_use(use,
                 [&](const Penalty&, auto& in) {
                   return gradient(sum(in["weight"] * build(use.op, {in["x"]}, use.attributes)),
                                   {in["x"]})[0];
                 },
                 {{"x", x}, {"weight", weight}});
}

double inner(const Tensor& a, const Tensor& b) {
  double total = 0;
  for (int64_t i = 0; i < a.count(); ++i) total += a.at(i) * b.at(i);
  return total;
}
Tensor combined(const Tensor& a, double factor, const Tensor& b) {
  return tensor_of<double>(a.extents(), [&](int64_t i) { return a.at(i) + factor * b.at(i); });
}

Tensor weights_of(const Use& use, uint64_t seed) { return random_tensor<double>(use.result, seed, 0, 1.5); }

// A point with equal neighbours, equal magnitudes and zeros.
Tensor point(Draw& draw) {
  double last = 0;
  const bool by_rows = draw.one_in(2);
  std::vector<double> list;
  for (int64_t i = 0; i < 12; ++i) {
    const bool rest = draw.one_in(2) && i > 0;
    list.push_back(rest ? list[by_rows || i < 4 ? i - 1 : i - 4] : std::round(draw.element(2, last) * 2) / 2);
    last = list.back();
  }
  if (draw.one_in(4))
    for (int64_t i = 0; i < 4; ++i) list[i] = 0;
  if (draw.one_in(4)) std::fill(list.begin(), list.end(), draw.one_in(2) ? 0.0 : 1.0);
  return tensor_of<double>({3, 4}, [&](int64_t i) { return list[i]; });
}

}  // namespace

TEST_CASE("at a prox the distance to the subdifferential is 0: the prox is what the residual is of") {
  int64_t checks = 0;
  for (const Use& use : uses) {
    for (uint64_t seed = 0; seed < 40; ++seed) {
      const double step = 0.3;
      const Tensor v = random_tensor<double>({3, 4}, 100 + seed, -2, 2), weight = weights_of(use, seed);
      const Tensor w = prox(use, {{"v", v}, {"step", Tensor::scalar(step, f64)}, {"weight", weight}});
      // The smooth part (w − v)²/(2 step) has gradient (w − v)/step.
      const Tensor smooth = tensor_of<double>({3, 4}, [&](int64_t i) { return (w.at(i) - v.at(i)) / step; });
      const Tensor left = residual(use, {{"x", w}, {"gradient", smooth}, {"weight", weight}});
      CAPTURE(named(use));
      CAPTURE(seed);
      REQUIRE(left.extents() == Extents{3, 4});
      CHECK(std::sqrt(inner(left, left)) < 1e-13);
      ++checks;
    }
  }
  CHECK(checks == 40 * static_cast<int64_t>(uses.size()));
}

TEST_CASE("of gradient + subdifferential the residual is an element, and none is shorter") {
  Draw draw(60);
  int64_t kinks = 0, checks = 0;
  for (const Use& use : uses) {
    const bool convex = registry().get(use.op).penalty->convex;
    for (int round = 0; round < 60; ++round) {
      const Tensor x = point(draw), g = random_tensor<double>({3, 4}, 200 + round, -1, 1),
                   weight = weights_of(use, 300 + round);
      const Tensor left = residual(use, {{"x", x}, {"gradient", g}, {"weight", weight}});
      const Tensor chosen = combined(left, -1, g);  // of the subdifferential
      CAPTURE(named(use));
      CAPTURE(round);
      const double at_x = value(use, x, weight);
      for (uint64_t k = 0; k < 20; ++k) {
        const Tensor direction = random_tensor<double>({3, 4}, 1000 * round + k);
        // Membership: h(y) ≥ h(x) + ⟨u, y − x⟩; for a non-convex h only close to x.
        const double far = convex ? draw.power_of_ten(-3, 1) : 1e-6;
        const Tensor y = combined(x, far, direction);
        CHECK(value(use, y, weight) >= at_x + far * inner(chosen, direction) - (convex ? 1e-10 : 1e-9));
        // The gradient beside x is close to an element s of the subdifferential; the shortest element r has
        // ⟨r, g + s⟩ ≥ ‖r‖².
        const Tensor beside = slope(use, combined(x, 1e-8, direction), weight);
        CHECK(inner(left, combined(g, 1, beside)) >= inner(left, left) - 1e-5);
        kinks += std::sqrt(inner(combined(chosen, -1, beside), combined(chosen, -1, beside))) > 1e-3;
        ++checks;
      }
    }
  }
  CHECK(checks == 1200 * static_cast<int64_t>(uses.size()));
  CHECK(kinks > checks / 4);
}

TEST_CASE("a weight of 0 leaves the gradient") {
  for (const Use& use : uses) {
    const Tensor g = random_tensor<double>({3, 4}, 70), zero(f64, use.result);
    for (const Tensor& x : {Tensor(f64, {3, 4}), random_tensor<double>({3, 4}, 71)}) {
      CAPTURE(named(use));
      CHECK(largest_difference(residual(use, {{"x", x}, {"gradient", g}, {"weight", zero}}), g) < 1e-14);
    }
  }
}

TEST_CASE("bounds: 0 within, infinite outside, NaN for NaN, and no gradient") {
  Graph graph;
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const Value x = graph.constant(Tensor::of<double>({5}, {-1, 0, 0.5, 2, nan}));
  graph.output("nonnegative", within(x, 0, INFINITY));
  graph.output("box", within(x, -1, 1));
  graph.output("sum", nonnegative(slice(x, 0, 1, 4)));
  graph.output("outside", box(slice(x, 0, 0, 4), 0, 1));
  graph.output("gradient", gradient(box(x, 0, 1), {x})[0]);
  const std::vector<Tensor> y = evaluate_constant(graph);
  const std::vector<double> nonnegative{INFINITY, 0, 0, 0}, box{0, 0, 0, INFINITY};
  for (int64_t i = 0; i < 4; ++i) {
    CHECK(y[0].at(i) == nonnegative[i]);
    CHECK(y[1].at(i) == box[i]);
  }
  CHECK(std::isnan(y[0].at(4)));
  CHECK(y[2].item() == 0);
  CHECK(y[3].item() == INFINITY);
  for (int64_t i = 0; i < 5; ++i) CHECK(y[4].at(i) == 0);
}

}  // namespace lariat::penalty_residual_test
