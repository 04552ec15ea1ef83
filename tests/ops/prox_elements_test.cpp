// Proximal operators of single elements: the engine's for sums of kinks, squares and bounds against the
// optimality condition in long double, and those of folded concave penalties against all other candidates.
#include <fmt/format.h>

#include <functional>
#include <map>

#include "autodiff/penalty/proximal.hpp"
#include "graph/program/program.hpp"
#include "ops/ops.hpp"
#include "tests/autodiff/prox_cases.hpp"

namespace lariat::prox_elements_test {

using namespace lariat::testing;

namespace {

// What a sum of scalar penalties is made of; kinks may be symmetric, and at 0.
struct Family {
  std::string name;
  bool square = false;
  int kinks = 0;
  bool symmetric = false, at_zero = false, bounded = false;
};

const std::vector<Family> families{{"soft threshold", false, 1, true, true},
                                   {"elastic net", true, 1, true, true},
                                   {"shifted", false, 1, true, false},
                                   {"one kink", false, 1, false, false},
                                   {"two kinks", false, 2, false, false},
                                   {"forty kinks", false, 40, false, false},
                                   {"five kinks, a square and bounds", true, 5, false, false, true},
                                   {"bounds", false, 0, false, false, true},
                                   {"soft threshold within bounds", false, 1, true, true, true}};

// The engine's prox of the family, for numbers of their own at every element.
template <class T>
Outcome random_sums(const Family& family, uint64_t seed) {
  const int64_t count = random_cases();
  Draw draw(seed);
  std::map<std::string, Tensor> data;
  const auto column = [&](const std::string& name) -> T* {
    return data.emplace(name, Tensor(dtype_of<T>, {count})).first->second.template data<T>();
  };
  T *v = column("v"), *step = column("step"), *square = column("square"), *low = column("low"),
    *high = column("high");
  std::vector<std::array<T*, 3>> kinks;
  for (int k = 0; k < family.kinks; ++k)
    kinks.push_back({column("at" + std::to_string(k)), column("below" + std::to_string(k)),
                     column("above" + std::to_string(k))});
  for (int64_t i = 0; i < count; ++i) {
    // Products of two floats stay above the subnormal ones, which count as 0.
    const double scale = draw.scale(sizeof(T) == 4 ? 15 : 30);
    const auto place = [&](double last) { return draw.element(scale, last); };
    v[i] = static_cast<T>(place(0)) + T(0);  // bounds let -0 pass
    step[i] = static_cast<T>(draw.power_of_ten(-2, 2));
    square[i] = static_cast<T>(draw.pressure() / step[i]);
    double last = v[i];
    for (auto& [at, below, above] : kinks) {
      last = at[i] = family.at_zero ? T(0) : static_cast<T>(place(last));
      above[i] = static_cast<T>(draw.pressure() * scale / step[i]);
      below[i] = family.symmetric ? -above[i] : static_cast<T>(above[i] - draw.pressure() * scale / step[i]);
    }
    const double a = place(last) + 0.0, b = place(a) + 0.0;
    low[i] = static_cast<T>(draw.one_in(5) ? -INFINITY : std::min(a, b));
    high[i] = static_cast<T>(draw.one_in(5) ? INFINITY : std::max(a, b));
  }
  Graph graph;
  std::map<std::string, Value> input;
  for (const auto& [name, tensor] : data) input[name] = graph.input(name, {count}, dtype_of<T>);
  ScalarTerm scalar;
  if (family.square) scalar.quadratic = input["square"];
  for (int k = 0; k < family.kinks; ++k) {
    const std::string number = std::to_string(k);
    scalar.kinks.push_back({family.at_zero ? Value() : input["at" + number],
                            family.symmetric ? Value() : input["below" + number], input["above" + number]});
  }
  if (family.bounded) scalar.low = input["low"], scalar.high = input["high"];
  PenaltyTerm term;
  term.penalty = &*registry().get("abs").penalty;
  term.parameters = {"w"};
  term.scalar = scalar;
  graph.output("w", proximal_updates({{"w", {input["v"], input["step"]}}}, {term}).at("w"));
  // Inputs that nothing reads may not be fed.
  Feeds feeds;
  const Edge root = graph.outputs()[0].value;
  const std::vector<bool> used = ancestors(graph, {&root, 1});
  for (const auto& [name, value] : input)
    if (used[value.node()]) feeds.emplace(name, data.at(name));
  Program program(graph);
  Store store;
  const Tensor w = program.run(feeds, store, *make_serial_executor())[0];

  Outcome outcome;
  outcome.note_zeros<T>(w);
  for (int64_t i = 0; i < count; ++i) {
    const long double x = w.at(i), metric = 1 / static_cast<long double>(step[i]);
    const long double twice = family.square ? 2 * static_cast<long double>(square[i]) : 0;
    // The subdifferential at x, from least to most.
    long double least = metric * (x - v[i]) + twice * x, most = least;
    long double size = metric * std::fabs(static_cast<long double>(v[i])) + twice * std::fabs(x);
    for (const auto& [at, below, above] : kinks) {
      least += x > at[i] ? above[i] : below[i];
      most += x < at[i] ? below[i] : above[i];
      size += std::fabs(below[i]) + std::fabs(above[i]) + metric * std::fabs(at[i]);
    }
    bool inside = true;
    if (family.bounded) {
      inside = x >= low[i] && x <= high[i];
      if (x == low[i]) least = -INFINITY;
      if (x == high[i]) most = INFINITY;
      for (T bound : {low[i], high[i]})
        if (std::isfinite(bound)) size += metric * std::fabs(bound);
    }
    const long double left = inside ? std::max({0.0L, least, -most}) : INFINITY;
    outcome.note(left == 0 ? 0 : left / size, [&] {
      return fmt::format("{}: v {:.17g}, step {:.17g}, w {:.17g}", family.name, v[i], step[i], w.at(i));
    });
  }
  return outcome;
}

// A folded concave penalty: φ and φ' for x ≥ 0, and where its form changes.
struct Concave {
  std::string op;
  Attributes attributes;
  std::function<long double(long double)> value, slope;
  std::vector<double> places;
};

Concave hard() {
  return {"hard_threshold",
          {},
          [](long double x) { return x > 0 ? 1.0L : 0.0L; },
          [](long double) { return 0.0L; },
          {}};
}
Concave minimax(double lambda, double gamma) {
  return {"mcp_prox",
          {{"lambda", lambda}, {"gamma", gamma}},
          [=](long double x) {
            return x <= gamma * lambda ? lambda * x - x * x / (2.0L * gamma) : 0.5L * gamma * lambda * lambda;
          },
          [=](long double x) { return std::max(0.0L, lambda - x / gamma); },
          {gamma * lambda}};
}
Concave clipped(double lambda, double a) {
  return {"scad_prox",
          {{"lambda", lambda}, {"a", a}},
          [=](long double x) {
            if (x <= lambda) return lambda * x;
            if (x > a * lambda) return 0.5L * lambda * lambda * (a + 1);
            return (2.0L * a * lambda * x - x * x - static_cast<long double>(lambda) * lambda) /
                   (2.0L * (a - 1));
          },
          [=](long double x) {
            return x <= lambda ? static_cast<long double>(lambda)
                               : std::max(0.0L, (1.0L * a * lambda - x) / (a - 1.0L));
          },
          {lambda, a * lambda}};
}
Concave logarithmic(double epsilon) {
  return {"log_sum_prox",
          {{"epsilon", epsilon}},
          [=](long double x) { return std::log1p(x / epsilon); },
          [=](long double x) { return 1 / (epsilon + x); },
          {}};
}

// F(w) = c·φ(w) + (w − v)²/2: the answer must be no worse than any candidate, and stationary unless 0.
template <class T>
Outcome random_concave(const std::function<Concave(Draw&, double scale)>& make, uint64_t seed) {
  Draw draw(seed);
  Outcome outcome;
  constexpr int64_t side_by_side = 50;
  while (outcome.cases < random_cases()) {
    // Weights are of the square of the scale.
    const double scale = draw.scale(sizeof(T) == 4 ? 15 : 30), step_scale = draw.power_of_ten(-2, 2);
    const Concave penalty = make(draw, scale);
    std::vector<double> v, steps, weights;
    const double one = static_cast<double>(penalty.value(scale)), edge = scale * scale / one;
    double last = scale;
    for (int64_t i = 0; i < side_by_side; ++i) {
      last = draw.element(3 * scale, last);
      v.push_back(last);
      steps.push_back(step_scale * draw.power_of_ten(-1, 1));
      weights.push_back(std::min(draw.pressure() * edge / steps.back(), sizeof(T) == 4 ? 1e37 : 1e300));
    }
    const auto tensor = [&](const std::vector<double>& list) {
      return tensor_of<T>({side_by_side}, [&](int64_t i) { return list[i]; });
    };
    const Tensor point = tensor(v), step = tensor(steps), weight = tensor(weights);
    const Tensor w = run_op(penalty.op, {point, step, weight}, penalty.attributes)[0];
    outcome.note_zeros<T>(w);
    for (int64_t i = 0; i < side_by_side; ++i) {
      const long double at = std::fabs(static_cast<long double>(point.at(i))),
                        found = std::fabs(static_cast<long double>(w.at(i)));
      const long double c = static_cast<long double>(step.at(i)) * weight.at(i);
      const auto cost = [&](long double x) { return c * penalty.value(x) + (x - at) * (x - at) / 2; };
      long double best = std::min(cost(0), cost(at));
      for (double place : penalty.places) best = std::min(best, cost(place));
      constexpr int points = 100;
      for (int j = 1; j < points; ++j) best = std::min(best, cost(at * j / points));
      const long double size = at * at / 2;
      long double left = size == 0 ? found : (cost(found) - best) / size;
      if (found > 0) {
        const long double slope = c * penalty.slope(found);
        left = std::max(left, std::fabs(slope + found - at) / (at + slope));
      }
      const bool same_side = w.at(i) == 0 || (w.at(i) > 0) == (point.at(i) > 0);
      outcome.note(same_side ? left : INFINITY, [&] {
        return fmt::format("{}: v {:.17g}, step {:.17g}, weight {:.17g}, w {:.17g}", penalty.op, point.at(i),
                           step.at(i), weight.at(i), w.at(i));
      });
    }
  }
  return outcome;
}

}  // namespace

TEST_CASE_TEMPLATE("random sums of kinks, squares and bounds meet the optimality condition", T, float,
                   double) {
  uint64_t seed = 10;
  for (const Family& family : families) {
    CAPTURE(family.name);
    check(random_sums<T>(family, ++seed), prox_tolerance<T>);
  }
}

TEST_CASE_TEMPLATE("random concave penalties: no candidate is better than the prox", T, float, double) {
  check(random_concave<T>([](Draw&, double) { return hard(); }, 31), prox_tolerance<T>);
  check(random_concave<T>(
            [](Draw& draw, double scale) {
              return minimax(scale * draw.uniform(0.2, 2), draw.power_of_ten(-1, 1));
            },
            32),
        prox_tolerance<T>);
  check(random_concave<T>(
            [](Draw& draw, double scale) {
              return clipped(scale * draw.uniform(0.2, 2), 1 + draw.power_of_ten(-1, 1));
            },
            33),
        prox_tolerance<T>);
  check(random_concave<T>(
            [](Draw& draw, double scale) { return logarithmic(scale * draw.power_of_ten(-3, 2)); }, 34),
        prox_tolerance<T>);
}

TEST_CASE_TEMPLATE("NaN comes through every prox of elements, infinity stays", T, float, double) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  for (const Concave& penalty : {hard(), minimax(1, 3), clipped(1, 3.7), logarithmic(0.1)}) {
    CAPTURE(penalty.op);
    const auto prox = [&](double v, double step, double weight) {
      return run_op(penalty.op,
                    {Tensor::scalar(v, dtype_of<T>), Tensor::scalar(step, dtype_of<T>),
                     Tensor::scalar(weight, dtype_of<T>)},
                    penalty.attributes)[0]
          .item();
    };
    CHECK(std::isnan(prox(nan, 1, 1)));
    CHECK(std::isnan(prox(2, nan, 1)));
    CHECK(std::isnan(prox(2, 1, nan)));
    CHECK(prox(-INFINITY, 1, 1) == -INFINITY);
    CHECK(prox(-7, 0, 1) == -7);
    CHECK(prox(-7, 1, 0) == -7);
    CHECK(prox(-7, 1, INFINITY) == 0);
    CHECK_FALSE(std::signbit(prox(-0.0, 1, 0)));
    CHECK_FALSE(std::signbit(prox(-1e-3, 1, 1e3)));
  }
}

