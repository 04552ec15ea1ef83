// Training with every penalty: the weights come to rest where the distance of the gradient to the
// subdifferential is 0, with the same bits on every number of threads.
#include <algorithm>

#include "autodiff/gradient.hpp"
#include "autodiff/training/trainer.hpp"
#include "graph/exec/constants.hpp"
#include "graph/program/program.hpp"
#include "ops/ops.hpp"
#include "tests/ops/kernel_runner.hpp"

namespace lariat::prox_training_test {

using namespace lariat::testing;

namespace {

struct Case {
  std::string name;
  /// The penalty's node for w [6, 4]; Σ 0.05 of it is added to a least-squares loss.
  std::function<Value(Value)> penalty;
  /// How many of the elements of what it measures must be 0 in the end.
  int64_t zeros;
  std::function<Value(Value)> measured;
};

const std::vector<Case> cases{
    {"rows", [](Value w) { return norm2(w, {1}); }, 1, [](Value w) { return norm2(w, {1}); }},
    {"columns", [](Value w) { return norm2(w, {0}, true); }, 0, [](Value w) { return norm2(w, {0}); }},
    {"all", [](Value w) { return norm2(w); }, 0, [](Value w) { return w; }},
    {"largest magnitude", [](Value w) { return norm_inf(w, {0}); }, 4,
     [](Value w) { return norm_inf(w, {0}, true) - abs(w); }},
    {"total variation", [](Value w) { return absolute_differences(w, 0); }, 4,
     [](Value w) { return absolute_differences(w, 0); }},
    {"low rank", [](Value w) { return nuclear_norm(w); }, 0, [](Value w) { return w; }},
    {"count", [](Value w) { return 0.2 * count_nonzero(w); }, 2, [](Value w) { return w; }},
    {"mcp", [](Value w) { return mcp(w, 1, 2); }, 2, [](Value w) { return w; }},
    {"scad", [](Value w) { return scad(w, 1); }, 2, [](Value w) { return w; }},
    {"log-sum", [](Value w) { return 0.1 * log_sum(w, 0.1); }, 2, [](Value w) { return w; }},
};

const Extents shape{6, 4};

// mean (x·w − y)² for a w of rank 1 and a row of zeros, and the penalty.
struct Problem {
  Graph g;
  Tensor x_data = random_tensor<double>({40, 6}, 80), y_data{f64, {40, 4}};
  Value x = g.input("x", {dim::batch, 6}, f64), y = g.input("y", {dim::batch, 4}, f64);
  Value w = g.parameter("w", shape, init::uniform(1), f64);
  Value penalty, loss;

