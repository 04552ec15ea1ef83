// The solver against closed forms, against itself by another method, and its refusals.
#include "autodiff/convex/solver.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <functional>
#include <string>

#include "graph/base/error.hpp"
#include "graph/ir/graph.hpp"
#include "ops/ops.hpp"
#include "tests/autodiff/convex_cases.hpp"
#include "tests/support/testing.hpp"

namespace lariat::convex_test {

using namespace lariat::testing;

namespace {

/// The same in compressed rows.
Value sparse_product(Graph& g, const Tensor& x) {
  std::vector<double> values;
  std::vector<int32_t> columns, starts{0};
  for (int64_t r = 0; r < x.extents()[0]; ++r) {
    for (int64_t c = 0; c < x.extents()[1]; ++c)
      if (const double value = x.at(r * x.extents()[1] + c); value != 0) {
        values.push_back(value);
        columns.push_back(static_cast<int32_t>(c));
      }
    starts.push_back(static_cast<int32_t>(values.size()));
  }
  const auto tensor = [](const auto& v) {
    return Tensor::of({static_cast<int64_t>(v.size())}, std::span(v));
  };
  return csr_matmul(g.constant(tensor(values)), g.constant(tensor(columns)), g.constant(tensor(starts)),
                    g.parameter("w", {x.extents()[1]}, init::zeros(), f64));
}

/// How many elements are not zero.
int64_t nonzeros_of(const Tensor& w) {
  const auto values = w.values<double>();
  return std::count_if(values.begin(), values.end(), [](double x) { return x != 0; });
}

double soft(double v, double t) { return std::copysign(std::max(std::abs(v) - t, 0.0), v); }

// Columns of length 1 at right angles.
const Tensor orthonormal = Tensor::of<double>({4, 3}, {.5, .5, .5, .5, -.5, .5, .5, .5, -.5, .5, -.5, -.5});
const Tensor targets = Tensor::of<double>({4}, {3, -1, 0.5, 2});

/// Xᵀy of those.
std::array<double, 3> correlations() {
  std::array<double, 3> c{};
  for (int64_t r = 0; r < 4; ++r)
    for (int64_t j = 0; j < 3; ++j) c[j] += orthonormal.at(3 * r + j) * targets.at(r);
  return c;
}

using Loss = Value (*)(Graph& g, Value z, const Tensor& y);
struct NamedLoss {
  const char* name;
  Loss build;
};
const std::vector<NamedLoss> losses{
    {"logistic", [](Graph& g, Value z, const Tensor& y) { return sum(softplus(-(g.constant(y) * z))); }},
    {"logistic by its two terms",
     [](Graph& g, Value z, const Tensor& y) { return sum(softplus(z) - 0.5 * (g.constant(y) + 1) * z); }},
    {"mean of cross-entropies",
     [](Graph& g, Value z, const Tensor& y) {
       return 50 * mean(sigmoid_cross_entropy(z, 0.5 * (g.constant(y) + 1)));
     }},
    {"squared", [](Graph& g, Value z, const Tensor& y) { return 0.5 * sum(square(z - g.constant(y))); }},
    {"squared hinge",
     [](Graph& g, Value z, const Tensor& y) { return sum(square(relu(1 - g.constant(y) * z))); }},
    {"pseudo-Huber",
     [](Graph& g, Value z, const Tensor& y) { return sum(sqrt(1 + square(z - g.constant(y)))); }},
    {"Poisson", [](Graph& g, Value z, const Tensor& y) { return sum(exp(z) - (g.constant(y) + 1) * z); }},
};

}  // namespace

TEST_CASE("solve: the lasso with an orthonormal design is a soft threshold") {
  Graph g;
  const Value z = product(g, orthonormal);
  const Value loss = 0.5 * sum(square(z - g.constant(targets))) + 0.75 * sum(abs(g.find_source("w")));
  const Solution solution = solve(loss);
  const auto c = correlations();
  for (int64_t j = 0; j < 3; ++j)
    CHECK(solution.store.get("w").at(j) == doctest::Approx(soft(c[j], 0.75)).epsilon(1e-12));
  CHECK(solution.nonzeros == 2);
  CHECK(solution.store.get("w").at(0) != 0);
  CHECK(solution.converged);
  CHECK(solution.relative_gap < 1e-8);
  CHECK(solution.prox_residual < 1e-8);
  CHECK(solution.stationarity < 1e-8);
  CHECK(solution.method == SolveMethod::newton);
  CHECK(solution.objective == doctest::Approx(solution.smooth + solution.penalty));
  CHECK(solution.certificate().starts_with("optimal to a relative duality gap of "));
}

TEST_CASE("solve: elastic net, weights of their own, and no penalty, by their closed forms") {
  const auto c = correlations();
  {
    Graph g;
    const Value z = product(g, orthonormal), w = g.find_source("w");
    const Solution s =
        solve(0.5 * sum(square(z - g.constant(targets))) + 0.5 * sum(abs(w)) + 0.25 * sum(square(w)));
    for (int64_t j = 0; j < 3; ++j)
      CHECK(s.store.get("w").at(j) == doctest::Approx(soft(c[j], 0.5) / 1.5).epsilon(1e-10));
    CHECK(s.relative_gap < 1e-8);
  }
  {
    Graph g;
    const Value z = product(g, orthonormal), w = g.find_source("w");
    const Value weights = g.constant(Tensor::of<double>({3}, {0.1, 0, 5}));
    const Solution s = solve(0.5 * sum(square(z - g.constant(targets))) + sum(weights * abs(w)));
    const std::array<double, 3> expected{soft(c[0], 0.1), c[1], soft(c[2], 5)};
    for (int64_t j = 0; j < 3; ++j)
      CHECK(s.store.get("w").at(j) == doctest::Approx(expected[j]).epsilon(1e-10));
    CHECK(s.relative_gap < 1e-8);
  }
  {
    Graph g;
    const Value z = product(g, orthonormal), w = g.find_source("w");
    const Solution s = solve(0.5 * sum(square(z - g.constant(targets))) + 2 * sum(square(w)));
    for (int64_t j = 0; j < 3; ++j) CHECK(s.store.get("w").at(j) == doctest::Approx(c[j] / 5).epsilon(1e-10));
    CHECK(s.relative_gap < 1e-8);
  }
}

TEST_CASE("solve: in one dimension") {
  Graph g;
  const Value w = g.parameter("w", {1}, init::zeros(), f64);
  // (3w − 6)²/2 + 3|w|:  9w − 18 + 3 = 0.
  const Value loss = 0.5 * sum(square(g.constant(Tensor::of<double>({1}, {3})) * w - 6)) + 3 * sum(abs(w));
  CHECK(solve(loss).store.get("w").at(0) == doctest::Approx(15.0 / 9).epsilon(1e-12));
}

TEST_CASE("solve: a bias without penalty takes the mean out") {
  const Tensor x = random_matrix(30, 8);
  Tensor y(f64, {30});
  for (int64_t i = 0; i < 30; ++i) y.data<double>()[i] = 7 + uniform(500 + i);
  Graph g;
  const Value z = product(g, x) + g.parameter("b", {1}, init::zeros(), f64);
  const Solution with = solve(0.5 * sum(square(z - g.constant(y))) + 1.5 * sum(abs(g.find_source("w"))));
  CHECK(with.relative_gap < 1e-8);
  // The same with centred columns and targets.
  Tensor xc = x.clone(), yc = y.clone();
  double mean_y = 0;
  for (int64_t i = 0; i < 30; ++i) mean_y += y.at(i) / 30;
  for (int64_t i = 0; i < 30; ++i) yc.data<double>()[i] -= mean_y;
  for (int64_t j = 0; j < 8; ++j) {
    double m = 0;
    for (int64_t i = 0; i < 30; ++i) m += x.at(8 * i + j) / 30;
    for (int64_t i = 0; i < 30; ++i) xc.data<double>()[8 * i + j] -= m;
  }
  Graph h;
  const Value centred = product(h, xc);
  const Solution without =
      solve(0.5 * sum(square(centred - h.constant(yc))) + 1.5 * sum(abs(h.find_source("w"))));
  CHECK(lariat::testing::largest_difference(with.store.get("w"), without.store.get("w")) < 1e-7);
  CHECK(with.objective == doctest::Approx(without.objective).epsilon(1e-8));
}

TEST_CASE("solve: all methods agree, for dense and sparse data, with and without a bias") {
  const Tensor x = random_matrix(60, 40, 0.4), y = random_signs(60);
  int compared = 0;
  for (const NamedLoss& loss : losses)
    for (const bool bias : {false, true}) {
      CAPTURE(loss.name);
      CAPTURE(bias);
      double objective = 0;
      for (const SolveMethod method :
           {SolveMethod::newton, SolveMethod::fista, SolveMethod::proximal_gradient})
        for (const bool sparse : {false, true}) {
          if (sparse && method == SolveMethod::proximal_gradient) continue;
          Graph g;
          Value z = sparse ? sparse_product(g, x) : product(g, x);
          if (bias) z = z + g.parameter("b", {1}, init::zeros(), f64);
          const Value w = g.find_source("w");
          const Solution s = solve(loss.build(g, z, y) + 0.8 * sum(abs(w)) + 0.01 * sum(square(w)),
                                   {.method = method, .tolerance = 1e-9});
          CHECK(s.converged);
          CHECK(s.relative_gap <= 1e-9);
          CHECK(s.method == method);
          if (objective == 0) objective = s.objective;
          CHECK(s.objective == doctest::Approx(objective).epsilon(1e-8));
          CHECK(s.nonzeros > 1);
          CHECK(s.nonzeros < 40);
          ++compared;
        }
    }
  CHECK(compared == 70);
}

TEST_CASE("solve: the gap is that of the textbook's dual, far from the optimum too") {
  const Tensor x = random_matrix(60, 40, 0.4), y = random_signs(60);
  // ℓ_i and its conjugate at u, by their formulas.
  struct Formulas {
    const char* name;
    double (*loss)(double z, double y);
    double (*slope)(double z, double y);
    double (*conjugate)(double u, double y);
  };
  const std::vector<Formulas> known{
      {"logistic", [](double z, double t) { return std::log1p(std::exp(-t * z)); },
       [](double z, double t) { return -t / (1 + std::exp(t * z)); },
       [](double u, double t) {
         const double p = -u * t;
         return p * std::log(p) + (1 - p) * std::log1p(-p);
       }},
      {"squared", [](double z, double t) { return (z - t) * (z - t) / 2; },
       [](double z, double t) { return z - t; }, [](double u, double t) { return u * u / 2 + u * t; }},
      {"squared hinge", [](double z, double t) { return std::pow(std::max(0.0, 1 - t * z), 2); },
       [](double z, double t) { return -2 * t * std::max(0.0, 1 - t * z); },
       [](double u, double t) { return u * t + u * u / 4; }}};
  int compared = 0;
  for (const Formulas& f : known)
    for (const double square : {0.0, 0.3})
      for (const int64_t iterations : {1, 4, 16}) {
        CAPTURE(f.name);
        CAPTURE(square);
        CAPTURE(iterations);
        const auto loss = std::find_if(losses.begin(), losses.end(),
                                       [&](const NamedLoss& l) { return std::string(l.name) == f.name; });
        Graph g;
        const Value z = product(g, x), w = g.find_source("w");
        const double lambda = 0.8;
        const Value value = loss->build(g, z, y) + lambda * sum(abs(w)) + square * sum(w * w);
        const Solution s =
            solve(value, {.method = SolveMethod::fista, .tolerance = 1e-15, .most_iterations = iterations});
        const Tensor weights = s.store.get("w");
        double primal = 0, dual = 0, largest = 0;
        std::vector<double> u(60), correlation(40);
        for (int64_t i = 0; i < 60; ++i) {
          double at = 0;
          for (int64_t j = 0; j < 40; ++j) at += x.at(40 * i + j) * weights.at(j);
          primal += f.loss(at, y.at(i));
          u[i] = f.slope(at, y.at(i));
          for (int64_t j = 0; j < 40; ++j) correlation[j] += x.at(40 * i + j) * u[i];
        }
        for (const double c : correlation) largest = std::max(largest, std::abs(c));
        // The L1 term alone bounds the dual; with a square every slope is allowed.
        const double scale = square > 0 ? 1 : std::min(1.0, lambda / largest);
        for (int64_t i = 0; i < 60; ++i) dual -= f.conjugate(scale * u[i], y.at(i));
        for (int64_t j = 0; j < 40; ++j) {
          const double c = weights.at(j), above = std::max(0.0, std::abs(correlation[j]) - lambda);
          primal += lambda * std::abs(c) + square * c * c;
          if (square > 0) dual -= above * above / (4 * square);
        }
        CHECK(s.gap == doctest::Approx(primal - dual).epsilon(1e-7));
        CHECK(s.objective == doctest::Approx(primal).epsilon(1e-12));
        ++compared;
      }
  CHECK(compared == 18);
}

TEST_CASE("solve: a linear model is found however it is written") {
  const Tensor x = random_matrix(40, 6), y = random_signs(40);
  Tensor left(f64, {40, 6}), right(f64, {40, 6}), turned(f64, {6, 40}), half(f64, {40, 6});
  for (int64_t r = 0; r < 40; ++r)
    for (int64_t c = 0; c < 6; ++c) {
      const double value = x.at(6 * r + c);
      (c < 2 ? left : right).data<double>()[6 * r + c] = value;
      turned.data<double>()[40 * c + r] = value;
      half.data<double>()[6 * r + c] = value / 2;
    }
  using Prediction = std::function<Value(Graph&, Value w, Value b)>;
  const auto column = [](Value w) { return reshape(w, {6, 1}); };
  const std::vector<std::pair<const char*, Prediction>> spellings{
      {"as it is", [&](Graph& g, Value w, Value b) { return matmul(g.constant(x), column(w)) + b; }},
      {"bias first", [&](Graph& g, Value w, Value b) { return b + matmul(g.constant(x), column(w)); }},
      {"a vector",
       [&](Graph& g, Value w, Value b) { return reshape(matmul(g.constant(x), column(w)), {40}) + b; }},
      {"scaled", [&](Graph& g, Value w, Value b) { return 2 * matmul(g.constant(half), column(w)) + b; }},
      {"negated", [&](Graph& g, Value w, Value b) { return -(-matmul(g.constant(x), column(w)) - b); }},
      {"divided",
       [&](Graph& g, Value w, Value b) { return (4 * matmul(g.constant(half), column(w)) + 2 * b) / 2; }},
      {"two products",
       [&](Graph& g, Value w, Value b) {
         return matmul(g.constant(left), column(w)) + b + matmul(g.constant(right), column(w));
       }},
      {"transposed",
       [&](Graph& g, Value w, Value b) { return matmul(transpose(g.constant(turned)), column(w)) + b; }},
      {"transposed by the product",
       [&](Graph& g, Value w, Value b) {
         return build("matmul", {g.constant(turned), column(w)}, {{"transpose_a", true}}) + b;
       }},
      {"bias stretched",
       [&](Graph& g, Value w, Value b) {
         return matmul(g.constant(x), column(w)) + broadcast_to(b, {40, 1});
       }},
      {"shifted",
       [&](Graph& g, Value w, Value b) { return (matmul(g.constant(x), column(w)) + 3) + (b - 3); }},
  };
  double objective = 0;
  for (const auto& [name, prediction] : spellings) {
    CAPTURE(name);
    Graph g;
    const Value w = g.parameter("w", {6}, init::zeros(), f64), b = g.parameter("b", {1}, init::zeros(), f64);
    const Value z = reshape(prediction(g, w, b), {40});
    const Solution s = solve(sum(softplus(-(g.constant(y) * z))) + 0.5 * sum(abs(w)));
    CHECK(s.method == SolveMethod::newton);
    CHECK(s.relative_gap < 1e-8);
    if (objective == 0) objective = s.objective;
    CHECK(s.objective == doctest::Approx(objective).epsilon(1e-8));
  }
}

TEST_CASE("solve: columns that are the same, or nothing at all") {
  const Tensor x = random_matrix(50, 5), y = random_signs(50);
  Tensor doubled(f64, {50, 11});
  for (int64_t r = 0; r < 50; ++r)
    for (int64_t c = 0; c < 10; ++c) doubled.data<double>()[11 * r + c] = x.at(5 * r + c % 5);
  for (const NamedLoss& loss : losses) {
    CAPTURE(loss.name);
    Graph g, h;
    const Value one = product(g, x), two = product(h, doubled);
    const Solution a = solve(loss.build(g, one, y) + 0.3 * sum(abs(g.find_source("w"))));
    const Solution b = solve(loss.build(h, two, y) + 0.3 * sum(abs(h.find_source("w"))));
    CHECK(b.relative_gap < 1e-8);
    CHECK(b.objective == doctest::Approx(a.objective).epsilon(1e-8));
    CHECK(b.store.get("w").at(10) == 0);
  }
}

TEST_CASE("solve: the gap bounds the distance to the optimum at every step") {
  const Tensor x = random_matrix(60, 40, 0.4), y = random_signs(60);
  for (const NamedLoss& loss : losses) {
    CAPTURE(loss.name);
    Graph g;
    const Value z = product(g, x);
    const Value value = loss.build(g, z, y) + 0.8 * sum(abs(g.find_source("w")));
    std::vector<convex::Progress> steps;
    SolveOptions options{.method = SolveMethod::fista, .tolerance = 1e-10};
    options.progress = [&](const convex::Progress& p) { steps.push_back(p); };
    const Solution s = solve(value, options);
    int bounded = 0;
    for (const convex::Progress& step : steps)
      if (std::isfinite(step.relative_gap)) {
        CHECK(step.objective - s.objective <=
              step.relative_gap * std::abs(step.objective) + 1e-12 * std::abs(s.objective));
        ++bounded;
      }
    CHECK(bounded > 2);
  }
}

TEST_CASE("solve: fed data and f32 graphs are solved in double") {
  const Tensor x = random_matrix(40, 10), y = random_signs(40);
  Graph g;
  const Value fed = g.input("x", {dim::batch, 10}), labels = g.input("y", {dim::batch, 1});
  const Value w = g.parameter("w", {10, 1});
  const Value loss = mean(softplus(-(labels * matmul(fed, w)))) + 0.03125 * sum(abs(w));
  SolveOptions options;
  options.feeds = {{"x", x.cast(f32)},
                   {"y", Tensor::of({40, 1}, std::span<const float>(y.cast(f32).values<float>()))}};
  const Solution s = solve(loss, options);
  CHECK(s.method == SolveMethod::newton);
  CHECK(s.relative_gap < 1e-8);
  CHECK(s.store.get("w").dtype() == f32);
  Graph h;
  const Value z = product(h, x.cast(f32).cast(f64));
  const Solution exact = solve(mean(softplus(-(h.constant(y) * z))) + 0.03125 * sum(abs(h.find_source("w"))));
  CHECK(s.objective == doctest::Approx(exact.objective).epsilon(1e-8));

  options.feeds.erase("y");
  CHECK(message_of<UserError>([&] { solve(loss, options); }) == "the input 'y' f32[batch, 1] was not fed");
  options.feeds.emplace("y", Tensor(f32, {39, 1}));
  CHECK(message_of<UserError>([&] { solve(loss, options); }) ==
        "the input 'y' is f32[batch, 1], but f32[39, 1] was fed; it must be f32[40, 1]");
}

TEST_CASE(
    "solve: the largest factor makes all weights zero, a little less does not, and solving goes on from "
    "there") {
  const Tensor x = random_matrix(50, 20), y = random_signs(50);
  for (const bool bias : {false, true}) {
    Graph g;
    Value z = product(g, x);
    if (bias) z = z + g.parameter("b", {1}, init::zeros(), f64);
    Solver solver(sum(softplus(-(g.constant(y) * z))) + sum(abs(g.find_source("w"))));
    const double largest = solver.largest_factor();
    CHECK(nonzeros_of(solver.solve(largest * (1 + 1e-9)).store.get("w")) == 0);
    CHECK(nonzeros_of(solver.solve(largest * (1 - 1e-2)).store.get("w")) == 1);
    // Screened and warm, against a fresh start.
    const Solution warm = solver.solve(0.3 * largest);
    Graph h;
    Value z2 = product(h, x);
    if (bias) z2 = z2 + h.parameter("b", {1}, init::zeros(), f64);
    const Solution cold =
        solve(sum(softplus(-(h.constant(y) * z2))) + 0.3 * largest * sum(abs(h.find_source("w"))));
    CHECK(warm.objective == doctest::Approx(cold.objective).epsilon(1e-8));
    CHECK(warm.nonzeros == cold.nonzeros);
    CHECK(warm.relative_gap < 1e-8);
  }
}

TEST_CASE(
    "solve: the slope of a column of times is known to few digits of its penalty, and gaps are still told") {
  for (int seed = 0; seed < 20; ++seed)
    for (const bool constant : {false, true}) {
      CAPTURE(seed);
      Tensor x(f64, {50, 4}), y(f64, {50});
      for (int64_t i = 0; i < 50; ++i) {
        const auto draw = [&](int64_t k) {
          return 3 * uniform(static_cast<uint64_t>(seed * 500 + i * 10 + k));
        };
        double* row = x.data<double>() + i * 4;
        row[0] = draw(0), row[1] = draw(1), row[2] = constant ? 7 : std::round(1.7e9 + 1e7 * draw(2)),
        row[3] = constant ? 3 : 7e9;
        y.data<double>()[i] = 2 * row[0] + 0.3 * draw(3);
      }
      Graph g;
      const Value z = product(g, x), w = g.find_source("w");
      // Two columns that nothing tells apart, and no penalty on them.
      const Value penalised = constant ? slice(w, 0, 0, 2) : w;
      const Solution s = solve(0.5 * sum(square(z - g.constant(y))) + sum(abs(penalised)), {.threads = 1});
      CHECK(s.converged);
      CHECK(s.iterations <= 5);
    }
}

TEST_CASE("solve: the same bits for every number of threads") {
  const Tensor x = random_matrix(700, 90, 0.3), y = random_signs(700);
  for (const SolveMethod method : {SolveMethod::newton, SolveMethod::fista}) {
    uint64_t first = 0;
    for (const int threads : {1, 2, 3, 8}) {
      Graph g;
      const Value z = sparse_product(g, x);
      const Value loss = sum(softplus(-(g.constant(y) * z))) + 2 * sum(abs(g.find_source("w")));
      const uint64_t hash = solve(loss, {.method = method, .threads = threads}).store.hash();
      if (first == 0) first = hash;
      CHECK(hash == first);
    }
  }
}

}  // namespace lariat::convex_test
