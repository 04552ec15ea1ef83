#include "autodiff/training/trainer.hpp"

#include <cmath>
#include <functional>
#include <sstream>

#include "autodiff/gradient.hpp"
#include "graph/base/error.hpp"
#include "graph/exec/executor.hpp"
#include "graph/ir/op_def.hpp"
#include "ops/ops.hpp"
#include "tests/support/testing.hpp"

namespace lariat::trainer_test {

namespace {

// min ½ Σ q(w - c)² + λ|w| has the solution S(c, λ/q), element by element.
struct Quadratic {
  Graph g;
  Value w = g.parameter("w", {4}, init::constant(0.7), f64);
  Value c = g.constant(Tensor::of<double>({4}, {1.0, 0.2, -0.05, -2.0}));
  double q = 2, lambda = 0.3;
  Value smooth = 0.5 * q * sum(square(w - c));
  Value loss = smooth + lambda * sum(abs(w));

  double solution(int64_t i) const {
    const double v[] = {1.0, 0.2, -0.05, -2.0};
    return std::copysign(std::max(std::abs(v[i]) - lambda / q, 0.0), v[i]);
  }
};

void check_reaches_solution(const Optimizer& optimizer, int steps, double tolerance,
                            Schedule schedule = schedule::constant()) {
  Quadratic problem;
  Trainer trainer(problem.loss, optimizer, {.threads = 1, .schedule = std::move(schedule)});
  for (int i = 0; i < steps; ++i) trainer.step(Feeds{});
  CAPTURE(optimizer.name);
  for (int64_t i = 0; i < 4; ++i) {
    CAPTURE(i);
    CHECK(std::abs(trainer.value(problem.w).at(i) - problem.solution(i)) <= tolerance);
    if (problem.solution(i) == 0) {
      CHECK(trainer.value(problem.w).at(i) == 0);
      CHECK_FALSE(std::signbit(trainer.value(problem.w).at(i)));
    }
  }
  // The solution is left where it is.
  const Tensor before = trainer.value(problem.w).clone();
  trainer.step(Feeds{});
  for (int64_t i = 0; i < 4; ++i) CHECK(std::abs(trainer.value(problem.w).at(i) - before.at(i)) <= tolerance);
}

}  // namespace

TEST_CASE("every optimizer with the prox reaches the minimiser of the loss as written") {
  check_reaches_solution(Sgd{.learning_rate = 0.1}, 400, 1e-8);
  check_reaches_solution(Momentum{.learning_rate = 0.02, .momentum = 0.9}, 1000, 1e-8);
  check_reaches_solution(Nesterov{.learning_rate = 0.02, .momentum = 0.9}, 1000, 1e-8);
  check_reaches_solution(RmsProp{.learning_rate = 0.05}, 6000, 1e-6, schedule::exponential(0.1, 600));
  check_reaches_solution(Adam{.learning_rate = 0.05}, 6000, 1e-6, schedule::exponential(0.1, 1200));
  check_reaches_solution(NAdam{.learning_rate = 0.05}, 6000, 1e-6, schedule::exponential(0.1, 1200));
  check_reaches_solution(AmsGrad{.learning_rate = 0.1}, 6000, 1e-6);
  check_reaches_solution(Lamb{.learning_rate = 0.05, .weight_decay = 0}, 6000, 1e-6,
                         schedule::exponential(0.1, 1200));
  check_reaches_solution(Lbfgs{}, 30, 1e-7);
}

TEST_CASE("AdamW decays first: at its fixed point the decay balances the loss in its metric") {
  Quadratic problem;
  Trainer trainer(problem.loss, AdamW{.learning_rate = 0.02, .weight_decay = 0.0},
                  {.threads = 1, .schedule = schedule::exponential(0.1, 1000)});
  for (int i = 0; i < 4000; ++i) trainer.step(Feeds{});
  for (int64_t i = 0; i < 4; ++i)
    CHECK(std::abs(trainer.value(problem.w).at(i) - problem.solution(i)) <= 1e-3);
}

TEST_CASE("the elastic net has its closed form") {
  Graph g;
  const Value w = g.parameter("w", {3}, init::constant(0.5), f64);
  const Value c = g.constant(Tensor::of<double>({3}, {1.0, 0.2, -1.0}));
  const double l1 = 0.3, l2 = 0.4;
  Trainer trainer(0.5 * sum(square(w - c)) + l1 * sum(abs(w)) + l2 * sum(square(w)),
                  Sgd{.learning_rate = 0.1}, {.threads = 1});
  for (int i = 0; i < 600; ++i) trainer.step(Feeds{});
  const double expected[] = {(1 - l1) / (1 + 2 * l2), 0, -(1 - l1) / (1 + 2 * l2)};
  for (int64_t i = 0; i < 3; ++i) CHECK(trainer.value(w).at(i) == doctest::Approx(expected[i]).epsilon(1e-9));
  CHECK(trainer.report().text() ==
        "w: 0.3 * |w| + 0.4 * w^2 -> soft threshold, shrinkage, metric SGD: learning_rate\n");
}

TEST_CASE("without the rewrite there are no exact zeros, and the report says so") {
  Quadratic problem;
  Trainer trainer(problem.loss, Sgd{.learning_rate = 0.0123}, {.threads = 1, .rewrite = false});
  for (int i = 0; i < 500; ++i) trainer.step(Feeds{});
  CHECK(sparsity(trainer.value(problem.w)).zeros == 0);
  CHECK(trainer.report().text() ==
        "the proximal rewrite is switched off: penalties keep their subgradients\n");
}

TEST_CASE("the reported loss is the loss as written, bit for bit, and its parts add up") {
  Quadratic problem;
  Trainer on(problem.loss, Sgd{.learning_rate = 0.1}, {.threads = 1});
  Trainer off(problem.loss, Sgd{.learning_rate = 0.1}, {.threads = 1, .rewrite = false});
  const StepResult a = on.step(Feeds{}), b = off.step(Feeds{});
  CHECK(a.loss == b.loss);
  CHECK(a.penalty == doctest::Approx(0.3 * 4 * 0.7).epsilon(1e-14));
  CHECK(a.smooth + a.penalty == doctest::Approx(a.loss).epsilon(1e-15));
}

TEST_CASE("clipping limits the smooth gradient only, never the penalty") {
  for (const bool by_norm : {false, true}) {
    Quadratic problem;
    TrainerOptions options{.threads = 1};
    (by_norm ? options.clip_norm : options.clip_value) = 1.0;
    Trainer trainer(problem.loss, Sgd{.learning_rate = 0.1}, options);
    for (int i = 0; i < 2000; ++i) trainer.step(Feeds{});
    for (int64_t i = 0; i < 4; ++i)
      CHECK(std::abs(trainer.value(problem.w).at(i) - problem.solution(i)) < 1e-8);
  }
}

TEST_CASE("gradients whose squares leave the range of floats are clipped as others are") {
  Graph g;
  const Value w = g.parameter("w", {4}, init::zeros());
  Trainer trainer(1e20 * sum(w), Sgd{.learning_rate = 1}, {.threads = 1, .clip_norm = 1});
  trainer.step(Feeds{});
  for (int64_t i = 0; i < 4; ++i) CHECK(trainer.value(w).at(i) == doctest::Approx(-0.5).epsilon(1e-6));
}

TEST_CASE("updates beside the loss are done at each step") {
  Graph g;
  const Value w = g.parameter("w", {}, init::constant(1)), seen = g.state("seen", {});
  g.update("seen", seen + w);
  Trainer trainer(square(w), Sgd{.learning_rate = 0.25}, {.threads = 1, .metrics = {{"w", w}}});
  CHECK(trainer.step(Feeds{}).metrics[0] == 1);  // from before the step, like the loss
  trainer.step(Feeds{});
  CHECK(trainer.value(seen).item() == 1.5);
}

TEST_CASE("a value taken out of the trainer stays as it is") {
  Graph g;
  const Value w = g.parameter("w", {}, init::constant(1));
  Trainer trainer(square(w), Sgd{.learning_rate = 0.25}, {.threads = 1});
  const Tensor before = trainer.value(w);
  const Store kept = trainer.store();
  trainer.step(Feeds{});
  CHECK(before.item() == 1);
  CHECK(kept.get("w").item() == 1);
  CHECK(trainer.value(w).item() == 0.5);
}

TEST_CASE("the learning rate follows its schedule and 0 stands still") {
  Quadratic problem;
  Trainer trainer(problem.loss, Sgd{.learning_rate = 0.1},
                  {.threads = 1, .schedule = [](int64_t step) { return step < 5 ? 1.0 : 0.0; }});
  for (int i = 0; i < 5; ++i) trainer.step(Feeds{});
  const Tensor before = trainer.value(problem.w).clone();
  for (int i = 0; i < 5; ++i) trainer.step(Feeds{});
  CHECK(same_bits(before, trainer.value(problem.w)));
  CHECK(trainer.steps() == 10);
}

TEST_CASE("a fed coefficient is read at each step and refused where it is negative") {
  Graph g;
  const Value w = g.parameter("w", {2}, init::constant(1), f64), lambda = g.input("lambda", {}, f64);
  Trainer trainer(sum(square(w - 1.0)) + lambda * sum(abs(w)), Sgd{.learning_rate = 0.1}, {.threads = 1});
  CHECK(trainer.report().text() == "w: lambda * |w| -> soft threshold, metric SGD: learning_rate\n");
  trainer.step({{"lambda", Tensor::scalar(100, f64)}});
  CHECK(sparsity(trainer.value(w)).zeros == 2);
  const std::string refused = testing::message_of<UserError>([&] {
    trainer.step({{"lambda", Tensor::scalar(-1, f64)}});
  });
  CHECK(refused.starts_with("[require_nonnegative] built at trainer_test.cpp:"));
  CHECK(refused.ends_with(": L104: a penalty's coefficient is -1 at element 0; it must be 0 or more"));
  for (const auto& [number, shown] : {std::pair{NAN, "nan"}, {INFINITY, "inf"}})
    CHECK(testing::message_of<UserError>([&] {
            trainer.step({{"lambda", Tensor::scalar(number, f64)}});
          })
              .ends_with(std::string(": L104: a penalty's coefficient is ") + shown +
                         " at element 0; it must be a finite number"));
  CHECK(testing::message_of<UserError>([&] { Trainer(sum(square(w)) + INFINITY * sum(abs(w)), Sgd{}); }) ==
        "L104: the coefficient of |x| on 'w' is inf; a penalty needs a finite one");
  // One number is checked as one.
  int checks = 0;
  for (int32_t id = 0; id < trainer.graph().size(); ++id) {
    const Node& node = trainer.graph().node(id);
    if (node.op->name != "require_nonnegative") continue;
    CHECK(node.outputs[0].shape.empty());
    ++checks;
  }
  CHECK(checks == 1);
}

TEST_CASE("mistakes are named") {
  Graph g;
  const Value x = g.input("x", {dim::batch, 3}), w = g.parameter("w", {3, 1});
  CHECK(testing::message_of<UserError>([&] { Trainer(sum(x), Sgd{}); }) ==
        "the loss depends on no parameter that is trained; make one with Graph::parameter");
  CHECK(testing::message_of<UserError>([&] { Trainer(matmul(x, w), Sgd{}); }) ==
        "the gradient of a value of shape [batch, 1] was asked for; reduce it to a scalar with sum or mean");
  CHECK(testing::message_of<UserError>([&] { const Optimizer bad = Adam{.beta1 = 1.5}; }) ==
        "Adam: beta1 is 1.5; it must lie in [0, 1)");
  CHECK(testing::message_of<UserError>([&] { const Optimizer bad = Sgd{.learning_rate = -1}; }) ==
        "Sgd: learning_rate is -1; it must be a number of 0 or more");
  CHECK(testing::message_of<UserError>([&] { Trainer(mean(matmul(x, w)), Sgd{}, {.clip_norm = -1}); }) ==
        "clip_norm is -1; it must be above 0, or 0 for no limit");
  CHECK(testing::message_of<UserError>([&] { Trainer(mean(matmul(x, w)), Sgd{}, {.clip_value = NAN}); }) ==
        "clip_value is nan; it must be above 0, or 0 for no limit");
  CHECK(testing::message_of<UserError>([&] { Trainer(mean(matmul(x, w)), Sgd{}, {.settle_from = -1}); }) ==
        "settle_from is -1; it must be a step, from 0 on");
  Trainer trainer(mean(matmul(x, w)), Sgd{});
  CHECK(testing::message_of<UserError>([&] { trainer.step(Feeds{}); }) ==
        "the input 'x' f32[batch, 3] was not fed");
  CHECK(testing::message_of<UserError>([&] {
          trainer.step({{"x", Tensor(f32, {5, 4})}});
        }) == "the input 'x' is f32[batch, 3], but f32[5, 4] was fed; it must be [5, 3]");
  CHECK(testing::message_of<UserError>([&] {
          trainer.step({{"x", Tensor(f64, {5, 3})}});
        }) == "the input 'x' is f32[batch, 3], but f64[5, 3] was fed; convert it to f32");
  CHECK(testing::message_of<UserError>([&] {
          trainer.step({{"x", Tensor(f32, {5, 3})}, {"z", Tensor()}});
        }) == "there is no input 'z'. Known: x, trainer/learning_rate.");
  Graph other;
  const Value elsewhere = other.parameter("w", {3, 1});
  CHECK(testing::message_of<UserError>([&] { trainer.evaluate({sum(elsewhere)}, {}); }) ==
        "a value to evaluate belongs to another graph than the loss that is trained");
  CHECK(testing::message_of<UserError>([&] { gradient(sum(w), {elsewhere}); }) ==
        "a gradient was asked for by a value of another graph than the loss's");
  CHECK(testing::message_of<UserError>([&] {
          Trainer(mean(matmul(x, w)), Sgd{}, {.metrics = {{"prediction", matmul(x, w)}}});
        }) == "the metric 'prediction' is f32[batch, 1]; a metric is a scalar, such as a mean");
  CHECK(testing::message_of<UserError>([&] {
          Trainer(mean(matmul(x, w)), Sgd{}, {.metrics = {{"size", sum(elsewhere)}}});
        }) == "the metric 'size' belongs to another graph than the loss");
  CHECK(testing::message_of<UserError>([&] {
          Trainer(mean(matmul(x, w)), Sgd{}, {.parameters = {w, g.parameter("unused", {2})}});
        }) == "'unused' is to be trained, but the loss depends on no parameter of that name");
  CHECK(testing::message_of<UserError>([&] { const Optimizer bad = Adam{.epsilon = 0}; }) ==
        "Adam: epsilon is 0; it must be a number above 0");
  CHECK(testing::message_of<UserError>([&] {
          other.parameter("random", {3});
        }).ends_with("the name is kept for the state of random ops; choose another"));
}

TEST_CASE("a metric may be of whole numbers") {
  Graph g;
  const Value x = g.input("x", {dim::batch, 3}), labels = g.input("labels", {dim::batch}, i32);
  const Value scores = matmul(x, g.parameter("w", {3, 4}, init::zeros()));
  Trainer trainer(mean(softmax_cross_entropy(scores, labels)), Sgd{},
                  {.threads = 1, .metrics = {{"off by", sum(abs(argmax(scores) - labels))}}});
  const StepResult step =
      trainer.step({{x, Tensor::filled(f32, {2, 3}, 1)}, {labels, Tensor::of<int32_t>({2}, {2, 3})}});
  CHECK(step.metrics[0] == 5);
}

TEST_CASE("a loss that is not finite ends the job") {
  Graph g;
  const Value w = g.parameter("w", {1}, init::constant(-1));
  Trainer trainer(sum(log(w)), Sgd{});
  CHECK_THROWS_AS(trainer.step(Feeds{}), JobError);
}

TEST_CASE("the state after 100 steps has the same bits on 1, 2, 3, 4 and 8 threads and in every run") {
  const auto hash = [](int threads) {
    Graph g;
    const Value x = g.input("x", {dim::batch, dim::time, 24}), y = g.input("y", {dim::batch}, i32);
    const Value wx = g.parameter("wx", {24, 4 * 40}),
                wh = g.parameter("wh", {40, 4 * 40}, init::orthogonal());
    const Value b = g.parameter("b", {4 * 40}, init::zeros()), v = g.parameter("v", {40, 200}),
                u = g.parameter("u", {200, 5});
    const Value h = mean(lstm(x, wx, wh, b, 1), {1});
    const Value logits = matmul(dropout(relu(matmul(h, v)), 0.3), u);
    const Value loss =
        mean(softmax_cross_entropy(logits, y)) + 1e-3 * (sum(abs(wx)) + sum(abs(wh)) + sum(abs(v)));
    Trainer trainer(loss, Adam{}, {.seed = 3, .threads = threads, .clip_norm = 1});
    for (int step = 0; step < 100; ++step) {
      const int64_t batch = 33 + step % 3, time = 10 + step % 5;
      Tensor data(f32, {batch, time, 24}), labels(i32, {batch});
      for (int64_t i = 0; i < data.count(); ++i)
        data.data<float>()[i] = static_cast<float>((i * 7919 + step * 104729) % 1000) / 500 - 1;
      for (int64_t i = 0; i < batch; ++i) labels.data<int32_t>()[i] = static_cast<int32_t>((i + step) % 5);
      trainer.step({{x, data}, {y, labels}});
    }
    CHECK(sparsity(trainer.value(v)).zeros > 0);
    return trainer.store().hash();
  };
  const uint64_t expected = hash(1);
  for (const int threads : {1, 2, 3, 4, 8, 2}) CHECK(hash(threads) == expected);
}

TEST_CASE("a trainer that was moved to another says so") {
  Quadratic problem;
  Trainer trainer(problem.loss, Sgd{.learning_rate = 0.1});
  Trainer other = std::move(trainer);
  other.step(Feeds{});
  for (const auto& ask :
       std::vector<std::function<void()>>{[&] { trainer.step(Feeds{}); }, [&] { trainer.value(problem.w); },
                                          [&] { trainer.report(); }, [&] { trainer.store(); }})
    CHECK(lariat::testing::message_of<UserError>(ask) ==
          "this trainer was moved to another, and is empty; ask the trainer that it was moved to");
  CHECK(other.steps() == 1);
}

}  // namespace lariat::trainer_test
