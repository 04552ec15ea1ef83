// Penalties that are not of single weights, on columns of sizes that differ by many orders of magnitude.
#include <cmath>
#include <string>

#include "autodiff/convex/solver.hpp"
#include "graph/base/error.hpp"
#include "tests/autodiff/convex_cases.hpp"
#include "tests/support/testing.hpp"

namespace lariat::convex_structured_test {

using namespace lariat::testing;

namespace {

constexpr int64_t rows = 20;

// A column of times, a day apart, in units of `unit` seconds; one that the labels are made of; one beside it.
Tensor days(double unit) {
  Tensor x(f64, {rows, 3});
  for (int64_t i = 0; i < rows; ++i) {
    double* row = x.data<double>() + 3 * i;
    row[0] = (1600000000 + 86400 * static_cast<double>(i)) / unit;
    row[1] = 2 * uniform(4 * i);
    row[2] = row[1] + 0.5 * uniform(4 * i + 1);
  }
  return x;
}

Tensor labels() {
  const Tensor x = days(1);
  Tensor y(f64, {rows});
  for (int64_t i = 0; i < rows; ++i) y.data<double>()[i] = 3 * x.at(3 * i + 1) + 0.1 * uniform(77 + i);
  return y;
}

using Term = Value (*)(Value w);
Value norm2_term(Value w) { return 0.1 * norm2(w); }
Value norm_inf_term(Value w) { return 0.1 * norm_inf(w); }
Value group_term(Value w) { return 0.1 * norm2(slice(w, 0, 0, 2)) + 0.1 * norm2(slice(w, 0, 2, 3)); }

Value squares(Graph& g, double unit, bool bias, Term term) {
  Value z = product(g, days(unit));
  if (bias) z = z + g.parameter("b", {1}, init::zeros(), f64);
  return 0.5 * sum(square(z - g.constant(labels()))) + term(g.find_source("w"));
}

}  // namespace

TEST_CASE("solve: structured penalties beside a column of times") {
  for (const Term term : {norm2_term, norm_inf_term, group_term})
    for (const bool bias : {false, true}) {
      CAPTURE(bias);
      Graph g;
      const Solution s = solve(squares(g, 1, bias, term));
      CAPTURE(s.shortfall);
      CHECK(s.converged);
      CHECK(s.objective < 0.6);
    }
  // The largest weight is not that of the times, in whatever units they are.
  Graph large, small;
  CHECK(solve(squares(large, 1, false, norm_inf_term)).objective ==
        doctest::Approx(solve(squares(small, 1e9, false, norm_inf_term)).objective).epsilon(1e-7));
}

TEST_CASE("solve: the slopes of every column are as its own size asks for") {
  Graph g;
  const Solution s = solve(squares(g, 1, false, norm2_term));
  const Tensor x = days(1), y = labels(), w = s.store.get("w");
  double length = 0;
  for (int64_t j = 0; j < 3; ++j) length += w.at(j) * w.at(j);
  length = std::sqrt(length);
  for (int64_t j = 0; j < 3; ++j) {
    CAPTURE(j);
    long double slope = 0, size = 0;
    for (int64_t i = 0; i < rows; ++i) {
      long double residual = -y.at(i);
      for (int64_t k = 0; k < 3; ++k) residual += static_cast<long double>(x.at(3 * i + k)) * w.at(k);
      slope += x.at(3 * i + j) * residual;
      size += std::abs(x.at(3 * i + j) * y.at(i));
    }
    CHECK(std::abs(static_cast<double>(slope) + 0.1 * w.at(j) / length) < 1e-6 * static_cast<double>(size));
  }
}

TEST_CASE("solve: what a prox of one step cannot reach is told, and is not converged") {
  Graph g;
  const Value w = g.parameter("w", {3, 2}, init::zeros(), f64);
  const Value z = matmul(g.constant(days(1)), w);
  const Tensor y = labels();
  const Value both = concat({reshape(g.constant(y), {rows, 1}), reshape(g.constant(y), {rows, 1})}, 1);
  const Solution s = solve(0.5 * sum(square(z - both)) + 0.1 * nuclear_norm(w), {.most_iterations = 2000});
  CHECK_FALSE(s.converged);
  CHECK(s.shortfall.find("the 2000 iterations allowed were used up") != std::string::npos);
  CHECK(
      s.shortfall.ends_with("bring columns to means near 0 and like scales, without which gradient steps "
                            "are many"));
}

TEST_CASE("solve: a structured penalty of any size is met, not only slopes on the way") {
  // Rows that one column tells apart: the loss falls to 0, and the penalty alone says how far.
  for (const double lambda : {1e-3, 1e-5, 1e-7, 1e-9}) {
    CAPTURE(lambda);
    Graph g;
    const Tensor x = random_matrix(20, 3);
    Tensor signs(f64, {20});
    for (int64_t i = 0; i < 20; ++i) signs.data<double>()[i] = x.at(3 * i) > 0 ? 1 : -1;
    const Value z = product(g, x), w = g.find_source("w");
    const Solution s = solve(sum(softplus(-(g.constant(signs) * z))) + lambda * norm_inf(w), {.threads = 1});
    CHECK(s.converged);
    CHECK(s.stationarity <= 1e-3 * lambda);
    const Tensor found = s.store.get("w");
    // No point on the ray, which is as far as a penalty so small leaves open, is better.
    const auto objective = [&](double factor) {
      double sum = 0, largest = 0;
      for (int64_t i = 0; i < 20; ++i) {
        double margin = 0;
        for (int64_t j = 0; j < 3; ++j) margin += factor * found.at(j) * x.at(3 * i + j);
        sum += std::log1p(std::exp(-signs.at(i) * margin));
      }
      for (int64_t j = 0; j < 3; ++j) largest = std::max(largest, factor * std::abs(found.at(j)));
      return sum + lambda * largest;
    };
    for (const double factor : {0.5, 0.9, 0.99, 1.01, 1.1, 2.0})
      CHECK(objective(factor) >= objective(1) * (1 - 1e-9));
  }
}

TEST_CASE("solve: one solver solves again from where it is") {
  Graph g;
  Solver solver(squares(g, 1, true, norm2_term));
  for (const double factor : {1.0, 1.0, 0.9, 0.9}) {
    const Solution s = solver.solve(factor);
    CAPTURE(s.shortfall);
    CHECK(s.converged);
  }
}

}  // namespace lariat::convex_structured_test
