// Loss spellings and what the rewrite must make of them: each row is a loss over one parameter w [4, 3] (and
// others where named), and the report that is expected, term by term.
#include <algorithm>
#include <functional>

#include "autodiff/trainer.hpp"
#include "graph/error.hpp"
#include "ops/ops.hpp"
#include "tests/testing.hpp"

using namespace lariat;

namespace {

struct Setting {
  Graph g;
  Value w = g.parameter("w", {4, 3}), v = g.parameter("v", {4, 3});
  Value scale = g.parameter("scale", {}, init::constant(0.1));
  Value x = g.input("x", {dim::batch, 4}), lambda = g.input("lambda", {});
  /// A data loss that depends on w and v.
  Value data = mean(square(matmul(x, w + v)));
};

struct Row {
  std::string name;
  std::function<Value(Setting&)> loss;
  /// "w 0.01" per rewritten term (weighted: "w *"), or the code of a refusal.
  std::vector<std::string> expected;
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

Tensor ramp(Extents extents, double first = 1) {
  Tensor result(f32, extents);
  for (int64_t i = 0; i < result.count(); ++i)
    result.data<float>()[i] = static_cast<float>(first + static_cast<double>(i));
  return result;
}

const std::vector<Row>& rows() {
  using S = Setting;
  static const std::vector<Row> table{
      {"textbook", [](S& s) { return s.data + 0.01 * sum(abs(s.w)); }, {"w 0.01"}},
      {"penalty first", [](S& s) { return 0.01 * sum(abs(s.w)) + s.data; }, {"w 0.01"}},
      {"coefficient inside", [](S& s) { return s.data + sum(0.01 * abs(s.w)); }, {"w 0.01"}},
      {"coefficient inside abs", [](S& s) { return s.data + sum(abs(0.01 * s.w)); }, {"w 0.01"}},
      {"negative inside abs", [](S& s) { return s.data + sum(abs(-0.01 * s.w)); }, {"w 0.01"}},
      {"both", [](S& s) { return s.data + 0.1 * sum(abs(0.1 * s.w)); }, {"w 0.01"}},
      {"divided", [](S& s) { return s.data + sum(abs(s.w)) / 100; }, {"w 0.01"}},
      {"mean", [](S& s) { return s.data + 0.12 * mean(abs(s.w)); }, {"w 0.01"}},
      {"half the loss", [](S& s) { return 0.5 * (s.data + 0.02 * sum(abs(s.w))); }, {"w 0.01"}},
      {"subtracted negative", [](S& s) { return s.data - (-0.01) * sum(abs(s.w)); }, {"w 0.01"}},
      {"negated twice", [](S& s) { return -(-s.data - 0.01 * sum(abs(s.w))); }, {"w 0.01"}},
      {"twice the same",
       [](S& s) { return s.data + 0.01 * sum(abs(s.w)) + 0.02 * sum(abs(s.w)); },
       {"w 0.01", "w 0.02"}},
      {"abs_penalty", [](S& s) { return s.data + 0.01 * abs_penalty(s.w); }, {"w 0.01"}},
      {"norm1", [](S& s) { return s.data + 0.01 * norm1(s.w); }, {"w 0.01"}},
      {"sum by rows", [](S& s) { return s.data + 0.01 * sum(sum(abs(s.w), {1})); }, {"w 0.01"}},
      {"under a batch mean",
       [](S& s) { return mean(sum(square(matmul(s.x, s.w)), {1}) + 0.01 * sum(abs(s.w))); },
       {"w *"}},
      {"product with ones",
       [](S& s) {
         return s.data + 0.01 * sum(matmul(abs(s.w), s.g.constant(Tensor::filled(f32, {3, 1}, 1))));
       },
       {"w 0.01"}},
      {"max(w, -w)", [](S& s) { return s.data + 0.01 * sum(maximum(s.w, -s.w)); }, {"w 0.01"}},
      {"relu + relu", [](S& s) { return s.data + 0.01 * sum(relu(s.w) + relu(-s.w)); }, {"w 0.01"}},
      {"where", [](S& s) { return s.data + 0.01 * sum(where(greater(s.w, 0), s.w, -s.w)); }, {"w 0.01"}},
      {"sqrt of square", [](S& s) { return s.data + 0.01 * sum(sqrt(square(s.w))); }, {"w 0.01"}},
      {"sqrt of w*w", [](S& s) { return s.data + 0.01 * sum(sqrt(s.w * s.w)); }, {"w 0.01"}},
      {"w sign(w)", [](S& s) { return s.data + 0.01 * sum(s.w * sign(s.w)); }, {"w 0.01"}},
      {"minus min(w, -w)", [](S& s) { return s.data - 0.01 * sum(minimum(s.w, -s.w)); }, {"w 0.01"}},
      {"abs of abs", [](S& s) { return s.data + 0.01 * sum(abs(abs(s.w))); }, {"w 0.01"}},
      {"reshaped", [](S& s) { return s.data + 0.01 * sum(abs(reshape(s.w, {12}))); }, {"w 0.01"}},
      {"transposed", [](S& s) { return s.data + 0.01 * sum(abs(transpose(s.w))); }, {"w 0.01"}},
      {"transposed, scaled, reshaped",
       [](S& s) { return s.data + sum(abs(reshape(0.01 * transpose(s.w), {12}))); },
       {"w 0.01"}},
      {"slice of w", [](S& s) { return s.data + 0.01 * sum(abs(slice(s.w, 0, 0, 2))); }, {"w *"}},
      {"slice of abs", [](S& s) { return s.data + 0.01 * sum(slice(abs(s.w), 0, 0, 2)); }, {"w *"}},
      {"overlapping slices",
       [](S& s) { return s.data + 0.01 * (sum(abs(slice(s.w, 0, 0, 3))) + sum(abs(slice(s.w, 0, 2, 4)))); },
       {"w *", "w *"}},
      {"two slices that cover all",
       [](S& s) {
         return s.data + 0.01 * sum(abs(concat({slice(s.w, 0, 0, 2), slice(s.w, 0, 2, 4)}, 0)));
       },
       {"w 0.01"}},
      {"concat of two parameters",
       [](S& s) {
         return s.data + 0.01 * sum(abs(concat({s.w, s.v}, 0)));
       },
       {"v 0.01", "w 0.01"}},
      {"mean over a concat",
       [](S& s) {
         return s.data + 0.24 * mean(abs(concat({s.w, s.v}, 0)));
       },
       {"v 0.01", "w 0.01"}},
      {"two parameters",
       [](S& s) { return s.data + 0.01 * sum(abs(s.w)) + 0.02 * sum(abs(s.v)); },
       {"v 0.02", "w 0.01"}},
      {"weighted inside",
       [](S& s) {
         return s.data + sum(abs(s.g.constant(ramp({4, 3})) * s.w));
       },
       {"w *"}},
      {"weighted outside",
       [](S& s) {
         return s.data + sum(s.g.constant(ramp({4, 3})) * abs(s.w));
       },
       {"w *"}},
      {"weighted by column", [](S& s) { return s.data + sum(s.g.constant(ramp({3})) * abs(s.w)); }, {"w *"}},
      {"broadcast first",
       [](S& s) {
         return s.data + 0.005 * sum(abs(broadcast_to(s.w, {2, 4, 3})));
       },
       {"w 0.01"}},
      {"zero coefficient", [](S& s) { return s.data + 0.0 * sum(abs(s.w)); }, {"w 0"}},
      {"fed coefficient", [](S& s) { return s.data + s.lambda * sum(abs(s.w)); }, {"w *"}},
      {"detached trained coefficient",
       [](S& s) { return s.data + stop_gradient(s.scale) * sum(abs(s.w)); },
       {"w *"}},
      {"re-weighted by itself, detached",
       [](S& s) { return s.data + sum(abs(s.w) / (abs(stop_gradient(s.w)) + 0.1)); },
       {"w *"}},
      {"re-weighted by itself, one node",
       [](S& s) {
         const Value size = abs(s.w);
         return s.data + 0.1 * sum(size / (stop_gradient(size) + 0.1));
       },
       {"w *"}},
      {"re-weighted by itself, detached after abs",
       [](S& s) { return s.data + 0.1 * sum(abs(s.w) / (stop_gradient(abs(s.w)) + 0.1)); },
       {"w *"}},
      {"once per example",
       [](S& s) { return sum(square(matmul(s.x, s.w)) + 0.01 * sum(abs(s.w))); },
       {"w *"}},
      {"shifted", [](S& s) { return s.data + 0.01 * sum(abs(s.w - 1)); }, {"w 0.01"}},
      {"elastic net",
       [](S& s) { return s.data + 0.01 * sum(abs(s.w)) + 0.02 * sum(square(s.w)); },
       {"w 0.01", "w 0.02"}},
      {"elastic net, w*w",
       [](S& s) { return s.data + 0.01 * sum(abs(s.w)) + 0.01 * sum(s.w * s.w); },
       {"w 0.01", "w 0.01"}},
      {"elastic net, scaled square",
       [](S& s) { return s.data + 0.01 * sum(abs(s.w)) + sum(square(2 * s.w)); },
       {"w 0.01", "w 4"}},
      {"square alone stays a gradient", [](S& s) { return s.data + 0.02 * sum(square(s.w)); }, {}},
      {"no penalty", [](S& s) { return s.data; }, {}},
      {"abs of the data loss's activations only",
       [](S& s) { return mean(square(abs(matmul(s.x, s.w)))); },
       {}},

      {"data-dependent argument", [](S& s) { return s.data + 0.01 * sum(abs(matmul(s.x, s.w))); }, {"L101"}},
      {"absolute error", [](S& s) { return mean(abs(matmul(s.x, s.w) - 1)); }, {"L101"}},
      {"data-dependent coefficient", [](S& s) { return s.data + mean(s.x) * sum(abs(s.w)); }, {"L101"}},
      {"product of parameters",
       [](S& s) { return s.data + 0.01 * sum(abs(matmul(s.w, transpose(s.v)))); },
       {"L102"}},
      {"sum of parameters", [](S& s) { return s.data + 0.01 * sum(abs(s.w + s.v)); }, {"L102"}},
      {"element product of parameters", [](S& s) { return s.data + 0.01 * sum(abs(s.w * s.v)); }, {"L102"}},
      {"abs of a sum", [](S& s) { return s.data + 0.01 * abs(sum(s.w)); }, {"L102"}},
      {"weight normalised",
       [](S& s) { return s.data + 0.01 * sum(abs(s.w / sqrt(sum(square(s.w))))); },
       {"L102"}},
      {"differences",
       [](S& s) { return s.data + 0.01 * sum(abs(slice(s.w, 0, 1, 4) - slice(s.w, 0, 0, 3))); },
       {"L102"}},
      {"trained coefficient", [](S& s) { return s.data + s.scale * sum(abs(s.w)); }, {"L103"}},
      {"coefficient from its own parameter", [](S& s) { return s.data + sum(s.w * abs(s.w)); }, {"L103"}},
      {"under log", [](S& s) { return s.data + log(1 + sum(abs(s.w))); }, {"L105"}},
      {"under sqrt", [](S& s) { return s.data + sqrt(sum(abs(s.w))); }, {"L105"}},
      {"under max", [](S& s) { return s.data + maximum(sum(abs(s.w)), 1); }, {"L105"}},
      {"squared", [](S& s) { return s.data + square(sum(abs(s.w))); }, {"L105"}},
      {"in a denominator", [](S& s) { return s.data / (1 + sum(abs(s.w))); }, {"L105"}},
      {"under stop_gradient",
       [](S& s) { return s.data + 0.01 * sum(abs(stop_gradient(s.w))) + 0 * sum(s.w); },
       {"L106"}},
      {"stop_gradient of the term",
       [](S& s) { return s.data + 0.01 * stop_gradient(sum(abs(s.w))); },
       {"L106"}},
  };
  return table;
}

}  // namespace

TEST_CASE("the table of loss spellings") {
  int rewritten = 0, refused = 0;
  for (const Row& row : rows()) {
    Setting setting;
    const Trainer trainer(row.loss(setting), Sgd{.learning_rate = 0.1}, {.threads = 1});
    CAPTURE(row.name);
    CAPTURE(trainer.report().text());
    const std::vector<std::string> found = outcome(trainer.report());
    CHECK_MESSAGE(found == row.expected, row.name);
    for (const std::string& outcome : row.expected) ++(outcome.starts_with("L") ? refused : rewritten);
  }
  CHECK(rewritten >= 40);
  CHECK(refused >= 15);
}

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