TEST_CASE("where two points are minimal the one nearer to 0 is taken") {
  const auto prox = [](const Concave& penalty, double v, double step, double weight) {
    return run_op(penalty.op,
                  {Tensor::scalar(v, f64), Tensor::scalar(step, f64), Tensor::scalar(weight, f64)},
                  penalty.attributes)[0]
        .item();
  };
  CHECK(prox(hard(), 2, 1, 2) == 0);
  CHECK(prox(hard(), std::nextafter(2, 3), 1, 2) > 2);
  CHECK(prox(minimax(1, 1), 2, 4, 1) == 0);
  CHECK(prox(clipped(1, 3), 3.5, 3, 1) == 0.5);
}

TEST_CASE("flat ends: mcp and scad that hardly bend are soft thresholds") {
  const Tensor v = random_tensor<double>({500}, 40, -3, 3), step = random_tensor<double>({500}, 41, 0.1, 1);
  const Tensor weight = Tensor::scalar(0.7, f64);
  const Tensor threshold = tensor_of<double>({500}, [&](int64_t i) { return 0.7 * step.at(i); });
  const Tensor wanted = run_op("soft_threshold", {v, threshold})[0];
  for (const Concave& penalty : {minimax(1, 1e15), clipped(1, 1e15)})
    CHECK(largest_difference(run_op(penalty.op, {v, step, weight}, penalty.attributes)[0], wanted) < 1e-14);
}

}  // namespace lariat::prox_elements_test
