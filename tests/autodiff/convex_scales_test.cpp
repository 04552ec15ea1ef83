// The solver on columns of any scale and mean, with few rows and many, judged by a slow solver of another
// kind in quadruple precision: what is called converged is that good, and what is not says why.
#include <cmath>
#include <string>

#include "autodiff/convex/solver.hpp"
#include "graph/ir/graph.hpp"
#include "ops/ops.hpp"
#include "tests/autodiff/prox_cases.hpp"
#include "tests/autodiff/slow_solver.hpp"
#include "tests/support/testing.hpp"

namespace lariat::convex_scales_test {

using namespace lariat::testing;

namespace {

double normal(Draw& draw) {
  double total = 0;
  for (int i = 0; i < 6; ++i) total += draw.uniform(-1, 1);
  return total / std::sqrt(2.0);
}

enum class Penalties { none, l1, l2, elastic };

struct Case {
  SmallProblem problem;
  bool bias = false, sparse = false;
  Penalties penalties = Penalties::none;
  std::string text;
};

Case draw_case(uint64_t seed) {
  Draw draw(seed);
  const auto integer = [&](int64_t low, int64_t high) { return low + draw.below(high - low + 1); };
  Case c;
  SmallProblem& p = c.problem;
  const bool wide = draw.uniform(0, 1) < 0.3;
  p.rows = integer(wide ? 3 : 10, wide ? 6 : 24);
  const int64_t columns = wide ? p.rows + integer(1, 6) : integer(1, 5);
  c.bias = draw.uniform(0, 1) < 0.6;
  c.sparse = draw.uniform(0, 1) < 0.3;
  p.columns = columns + (c.bias ? 1 : 0);
  p.loss = &wide_losses()[static_cast<size_t>(integer(0, 5))];
  c.penalties = static_cast<Penalties>(integer(wide ? 1 : 0, 3));
  std::vector<double> scale, mean;
  // Scales up to 1e12 apart, means up to 1e8 standard deviations behind a bias and some without.
  const double lowest = draw.uniform(-9, 0), spread = draw.uniform(0, 12);
  for (int64_t j = 0; j < columns; ++j) {
    scale.push_back(std::pow(10, lowest + draw.uniform(0, spread)));
    const double kind = draw.uniform(0, 1);
    mean.push_back(kind < 0.4 || c.sparse ? 0
                   : c.bias               ? std::pow(10, draw.uniform(0, 8))
                                          : draw.uniform(-3, 3));
  }
  std::vector<double> truth;
  for (int64_t j = 0; j < columns; ++j) truth.push_back(draw.uniform(0, 1) < 0.5 ? normal(draw) : 0);
  for (int64_t i = 0; i < p.rows; ++i) {
    double z = 0.3 * normal(draw);
    for (int64_t j = 0; j < columns; ++j) {
      const double own = c.sparse && draw.uniform(0, 1) < 0.6 ? 0 : normal(draw);
      p.x.push_back(scale[j] * (own + mean[j]));
      z += truth[j] * own;
    }
    if (c.bias) p.x.push_back(1);
    const bool by_sign =
        std::string(p.loss->name) == "logistic" || std::string(p.loss->name) == "squared hinge";
    const double noisy = draw.uniform(0, 1) < 0.15 ? -z : z;
    p.y.push_back(by_sign                                  ? (noisy > 0 ? 1 : -1)
                  : std::string(p.loss->name) == "Poisson" ? std::abs(std::round(z))
                                                           : 4 * z);
  }
  // Penalties that matter to columns of some scale.
  const double l1 = std::pow(10, draw.uniform(-2, 0.5)) * std::pow(10, lowest + draw.uniform(0, spread));
  const double l2 = std::pow(10, 2 * (lowest + draw.uniform(0, spread)) + draw.uniform(-3, 1));
  for (int64_t j = 0; j < p.columns; ++j) {
    const bool penalised = j < columns;
    p.l1.push_back(penalised && (c.penalties == Penalties::l1 || c.penalties == Penalties::elastic) ? l1 : 0);
    p.l2.push_back(penalised && (c.penalties == Penalties::l2 || c.penalties == Penalties::elastic) ? l2 : 0);
  }
  c.text = std::string(p.loss->name) + ", " + std::to_string(p.rows) + " rows, " + std::to_string(columns) +
           " columns" + (c.bias ? " and a bias" : "") + (c.sparse ? ", sparse" : "") + ", l1 " +
           std::to_string(p.l1[0]) + ", l2 " + std::to_string(p.l2[0]) + ", scales from 1e" +
           std::to_string(lowest) + " over " + std::to_string(spread) + " decades";
  return c;
}

Value row_loss(Graph& g, const Case& c, Value z) {
  const SmallProblem& p = c.problem;
  const Value y = g.constant(Tensor::of<double>({p.rows}, std::span<const double>(p.y)));
  const std::string name = p.loss->name;
  if (name == "squared") return 0.5 * sum(square(z - y));
  if (name == "logistic") return sum(softplus(-(y * z)));
  if (name == "squared hinge") return sum(square(relu(1 - y * z)));
  if (name == "pseudo-Huber") return sum(sqrt(1 + square(z - y)));
  if (name == "Poisson") return sum(exp(z) - (y + 1.5) * z);
  const Value r = z - y;
  return 0.5 * sum(square(r) - square(relu(r - 1)) - square(relu(-r - 1)));
}

Value built(Graph& g, const Case& c) {
  const SmallProblem& p = c.problem;
  const int64_t columns = p.columns - (c.bias ? 1 : 0);
  const Value w = g.parameter("w", {columns}, init::zeros(), f64);
  std::vector<double> dense, values;
  std::vector<int32_t> places, starts{0};
  for (int64_t i = 0; i < p.rows; ++i) {
    for (int64_t j = 0; j < columns; ++j) {
      const double x = p.x[i * p.columns + j];
      dense.push_back(x);
      if (x == 0) continue;
      values.push_back(x);
      places.push_back(static_cast<int32_t>(j));
    }
    starts.push_back(static_cast<int32_t>(values.size()));
  }
  const auto tensor = [&](const auto& v) {
    return g.constant(Tensor::of({static_cast<int64_t>(v.size())}, std::span(v)));
  };
  Value z = c.sparse
                ? csr_matmul(tensor(values), tensor(places), tensor(starts), w)
                : reshape(matmul(g.constant(Tensor::of({p.rows, columns}, std::span<const double>(dense))),
                                 reshape(w, {columns, 1})),
                          {p.rows});
  if (c.bias) z = z + g.parameter("b", {1}, init::zeros(), f64);
  Value loss = row_loss(g, c, z);
  if (p.l1[0] > 0) loss = loss + p.l1[0] * sum(abs(w));
  if (p.l2[0] > 0) loss = loss + p.l2[0] * sum(square(w));
  return loss;
}

std::vector<Wide> weights_of(const Case& c, const Solution& s) {
  std::vector<Wide> w;
  const Tensor weights = s.store.get("w");
  for (const double x : weights.values<double>()) w.push_back(x);
  if (c.bias) w.push_back(s.store.get("b").item());
  return w;
}

}  // namespace

TEST_CASE("solve: columns of all scales and means are certified, or it says why not") {
  constexpr double tolerance = 1e-8;
  const int cases = static_cast<int>(random_cases() / 50);
  int converged = 0;
  for (int seed = 0; seed < cases; ++seed) {
    const Case c = draw_case(static_cast<uint64_t>(seed));
    CAPTURE(seed);
    CAPTURE(c.text);
    Graph g;
    Solution s;
    try {
      s = solve(built(g, c), {.tolerance = tolerance, .threads = 1});
    } catch (const std::exception& error) {
      FAIL_CHECK(error.what());
      continue;
    }
    const Wide reached = c.problem.objective(weights_of(c, s));
    CHECK(s.objective == doctest::Approx(static_cast<double>(reached)).epsilon(1e-8));
    CHECK(s.converged == (s.relative_gap <= tolerance));
    CHECK(s.converged == s.shortfall.empty());
    if (!s.converged) continue;
    ++converged;
    const Wide least = least_objective(c.problem);
    const double excess = static_cast<double>(reached - least);
    CHECK(excess <= 1.01 * tolerance * std::abs(static_cast<double>(reached)) + 1e-300);
  }
  CHECK(converged >= cases * 95 / 100);
}

namespace {

Value product(Graph& g, const std::vector<double>& x, int64_t rows) {
  const auto columns = static_cast<int64_t>(x.size()) / rows;
  const Value w = g.parameter("w", {columns}, init::zeros(), f64);
  const Value matrix = g.constant(Tensor::of({rows, columns}, std::span<const double>(x)));
  return reshape(matmul(matrix, reshape(w, {columns, 1})), {rows});
}

Value vector(Graph& g, const std::vector<double>& y) {
  return g.constant(Tensor::of({static_cast<int64_t>(y.size())}, std::span<const double>(y)));
}

struct Rows {
  int64_t rows;
  std::vector<double> x, y;
};

// Normal columns, and a y of the first of them with some noise.
Rows normal_rows(int64_t rows, int64_t columns, double noise = 0.3) {
  Draw draw(7);
  Rows result{rows, {}, {}};
  for (int64_t i = 0; i < rows; ++i) {
    for (int64_t j = 0; j < columns; ++j) result.x.push_back(normal(draw));
    result.y.push_back(result.x[static_cast<size_t>(i * columns)] + noise * normal(draw));
  }
  return result;
}

std::vector<double> signs_of(std::vector<double> y) {
  for (double& v : y) v = v > 0 ? 1 : -1;
  return y;
}

}  // namespace

TEST_CASE("solve: more columns than rows, which nearly repeat each other, take few steps") {
  for (uint64_t seed = 0; seed < (testing::is_nightly() ? 12U : 6U); ++seed) {
    Draw draw(seed);
    Case c;
    SmallProblem& p = c.problem;
    p.rows = 4 + draw.below(9);
    p.columns = p.rows + 3 + draw.below(12);
    p.loss = &wide_losses()[seed % 2 == 0 ? 0 : 1];
    for (int64_t i = 0; i < p.rows; ++i) {
      const double common = normal(draw);
      for (int64_t j = 0; j < p.columns; ++j) p.x.push_back(common + 1e-3 * normal(draw));
      const double y = 100 * normal(draw);
      p.y.push_back(seed % 2 == 0 ? y : y > 0 ? 1 : -1);
    }
    p.l1.assign(static_cast<size_t>(p.columns), seed % 2 == 0 ? 0.005 : 1e-5);
    p.l2.assign(static_cast<size_t>(p.columns), 0);
    CAPTURE(seed);
    Graph g;
    const Solution s = solve(built(g, c), {.threads = 1});
    CHECK(s.converged);
    CHECK(s.iterations <= 30);
    const Wide reached = p.objective(weights_of(c, s)), least = least_objective(p);
    CHECK(static_cast<double>(reached - least) <= 2e-8 * std::abs(static_cast<double>(reached)));
  }
}

TEST_CASE("solve: means of 1e8 standard deviations, beside a column without a penalty and beside none") {
  for (size_t kind = 0; kind < wide_losses().size(); ++kind) {
    Draw draw(kind);
    Case c;
    SmallProblem& p = c.problem;
    p.rows = 40;
    p.columns = 4;
    p.loss = &wide_losses()[kind];
    for (int64_t i = 0; i < p.rows; ++i) {
      double z = 0.5 * normal(draw);
      for (int64_t j = 0; j < p.columns; ++j) {
        const double own = normal(draw);
        p.x.push_back(1e8 + own);
        if (j > 1) z += own;
      }
      const std::string name = p.loss->name;
      p.y.push_back(name == "logistic" || name == "squared hinge" ? (z > 0 ? 1 : -1)
                    : name == "Poisson"                           ? std::abs(std::round(z))
                                                                  : z);
    }
    p.l1 = {0, 0.5, 0.5, 0.5};
    p.l2 = {0, 0, 0, 0};
    CAPTURE(p.loss->name);
    for (const bool free : {true, false}) {
      Graph g;
      const Value z = product(g, p.x, p.rows), w = g.find_source("w");
      const Value loss = row_loss(g, c, z);
      const Solution s = solve(loss + 0.5 * sum(abs(free ? slice(w, 0, 1, 4) : w)), {.threads = 1});
      CHECK(s.converged == (s.relative_gap <= 1e-8));
      if (!free && !s.converged)
        CHECK(contains(
            s.shortfall,
            " iterations: the means of 4 columns are over 100000 times their standard deviations, so "
            "that they differ from multiples of each other in their last digits alone; subtract the "
            "means, or add a bias, which takes them up"));
      if (!free) continue;
      CHECK(s.converged);
      const Wide reached = p.objective(weights_of(c, s)), least = least_objective(p);
      CHECK(static_cast<double>(reached - least) <= 2e-8 * std::abs(static_cast<double>(reached)));
    }
  }
}

TEST_CASE("solve: weights without a penalty that move rows for ever are the reason given") {
  Graph g;
  std::vector<double> powers;
  for (const double t : {0.33, 0.35, 0.46, 0.71, 0.95})
    for (const int power : {1, 5, 8, 9}) powers.push_back(std::pow(t, power));
  // Three powers tell the rows of count 0 from the others.
  const Value z = product(g, powers, 5), w = g.find_source("w");
  const Solution s =
      solve(sum(exp(z) - vector(g, {0, 0, 0, 4, 4}) * z) + 12 * sum(abs(slice(w, 0, 0, 1))), {.threads = 1});
  CHECK_FALSE(s.converged);
  CHECK(contains(s.shortfall,
                 " iterations, but no dual point was found: where weights that are not penalised can "
                 "move the predictions of some rows for ever, there is no best solution; "));
}

TEST_CASE("solve: powers of a t from 0 to 100, and a column of times") {
  std::vector<double> x, y;
  for (int i = 0; i < 30; ++i) {
    const double t = 100.0 * i / 29;
    for (int power = 1; power <= 5; ++power) x.push_back(std::pow(t, power));
    y.push_back(2 + 3 * std::sin(t / 20) + 0.3 * std::cos(7 * t));
  }
  for (const bool bias : {false, true}) {
    Graph g;
    Value z = product(g, x, 30);
    if (bias) z = z + g.parameter("b", {1}, init::zeros(), f64);
    const Solution s = solve(0.5 * sum(square(z - vector(g, y))) + sum(abs(g.find_source("w"))));
    CHECK(s.converged);
    CHECK(s.objective <= (bias ? 0.7505 : 4.77));
  }
  Rows times = normal_rows(50, 2);
  for (int64_t i = 0; i < 50; ++i)
    times.x[static_cast<size_t>(2 * i + 1)] = 1.7e9 + 86400.0 * static_cast<double>(i);
  for (const SolveMethod method : {SolveMethod::newton, SolveMethod::fista}) {
    Graph g;
    const Value z = product(g, times.x, 50) + g.parameter("b", {1}, init::zeros(), f64);
    const Solution s =
        solve(sum(softplus(-(vector(g, signs_of(times.y)) * z))) + sum(abs(g.find_source("w"))),
              {.method = method});
    CHECK(s.converged);
  }
}

TEST_CASE("solve: rows without curvature at zero") {
  Rows data = normal_rows(40, 3);
  for (double& y : data.y) y = 1000 * y + 3000;
  using Build = Value (*)(Value r);
  const std::vector<Build> hubers{
      [](Value r) { return 0.5 * sum(square(r) - square(relu(r - 1)) - square(relu(-r - 1))); },
      [](Value r) {
        const Value inner = minimum(abs(r), 1);
        return sum(inner * (abs(r) - 0.5 * inner));
      },
      [](Value r) { return sum(where(less(abs(r), 1), 0.5 * square(r), abs(r) - 0.5)); },
      [](Value r) { return 0.5 * sum(square(r) - square(relu(abs(r) - 1))); },
  };
  double objective = 0;
  for (const Build& huber : hubers)
    for (const SolveMethod method : {SolveMethod::newton, SolveMethod::fista}) {
      Graph g;
      const Value z = product(g, data.x, data.rows) + g.parameter("b", {1}, init::zeros(), f64);
      const Solution s = solve(huber(z - vector(g, data.y)) + 0.5 * sum(abs(g.find_source("w"))),
                               {.method = method, .tolerance = 1e-7});
      CHECK(s.converged);
      CHECK(s.relative_gap <= 1e-7);
      if (objective == 0) objective = s.objective;
      CHECK(s.objective == doctest::Approx(objective).epsilon(1e-6));
    }
}

TEST_CASE("solve: more columns than rows, with squares alone and beside other penalties") {
  const Rows data = normal_rows(24, 3100);
  const std::vector<double> y = signs_of(data.y);
  for (const bool bias : {false, true})
    for (const auto& [l1, l2] : {std::pair{0.0, 1.0}, {0.0, 1e-6}, {1e-3, 1.0}, {0.5, 0.01}}) {
      CAPTURE(l1);
      CAPTURE(l2);
      Graph g;
      Value z = product(g, data.x, data.rows);
      if (bias) z = z + g.parameter("b", {1}, init::zeros(), f64);
      const Value w = g.find_source("w");
      Value loss = sum(softplus(-(vector(g, y) * z))) + l2 * sum(square(w));
      if (l1 > 0) loss = loss + l1 * sum(abs(w));
      const Solution s = solve(loss);
      CHECK(s.converged);
      CHECK(s.iterations < 30);
    }
  // ½‖Xw − y‖² + ‖w‖² by the matrix of the rows: the residual is y − Xw = 2(2 + XXᵀ)⁻¹y, and P = ½yᵀ(y − Xw).
  Graph g;
  const Value z = product(g, data.x, data.rows);
  const Solution s = solve(0.5 * sum(square(z - vector(g, data.y))) + sum(square(g.find_source("w"))));
  CHECK(s.converged);
  double product_with_y = 0;
  const Tensor w = s.store.get("w");
  for (int64_t i = 0; i < data.rows; ++i) {
    double at = 0;
    for (int64_t j = 0; j < 3100; ++j) at += data.x[static_cast<size_t>(3100 * i + j)] * w.at(j);
    product_with_y += data.y[static_cast<size_t>(i)] * (data.y[static_cast<size_t>(i)] - at);
  }
  CHECK(s.objective == doctest::Approx(product_with_y / 2).epsilon(1e-7));
}

TEST_CASE("solve: rows that are nearly fitted, and rows that are") {
  const Rows data = normal_rows(25, 80);
  for (double l1 = 1; l1 > 1e-9; l1 /= 7)
    for (const bool bias : {false, true}) {
      CAPTURE(l1);
      Graph g;
      Value z = product(g, data.x, data.rows);
      if (bias) z = z + g.parameter("b", {1}, init::zeros(), f64);
      const Solution s = solve(0.5 * sum(square(z - vector(g, data.y))) + l1 * sum(abs(g.find_source("w"))));
      CHECK(s.converged);
    }
  const std::vector<double> y = signs_of(data.y);
  for (const bool logistic : {false, true}) {
    Graph g;
    const Value z = product(g, data.x, data.rows);
    const Solution s =
        solve(logistic ? sum(softplus(-(vector(g, y) * z))) : 0.5 * sum(square(z - vector(g, y))));
    CHECK_FALSE(s.converged);
    CHECK(s.iterations < 300);
    CHECK(s.shortfall.starts_with("the loss falls to "));
    CHECK(s.shortfall.ends_with("add a penalty, or raise its coefficient"));
  }
}

TEST_CASE("solve: without a penalty, on columns of mean 0 and others") {
  Rows data = normal_rows(50, 5);
  for (const bool centred : {false, true}) {
    for (int64_t j = 0; centred && j < 5; ++j) {
      double mean = 0;
      for (int64_t i = 0; i < 50; ++i) mean += data.x[static_cast<size_t>(5 * i + j)] / 50;
      for (int64_t i = 0; i < 50; ++i) data.x[static_cast<size_t>(5 * i + j)] -= mean;
    }
    for (const bool bias : {false, true})
      for (const bool zero_penalty : {false, true}) {
        Graph g;
        Value z = product(g, data.x, data.rows);
        if (bias) z = z + g.parameter("b", {1}, init::zeros(), f64);
        Value loss = 0.5 * sum(square(z - vector(g, data.y)));
        if (zero_penalty) loss = loss + 0.0 * sum(abs(g.find_source("w")));
        const Solution s = solve(loss);
        CHECK(s.converged);
        CHECK(s.iterations < 10);
      }
  }
}

TEST_CASE("solve: what ends early says what would help") {
  const Rows data = normal_rows(30, 6);
  const auto shortfall = [&](DType dtype, double tolerance, SolveMethod method, int64_t most) {
    Graph g;
    const Value w = g.parameter("w", {6}, init::zeros(), dtype);
    const Value x = g.constant(Tensor::of({30, 6}, std::span<const double>(data.x)).cast(dtype));
    const Value y = g.constant(Tensor::of({30}, std::span<const double>(data.y)).cast(dtype));
    const Value z = reshape(matmul(x, reshape(w, {6, 1})), {30});
    const Solution s = solve(sum(sqrt(1 + square(z - y))) + 0.1 * sum(abs(w)),
                             {.method = method, .tolerance = tolerance, .most_iterations = most});
    CHECK(s.converged == s.shortfall.empty());
    return s.shortfall;
  };
  CHECK(shortfall(f64, 1e-12, SolveMethod::newton, 0).empty());
  CHECK(shortfall(f32, 1e-8, SolveMethod::newton, 0).empty());
  CHECK(shortfall(f32, 2.5e-16, SolveMethod::newton, 0)
            .ends_with("parameters of f32 hold the solution no better; make them f64"));
  CHECK(shortfall(f64, 1e-8, SolveMethod::fista, 2)
            .ends_with("the 2 iterations allowed were used up; allow more, or a larger tolerance"));
  CHECK(shortfall(f64, 1e-30, SolveMethod::newton, 0).find("no step lowers the objective any further") !=
        std::string::npos);
}

}  // namespace lariat::convex_scales_test
