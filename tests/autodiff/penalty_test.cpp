// What the rewrite of penalties says and does beyond the table of loss spellings.
#include <algorithm>
#include <functional>

#include "autodiff/training/trainer.hpp"
#include "graph/base/error.hpp"
#include "ops/ops.hpp"
#include "tests/support/testing.hpp"

namespace lariat::penalty_test {

namespace {

struct Setting {
  Graph g;
  Value w = g.parameter("w", {4, 3}), v = g.parameter("v", {4, 3});
  Value scale = g.parameter("scale", {}, init::constant(0.1));
  Value x = g.input("x", {dim::batch, 4}), lambda = g.input("lambda", {});
  /// A data loss that depends on w and v.
  Value data = mean(square(matmul(x, w + v)));
};

std::vector<std::string> outcome(const RewriteReport& report) {
  std::vector<std::string> result;
  for (const auto& entry : report.rewritten)
    for (const std::string& term : entry.terms)
      result.push_back(entry.parameter + " " +
                       (term.starts_with("weighted") ? "*" : term.substr(0, term.find(' '))));
  for (const Refusal& refusal : report.refused) result.push_back(refusal.code);
  std::sort(result.begin(), result.end());  // operands of + are evaluated in any order
  return result;
}

}  // namespace

TEST_CASE("a negative constant coefficient is an error") {
  Setting s;
  CHECK(testing::message_of<UserError>([&] { Trainer(s.data - 0.01 * sum(abs(s.w)), Sgd{}); }) ==
        "L104: the coefficient of |x| on 'w' is -0.01; a penalty needs a coefficient of 0 or more");
}

TEST_CASE("a parameter that is not trained keeps its term out") {
  Setting s;
  const Trainer trainer(s.data + 0.01 * sum(abs(concat({s.w, s.v}, 0))), Sgd{},
                        {.threads = 1, .parameters = {s.w}});
  CHECK(outcome(trainer.report()) == std::vector<std::string>{"L109"});
}

TEST_CASE("the report names parameter, term, operator, metric, and for refusals code, line and way out") {
  Setting s;
  const Value loss = s.data + 0.01 * sum(abs(s.w)) + 0.01 * sum(abs(s.v * s.w));
  const Trainer trainer(loss, Adam{}, {.threads = 1});
  const std::string text = trainer.report().text();
  CHECK(
      text.starts_with("w: 0.01 * |w| -> soft threshold, metric Adam: learning_rate / (√v̂ + ε)\nL102: abs "
                       "(penalty_test.cpp:"));
  CHECK(
      text.ends_with("keeps its subgradient: its argument mixes elements of parameters ('multiply'); "
                     "penalise each parameter element by element\n"));
  const Trainer curved(s.data + 0.01 * sum(abs(tanh(s.w))), Adam{}, {.threads = 1});
  CHECK(curved.report().text().ends_with(
      "keeps its subgradient: its argument is not linear in parameters ('tanh'); penalise the parameter "
      "itself\n"));
  CHECK(trainer.report().json().find("\"operator\":\"soft threshold\"") != std::string::npos);
}

TEST_CASE("slices threshold their own elements with the sum of what overlaps") {
  Graph g;
  const Value w = g.parameter("w", {4}, init::constant(1), f64);
  // Gradient 0; a step of 0.1 subtracts 0.1·λ per covering slice.
  Trainer trainer(0 * sum(w) + sum(abs(slice(w, 0, 0, 3))) + sum(abs(slice(w, 0, 2, 4))),
                  Sgd{.learning_rate = 0.1}, {.threads = 1});
  trainer.step(Feeds{});
  const double expected[] = {0.9, 0.9, 0.8, 0.9};
  for (int64_t i = 0; i < 4; ++i)
    CHECK(trainer.value(w).at(i) == doctest::Approx(expected[i]).epsilon(1e-15));
}

}  // namespace lariat::penalty_test
