// Linear models from C++: a problem, its path and the choice by rows left out.
#include <cmath>

#include "frontends/data/random.hpp"
#include "frontends/linear/regularisation_path.hpp"
#include "graph/base/error.hpp"
#include "tests/support/testing.hpp"

namespace lariat::linear_test {

using namespace testing;

namespace {

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
