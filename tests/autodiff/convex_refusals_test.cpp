// What the solver refuses, and what it solves without a certificate.
#include <fmt/format.h>

#include <cmath>
#include <functional>
#include <limits>
#include <string>
#include <utility>

#include "autodiff/convex/solver.hpp"
#include "graph/base/error.hpp"
#include "tests/autodiff/convex_cases.hpp"
#include "tests/support/testing.hpp"

namespace lariat::convex_refusals_test {

using namespace lariat::testing;

TEST_CASE("solve: what is no linear model is solved by fista, and says why it is not certified") {
  const Tensor x = random_matrix(20, 5);
  Tensor labels(i32, {20});
  for (int64_t i = 0; i < 20; ++i) labels.data<int32_t>()[i] = static_cast<int32_t>(i % 3);
  Graph g;
  const Value w = g.parameter("w", {5, 3}, init::zeros(), f64);
  const Value loss =
      sum(softmax_cross_entropy(matmul(g.constant(x), w), g.constant(labels))) + 0.5 * sum(abs(w));
  const Solution s = solve(loss);
  CHECK(s.method == SolveMethod::fista);
  CHECK(s.converged);
  CHECK(s.stationarity < 1e-6);
  CHECK(std::isinf(s.relative_gap));
  CHECK(s.note.find(": the product is [20, 3]; it must have one column") != std::string::npos);
  CHECK(s.certificate().starts_with("stationary to "));
  CHECK(s.certificate().find(", not globally certified: [matmul] built at convex_refusals_test.cpp:") !=
        std::string::npos);
  CHECK(
      message_of<UserError>([&] {
        solve(loss, {.method = SolveMethod::newton});
      }).starts_with("the method newton takes a linear model: [matmul] built at convex_refusals_test.cpp:"));
}

TEST_CASE("solve: refusals") {
  const Tensor x = random_matrix(20, 5), y = random_signs(20);
  const auto message = [&](const std::function<Value(Graph&, Value, Value)>& loss,
                           SolveOptions options = {}) {
    Graph g;
    const Value z = product(g, x);
    const Value value = loss(g, z, g.find_source("w"));
    return message_of<UserError>([&] { solve(value, options); });
  };
  CHECK(message([&](Graph& g, Value z, Value w) {
          return sum(abs(z - g.constant(y))) + sum(abs(w));
        }).starts_with("L102: abs has a kink and no prox here: its argument mixes elements of parameters"));
  CHECK(message([&](Graph&, Value z, Value w) { return sum(square(z)) - sum(abs(w)); }) ==
        "L104: the coefficient of |x| on 'w' is -1; a penalty needs a coefficient of 0 or more");
  CHECK(message([&](Graph&, Value z, Value w) {
          return sum(cos(z)) + sum(abs(w));
        }).starts_with("the loss is not convex: its second derivative is "));
  CHECK(message([&](Graph&, Value z, Value) { return square(z); }) ==
        "the loss is f64[20]; a loss is a scalar, such as a sum or mean");
  CHECK(message([&](Graph&, Value z, Value w) { return sum(square(dropout(z, 0.5))) + sum(abs(w)); }) ==
        "the loss draws random numbers (dropout); a solver needs one that does not");
  CHECK(
      message([&](Graph&, Value z, Value w) { return square(sum(z)) + sum(abs(w)); },
              {.method = SolveMethod::newton})
          .find("the loss is no sum over rows of functions of one prediction each: 'square' joins them; use "
                "fista") != std::string::npos);
}

TEST_CASE("solve: factors, tolerances and sums of coefficients that are no such numbers") {
  constexpr double nan = std::numeric_limits<double>::quiet_NaN(),
                   infinity = std::numeric_limits<double>::infinity();
  Graph g;
  const Value z = product(g, random_matrix(20, 5)), w = g.find_source("w");
  const Value loss = sum(square(z - 1)) + sum(abs(w));
  Solver solver(loss);
  for (const auto& [factor, text] : {std::pair{-1.0, "-1"}, {nan, "nan"}, {infinity, "inf"}})
    CHECK(message_of<UserError>([&] { solver.solve(factor); }) ==
          "L104: the factor of the penalties is " + std::string(text) +
              "; it must be a finite number, 0 or more");
  CHECK(solver.solve(0).converged);
  for (const auto& [tolerance, text] : {std::pair{-1e-8, "-1e-08"}, {nan, "nan"}, {infinity, "inf"}})
    CHECK(message_of<UserError>([&] { solve(loss, {.tolerance = tolerance}); }) ==
          "the tolerance of the solver is " + std::string(text) + "; it must be a finite number, 0 or more");
  CHECK(message_of<UserError>([&] {
          solve(sum(square(z - 1)) + 1e308 * sum(abs(w)) + 1e308 * sum(abs(w)));
        }) == "L104: the coefficients on 'w' add up to inf; penalties need finite sums");
}

TEST_CASE("solve: a loss that is convex where its solution is alone has no duality gap") {
  Graph g;
  const Value z = product(g, random_matrix(20, 5));
  const Value loss = sum(sin(z)) + 0.1 * sum(abs(g.find_source("w")));
  for (const SolveMethod method : {SolveMethod::automatic, SolveMethod::newton})
    CHECK(message_of<UserError>([&] {
            solve(loss, {.method = method});
          }).starts_with("the loss is not convex: its second derivative is "));
  // The advice of that message.
  const Solution s = solve(loss, {.method = SolveMethod::fista});
  CHECK(std::isinf(s.relative_gap));
  CHECK(s.certificate().find("not globally certified: the loss is not convex: its second derivative is ") !=
        std::string::npos);
}

TEST_CASE("solve: a sparse matrix whose indices are wrong is refused by name") {
  Graph g;
  const auto integers = [&](std::vector<int32_t> v) {
    return g.constant(Tensor::of({static_cast<int64_t>(v.size())}, std::span<const int32_t>(v)));
  };
  const Value values = g.constant(Tensor::of<double>({2}, {1, 2}));
  const Value w = g.parameter("w", {3}, init::zeros(), f64);
  const auto message = [&](std::vector<int32_t> columns, std::vector<int32_t> starts) {
    const Value z = csr_matmul(values, integers(columns), integers(starts), w);
    return message_of<UserError>([&] { solve(sum(square(z - 1)) + sum(abs(w))); });
  };
  CHECK(
      message({0, 3}, {0, 1, 2}).ends_with("column 3 of row 1 is out of range: there are 3 columns, 0 to 2"));
  CHECK(message({0, -1}, {0, 1, 2})
            .ends_with("column -1 of row 1 is out of range: there are 3 columns, 0 to 2"));
  CHECK(message({0, 1}, {0, 2, 1, 2}).ends_with("row_starts falls from 2 to 1 at row 1; it must not fall"));
  CHECK(
      message({0, 1}, {0, 1}).ends_with("row_starts runs from 0 to 1; it must run from 0 to the 2 entries"));
}

TEST_CASE("solve: a loss that is not convex is brought to a stationary point by fista") {
  const Tensor x = random_matrix(30, 4), y = random_signs(30);
  Graph g;
  const Value w1 = g.parameter("w1", {4, 3}, init::glorot_uniform(), f64);
  const Value w2 = g.parameter("w2", {3, 1}, init::glorot_uniform(), f64);
  const Value out = reshape(matmul(tanh(matmul(g.constant(x), w1)), w2), {30});
  const Value loss = mean(softplus(-(g.constant(y) * out))) + 0.002 * sum(abs(w1)) + 0.001 * sum(square(w2));
  const Solution s = solve(loss, {.tolerance = 1e-6, .seed = 3});
  CHECK(s.converged);
  CHECK(s.method == SolveMethod::fista);
  CHECK(s.prox_residual < 1e-5);
  CHECK(std::isinf(s.gap));
}

TEST_CASE("solve: a kink in the loss of a row is refused by the op that makes it, however it is written") {
  const Tensor x = random_matrix(20, 3), y = random_signs(20);
  using Build = Value (*)(Graph & g, Value r);
  const std::vector<std::pair<const char*, Build>> kinked{
      {"abs", [](Graph&, Value r) { return sum(abs(r)); }},
      {"maximum", [](Graph&, Value r) { return sum(maximum(0.3 * r, -0.7 * r)); }},
      {"leaky_relu", [](Graph&, Value r) { return sum(leaky_relu(r, -0.5)); }},
      {"relu", [](Graph&, Value r) { return sum(relu(1 - r)); }},
      {"minimum", [](Graph&, Value r) { return -sum(minimum(0.3 * r, -0.7 * r)); }},
      {"greater", [](Graph&, Value r) { return sum(where(greater(r, 0), r, -0.5 * r)); }},
      {"relu", [](Graph&, Value r) { return sum(square(r) + 0.1 * relu(r - 0.5)); }},
      {"abs", [](Graph&, Value r) { return sum(sqrt(square(r))); }}};
  for (const auto& [op, build] : kinked) {
    CAPTURE(std::string(op));
    Graph g;
    const Value z = product(g, x);
    const Value loss = build(g, z - 0.7 * g.constant(y)) + 0.1 * sum(abs(g.find_source("w")));
    const std::string message = message_of<UserError>([&] { solve(loss); });
    CHECK(message.find(std::string(op) + " has a kink and no prox here: ") != std::string::npos);
  }
}

TEST_CASE("solve: Huber's loss of targets that are large beside its bend is smooth, and |r| of them is not") {
  const Tensor x = random_matrix(20, 3), signs = random_signs(20);
  for (const double size : {1.0, 1e6, 1e10, 4e12}) {
    CAPTURE(size);
    Graph g, kinked;
    const auto error = [&](Graph& graph) {
      return product(graph, x) - graph.constant(Tensor::filled(f64, {20}, size)) - 3 * graph.constant(signs);
    };
    const Value e = error(g), c = clip(e, -1, 1), w = g.find_source("w");
    const Solution s = solve(sum(c * (e - 0.5 * c)) + 0.1 * sum(abs(w)));
    // Residuals of 4e12 are known to 5e-4.
    CHECK((s.converged || size > 1e10));
    const Value r = error(kinked), loss = sum(abs(r)) + 0.1 * sum(abs(kinked.find_source("w")));
    CHECK(message_of<UserError>([&] { solve(loss); }).find("abs has a kink") != std::string::npos);
  }
}

TEST_CASE("solve: a number of iterations that cannot be is refused") {
  Graph g;
  const Value z = product(g, random_matrix(20, 3));
  const Value loss = sum(square(z - 1)) + sum(abs(g.find_source("w")));
  CHECK(message_of<UserError>([&] { solve(loss, {.most_iterations = -1}); }) ==
        "most_iterations is -1; it must be 1 or more, or 0 for as many as the method has");
  CHECK(Solver(loss).solve(0).converged);
}

TEST_CASE("solve: gradient steps in coordinates as written that do not suffice say what would help") {
  Graph g;
  const Value z = product(g, random_matrix(20, 3));
  const Solution s = solve(sum(square(z - 1)) + norm2(g.find_source("w")), {.most_iterations = 2});
  CHECK_FALSE(s.converged);
  CHECK(
      s.shortfall.ends_with("the 2 iterations allowed were used up; allow more, or a larger tolerance, or "
                            "bring columns to means near 0 "
                            "and like scales, without which gradient steps are many"));
}

TEST_CASE(
    "solve: a penalty that is lost in the loss's rounding is the reason given where all weights have one") {
  constexpr int64_t rows = 60, columns = 60, telling = 35;
  const Tensor x = random_matrix(rows, columns);
  Tensor labels(f64, {rows});
  for (int64_t i = 0; i < rows; ++i) {
    double side = 0;
    for (int64_t j = 0; j < telling; ++j) side += x.at(i * columns + j);
    labels.data<double>()[i] = side > 0 ? 1 : -1;
  }
  Graph g;
  const Value z = product(g, x);
  const Solution s = solve(
      sum(square(relu(1 - g.constant(labels) * z))) + 1e-13 * sum(abs(g.find_source("w"))), {.threads = 1});
  CHECK_FALSE(s.converged);
  CHECK(s.stationarity < 1e-8);
  CHECK(contains(s.shortfall,
                 "the penalty is so small beside the loss that rounding hides where the best solution is"));
}

TEST_CASE("solve: a loss that falls for ever is the reason given, by every method") {
  for (const SolveMethod method : {SolveMethod::automatic, SolveMethod::fista})
    for (const int kind : {0, 1, 2, 3}) {
      Graph g;
      const Value w = g.parameter("w", {3}, init::zeros(), f64);
      const Value penalty = kind == 0   ? 0 * sum(abs(w))
                            : kind == 1 ? 0.1 * sum(abs(w))
                            : kind == 2 ? sum(square(slice(w, 0, 0, 1)))
                                        : 0.1 * norm2(w);
      const Solution s = solve(sum(w) + penalty, {.method = method, .threads = 1});
      CAPTURE(kind);
      CHECK_FALSE(s.converged);
      CHECK(contains(s.shortfall,
                     "the loss falls for ever where no penalty holds it, so that no solution is best; "));
    }
}

}  // namespace lariat::convex_refusals_test
