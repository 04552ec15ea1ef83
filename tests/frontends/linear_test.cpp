// Linear models from C++: a problem, its path and the choice by rows left out.
#include <cmath>
#include <string>
#include <vector>

#include "frontends/data/random.hpp"
#include "frontends/linear/regularisation_path.hpp"
#include "graph/base/error.hpp"
#include "graph/ir/graph.hpp"
#include "tests/support/testing.hpp"

namespace lariat::linear_test {

using namespace testing;

namespace {

// Four rows of ten columns, of which two have entries.
data::LabelledRows sparse_rows() {
  data::LabelledRows rows;
  rows.file = "rows";
  rows.rows = 4;
  rows.columns = 10;
  rows.values = {1, -1, 2, 1};
  rows.entry_columns = {0, 0, 0, 9};
  rows.row_starts = {0, 1, 2, 3, 4};
  rows.labels = {1, -1, 1, -1};
  rows.places = {1, 2, 3, 4};
  return rows;
}

Solution solution_of(const LinearProblem& problem, const data::LabelledRows& rows) {
  Graph graph;
  return solve(problem.build(graph, rows), {.tolerance = 1e-10});
}

// 80 rows of 12 columns, of which the labels know two: y = 2·x₁ − x₂ + ε.
data::LabelledRows regression_rows() {
  data::RandomStream random(3, data::RandomPurpose::noise);
  data::LabelledRows rows;
  rows.rows = 80;
  rows.columns = 12;
  for (int64_t i = 0; i < rows.rows; ++i) {
    rows.places.push_back(i + 1);
    for (int64_t j = 0; j < rows.columns; ++j) rows.values.push_back(random.normal());
    const double* x = rows.values.data() + i * rows.columns;
    rows.labels.push_back(2 * x[1] - x[2] + 0.1 * random.normal());
  }
  return rows;
}

}  // namespace

TEST_CASE("linear: a path from C++ finds the columns that matter by cross-validation") {
  const data::LabelledRows rows = regression_rows();
  const LinearProblem problem{.loss = "squared", .penalty = parse_penalty("1*l1"), .bias = true};
  size_t calls = 0, last = 0;
  const RegularisationPath path = regularisation_path(problem, rows, {.count = 20, .folds = 4, .seed = 1},
                                                      {.tolerance = 1e-8}, [&](size_t done, size_t total) {
                                                        ++calls;
                                                        last = total - done;
                                                      });
  CHECK(calls == 100);
  CHECK(last == 0);
  REQUIRE(path.points.size() == 20);
  CHECK(path.score == "mean-squared-error");
  CHECK(path.points[0].solution.nonzeros <= 1);
  CHECK(path.one_standard_error <= path.best);
  const PathPoint& chosen = path.points[path.one_standard_error];
  CHECK(chosen.solution.converged);
  CHECK(chosen.score < 0.05);
  const Tensor& w = chosen.solution.store.get("w");
  CHECK(std::abs(w.at(1) - 2) < 0.1);
  CHECK(std::abs(w.at(2) + 1) < 0.1);
  CHECK(path.points.back().lambda == doctest::Approx(path.largest_lambda * 1e-3));
}

TEST_CASE("linear: groups are as large as all of their columns, with those left out") {
  LinearProblem problem{.loss = "squared", .penalty = parse_penalty("0.5*group")};
  problem.groups = {1, 1, 1, 1, 2, 2, 2, 2, 2, 2};
  data::LabelledRows rows = sparse_rows();
  const double whole = solution_of(problem, rows).objective;
  // ½((w − 1)² + (1 − w)² + (2w − 1)²) + 0.5·2·|w| is least at w = ½, and ½(v + 1)² + 0.5·√6·|v| at v = 0.
  CHECK(whole == doctest::Approx(1.25).epsilon(1e-8));
  data::keep_columns(rows, data::used_columns(rows));
  CHECK(solution_of(problem, rows).objective == doctest::Approx(whole).epsilon(1e-8));
  CHECK(regularisation_path(problem, rows, {.count = 2}, {}, [](size_t, size_t) {}).largest_lambda ==
        doctest::Approx(4).epsilon(1e-6));
}

TEST_CASE("linear: columns that no term tells apart may be left out or moved") {
  const auto of = [](const char* text) { return LinearProblem{.penalty = parse_penalty(text)}; };
  for (const char* text : {"l1 + 0.5*l2 + group", "abs_penalty", "within:low=-1:high=0"}) {
    CAPTURE(text);
    CHECK(of(text).ignores_zeros());
    CHECK(of(text).ignores_order());
  }
  // A weight of 0 is none of these.
  CHECK_FALSE(of("l1 + within:low=0.5:high=1").ignores_zeros());
  CHECK(of("l1 + within:low=0.5:high=1").ignores_order());
  for (const char* text : {"absolute_differences:axis=0", "l1 + norm2"}) {
    CAPTURE(text);
    CHECK_FALSE(of(text).ignores_zeros());
    CHECK_FALSE(of(text).ignores_order());
  }
}

TEST_CASE("linear: groups of columns that lie apart, in the order as written") {
  const data::LabelledRows rows = regression_rows();
  LinearProblem problem{.loss = "squared", .penalty = parse_penalty("20*group")};
  problem.groups = {2, 1, 2, 1, 3, 3, 1, 2, 2, 3, 1, 2};
  data::LabelledRows sorted = rows;
  data::sort_columns(sorted, problem.groups);
  CHECK(solution_of(problem, rows).objective ==
        doctest::Approx(solution_of(problem, sorted).objective).epsilon(1e-9));
  // Groups of one column each change nothing that neighbours are to one another.
  problem.groups = {4, 1, 3, 2, 12, 11, 5, 6, 10, 9, 7, 8};
  problem.penalty = parse_penalty("2*group + 3*absolute_differences:axis=0");
  const LinearProblem plain{.loss = "squared",
                            .penalty = parse_penalty("2*l1 + 3*absolute_differences:axis=0")};
  CHECK(solution_of(problem, rows).objective ==
        doctest::Approx(solution_of(plain, rows).objective).epsilon(1e-9));
}

TEST_CASE("linear: signs of numbers in a penalty are no ends of its terms") {
  const std::vector<PenaltySpec> terms = parse_penalty("1e+1*within:low=0:high=1e+3+2*l1 + l2");
  REQUIRE(terms.size() == 3);
  CHECK(terms[0].coefficient == 10);
  CHECK(terms[0].attributes == std::vector<std::string>{"low=0", "high=1e+3"});
  CHECK(terms[1].name == "l1");
  CHECK(terms[1].coefficient == 2);
  CHECK(terms[2].name == "l2");
}

TEST_CASE("linear: rows of one class have a best bias where the loss has a least value") {
  data::LabelledRows rows = sparse_rows();
  rows.labels = {1, 1, 1, 1};
  LinearProblem problem{.loss = "hinge-squared", .penalty = parse_penalty("l1"), .bias = true};
  problem.check_classes(rows, "every row");
  const Solution found = solution_of(problem, rows);
  CHECK(found.converged);
  CHECK(found.objective == doctest::Approx(0));
  const auto message = [&] {
    return message_of<UserError>([&] { problem.check_classes(rows, "every row"); });
  };
  const auto expected = [](const char* which, const char* label) {
    return std::string("rows: ") + which + " is of the class " + label +
           ", so the loss falls for ever as the bias grows, and no solution is best; leave the bias out, or "
           "give rows of both classes";
  };
  problem.loss = "logistic";
  CHECK(message() == expected("every row", "1"));
  rows.labels = {1, -1, 1, -1};
  problem.check_classes(rows, "every row");
  rows.weights = {0, 2, 0, 1};
  problem.classes = {3, 7};
  CHECK(message() == expected("every row whose weight is not 0", "3"));
}

TEST_CASE("linear: a path whose weights are zero at any λ says why") {
  const auto message = [](const LinearProblem& problem, const data::LabelledRows& rows) {
    return message_of<UserError>([&] { regularisation_path(problem, rows, {}, {}, [](size_t, size_t) {}); });
  };
  data::LabelledRows rows = sparse_rows();
  LinearProblem problem{.loss = "squared", .penalty = parse_penalty("l1"), .bias = true};
  problem.factors.assign(10, 0);
  CHECK(message(problem, rows) ==
        "the penalty factor of every column with entries is 0, so no weight is penalised and there is no "
        "path; give a factor above 0 to one");
  problem.factors.clear();
  rows.weights = {1, 0, 2, 0};
  CHECK(message(problem, rows) ==
        "every row whose weight is not 0 has the label 1, which the bias alone "
        "fits, so every weight is zero at any λ");
  rows.weights.clear();
  rows.labels = {0, 0, 0, 0};
  problem.bias = false;
  CHECK(message(problem, rows) ==
        "every row has the label 0, which a prediction of 0 fits, so every weight is zero at any λ");
  rows.labels = {1, -1, 1, -1};
  rows.values = {0, 0, 0, 0};
  CHECK(message(problem, rows) ==
        "no column has anything to do with the labels, so every weight is zero at any λ");
  // The first column alone takes the labels up.
  rows.values = {1, -1, 1, 0};
  rows.labels = {1, -1, 1, 0};
  problem.factors = {0, 1, 1, 1, 1, 1, 1, 1, 1, 1};
  CHECK(message(problem, rows) ==
        "the columns whose penalty factor is 0 leave nothing to the others, so every other weight is zero at "
        "any λ");
}

TEST_CASE("linear: what a path cannot be made of is refused") {
  const data::LabelledRows rows = regression_rows();
  const auto message = [&](const LinearProblem& problem, const PathOptions& options) {
    return message_of<UserError>(
        [&] { regularisation_path(problem, rows, options, {}, [](size_t, size_t) {}); });
  };
  const LinearProblem lasso{.loss = "squared", .penalty = parse_penalty("l1")};
  CHECK(message(lasso, {.folds = 81}) == "folds = 81: there are only 80 rows");
  CHECK(message(lasso, {.score = "accuracy"}) ==
        "score = accuracy: the loss squared is scored by mean-squared-error or mean-absolute-error");
  CHECK(message({.loss = "squared", .penalty = parse_penalty("l2")}, {}) ==
        "a path needs a penalty that makes weights zero; add l1 to it");
  CHECK(message_of<UserError>([] {
          parse_penalty("1*l3");
        }).starts_with("there is no penalty 'l3'. Did you mean"));
}

}  // namespace lariat::linear_test
