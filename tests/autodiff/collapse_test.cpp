// L201: penalties that leave nothing of a parameter are told of, with what they starve and with coefficients
// that leave something; healthy trainings are not, and none is changed by being watched.
#include <atomic>
#include <cmath>
#include <random>

#include "autodiff/training/trainer.hpp"
#include "frontends/sequential/sequential.hpp"
#include "ops/ops.hpp"
#include "tests/support/testing.hpp"
#include "tests/support/toy_data.hpp"

namespace lariat::collapse_test {

using testing::contains;

namespace {

using Lines = std::vector<std::string>;

Tensor random(const Extents& extents, uint64_t seed) {
  std::mt19937_64 random(seed);
  std::normal_distribution<double> normal;
  Tensor result(f64, extents);
  for (double& value : result.values<double>()) value = normal(random);
  return result;
}

TrainerOptions telling(Lines& lines) {
  TrainerOptions options{.threads = 1};
  options.warn = [&lines](const std::string& line) { lines.push_back(line); };
  return options;
}

// The coefficient that a warning offers.
double offered(const std::string& line) {
  const size_t at = line.find("with ");
  REQUIRE(at != std::string::npos);
  return std::stod(line.substr(at + 5));
}

// ½·mean (Xw − y)², whose gradient at 0 is known.
struct Regression {
  Tensor x = random({40, 6}, 1), y = random({40, 1}, 2);
  double largest = 0;  // the least coefficient at which w = 0 is optimal

