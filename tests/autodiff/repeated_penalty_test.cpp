// Penalties of parameters that are repeated over the batch: the coefficient is the exact one for every size
// of the batch, or the term is refused by a code. Nothing throws.
#include <functional>

#include "autodiff/training/trainer.hpp"
#include "graph/base/error.hpp"
#include "ops/ops.hpp"
#include "tests/support/testing.hpp"

namespace lariat::repeated_penalty_test {

namespace {

Value row(Value w) { return reshape(w, {1, 3}); }
Value repeated(Value w) { return broadcast_to(row(w), {dim::batch, 3}); }
Tensor three(double a, double b, double c) { return Tensor::of<double>({3}, {a, b, c}); }

struct Case {
  std::string name;
  std::function<Value(Value w, Value x)> penalty;
  // What a step of 1 takes from weights of 0.8 in a batch of that size.
  std::function<double(int64_t batch)> pull;
  std::string code;  // "": rewritten
};

const std::vector<Case>& cases() {
  const auto always = [](double value) { return [value](int64_t) { return value; }; };
  const auto by_batch = [](double value) {
    return [value](int64_t batch) { return value * static_cast<double>(batch); };
  };
  static const std::vector<Case> table{
      {"factor inside, mean of sums", [](Value w, Value) { return mean(sum(abs(repeated(w)) * 0.1, {1})); },
       always(0.1), ""},
      {"factor outside", [](Value w, Value) { return 0.1 * mean(sum(abs(repeated(w)), {1})); }, always(0.1),
       ""},
      {"factor in the argument", [](Value w, Value) { return mean(sum(abs(0.1 * repeated(w)), {1})); },
       always(0.1), ""},
      {"squares, factor inside",
       [](Value w, Value) { return mean(sum(square(repeated(w)) * 0.1, {1})) + 0.1 * sum(abs(w)); },
       always(0.26), ""},
      {"sum of all", [](Value w, Value) { return sum(abs(repeated(w)) * 0.1); }, by_batch(0.1), ""},
      {"sum over the batch, then the rest",
       [](Value w, Value) { return sum(sum(0.1 * abs(repeated(w)), {0})); }, by_batch(0.1), ""},
      {"mean over the batch, then a sum",
       [](Value w, Value) { return sum(mean(0.1 * abs(repeated(w)), {0})); }, always(0.1), ""},
      {"mean of all", [](Value w, Value) { return 0.3 * mean(abs(repeated(w))); }, always(0.1), ""},
      {"shifted before", [](Value w, Value) { return 0.3 * mean(abs(repeated(w - 1))); }, always(-0.1), ""},
      {"shifted after", [](Value w, Value) { return 0.3 * mean(abs(repeated(w) - 1)); }, always(-0.1),
       "L102"},
      {"broadcast by a product", [](Value w, Value x) { return 0.1 * mean(sum(abs(ones_like(x) * w), {1})); },
       always(0.1), ""},
      {"broadcast by an addition",
       [](Value w, Value x) { return 0.1 * mean(sum(abs(zeros_like(x) + w), {1})); }, always(0.1), "L102"},
      {"a product with ones",
       [](Value w, Value x) {
         return 0.1 * mean(sum(abs(matmul(ones_like(slice(x, 1, 0, 1)), row(w))), {1}));
       },
       always(0.1), "L102"},
      {"concat along the batch",
       [](Value w, Value) {
         return 0.1 * mean(sum(abs(concat({repeated(w), repeated(w)}, 0)), {1}));
       },
       always(0.1), ""},
      {"concat of columns",
       [](Value w, Value) {
         return mean(sum(abs(concat({repeated(w), repeated(w)}, 1)) * 0.05, {1}));
       },
       always(0.1), ""},
      {"transposed", [](Value w, Value) { return mean(sum(abs(transpose(repeated(w))) * 0.1, {0})); },
       always(0.1), ""},
      {"reshaped", [](Value w, Value) { return 0.3 * mean(abs(reshape(repeated(w), {dim::batch * 3}))); },
       always(0.1), ""},
      {"two new dimensions",
       [](Value w, Value) {
         return mean(sum(abs(broadcast_to(reshape(w, {1, 1, 3}), {dim::batch, 4, 3})) * 0.1, {2}));
       },
       always(0.1), ""},
      {"on every example's loss", [](Value w, Value x) { return mean(sum(0 * x, {1}) + 0.1 * sum(abs(w))); },
       always(0.1), ""},
      {"on every example's loss, summed",
       [](Value w, Value x) { return sum(sum(0 * x, {1}) + 0.1 * sum(abs(w))); }, by_batch(0.1), ""},
      {"one-sided", [](Value w, Value) { return mean(sum(relu(repeated(w)) * 0.1, {1})); }, always(0.1), ""},
      {"group norms of rows", [](Value w, Value) { return 0.1 * mean(norm2(repeated(w), {1})); },
       always(0.1 / std::sqrt(3)), "L108"},
      {"largest of rows", [](Value w, Value) { return 0.3 * mean(norm_inf(repeated(w), {1})); }, always(0.1),
       "L108"},
      {"log-sum", [](Value w, Value) { return mean(sum(log_sum(repeated(w), 0.2) * 0.1, {1})); }, always(0.1),
       "L108"},
      {"nuclear norm", [](Value w, Value) { return 0.1 * nuclear_norm(repeated(w)); },
       [](int64_t batch) { return 0.1 * std::sqrt(static_cast<double>(batch) / 3); }, "L108"},
      {"weights that data give",
       [](Value w, Value x) { return mean(sum((x + 0.1) * abs(repeated(w)), {1})); }, always(0.1), "L101"},
  };
  return table;
}

}  // namespace

TEST_CASE("repeated penalties: every size of the batch has its exact coefficient") {
  for (const Case& c : cases())
    for (const bool rewrite : {true, false}) {
      CAPTURE(c.name);
      CAPTURE(rewrite);
      Graph graph;
      const Value w = graph.parameter("w", {3}, init::constant(0.8), f64),
                  x = graph.input("x", {dim::batch, 3}, f64);
      TrainerOptions options{.threads = 1};
      options.rewrite = rewrite;
      constexpr double step = 0.001;
      Trainer trainer(mean(square(matmul(x, reshape(w, {3, 1})))) + c.penalty(w, x),
                      Sgd{.learning_rate = step}, options);
      CAPTURE(trainer.report().text());
      if (rewrite && c.code.empty()) CHECK(trainer.report().refused.empty());
      if (rewrite && !c.code.empty()) {
        REQUIRE(trainer.report().refused.size() == 1);
        CHECK(trainer.report().refused[0].code == c.code);
      }
      for (const int64_t batch : {2, 5, 1, 2}) {
        trainer.store().set("w", three(0.8, 0.8, 0.8));
        const Feeds feeds{{"x", Tensor(f64, {batch, 3})}};
        trainer.step(feeds);
        for (int64_t i = 0; i < 3; ++i)
          CHECK((0.8 - trainer.value(w).at(i)) / step == doctest::Approx(c.pull(batch)).epsilon(1e-3));
        trainer.store().set("w", three(0.8, 0.8, 0.8));
        CHECK(trainer.certify(feeds).prox_residual() ==
              doctest::Approx(std::abs(c.pull(batch))).epsilon(0.3));
      }
    }
}

TEST_CASE("repeated penalties: of groups and shifts over the batch the report says what to write instead") {
  Graph graph;
  const Value w = graph.parameter("w", {3}, init::constant(0.8), f64);
  graph.input("x", {dim::batch, 3}, f64);
  const auto refusal = [&](Value penalty) {
    const Trainer trainer(sum(square(w - 1)) + penalty, Sgd{}, {.threads = 1});
    REQUIRE(trainer.report().refused.size() == 1);
    return trainer.report().refused[0];
  };
  Refusal found = refusal(mean(norm2(repeated(w), {1})));
  CHECK(found.reason ==
        "its argument is [batch, 3]: it repeats elements as often as the data say, and the prox of such a "
        "sum is not "
        "known");
  CHECK(found.advice == "penalise the parameter before it is repeated");
  found = refusal(mean(abs(repeated(w) - 1)));
  CHECK(found.reason ==
        "its argument is [batch, 3]: it shifts or bounds elements that it repeats as often as the data say");
  CHECK(found.advice == "shift and bound the parameter before it is repeated");
}

TEST_CASE("a value may be sized by an input whose elements nothing reads") {
  Graph graph;
  const Value w = graph.parameter("w", {3}, init::constant(0.5), f64);
  graph.input("x", {dim::batch, 3}, f64);
  Trainer trainer(sum(square(repeated(w))), Sgd{.learning_rate = 0.1}, {.threads = 1});
  CHECK(trainer.step(Feeds{{"x", Tensor(f64, {4, 3})}}).loss == doctest::Approx(3));
  trainer.store().set("w", three(0.5, 0.5, 0.5));
  CHECK(trainer.step(Feeds{{"x", Tensor(f64, {2, 3})}}).loss == doctest::Approx(1.5));
  CHECK(testing::message_of<UserError>([&] {
          trainer.step(Feeds{});
        }).ends_with("the dimension 'batch' has no size; feed an input whose shape contains it"));
}

}  // namespace lariat::repeated_penalty_test