  explicit Problem(const Case& used) {
    const Tensor noise = random_tensor<double>({40, 4}, 81, -0.1, 0.1);
    const double rows[] = {1, 1, -0.5, 0, 0.5, -1}, columns[] = {1, 0.5, -1, 0.1};
    for (int64_t i = 0; i < y_data.count(); ++i) {
      double sum = noise.at(i);
      for (int64_t k = 0; k < 6; ++k) sum += x_data.at(i / 4 * 6 + k) * rows[k] * columns[i % 4];
      y_data.data<double>()[i] = sum;
    }
    penalty = used.penalty(w);
    loss = mean(square(matmul(x, w) - y)) + 0.05 * sum(penalty);
  }
  Feeds feeds() const { return {{"x", x_data}, {"y", y_data}}; }
};

// ‖∇f + ∂h‖ at w, from the record of the penalty that the loss holds.
double distance(const Case& used, const Tensor& w) {
  Problem p(used);
  Graph& g = p.g;
  const Value data = mean(square(matmul(p.x, p.w) - p.y));
  const Value smooth = gradient(data, {p.w})[0];
  int32_t node = p.penalty.node();  // the op itself, or what scales it
  while (!g.node(node).op->penalty) node = g.node(node).inputs.back().node;
  const Value weight = gradient(p.loss, {Value(&g, node)})[0];
  const Attributes attributes = g.node(node).attributes;
  g.output("residual", norm2(g.node(node).op->penalty->residual(p.w, smooth, weight, attributes)));
  Program program(g);
  Store store;
  store.set("w", w);
  return program.run(p.feeds(), store, *make_serial_executor())[0].item();
}

Tensor trained(const Case& used, const Optimizer& optimizer, int steps, int threads = 1) {
  Problem p(used);
  Trainer trainer(p.loss, optimizer, {.threads = threads});
  CAPTURE(trainer.report().text());
  CHECK(trainer.report().refused.empty());
  CHECK(trainer.report().rewritten.size() == 1);
  for (int i = 0; i < steps; ++i) trainer.step(p.feeds());
  return trainer.value(p.w);
}

}  // namespace

TEST_CASE("training comes to rest where the gradient is in the subdifferential") {
  for (const Case& used : cases) {
    CAPTURE(used.name);
    const Tensor by_sgd = trained(used, Sgd{.learning_rate = 1}, 600);
    CHECK(distance(used, by_sgd) < 1e-10);
    CHECK(distance(used, trained(used, Momentum{.learning_rate = 0.3, .momentum = 0.8}, 600)) < 1e-10);
    CHECK(distance(used, trained(used, Adam{.learning_rate = 0.01}, 3000)) < 1e-5);
    Graph g;
    g.output("measured", used.measured(g.constant(by_sgd)));
    CHECK(sparsity(evaluate_constant(g)[0]).zeros >= used.zeros);
  }
}

TEST_CASE("with every penalty the bits are the same on 1, 2 and 3 threads") {
  for (const Case& used : cases) {
    CAPTURE(used.name);
    const Tensor one = trained(used, Adam{.learning_rate = 0.01}, 30);
    for (int threads : {2, 3}) CHECK(same_bits(one, trained(used, Adam{.learning_rate = 0.01}, 30, threads)));
  }
}

TEST_CASE("weights outside a bound are moved inside by the first step, and stay there") {
  Graph g;
  const Value x = g.input("x", {dim::batch, 6}, f64);
  const Value w = g.parameter("w", shape, init::uniform(1), f64);
  Trainer trainer(mean(square(matmul(x, w) + 1)) + nonnegative(w) + 0.01 * sum(abs(w)), Adam{},
                  {.threads = 1});
  CHECK(trainer.report().text().find("w >= 0") != std::string::npos);
  const Feeds feeds{{"x", random_tensor<double>({20, 6}, 82)}};
  const StepResult first = trainer.step(feeds);
  CHECK(first.loss == INFINITY);
  for (int i = 0; i < 20; ++i) {
    const StepResult next = trainer.step(feeds);
    CHECK(std::isfinite(next.loss));
    const Tensor weights = trainer.value(w);
    for (double weight : weights.values<double>()) CHECK(weight >= 0);
  }
  CHECK(sparsity(trainer.value(w)).zeros > 4);
}

TEST_CASE("the fused lasso is exact with a step of its own for each element") {
  Graph g;
  const Value w = g.parameter("w", {6}, init::uniform(1), f64),
              target = g.constant(random_tensor<double>({6}, 83));
  const Value loss = sum(square(w - target)) + 0.3 * sum(absolute_differences(w, 0)) + 0.2 * sum(abs(w));
  Trainer trainer(loss, Adam{.learning_rate = 0.02}, {.threads = 1});
  CHECK(trainer.report().text().find("one step for all") == std::string::npos);
  for (int i = 0; i < 3000; ++i) trainer.step(Feeds{});
  const Tensor found = trainer.value(w);
  // No point beside it is better.
  const auto cost = [&](const std::vector<double>& at) {
    double total = 0;
    for (size_t i = 0; i < 6; ++i) {
      const double from = at[i] - random_tensor<double>({6}, 83).at(static_cast<int64_t>(i));
      total += from * from + 0.2 * std::abs(at[i]) + (i > 0 ? 0.3 * std::abs(at[i] - at[i - 1]) : 0);
    }
    return total;
  };
  const std::vector<double> best(found.values<double>().begin(), found.values<double>().end());
  for (uint64_t seed = 0; seed < 2000; ++seed) {
    const Tensor direction = random_tensor<double>({6}, 1000 + seed);
    std::vector<double> beside = best;
    for (int64_t i = 0; i < 6; ++i) beside[i] += direction.at(i) * (seed % 2 ? 1e-3 : 0.1);
    CHECK(cost(beside) >= cost(best) - 1e-9);
  }
}

// Wen et al. (2018) with groups that do not overlap: unit k's gates from the input, and all that reads it.
TEST_CASE("units of an LSTM go as a whole, across three tensors, and nothing reads them then") {
  constexpr int64_t inputs = 3, units = 8, time = 5, examples = 60;
  Graph g;
  const Value x = g.input("x", {dim::batch, time, inputs}, f64), y = g.input("y", {dim::batch, 1}, f64);
  const Value W = g.parameter("W", {inputs, 4 * units}, init::uniform(0.5), f64),
              U = g.parameter("U", {units, 4 * units}, init::uniform(0.5), f64),
              b = g.parameter("b", {4 * units}, init::zeros(), f64),
              V = g.parameter("V", {units, 1}, init::uniform(0.5), f64);
  const Value last = reshape(slice(lstm(x, W, U, b), 1, time - 1, time), {dim::batch, units});
  const Value prediction = matmul(last, V);
  const Value gates = reshape(transpose(reshape(W, {inputs, 4, units}), {2, 0, 1}), {units, 4 * inputs});
  const Value penalty = sum(norm2(concat({gates, U, V}, 1), {1}));
  Trainer trainer(mean(square(prediction - y)) + 0.01 * penalty, Adam{.learning_rate = 0.01}, {.threads = 1});
  CHECK(trainer.report().refused.empty());
  CHECK(trainer.report().text().find("‖W, U, V‖₂ along axis 1 -> group soft threshold") != std::string::npos);

  const Tensor series = random_tensor<double>({examples, time, inputs}, 90);
  Tensor sums(f64, {examples, 1});
  for (int64_t i = 0; i < examples; ++i) {
    double sum = 0;
    for (int64_t t = 0; t < time; ++t) sum += series.at((i * time + t) * inputs);
    sums.data<double>()[i] = 0.3 * sum;
  }
  const Feeds feeds{{"x", series}, {"y", sums}};
  for (int i = 0; i < 1500; ++i) trainer.step(feeds);

  const Tensor w = trainer.value(W), u = trainer.value(U), v = trainer.value(V);
  std::vector<int64_t> gone;
  for (int64_t k = 0; k < units; ++k) {
    int64_t zeros = v.at(k) == 0;
    for (int64_t gate = 0; gate < 4; ++gate) {
      for (int64_t i = 0; i < inputs; ++i) zeros += w.at((i * 4 + gate) * units + k) == 0;
      for (int64_t j = 0; j < units; ++j) zeros += u.at((k * 4 + gate) * units + j) == 0;
    }
    CHECK((zeros == 0 || zeros == 4 * inputs + 4 * units + 1));
    if (zeros > 0) gone.push_back(k);
  }
  CHECK(gone.size() >= 2);
  CHECK(gone.size() < units);

  const auto predictions = [&] {
    const std::vector<Value> outputs{prediction};
    return trainer.evaluate(outputs, {{"x", series}})[0];
  };
  const Tensor before = predictions();
  for (const int64_t k : gone)
    for (int64_t gate = 0; gate < 4; ++gate) {
      trainer.store().get("b").data<double>()[gate * units + k] = 7;
      for (int64_t j = 0; j < units; ++j)
        trainer.store().get("U").data<double>()[(j * 4 + gate) * units + k] = 7;
    }
  CHECK(same_bits(before, predictions()));
}

TEST_CASE("any number of kinks on one parameter has its exact prox") {
  for (const int kinks : {16, 17, 64, 150}) {
    CAPTURE(kinks);
    Graph graph;
    const Value w = graph.parameter("w", {2}, init::constant(0.3), f64);
    const Value a = graph.constant(Tensor::of<double>({2}, {0.5, 0.2}));
    Value loss = 0.5 * sum(square(w - a));
    for (int k = 1; k <= kinks; ++k) loss = loss + 0.4 / kinks * sum(abs(w - 0.3 * k / kinks));
    Trainer trainer(loss, Sgd{.learning_rate = 0.5}, {.threads = 1});
    CHECK(trainer.report().refused.empty());
    for (int i = 0; i < 100; ++i) trainer.step(Feeds{});
    for (int64_t i = 0; i < 2; ++i) {
      // The slope on either side of w has the gradient between.
      const double x = trainer.value(w).at(i), gradient = x - (i == 0 ? 0.5 : 0.2);
      double below = gradient, above = gradient;
      for (int k = 1; k <= kinks; ++k) {
        const double at = 0.3 * k / kinks, slope = 0.4 / kinks;
        below += x > at + 1e-12 ? slope : -slope;
        above += x < at - 1e-12 ? -slope : slope;
      }
      CHECK(below <= 1e-9);
      CHECK(above >= -1e-9);
    }
  }
}

}  // namespace lariat::prox_training_test