  Regression() {
    for (int64_t j = 0; j < 6; ++j) {
      double sum = 0;
      for (int64_t i = 0; i < 40; ++i) sum += x.at(i * 6 + j) * y.at(i);
      largest = std::max(largest, std::abs(sum) / 40);
    }
  }
  Lines trained(double lambda, const Optimizer& optimizer, int steps) const {
    Graph graph;
    const Value features = graph.input("x", {dim::batch, 6}, f64),
                labels = graph.input("y", {dim::batch, 1}, f64);
    const Value w = graph.parameter("w", {6, 1}, init::glorot_uniform(), f64);
    Lines lines;
    Trainer trainer(0.5 * mean(square(matmul(features, w) - labels)) + lambda * sum(abs(w)), optimizer,
                    telling(lines));
    for (int i = 0; i < steps; ++i) trainer.step({{features, x}, {labels, y}});
    return lines;
  }
};

// A network with two hidden layers under L1, on three clouds of points.
struct Mlp {
  Graph graph;
  Value x = graph.input("x", {dim::batch, 12}), labels = graph.input("labels", {dim::batch}, i32);
  Value w1 = graph.parameter("w1", {12, 32}), b1 = graph.parameter("b1", {32}, init::zeros());
  Value w2 = graph.parameter("w2", {32, 32}), b2 = graph.parameter("b2", {32}, init::zeros());
  Value w3 = graph.parameter("w3", {32, 3}), b3 = graph.parameter("b3", {3}, init::zeros());
  Value loss(double lambda) const {
    const Value hidden = relu(matmul(relu(matmul(x, w1) + b1), w2) + b2);
    return mean(softmax_cross_entropy(matmul(hidden, w3) + b3, labels)) +
           lambda * (sum(abs(w1)) + sum(abs(w2)));
  }
  std::vector<Feeds> batches() const {
    std::vector<Feeds> result;
    for (uint64_t b = 0; b < 4; ++b) {
      const data::Dataset points = testing::points(30, 3, 12, b);
      Tensor features(f32, {30, 12}), classes(i32, {30});
      for (int64_t i = 0; i < 30; ++i) {
        const data::Example& example = points.examples[static_cast<size_t>(i)];
        std::copy(example.values.begin(), example.values.end(), features.data<float>() + i * 12);
        classes.data<int32_t>()[i] = example.label;
      }
      result.push_back({{"x", features}, {"labels", classes}});
    }
    return result;
  }
  void train(Trainer& trainer, int steps) const {
    const std::vector<Feeds> all = batches();
    for (int i = 0; i < steps; ++i) trainer.step(all[static_cast<size_t>(i) % all.size()]);
  }
};

}  // namespace

TEST_CASE(
    "L201: of one linear layer the least coefficient that leaves nothing is known, and is where it is said") {
  const Regression problem;
  for (const auto& [optimizer, steps] : {std::pair{Optimizer(Sgd{.learning_rate = 0.2}), 400},
                                         std::pair{Optimizer(Adam{.learning_rate = 0.02}), 400}}) {
    CAPTURE(optimizer.name);
    CHECK(problem.trained(0.97 * problem.largest, optimizer, steps).empty());
    const Lines lines = problem.trained(1.03 * problem.largest, optimizer, steps);
    REQUIRE(lines.size() == 1);
    CAPTURE(lines[0]);
    CHECK(lines[0].starts_with("L201: all of 'w' is zero: the penalty outweighs what the data say; with "));
    CHECK(contains(lines[0], " more than zeros was left, in a trial of "));
    CHECK(lines[0].ends_with(" steps from the start on the first batch"));
    CHECK(offered(lines[0]) < problem.largest);
    CHECK(problem.trained(offered(lines[0]), optimizer, steps).empty());
  }
}

TEST_CASE("L201: layers that go together are told of together, with what they starve") {
  for (const Optimizer& optimizer :
       {Optimizer(Adam{.learning_rate = 0.005}), Optimizer(Momentum{.learning_rate = 0.05})}) {
    CAPTURE(optimizer.name);
    Mlp model;
    Lines lines;
    Trainer trainer(model.loss(0.3), optimizer, telling(lines));
    model.train(trainer, 300);
    REQUIRE(lines.size() == 1);
    CAPTURE(lines[0]);
    CHECK(
        lines[0].starts_with("L201: all of 'w1', 'w2' are zero: the penalty outweighs what the data say; "));
    CHECK(contains(lines[0], "no gradient reaches 'b1' any more; "));
    CHECK(contains(lines[0], " in place of 0.3 more than zeros was left, in a trial of "));
    CHECK(lines[0].ends_with(" steps from the start on the first 4 batches"));

    Mlp milder;
    Lines none;
    Trainer again(milder.loss(offered(lines[0])), optimizer, telling(none));
    milder.train(again, 1000);
    CHECK(none.empty());
    CHECK(sparsity(again.value(milder.w1)).fraction() < 1);
    CHECK(sparsity(again.value(milder.w2)).fraction() < 1);
  }
}

TEST_CASE("L201: of an LSTM all four matrices are told of") {
  const auto build = [](Graph& graph, double lambda) {
    const Value x = graph.input("x", {dim::batch, 10, 6}), labels = graph.input("labels", {dim::batch}, i32);
    Value sequence = x, penalty;
    for (const int layer : {1, 2}) {
      const auto name = [&](const std::string& part) { return "lstm_" + std::to_string(layer) + "/" + part; };
      const int64_t inputs = layer == 1 ? 6 : 16;
      const Value kernel = graph.parameter(name("kernel"), {inputs, 64}),
                  recurrent = graph.parameter(name("recurrent"), {16, 64}, init::orthogonal()),
                  bias = graph.parameter(name("bias"), {64}, init::zeros());
      sequence = lstm(sequence, kernel, recurrent, bias, 1);
      const Value own = lambda * (sum(abs(kernel)) + sum(abs(recurrent)));
      penalty = penalty ? penalty + own : own;
    }
    const Value w = graph.parameter("dense/kernel", {16, 3}),
                b = graph.parameter("dense/bias", {3}, init::zeros());
    return mean(softmax_cross_entropy(matmul(mean(sequence, {1}), w) + b, labels)) + penalty;
  };
  Tensor x = random({24, 10, 6}, 5).cast(f32), labels(i32, {24});
  for (int64_t i = 0; i < 24; ++i) {
    labels.data<int32_t>()[i] = static_cast<int32_t>(i % 3);
    for (int64_t t = 0; t < 10; ++t) x.data<float>()[(i * 10 + t) * 6 + i % 3] += 2;
  }
  const Feeds feeds{{"x", x}, {"labels", labels}};
  double left = 0;  // of the loss, without penalties
  const auto train = [&](double lambda, int steps) {
    Graph graph;
    Lines lines;
    Trainer trainer(build(graph, lambda), Adam{.learning_rate = 0.01}, telling(lines));
    for (int i = 0; i < steps; ++i) left = trainer.step(feeds).smooth;
    return lines;
  };
  const Lines lines = train(0.1, 200);
  REQUIRE(lines.size() == 1);
  CAPTURE(lines[0]);
  CHECK(lines[0].starts_with(
      "L201: all of 'lstm_1/kernel', 'lstm_1/recurrent', 'lstm_2/kernel', 'lstm_2/recurrent' are "
      "zero: "));
  CHECK(contains(lines[0], "no gradient reaches "));
  CHECK(left == doctest::Approx(std::log(3)).epsilon(0.05));
  train(offered(lines[0]), 600);
  CHECK(left < 0.3);
}

TEST_CASE("L201: watching changes no bit, and says nothing of a training in health") {
  for (const double lambda : {0.3, 1e-3}) {
    CAPTURE(lambda);
    const auto hash = [&](bool watched) {
      Mlp model;
      Lines lines;
      TrainerOptions options = telling(lines);
      if (!watched) options.warn = {};
      Trainer trainer(model.loss(lambda), Adam{}, options);
      model.train(trainer, 200);
      CHECK(lines.empty() == (!watched || lambda < 0.1));
      return trainer.store().hash();
    };
    CHECK(hash(true) == hash(false));
  }
  // Weights that start at zero and move are no loss; those that may not move yet are none either.
  Graph graph;
  const Value w = graph.parameter("w", {3}, init::zeros(), f64);
  Lines lines;
  TrainerOptions options = telling(lines);
  options.schedule = [](int64_t step) { return step < 50 ? 0.0 : 1.0; };
  Trainer trainer(0.5 * sum(square(w - 1)) + 0.1 * sum(abs(w)), Sgd{.learning_rate = 0.1}, options);
  for (int i = 0; i < 100; ++i) trainer.step(Feeds{});
  CHECK(lines.empty());
}

TEST_CASE("L201: a loss without data, weighted terms and groups") {
  Graph graph;
  const Value w = graph.parameter("w", {3}, init::constant(1), f64),
              v = graph.parameter("v", {2, 2}, init::constant(1), f64);
  const Value weights = graph.constant(Tensor::of<double>({3}, {1, 2, 3}));
  Lines lines;
  Trainer trainer(0.5 * sum(square(w - 0.5)) + 0.5 * sum(square(v - 0.5)) + sum(weights * abs(w)) +
                      2 * sum(norm2(v, {1})),
                  Sgd{.learning_rate = 0.1}, telling(lines));
  for (int i = 0; i < 100; ++i) trainer.step(Feeds{});
  REQUIRE(lines.size() == 1);
  CAPTURE(lines[0]);
  CHECK(lines[0].starts_with("L201: all of 'w', 'v' are zero: "));
  CHECK(contains(lines[0], " in place of 2 for 'v'"));
  CHECK(contains(lines[0], "its weights times "));
  CHECK(contains(lines[0], " for 'w'"));
}

TEST_CASE("L201: norms of whole matrices, whose zeros are no elements that settle") {
  for (const bool nuclear : {true, false}) {
    Graph graph;
    const Value w = graph.parameter("w", {3, 3}, init::glorot_uniform(), f64);
    Lines lines;
    Trainer trainer(0.5 * sum(square(w - 0.1)) + 3 * (nuclear ? nuclear_norm(w) : norm_inf(w)),
                    Sgd{.learning_rate = 0.1}, telling(lines));
    CHECK(trainer.stationary_at_zero(Feeds{}).size() == 1);
    for (int i = 0; i < 100; ++i) trainer.step(Feeds{});
    REQUIRE(lines.size() == 1);
    CAPTURE(lines[0]);
    CHECK(lines[0].starts_with("L201: all of 'w' is zero: "));
    CHECK(offered(lines[0]) < 3);
  }
  // Differences that are zero leave what they are differences of.
  Graph graph;
  const Value w = graph.parameter("w", {5}, init::constant(1), f64);
  Lines lines;
  Trainer trainer(0.5 * sum(square(w - 0.1)) + 3 * sum(absolute_differences(w, 0)), Sgd{.learning_rate = 0.1},
                  telling(lines));
  CHECK(trainer.stationary_at_zero(Feeds{}).empty());
  for (int i = 0; i < 100; ++i) trainer.step(Feeds{});
  CHECK(lines.empty());
}

TEST_CASE("L201: a trial that diverges is one that failed, not the end of all trials") {
  // Steps of 2.5 over a curvature of 1: only the penalty keeps w where it is.
  Graph graph;
  const Value w = graph.parameter("w", {1}, init::constant(0.1));
  Lines lines;
  Trainer trainer(0.5 * sum(square(w - 1)) + 12 * sum(abs(w)), Sgd{.learning_rate = 2.5}, telling(lines));
  for (int i = 0; i < 60; ++i) trainer.step(Feeds{});
  REQUIRE(lines.size() == 1);
  CAPTURE(lines[0]);
  CHECK(contains(lines[0], "no smaller coefficient left more than zeros, in trials of "));
  CHECK(lines[0].ends_with(" steps from the start, some of which diverged; lower the learning rate first"));
}

TEST_CASE("L201: trials end where the training is to end, and what is lost is told all the same") {
  for (const bool from_first : {true, false}) {
    Graph graph;
    const Value w = graph.parameter("w", {3}, init::constant(1), f64);
    Lines lines;
    std::atomic<bool> stop = from_first;
    TrainerOptions options = telling(lines);
    options.stop = &stop;
    Trainer trainer(0.5 * sum(square(w - 0.5)) + 2 * sum(abs(w)), Sgd{.learning_rate = 0.5}, options);
    for (int i = 0; i < 60; ++i) trainer.step(Feeds{});
    REQUIRE(lines.size() == 1);
    CAPTURE(lines[0]);
    CHECK(lines[0].starts_with("L201: all of 'w' is zero: the penalty outweighs what the data say; "));
    const bool told = lines[0].ends_with(
        "lower the coefficient (how far could not be tried: the training was told to stop)");
    CHECK(told == from_first);
  }
}

TEST_CASE("L201: a short training is looked at by its certificate") {
  Graph graph;
  const Value w = graph.parameter("w", {3}, init::constant(1), f64);
  Lines lines;
  Trainer trainer(0.5 * sum(square(w - 0.5)) + 2 * sum(abs(w)), Sgd{.learning_rate = 0.5}, telling(lines));
  for (int i = 0; i < 5; ++i) trainer.step(Feeds{});
  CHECK(lines.empty());
  trainer.certify(Feeds{});
  REQUIRE(lines.size() == 1);
  CHECK(lines[0].starts_with("L201: all of 'w' is zero: "));
  CHECK(offered(lines[0]) < 0.5);
  trainer.certify(Feeds{});
  CHECK(lines.size() == 1);
}

TEST_CASE("L201: a fit tells of it before its first step and when it has happened") {
  const data::Dataset train = testing::points(120, 3, 12, 1);
  Lines lines;
  Sequential model{Dense(32, relu, {.kernel_penalty = l1(0.3)}), Dense(32, relu, {.kernel_penalty = l1(0.3)}),
                   Dense(3)};
  model.compile(Adam{.learning_rate = 0.005});
  FitOptions options{.epochs = 20, .batch_size = 30};
  options.on_warning = [&](const std::string& line) { lines.push_back(line); };
  model.fit(train, options);
  REQUIRE(lines.size() == 4);
  CHECK(lines[0].starts_with("L201: 'dense_1/kernel' is stationary where all of it is zero: "));
  CHECK(lines[1].starts_with("L201: 'dense_2/kernel' is stationary where all of it is zero: "));
  CHECK(lines[2] ==
        "L201: no gradient reaches 'dense_1/bias', 'dense_2/bias', 'dense_3/kernel' where "
        "'dense_1/kernel', 'dense_2/kernel' are zero");
  CHECK(lines[3].starts_with("L201: all of 'dense_1/kernel', 'dense_2/kernel' are zero: "));

  // A penalty that grows is tried at its full strength.
  lines.clear();
  Sequential grown{Dense(32, relu, {.kernel_penalty = l1(3)}), Dense(3)};
  grown.compile(Adam{.learning_rate = 0.005});
  options.penalty_ramp = 0.5;
  options.epochs = 40;
  grown.fit(train, options);
  REQUIRE(!lines.empty());
  CAPTURE(lines.back());
  CHECK(lines.back().starts_with("L201: all of 'dense_1/kernel' is zero: "));
  const double lambda = offered(lines.back());
  CHECK(lambda < 3);

  lines.clear();
  Sequential healthy{Dense(32, relu, {.kernel_penalty = l1(1e-3)}), Dense(3)};
  healthy.compile(Adam{.learning_rate = 0.005});
  healthy.fit(train, options);
  CHECK(lines.empty());
}

TEST_CASE("L201: zeros that stay because they are frozen say nothing of the penalty") {
  const data::Dataset train = testing::points(80, 3, 12, 1);
  const auto told = [&](double lambda, int64_t each) {
    Lines lines;
    FitOptions options{.epochs = 40, .batch_size = 20, .threads = 1, .freeze_zeros = true};
    options.on_start = [&](const RewriteReport&, const Lines& warnings) {
      lines.insert(lines.end(), warnings.begin(), warnings.end());
    };
    options.on_warning = [&](const std::string& line) { lines.push_back(line); };
    Sequential model{Dense(32, relu, {.kernel_penalty = l1(lambda)}), Dense(3)};
    model.compile(Adam{.learning_rate = 0.005});
    model.build(shape_of(train), 4);
    const Tensor kernel = model.store().get("dense_1/kernel");
    for (int64_t i = 0; i < kernel.count(); i += each)
      model.store().get("dense_1/kernel").data<float>()[i] = 0;
    model.fit(train, options);
    return lines;
  };
  // Some are zero, or all.
  for (const int64_t each : {2, 1}) CHECK(told(1e-9, each).empty());
  const Lines lines = told(3, 2);
  REQUIRE(lines.size() == 3);
  CHECK(lines[0].starts_with("L201: 'dense_1/kernel' is stationary where all of it is zero: "));
  CHECK(lines[2].starts_with("L201: all of 'dense_1/kernel' is zero: "));
}

}  // namespace lariat::collapse_test
