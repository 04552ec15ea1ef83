// What is reported of weighted examples: in the lines of a training, of validation data and by evaluate() the
// same of the same weights, and what is computed here from predictions alone.
#include <cmath>
#include <functional>

#include "frontends/sequential/sequential.hpp"
#include "graph/base/error.hpp"
#include "ops/ops.hpp"
#include "tests/support/testing.hpp"
#include "tests/support/toy_data.hpp"

namespace lariat::weighted_figures_test {

using lariat::testing::contains;
using lariat::testing::message_of;
using lariat::testing::points;
using lariat::testing::sequences;

namespace {

data::Dataset with_weights(data::Dataset dataset) {
  for (size_t i = 0; i < dataset.examples.size(); ++i)
    dataset.examples[i].weight = 0.25F * static_cast<float>(i % 5);
  return dataset;
}

// Two numbers of each frame.
data::Dataset frames_of_numbers(int count) {
  data::Dataset dataset = sequences(count, 2, 3, 4, 9, 1);
  dataset.classes.clear();
  dataset.targets = {.width = 2, .by_frame = true};
  for (data::Example& example : dataset.examples)
    for (int64_t t = 0; t < example.frames; ++t)
      for (const float factor : {0.5F, -2.0F})
        example.targets.push_back(factor * example.values[static_cast<size_t>(3 * t)] + 0.1F);
  return dataset;
}

// The loss Σ w·l / n and the metric Σ w·m / Σ w, of an example's loss, its sum of the metric over what it has
// of that, and how many that are.
struct Figures {
  double loss = 0, metric = 0;
};
struct OfExample {
  double loss = 0, metric = 0, count = 1;
};
Figures figures_of(const data::Dataset& dataset, const std::function<OfExample(size_t)>& of) {
  double loss = 0, metric = 0, weights = 0;
  for (size_t i = 0; i < dataset.examples.size(); ++i) {
    const OfExample one = of(i);
    const auto weight = static_cast<double>(dataset.examples[i].weight);
    loss += weight * one.loss;
    metric += weight * one.metric;
    weights += weight * one.count;
  }
  return {loss / static_cast<double>(dataset.examples.size()), metric / weights};
}

// One epoch in which nothing moves, in batches of which the last one is smaller.
EpochReport still_epoch(Sequential& model, const data::Dataset& dataset, FitOptions options = {}) {
  options.batch_size = 8;
  options.groups = {{"*", 0.0}};
  options.validation = dataset;
  options.time_multiple = 4;
  return model.fit(dataset, options).epochs.back();
}

void check_agree(Sequential& model, const data::Dataset& dataset, const EpochReport& epoch,
                 const Figures& own, const std::string& metric) {
  const auto close = [](double value) { return doctest::Approx(value).epsilon(2e-6); };
  const Evaluation evaluation = model.evaluate(dataset, {.batch_size = 5});
  CHECK(evaluation.loss == close(own.loss));
  CHECK(epoch.smooth == close(own.loss));
  CHECK(*epoch.validation_loss == close(own.loss));
  const auto value = [&](const MetricValues& values) {
    for (const auto& [name, number] : values)
      if (name == metric) return number;
    FAIL("no metric " << metric);
    return 0.0;
  };
  CHECK(value(evaluation.metrics) == close(own.metric));
  CHECK(value(epoch.metrics) == close(own.metric));
  CHECK(value(epoch.validation_metrics) == close(own.metric));
}

}  // namespace

TEST_CASE("weighted figures: classes with weights of examples and of classes") {
  const data::Dataset dataset = with_weights(points(43, 3, 6, 1));
  const std::vector<double> class_weights{1, 0.5, 3};
  Sequential model{Dense(6, relu, {.kernel_penalty = l1(1e-2)}), Dense(0)};
  model.compile(Sgd{}, SoftmaxCrossEntropy{.class_weights = class_weights});
  const EpochReport epoch = still_epoch(model, dataset);
  const std::vector<Prediction> predictions = model.predict(dataset);
  const Figures own = figures_of(dataset, [&](size_t i) -> OfExample {
    const auto label = static_cast<size_t>(dataset.examples[i].label);
    const Prediction& said = predictions[i];
    return {-class_weights[label] * std::log(static_cast<double>(said.probabilities[label])),
            said.index == dataset.examples[i].label ? 1.0 : 0.0};
  });
  check_agree(model, dataset, epoch, own, "accuracy");
  CHECK(epoch.penalty > 0);
  CHECK(epoch.loss == doctest::Approx(epoch.smooth + epoch.penalty));
  // Not the mean of unweighted answers, nor that of batches.
  data::Dataset plain = dataset;
  for (data::Example& example : plain.examples) example.weight = 1;
  CHECK(std::abs(model.evaluate(plain).accuracy - own.metric) > 1e-4);
}

TEST_CASE("weighted figures: numbers of frames, padded, whose metric counts frames and whose loss examples") {
  const data::Dataset dataset = with_weights(frames_of_numbers(21));
  for (const int accumulate : {1, 2})
    for (const int shards : {0, 2}) {
      CAPTURE(accumulate);
      CAPTURE(shards);
      Sequential model{Dense(4, relu), Dense(0)};
      model.compile(Sgd{}, MeanSquaredError{}, {MeanAbsoluteError{}});
      FitOptions options;
      options.accumulate = accumulate;
      options.micro_shards = shards;
      const EpochReport epoch = still_epoch(model, dataset, options);
      const std::vector<Prediction> predictions = model.predict(dataset);
      const Figures own = figures_of(dataset, [&](size_t i) -> OfExample {
        const std::vector<float>& targets = dataset.examples[i].targets;
        OfExample one{0, 0, static_cast<double>(targets.size())};
        for (size_t j = 0; j < targets.size(); ++j) {
          const double e = static_cast<double>(predictions[i].values[j]) - static_cast<double>(targets[j]);
          one.loss += e * e / one.count;
          one.metric += std::abs(e);
        }
        return one;
      });
      check_agree(model, dataset, epoch, own, "mean_absolute_error");
    }
}

TEST_CASE("weighted figures: what each step reports, and a fit that goes on in an epoch") {
  const data::Dataset dataset = with_weights(points(43, 3, 6, 1));
  const auto make = [] {
    Sequential model{Dense(0)};
    model.compile(Adam{});
    return model;
  };
  FitOptions options{.epochs = 1, .batch_size = 8};
  options.on_step = [&](const StepReport& step) {
    REQUIRE(step.result.metrics.size() == 1);
    CHECK(step.result.metrics[0] >= 0);
    CHECK(step.result.metrics[0] <= 1 + 1e-6);
  };
  Sequential whole = make();
  const FitResult undisturbed = whole.fit(dataset, options);
  std::atomic<bool> stop = false;
  FitOptions until = options;
  until.on_step = [&](const StepReport& step) { stop = step.step == 3; };
  until.stop = &stop;
  Sequential model = make();
  const FitResult first = model.fit(dataset, until);
  REQUIRE(first.stopped);
  CHECK(first.state.metric_weights.size() == 1);
  FitOptions rest = options;
  rest.from = fit_state_from_json(to_json(first.state));
  const FitResult second = model.fit(dataset, rest);
  CHECK(second.epochs.back().metrics == undisturbed.epochs.back().metrics);
  // A state without them: every example counts alike.
  FitState old = first.state;
  old.metric_weights.clear();
  const FitState read = fit_state_from_json(to_json(old));
  CHECK(read.metric_weights == std::vector<double>{static_cast<double>(old.examples)});
}

TEST_CASE("weighted figures: a batch of which nothing counts has no part in an epoch's figures") {
  data::Dataset dataset = points(24, 3, 6, 1);
  for (size_t i = 0; i < 8; ++i) dataset.examples[i].weight = 0;
  Sequential model{Dense(0)};
  model.compile(Sgd{});
  int steps = 0;
  FitOptions options{.shuffle = false};
  options.on_step = [&](const StepReport& step) {
    CHECK(std::isfinite(step.result.metrics[0]));
    steps += step.result.metrics[0] >= 0;
  };
  const EpochReport epoch = still_epoch(model, dataset, options);
  CHECK(steps == 3);
  double right = 0;
  const std::vector<Prediction> predictions = model.predict(dataset);
  for (size_t i = 8; i < 24; ++i) right += predictions[i].index == dataset.examples[i].label;
  CHECK(epoch.accuracy == doctest::Approx(right / 16));
}

TEST_CASE("weighted figures: data of which nothing counts are told of before the first step") {
  const data::Dataset dataset = points(24, 3, 6, 1);
  data::Dataset light = dataset, first_class = dataset;
  for (data::Example& example : light.examples) example.weight = 0;
  for (data::Example& example : first_class.examples) example.label = 0;
  std::vector<std::string> warnings;
  int64_t steps = 0;
  const auto fit = [&](const data::Dataset& train, const data::Dataset& validation) {
    Sequential model{Dense(0)};
    model.compile(Adam{}, SoftmaxCrossEntropy{.class_weights = {0, 1, 1}});
    FitOptions options{.epochs = 1};
    options.validation = validation;
    options.on_warning = [&](const std::string& warning) { warnings.push_back(warning); };
    options.on_step = [&](const StepReport&) { ++steps; };
    model.fit(train, options);
  };
  CHECK(
      message_of<UserError>([&] { fit(dataset, light); }) ==
      "the validation data: every example has the weight 0, so that none counts; give one a weight above 0");
  CHECK(message_of<UserError>([&] { fit(first_class, dataset); }) ==
        "every example that counts is of a class whose class_weights are 0, so that none is in the loss; "
        "give one "
        "of their classes a weight above 0");
  CHECK(steps == 0);
  CHECK(warnings.empty());
  fit(dataset, first_class);
  CHECK(warnings ==
        std::vector<std::string>{"the validation data: every example that counts is of a class whose "
                                 "class_weights are 0, so that none is in the loss: it will be 0 "
                                 "whatever the model answers"});
  CHECK(steps == 1);
}

}  // namespace lariat::weighted_figures_test
