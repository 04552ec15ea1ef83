// Losses, weights, offsets and factors of linear models beside values that scipy's minimisers found in double
// (poisson and multinomial also scikit-learn), and models as files.
#include <fmt/format.h>

#include <cmath>
#include <numeric>

#include "autodiff/training/trainer.hpp"
#include "frontends/data/numbers.hpp"
#include "frontends/linear/regularisation_path.hpp"
#include "frontends/linear/saved_linear.hpp"
#include "graph/base/error.hpp"
#include "graph/ir/graph.hpp"
#include "tests/support/files.hpp"
#include "tests/support/testing.hpp"

namespace lariat::linear_losses_test {

using namespace testing;

namespace {

data::LabelledRows eight_rows(std::vector<double> labels) {
  data::LabelledRows rows;
  rows.rows = 8;
  rows.columns = 3;
  rows.values = {0.5,   -1, 2,    1.5,  0.25, -1,   -0.75, 1, 0.5, 2,    -0.5, 1,
                 -1.25, -2, 0.75, 0.25, 1.5,  -0.5, 1,     1, 1,   -0.5, 0.75, -1.5};
  rows.labels = std::move(labels);
  rows.places.resize(8);
  std::iota(rows.places.begin(), rows.places.end(), int64_t{1});
  rows.file = "rows";
  return rows;
}

const std::vector<double> counts{2, 1, 0, 3, 1, 0, 2, 0}, numbers{1, 2.5, -4, 3, 0.5, 9, 1.5, -0.25};

Solution solved(const LinearProblem& problem, const data::LabelledRows& rows) {
  Graph graph;
  return solve(problem.build(graph, rows), {.tolerance = 1e-12});
}

void check_near(const Tensor& found, const std::vector<double>& expected, double within = 2e-7) {
  REQUIRE(found.count() == static_cast<int64_t>(expected.size()));
  for (int64_t i = 0; i < found.count(); ++i)
    CHECK(std::abs(found.at(i) - expected[static_cast<size_t>(i)]) < within);
}

}  // namespace

TEST_CASE("linear: poisson, certified") {
  const Solution found =
      solved({.loss = "poisson", .penalty = parse_penalty("0.5*l2"), .bias = true}, eight_rows(counts));
  CHECK(found.converged);
  CHECK(found.relative_gap < 1e-12);
  CHECK(found.objective == doctest::Approx(4.466174114158543).epsilon(1e-12));
  check_near(found.store.get("w"), {0.569185812, -0.298459104, 0.409274755});
  check_near(found.store.get("b"), {-0.554667889});
}

TEST_CASE("linear: huber, certified") {
  const Solution found =
      solved({.loss = "huber", .penalty = parse_penalty("0.25*l2"), .bias = true}, eight_rows(numbers));
  CHECK(found.converged);
  CHECK(found.relative_gap < 1e-12);
  CHECK(found.objective == doctest::Approx(11.52974833384885).epsilon(1e-12));
  check_near(found.store.get("w"), {1.16084878, -0.459635605, -0.249852326});
  // A wide δ is the squared loss.
  const Solution wide =
      solved({.loss = "huber", .penalty = parse_penalty("0.25*l1"), .delta = 1e3}, eight_rows(numbers));
  const Solution squared =
      solved({.loss = "squared", .penalty = parse_penalty("0.25*l1")}, eight_rows(numbers));
  CHECK(wide.objective == doctest::Approx(squared.objective).epsilon(1e-12));
}

TEST_CASE("linear: multinomial is stationary, and says that it is not certified") {
  const LinearProblem problem{
      .loss = "multinomial", .penalty = parse_penalty("0.5*l2"), .bias = true, .classes = {0, 1, 2}};
  const Solution found = solved(problem, eight_rows({0, 1, 2, 0, 0, 2, 1, 1}));
  CHECK(contains(found.certificate(), "not globally certified"));
  CHECK(found.objective == doctest::Approx(4.621780460114567).epsilon(1e-9));
  check_near(found.store.get("w"),
             {0.202059656, 0.287838505, -0.489898185, -0.922665528, 0.187056936, 0.735608603, 0.508903282,
              -0.527502502, 0.0185992567},
             1e-4);
}

TEST_CASE("linear: multinomial converges wherever its columns are and however large, beside a bias") {
  const std::vector<double> classes{0, 1, 2, 0, 0, 2, 1, 1};
  constexpr double scales[] = {1e3, 1, 1e-3}, means[] = {1e7, -1e4, 10};
  for (const char* penalty : {"0.5*l1", "0.01*l1", "0.001*l1"})
    for (const bool sparse : {false, true}) {
      CAPTURE(penalty);
      CAPTURE(sparse);
      LinearProblem problem{
          .loss = "multinomial", .penalty = parse_penalty(penalty), .bias = true, .classes = {0, 1, 2}};
      data::LabelledRows rows = eight_rows(classes);
      Graph plain, moved;
      const Solution expected = solve(problem.build(plain, rows));
      REQUIRE(expected.converged);
      for (size_t i = 0; i < rows.values.size(); ++i)
        rows.values[i] = means[i % 3] + scales[i % 3] * rows.values[i];
      if (sparse) {
        for (int64_t row = 0; row <= 8; ++row) rows.row_starts.push_back(static_cast<int32_t>(3 * row));
        for (int32_t entry = 0; entry < 24; ++entry) rows.entry_columns.push_back(entry % 3);
      }
      problem.factors = {scales[0], scales[1], scales[2]};
      const Solution found = solve(problem.build(moved, rows));
      CAPTURE(found.shortfall);
      CHECK(found.converged);
      CHECK(found.objective == doctest::Approx(expected.objective).epsilon(1e-7));
      for (int64_t i = 0; i < 9; ++i)
        CHECK(found.store.get("w").at(i) * scales[i / 3] ==
              doctest::Approx(expected.store.get("w").at(i)).epsilon(1e-3));
    }
}

TEST_CASE("linear: multinomial says where a bias cannot take the means up") {
  const LinearProblem problem{
      .loss = "multinomial", .penalty = parse_penalty("0.01*l1"), .bias = true, .classes = {0, 1, 2}};
  data::LabelledRows rows = eight_rows({0, 1, 2, 0, 0, 2, 1, 1});
  for (size_t i = 0; i < rows.values.size(); i += 3) rows.values[i] += 1e13;
  Graph graph;
  const Solution found = solve(problem.build(graph, rows));
  CHECK(!found.converged);
  CHECK(contains(found.shortfall, "the means of 1 columns are over 100000 times their standard deviations"));
}

TEST_CASE("linear: weights, offsets and factors of columns") {
  data::LabelledRows rows = eight_rows(numbers);
  rows.weights = {1, 2, 1, 0.5, 1, 3, 1, 2};
  rows.offsets = {0.1, -0.2, 0, 0.3, 0, 0.1, -0.1, 0.2};
  LinearProblem problem{.loss = "squared", .penalty = parse_penalty("0.5*l2"), .bias = true};
  problem.factors = {0, 1, 4};
  const Solution found = solved(problem, rows);
  CHECK(found.relative_gap < 1e-12);
  CHECK(found.objective == doctest::Approx(71.37001264844656).epsilon(1e-12));
  check_near(found.store.get("w"), {1.19012544, 1.41501852, -0.0411044987});
  // Of a mean the penalty is relative to Σ weights, 11.5.
  LinearProblem mean = problem;
  mean.mean = true;
  mean.penalty = parse_penalty(fmt::format("{}*l2", 0.5 / 11.5));
  check_near(solved(mean, rows).store.get("w"), {1.19012544, 1.41501852, -0.0411044987});
  problem.penalty = parse_penalty("0.5*norm2");
  CHECK(message_of<UserError>([&] { solved(problem, rows); }) ==
        "penalty factors go with l1 and l2, whose terms are of single weights, not with norm2");
}

TEST_CASE("linear: columns in groups are zero as a whole, wherever they lie") {
  // Beside proximal gradient steps in double, to 1e-17, on 0.5·Σ(z − y)² + λ(√2‖(w₀, w₂)‖ + |w₁|).
  const std::vector<std::pair<double, std::vector<double>>> expected{
      {1.5, {1.175806777196019, 0.04662371141396334, -0.5724352514808598}},
      {3, {0.9602888947440134, 0, -0.4746470287789539}},
      {8, {0.1990075431017184, 0, -0.0928699271992345}}};
  for (const bool sparse : {false, true})
    for (const auto& [lambda, weights] : expected) {
      data::LabelledRows rows = eight_rows(numbers);
      if (sparse) {
        for (int64_t row = 0; row <= 8; ++row) rows.row_starts.push_back(static_cast<int32_t>(3 * row));
        for (int32_t entry = 0; entry < 24; ++entry) rows.entry_columns.push_back(entry % 3);
      }
      LinearProblem problem{
          .loss = "squared", .penalty = parse_penalty(fmt::format("{}*group", lambda)), .bias = true};
      problem.groups = {7, 8, 7};
      data::sort_columns(rows, problem.groups);
      CHECK(rows.column_numbers == std::vector<int64_t>{0, 2, 1});
      const Solution found = solved(problem, rows);
      check_near(problem.with_all_columns(found.store, rows).get("w"), weights, 1e-6);
      if (lambda > 2) CHECK(problem.with_all_columns(found.store, rows).get("w").at(1) == 0);
    }
  // Each column of several classes is a group, or of one number, where it is |w|.
  const LinearProblem alone{.loss = "squared", .penalty = parse_penalty("0.7*group")};
  const LinearProblem l1{.loss = "squared", .penalty = parse_penalty("0.7*l1")};
  CHECK(solved(alone, eight_rows(numbers)).objective ==
        doctest::Approx(solved(l1, eight_rows(numbers)).objective).epsilon(1e-10));
  data::LabelledRows three = eight_rows({0, 1, 2, 0, 1, 2, 0, 1});
  const LinearProblem classes{
      .loss = "multinomial", .penalty = parse_penalty("1.2*group"), .bias = true, .classes = {0, 1, 2}};
  const Tensor w = solved(classes, three).store.get("w");
  for (int64_t column = 0; column < 3; ++column) {
    int zeros = 0;
    for (int64_t k = 0; k < 3; ++k) zeros += w.at(3 * column + k) == 0;
    CHECK((zeros == 0 || zeros == 3));
  }
}

TEST_CASE("linear: a path over groups begins where all are zero") {
  data::LabelledRows rows = eight_rows(numbers);
  LinearProblem problem{.loss = "squared", .penalty = parse_penalty("1*group"), .bias = true};
  problem.groups = {0, 1, 0};
  data::sort_columns(rows, problem.groups);
  const RegularisationPath path = regularisation_path(problem, rows, {.count = 4, .ratio = 0.1},
                                                      {.tolerance = 1e-9}, [](size_t, size_t) {});
  CHECK(sparsity(path.points.front().solution.store.get("w")).zeros == 3);
  CHECK(sparsity(path.points.back().solution.store.get("w")).zeros < 3);
  CHECK(path.largest_lambda > 8);
}

TEST_CASE("linear: standardised columns and the mean loss are scikit-learn's lasso") {
  data::LabelledRows rows = eight_rows(numbers);
  data::standardize(rows);
  const LinearProblem problem{
      .loss = "squared", .penalty = parse_penalty("0.3*l1"), .bias = true, .mean = true};
  const Solution found = solved(problem, rows);
  CHECK(found.objective == doctest::Approx(5.151536383803986).epsilon(1e-10));
  check_near(problem.with_all_columns(found.store, rows).get("w"),
             {1.0876081730452687, 0.025808979264660543, -0.39671452996472245}, 1e-6);
  // Sparse rows have the same deviations.
  data::LabelledRows sparse = eight_rows(numbers);
  sparse.values[0] = sparse.values[4] = 0;
  data::LabelledRows dense = sparse;
  std::vector<double> values;
  sparse.row_starts.push_back(0);
  for (int64_t row = 0; row < 8; ++row) {
    for (int64_t j = 0; j < 3; ++j)
      if (const double value = dense.values[static_cast<size_t>(3 * row + j)]; value != 0) {
        values.push_back(value);
        sparse.entry_columns.push_back(static_cast<int32_t>(j));
      }
    sparse.row_starts.push_back(static_cast<int32_t>(values.size()));
  }
  sparse.values = values;
  data::standardize(sparse);
  data::standardize(dense);
  for (size_t j = 0; j < 3; ++j) CHECK(sparse.scales[j] == doctest::Approx(dense.scales[j]).epsilon(1e-14));
}

TEST_CASE("linear: bounds by an op that is one") {
  const Solution found = solved({.loss = "squared", .penalty = parse_penalty("0.1*l2 + within:low=0:high=1")},
                                eight_rows(numbers));
  for (int64_t j = 0; j < 3; ++j) {
    CHECK(found.store.get("w").at(j) >= 0);
    CHECK(found.store.get("w").at(j) <= 1);
  }
  CHECK(found.stationarity < 1e-6);
}

TEST_CASE("linear: scores by hand") {
  data::LabelledRows rows;
  rows.rows = 4;
  rows.columns = 1;
  rows.values = {-2, -1, 1, 3};
  rows.labels = {-1, 1, -1, 1};
  rows.weights = {1, 1, 2, 1};
  Store w;
  w.set("w", Tensor::of(Extents{1}, std::span<const double>(std::vector<double>{1})));
  const auto score = [&](const LinearProblem& problem, const char* name) {
    LinearPredictor predict(problem, rows);
    for (const LinearScore& known : linear_scores(problem))
      if (known.name == name) return known.of(problem, predict(w), rows);
    FAIL(name);
    return 0.0;
  };
  // Right are the first and the last one; of five.
  CHECK(score({}, "accuracy") == doctest::Approx(2.0 / 5));
  // Pairs of a positive and a negative one: 3 is above -2 and 1, -1 above -2; weights 1, 2, 1 of 1·3 + 1·3.
  CHECK(score({}, "auc") == doctest::Approx(4.0 / 6));
  const auto logistic = [](double m) { return 2 * std::log1p(std::exp(-m)); };
  CHECK(score({}, "deviance") ==
        doctest::Approx((logistic(2) + logistic(-1) + 2 * logistic(-1) + logistic(3)) / 5));
  rows.labels = {0, 1, 2, 4};
  const LinearProblem poisson{.loss = "poisson"};
  const auto deviance = [](double z, double y) {
    return 2 * ((y > 0 ? y * std::log(y / std::exp(z)) : 0) - (y - std::exp(z)));
  };
  CHECK(score(poisson, "deviance") ==
        doctest::Approx((deviance(-2, 0) + deviance(-1, 1) + 2 * deviance(1, 2) + deviance(3, 4)) / 5));
  CHECK(score({.loss = "squared"}, "mean-squared-error") == doctest::Approx((4 + 4 + 2 * 1 + 1) / 5.0));
  CHECK(score({.loss = "huber"}, "mean-absolute-error") == doctest::Approx((2 + 2 + 2 * 1 + 1) / 5.0));
}

TEST_CASE("linear: folds of classes are stratified") {
  data::LabelledRows rows;
  rows.rows = 30;
  rows.columns = 1;
  for (int64_t i = 0; i < 30; ++i) {
    rows.values.push_back(i % 3 == 0 ? 1 : -1 + 0.1 * static_cast<double>(i));
    rows.labels.push_back(i < 4 ? 1 : -1);
    rows.places.push_back(i + 1);
  }
  const auto path = [&](int64_t folds) {
    return regularisation_path({.penalty = parse_penalty("l1"), .bias = true}, rows,
                               {.count = 3, .folds = folds}, {}, [](size_t, size_t) {});
  };
  // Without strata a fold may well have none of the four.
  CHECK(path(4).points.size() == 3);
  CHECK(message_of<UserError>([&] { path(5); }) ==
        "folds = 5: the class '1' has only 4 examples; take at most 4 folds, or give it more");
}

TEST_CASE("linear: a model is saved and loaded as it was") {
  const TemporaryFolder folder;
  const std::string file = folder / "m";
  data::LabelledRows rows = eight_rows({4, 7, 9, 4, 4, 9, 7, 7});
  LinearProblem problem{.loss = "multinomial", .penalty = parse_penalty("0.1*l1 + 0.5*l2"), .bias = true};
  read_labels(rows, problem, {});
  CHECK(problem.classes == std::vector<double>{4, 7, 9});
  const Solution found = solved(problem, rows);
  SavedLinear(problem, found.store).save(file, {{"certificate", "none"}});
  const Store store = Store::load(file);
  REQUIRE(SavedLinear::is_one(store));
  const SavedLinear loaded = SavedLinear::of(store, file);
  CHECK(loaded.problem().title() == problem.title());
  CHECK(loaded.problem().classes == problem.classes);
  CHECK(loaded.columns() == 3);
  CHECK(loaded.notes().at("certificate") == "none");
  CHECK(loaded.predict(rows) == LinearPredictor(problem, rows)(found.store));
  CHECK(loaded.evaluate(rows).front().first == "deviance");
  write_file(folder / "rows", "4 1:0.5 2:-1 3:2\n9 3:1\n");
  CHECK(loaded.read(folder / "rows", "", true).labels == std::vector<double>{0, 2});
  write_file(folder / "other", "5 1:0.5\n");
  CHECK(message_of<UserError>([&] { loaded.read(folder / "other", "", true); }) ==
        (folder / "other") + ": line 1: the label is 5, which is none of the classes 4, 7, 9");
  CHECK(loaded.read(folder / "other", "", false).rows == 1);
  write_file(folder / "wide", "4 4:1\n");
  CHECK(message_of<UserError>([&] { loaded.read(folder / "wide", "", true); }) ==
        (folder / "wide") +
            ": has 4 columns, but the model was fitted to 3; give rows with the same columns");
  Store changed = store;
  changed.metadata()["problem"] = "{}";
  CHECK(contains(message_of<UserError>([&] { SavedLinear::of(changed, "m"); }), "'m' is damaged"));
}

TEST_CASE("linear: labels that a loss does not take, and files of numbers") {
  const auto message = [](const char* loss, std::vector<double> labels) {
    return message_of<UserError>([&] {
      data::LabelledRows rows = eight_rows(std::move(labels));
      LinearProblem problem{.loss = loss};
      read_labels(rows, problem, {});
    });
  };
  CHECK(message("poisson", {1, 2, -1, 0, 0, 0, 0, 0}) ==
        "rows: line 3: the label is -1, but the loss poisson takes counts, from 0");
  CHECK(message("multinomial", {1, 1, 1, 1, 1, 1, 1, 1}) ==
        "rows: has 1 different labels; the loss multinomial takes 2 to 1000 classes");
  const TemporaryFolder folder;
  const std::string file = folder / "n";
  write_file(file, " 1\n-2.5\r\n\n1e3\n");
  CHECK(data::read_numbers(file) == std::vector<double>{1, -2.5, 1000});
  write_file(file, "1\nx\n");
  CHECK(message_of<UserError>([&] { data::read_numbers(file); }) ==
        file + ": line 2: 'x' is no finite number; write one a line");
}

}  // namespace lariat::linear_losses_test
