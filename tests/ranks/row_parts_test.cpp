// Linear models whose rows ranks share: the same bits for any number of them, and the optimum that one
// process finds.
#include "autodiff/convex/row_parts.hpp"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <cmath>

#include "frontends/linear/linear_problem.hpp"
#include "frontends/linear/regularisation_path.hpp"
#include "graph/base/random.hpp"
#include "graph/ir/graph.hpp"
#include "ops/ops.hpp"
#include "tests/support/rank_threads.hpp"
#include "tests/support/testing.hpp"

namespace lariat::row_parts_test {

namespace {

struct Case {
  std::string loss, penalty;
  int64_t rows = 60, columns = 12;
  bool bias = true, sparse = false, mean = false, weighted = false;
  double scale = 1, center = 0;  // of every third column
};

data::LabelledRows rows_of(const Case& c) {
  data::LabelledRows rows;
  rows.rows = c.rows, rows.columns = c.columns;
  rows.file = "rows";
  const double pi = 3.14159265358979;
  if (c.sparse) rows.row_starts.push_back(0);
  for (int64_t i = 0; i < c.rows; ++i) {
    double z = 0.3;
    for (int64_t j = 0; j < c.columns; ++j) {
      double x = std::sin(1.0 + static_cast<double>((i * 7919 + j * 104729) % 997) * pi / 50);
      if (j % 3 == 0) x = c.center + c.scale * x;
      if (c.sparse && (i * 31 + j * 17) % 5 != 0) continue;
      if (j < 3) z += (j == 1 ? -1 : 1) * (j == 0 ? (x - c.center) / c.scale : x);
      rows.values.push_back(x);
      if (c.sparse) rows.entry_columns.push_back(static_cast<int32_t>(j));
    }
    if (c.sparse) rows.row_starts.push_back(static_cast<int32_t>(rows.values.size()));
    const double noisy = z + 0.4 * std::cos(static_cast<double>(i * i % 89));
    const bool counts = c.loss == "poisson", classes = c.loss == "logistic" || c.loss == "hinge-squared";
    rows.labels.push_back(classes ? (noisy > 0 ? 1 : -1) : counts ? std::floor(std::exp(noisy / 2)) : noisy);
    rows.places.push_back(i + 1);
    if (c.weighted) rows.weights.push_back(1 + static_cast<double>(i % 4));
  }
  return rows;
}

LinearProblem problem_of(const Case& c, const data::LabelledRows& rows) {
  LinearProblem problem;
  problem.loss = c.loss;
  problem.penalty = parse_penalty(c.penalty);
  problem.bias = c.bias;
  problem.mean = c.mean;
  for (int64_t i = 0; i < rows.rows; ++i) problem.counted += rows.weight(i);
  return problem;
}

Solution solve_share(const Case& c, RowParts parts, int threads) {
  const data::LabelledRows rows = rows_of(c);
  const LinearProblem problem = problem_of(c, rows);
  Graph graph;
  SolveOptions options;
  options.threads = threads;
  options.row_parts = parts;
  return parts.is_one()
             ? solve(problem.build(graph, rows), options)
             : solve(problem.build(graph, data::rows_between(rows, parts.first_row(), parts.own_rows())),
                     options);
}

std::string bits(const Solution& solution) {
  std::string text = fmt::format("{:a} {:a} {:a} {}", solution.objective, solution.gap, solution.stationarity,
                                 solution.iterations);
  for (const auto& [name, tensor] : solution.store)
    for (int64_t i = 0; i < tensor.count(); ++i) text += fmt::format(" {:a}", tensor.at(i));
  return text;
}

}  // namespace

TEST_CASE("row parts: ranks that share the rows find the optimum, to the same bits for any number of them") {
  const std::vector<Case> cases{
      {"logistic", "1*l1"},
      {"squared", "2*l1 + 0.1*l2", 64, 20, true, true},
      {"squared", "3*l1", 40, 90},
      {"huber", "1*l1", 50, 8, true, false, true},
      {"hinge-squared", "0.5*l2", 48, 10, true, false, false, true},
      {"poisson", "2*l1", 80, 9},
      {"logistic", "0.5*l1", 61, 15, true, false, false, false, 1e6, 1e9},
      {"squared", "1*l2", 30, 70, false, true},
  };
  for (const Case& c : cases) {
    CAPTURE(c.loss);
    CAPTURE(c.penalty);
    const Solution whole = solve_share(c, {}, 1), alone = solve_share(c, {nullptr, 8, c.rows}, 2);
    CHECK(whole.converged);
    CHECK(alone.converged);
    CHECK(alone.gap <= 1e-8 * std::abs(alone.objective));
    CHECK(alone.objective == doctest::Approx(whole.objective).epsilon(3e-8));
    for (const int size : {1, 2, 3, 8}) {
      CAPTURE(size);
      std::vector<std::string> found(static_cast<size_t>(size));
      const auto failures = on_ranks(size, [&](const std::shared_ptr<Ranks>& ranks) {
        found[static_cast<size_t>(ranks->rank())] = bits(solve_share(c, {ranks, 8, c.rows}, 1 + size % 2));
      });
      for (int rank = 0; rank < size; ++rank) {
        CHECK(failures[static_cast<size_t>(rank)] == "");
        CHECK(found[static_cast<size_t>(rank)] == bits(alone));
      }
    }
  }
}

TEST_CASE("row parts: a path over ranks begins at the λ that makes every weight zero, and goes on as alone") {
  const Case c{"logistic", "1*l1", 70, 14};
  const data::LabelledRows rows = rows_of(c);
  const LinearProblem problem = problem_of(c, rows);
  const auto path = [&](const RowParts& parts) {
    SolveOptions options;
    options.threads = 1;
    options.row_parts = parts;
    return regularisation_path(
        problem, parts.is_one() ? rows : data::rows_between(rows, parts.first_row(), parts.own_rows()),
        {.count = 12, .ratio = 1e-2}, options, [](size_t, size_t) {});
  };
  const RegularisationPath whole = path({}), alone = path({nullptr, 5, c.rows});
  CHECK(alone.largest_lambda == doctest::Approx(whole.largest_lambda).epsilon(1e-12));
  for (size_t i = 0; i < whole.points.size(); ++i)
    CHECK(alone.points[i].solution.objective ==
          doctest::Approx(whole.points[i].solution.objective).epsilon(3e-8));
  std::vector<std::string> found(3);
  const auto failures = on_ranks(3, [&](const std::shared_ptr<Ranks>& ranks) {
    for (const PathPoint& point : path({ranks, 5, c.rows}).points)
      found[static_cast<size_t>(ranks->rank())] += bits(point.solution);
  });
  std::string expected;
  for (const PathPoint& point : alone.points) expected += bits(point.solution);
  for (size_t rank = 0; rank < 3; ++rank) {
    CHECK(failures[rank] == "");
    CHECK(found[rank] == expected);
  }
}

TEST_CASE("row parts: gradient methods share rows too") {
  const Case c{"logistic", "1*l1 + 0.1*l2", 60, 6};
  for (const SolveMethod method : {SolveMethod::fista, SolveMethod::proximal_gradient}) {
    const data::LabelledRows rows = rows_of(c);
    const LinearProblem problem = problem_of(c, rows);
    const auto solved = [&](const RowParts& parts) {
      Graph graph;
      SolveOptions options;
      options.method = method;
      options.row_parts = parts;
      return solve(problem.build(graph, data::rows_between(rows, parts.first_row(), parts.own_rows())),
                   options);
    };
    const Solution alone = solved({nullptr, 4, c.rows});
    CHECK(alone.converged);
    CHECK(alone.objective == doctest::Approx(solve_share(c, {}, 1).objective).epsilon(3e-8));
    std::vector<std::string> found(2);
    on_ranks(2, [&](const std::shared_ptr<Ranks>& ranks) {
      found[static_cast<size_t>(ranks->rank())] = bits(solved({ranks, 4, c.rows}));
    });
    CHECK(found == std::vector<std::string>(2, bits(alone)));
  }
}

TEST_CASE("row parts: what ranks cannot share is refused") {
  CHECK(testing::message_of<UserError>([] { RowParts(nullptr, 9, 8); }) ==
        "8 rows cannot be cut into 9 parts; take 1 to 8");
  CHECK(testing::message_of<UserError>([] { RowParts(nullptr, 0, 8); }) ==
        "8 rows cannot be cut into 0 parts; take 1 to 8");
  const auto failures = on_ranks(3, [](const std::shared_ptr<Ranks>& ranks) { RowParts(ranks, 2, 8); });
  CHECK(failures[0] == "says: 3 ranks share 2 parts of the rows; take as many parts, or fewer ranks");

  const auto refusal = [](const std::function<Value(Value w, Value x)>& loss, int64_t rows = 4) {
    Graph graph;
    const Value w = graph.parameter("w", {2}, init::zeros(), f64);
    const std::vector<double> numbers{1, 2, -1, 0.5, 3, -2, 0.25, 1};
    const Value x = graph.constant(Tensor::of({4, 2}, std::span(numbers)));
    SolveOptions options;
    options.row_parts = RowParts(nullptr, 2, rows);
    return testing::message_of<UserError>([&] { solve(loss(w, x), options); });
  };
  const auto z = [](Value w, Value x) { return reshape(matmul(x, reshape(w, {2, 1})), {4}); };
  CHECK(refusal([&](Value w, Value x) { return sum(square(z(w, x))) + norm2(w); }) ==
        "ranks can share the rows of a linear model with penalties of single weights only: the penalty "
        "1 * ‖w‖₂ is none of these");
  CHECK(refusal([&](Value w, Value x) {
          return sum(sin(z(w, x))) * sum(cos(z(w, x)));
        }).starts_with("ranks can share the rows of a linear model with penalties of single weights only: "));
  CHECK(refusal([&](Value w, Value x) { return sum(square(z(w, x))); }, 6) ==
        "the loss is of 4 rows, but this rank's share is 6, from row 0 on");
  CHECK(refusal([&](Value w, Value x) { return sum(square(z(w, x) - 1)) + 3; }) ==
        "the loss of this rank's rows has a constant of 3 beside what it sums over rows, which would count "
        "once "
        "for each rank; leave it out");
}

}  // namespace lariat::row_parts_test
