// Every loss and metric against values that were computed by hand.
#include <fmt/format.h>

#include <cmath>
#include <limits>

#include "frontends/sequential/metric.hpp"
#include "frontends/sequential/sequential.hpp"
#include "graph/base/error.hpp"
#include "graph/program/evaluate.hpp"
#include "ops/ops.hpp"
#include "tests/support/testing.hpp"

namespace lariat::losses_test {

using lariat::testing::message_of;

namespace {

// The losses of two examples with the outputs (1, -2, 0.5) and (0, 3, -1).
std::vector<double> losses(const Loss& loss, const Tensor& targets) {
  Graph graph;
  const Value outputs = graph.constant(Tensor::of<float>({2, 3}, {1, -2, 0.5F, 0, 3, -1}));
  const Tensor values = evaluate(loss.per_example(outputs, graph.constant(targets)));
  REQUIRE(values.extents() == Extents{2});
  return {values.at(0), values.at(1)};
}

void check(const Loss& loss, const Tensor& targets, double first, double second) {
  CAPTURE(loss.name);
  const std::vector<double> found = losses(loss, targets);
  CHECK(found[0] == doctest::Approx(first).epsilon(1e-5));
  CHECK(found[1] == doctest::Approx(second).epsilon(1e-5));
}

// log Σ exp of the two.
const double log_sum[] = {std::log(std::exp(1) + std::exp(-2) + std::exp(0.5)),
                          std::log(std::exp(0) + std::exp(3) + std::exp(-1))};

const Tensor indices = Tensor::of<int32_t>({2}, {2, 1});
const Tensor one_hots = Tensor::of<float>({2, 3}, {0, 0, 1, 0, 1, 0});
const Tensor shares = Tensor::of<float>({2, 3}, {0.5F, 0.25F, 0.25F, 0, 1, 0});
const Tensor numbers = Tensor::of<float>({2, 3}, {0, -2, 1, 3, 3, -1});

MetricValues values_of(const Metric& metric, const Outcome& outcome) { return metric.over_data(outcome); }
double value_of(const Metric& metric, const Outcome& outcome) {
  const MetricValues values = values_of(metric, outcome);
  REQUIRE(values.size() == 1);
  return values[0].second;
}

// Six examples of the classes a, a, a, b, b, c, of which a, a, b, b, c, a are said.
Outcome classes() {
  Outcome outcome{.rows = 6,
                  .width = 3,
                  .weights = std::vector<double>(6, 1),
                  .names = {"a", "b", "c"},
                  .exclusive = true};
  outcome.outputs = {3, 1, 0, 2, 1, 0, 1, 2, 0, 0, 5, 1, 0, 1.5F, 2, 4, 0, 3};
  outcome.truth = {1, 0, 0, 1, 0, 0, 1, 0, 0, 0, 1, 0, 0, 1, 0, 0, 0, 1};
  return outcome;
}

// One output; the answers are no, no, yes, yes with the outputs -1, 2, 0.5, 2: one tie.
Outcome binary() {
  return {.rows = 4,
          .width = 1,
          .outputs = {-1, 2, 0.5F, 2},
          .truth = {0, 0, 1, 1},
          .weights = {1, 1, 1, 1},
          .names = {"yes"}};
}

}  // namespace

TEST_CASE("losses: cross-entropy of labels, one-hot targets and shares") {
  check(SoftmaxCrossEntropy{}, indices, log_sum[0] - 0.5, log_sum[1] - 3);
  check(SoftmaxCrossEntropy{}, one_hots, log_sum[0] - 0.5, log_sum[1] - 3);
  check(SoftmaxCrossEntropy{}, shares, log_sum[0] - (0.5 * 1 - 0.25 * 2 + 0.25 * 0.5), log_sum[1] - 3);
  const double smooth = log_sum[0] - (0.7 * 0.5 + 0.1 * (1 - 2 + 0.5)),
               other = log_sum[1] - (0.7 * 3 + 0.1 * 2);
  check(SoftmaxCrossEntropy{.label_smoothing = 0.3}, indices, smooth, other);
  check(SoftmaxCrossEntropy{.label_smoothing = 0.3}, one_hots, smooth, other);
  for (const Tensor& targets : {indices, one_hots})
    check(SoftmaxCrossEntropy{.class_weights = {1, 2, 10}}, targets, 10 * (log_sum[0] - 0.5),
          2 * (log_sum[1] - 3));
  CHECK(message_of<UserError>([] {
          losses(SoftmaxCrossEntropy{.class_weights = {1, 2}}, indices);
        }) == "class_weights are 2 numbers, but there are 3 classes; give one for each");
  CHECK(message_of<UserError>([] {
          const Loss loss = SoftmaxCrossEntropy{.class_weights = {1, -2}};
        }) == "softmax_cross_entropy: class_weights = -2: must be a number from 0 each");
}

TEST_CASE("losses: shares of weighted classes cost what as many examples of each would") {
  // Of the outputs 1, -2, 0.5 with the shares 0.5, 0.25, 0.25, and of 0, 3, -1 with the second class alone.
  const std::vector<double> weights{1, 2, 10}, z{1, -2, 0.5}, t{0.5, 0.25, 0.25};
  const auto mixed = [&](const auto& of_class) {
    double sum = 0;
    for (size_t c = 0; c < 3; ++c) sum += t[c] * weights[c] * of_class(c);
    return sum;
  };
  const auto cross_entropy = [&](size_t c) { return log_sum[0] - z[c]; };
  check(SoftmaxCrossEntropy{.class_weights = weights}, shares, mixed(cross_entropy), 2 * (log_sum[1] - 3));
  const double smooth = 2 * (log_sum[1] - (0.7 * 3 + 0.1 * 2));
  const auto smoothed = [&](size_t c) { return log_sum[0] - (0.7 * z[c] + 0.1 * (1 - 2 + 0.5)); };
  const SoftmaxCrossEntropy both{.label_smoothing = 0.3, .class_weights = weights};
  check(both, shares, mixed(smoothed), smooth);
  for (const Tensor& targets : {indices, one_hots}) check(both, targets, 10 * smoothed(2), smooth);
  const double q = std::exp(3 - log_sum[1]);
  const auto focal = [&](size_t c) {
    const double p = std::exp(z[c] - log_sum[0]);
    return -(1 - p) * (1 - p) * std::log(p);
  };
  check(Focal{.gamma = 2, .class_weights = weights}, shares, mixed(focal),
        -2 * (1 - q) * (1 - q) * std::log(q));
  check(KlDivergence{.class_weights = weights}, shares,
        mixed([&](size_t c) { return std::log(t[c]) + cross_entropy(c); }), 2 * (log_sum[1] - 3));
}

TEST_CASE("losses: sigmoid, focal, divergence, hinge") {
  const auto softplus = [](double z) { return std::log1p(std::exp(z)); };
  check(SigmoidCrossEntropy{}, one_hots, (softplus(1) + softplus(-2) + softplus(-0.5)) / 3,
        (softplus(0) + softplus(-3) + softplus(-1)) / 3);
  check(SigmoidCrossEntropy{.positive_weight = 4}, one_hots,
        (softplus(1) + softplus(-2) + 4 * softplus(-0.5)) / 3,
        (softplus(0) + 4 * softplus(-3) + softplus(-1)) / 3);
  const double p = std::exp(0.5 - log_sum[0]), q = std::exp(3 - log_sum[1]);
  for (const Tensor& targets : {indices, one_hots})
    check(Focal{.gamma = 2}, targets, -(1 - p) * (1 - p) * std::log(p), -(1 - q) * (1 - q) * std::log(q));
  check(Focal{.gamma = 0}, indices, -std::log(p), -std::log(q));
  const auto sigmoid = [](double z) { return 1 / (1 + std::exp(-z)); };
  const auto part = [&](double z) { return std::pow(sigmoid(-z), 2) * softplus(-z); };
  check(SigmoidFocal{.gamma = 2, .alpha = 0.25}, one_hots,
        (0.75 * part(-1) + 0.75 * part(2) + 0.25 * part(0.5)) / 3,
        (0.75 * part(0) + 0.25 * part(3) + 0.75 * part(1)) / 3);
  const double entropy = -(0.5 * std::log(0.5) + 2 * 0.25 * std::log(0.25));
  check(KlDivergence{}, shares, log_sum[0] - (0.5 * 1 - 0.25 * 2 + 0.25 * 0.5) - entropy, log_sum[1] - 3);
  check(KlDivergence{}, indices, log_sum[0] - 0.5, log_sum[1] - 3);
  check(Hinge{}, one_hots, (2 + 0 + 0.5) / 3, (1 + 0 + 0) / 3.0);
}

TEST_CASE("losses: of numbers") {
  check(MeanSquaredError{}, numbers, (1 + 0 + 0.25) / 3, 9 / 3.0);
  check(MeanAbsoluteError{}, numbers, 1.5 / 3, 1);
  check(Huber{.delta = 0.75}, numbers, (0.75 * (1 - 0.375) + 0.125) / 3, 0.75 * (3 - 0.375) / 3);
  check(Cosine{}, numbers, 1 - (4 + 0.5) / std::sqrt(5.25 * 5), 1 - 10 / std::sqrt(10 * 19.0));
  check(Cosine{}, Tensor(f32, {2, 3}), 1, 1);
  // As only a name: a loss whose file is all of it.
  check(make_loss("log_cosh"), numbers, (std::log(std::cosh(1)) + std::log(std::cosh(0.5))) / 3,
        std::log(std::cosh(3)) / 3);
}

TEST_CASE("losses: gradients are finite where an output is right, wrong or far away") {
  for (const LossKind& kind : loss_kinds()) {
    const Loss loss = kind.make(kind.spec.defaults());
    CAPTURE(loss.name);
    for (const float size : {0.0F, 1.0F, 60.0F}) {
      Graph graph;
      const Value z = graph.parameter("z", {2, 3});
      const Value targets = graph.constant(one_hots);
      const auto integers = [&](Extents extents, std::vector<int32_t> values) {
        return graph.constant(Tensor::of<int32_t>(std::move(extents), std::span<const int32_t>(values)));
      };
      // Of sequences, one of two frames that are the symbol 2, or the blank and it.
      const Value total =
          mean(loss.per_sequence
                   ? loss.per_sequence(reshape(z, {1, 2, 3}), integers({1, 1}, {2}), integers({1}, {2}))
                   : loss.per_example(z, targets));
      Trainer trainer(total, Sgd{.learning_rate = 1e-3});
      trainer.store().set("z", Tensor::of<float>({2, 3}, {size, -size, 0, -size, size, size}));
      trainer.step({});
      CHECK(is_finite(trainer.value(z)));
    }
  }
}

TEST_CASE("losses: every kind is made from its defaults, and is the same again") {
  CHECK(loss_kinds().front().spec.name == "softmax_cross_entropy");
  for (const LossKind& kind : loss_kinds()) {
    const Loss loss = make_loss(kind.spec.defaults());
    CHECK(loss.name == kind.spec.name);
    CHECK(make_loss(loss.spec).spec == loss.spec);
    CHECK(loss.spec == kind.spec.defaults());
  }
  for (const MetricKind& kind : metric_kinds()) {
    const Metric metric = make_metric(kind.spec.defaults());
    CHECK(metric.name == kind.spec.name);
    CHECK(make_metric(metric.spec).spec == metric.spec);
    for (const std::string& task : metric.tasks) CHECK(task_named(task).name == task);
  }
  CHECK(message_of<UserError>([] { task_named("clases"); }) ==
        "there is no task 'clases'. Did you mean 'classes'?");
}

TEST_CASE("metrics: of several of one name each has its own in figures, and equal ones are refused") {
  const auto names = [](const std::vector<Metric>& metrics) { return metric_names(metrics); };
  using Names = std::vector<std::string>;
  CHECK(names({F1{}, F1{Average::micro}, Accuracy{}}) == Names{"f1", "f1_micro", "accuracy"});
  CHECK(names({F1{Average::none}, F1{Average::micro}}) == Names{"f1_none", "f1_micro"});
  CHECK(names({F1{Average::micro}, Accuracy{}}) == Names{"f1", "accuracy"});
  CHECK(names({TopK{2}, TopK{}, TopK{3}}) == Names{"top_k_2", "top_k", "top_k_3"});
  CHECK(message_of<UserError>([&] {
          names({F1{Average::micro}, Accuracy{}, F1{Average::micro}});
        }) == "the metric 'f1 average=micro' is there twice; leave one out, or give it other options");
  CHECK(message_of<UserError>([&] {
          names({Accuracy{}, Accuracy{}});
        }) == "the metric 'accuracy' is there twice; leave one out, or give it other options");
  const std::vector<Metric> both =
      metrics_for(task_named("classes"), {F1{Average::none}, F1{Average::micro}, Accuracy{}});
  CHECK(both[1].over_data(classes()) == MetricValues{{"f1_micro", 0.5}});
  CHECK(both[0].over_data(classes()).front().first == "f1_none/a");
  CHECK(both[2].name == "accuracy");
}

TEST_CASE("losses: hinge takes sides, and no shares") {
  const auto fit = [](const std::vector<std::vector<float>>& targets, const Loss& loss,
                      std::vector<std::string> names = {}) {
    data::Dataset dataset{.sequences = false};
    dataset.targets = {.width = std::ssize(targets.front()), .names = std::move(names)};
    for (size_t i = 0; i < targets.size(); ++i) {
      dataset.examples.push_back({fmt::format("row {}", i + 1), 0, 1, 1, {static_cast<float>(i)}});
      dataset.examples.back().targets = targets[i];
    }
    Sequential model{Dense(0)};
    model.compile(Adam{}, loss);
    model.fit(dataset, {.epochs = 1});
  };
  const auto refused = [&](const std::vector<std::vector<float>>& targets,
                           const std::vector<std::string>& names) {
    return message_of<UserError>([&] { fit(targets, Hinge{}, names); });
  };
  const std::string rest =
      ", but hinge learns which side of a border it is on: 1 where it is true, 0 where not; round it, or "
      "take "
      "sigmoid_cross_entropy, which learns what lies between";
  CHECK(refused({{0}, {1}, {0.3F}, {1}}, {"rain"}) == "row 3: the target 'rain' is 0.3" + rest);
  CHECK(refused({{0, 1}, {0, 0.5F}}, {}) == "row 2: the target '1' is 0.5" + rest);
  CHECK(refused({{0}, {1}, {2}}, {"rain"}) ==
        "row 3: target 0 is 2; it must be 1 where 'rain' is true, 0 where not, or between");
  CHECK_NOTHROW(fit({{0}, {1}, {1}}, Hinge{}));
  CHECK_NOTHROW(fit({{0}, {1}, {0.3F}}, SigmoidCrossEntropy{}));
}

TEST_CASE("metrics: of classes") {
  const Outcome outcome = classes();
  // said and true: a 2, b 1, c 0; said only: a 1, b 1, c 1; true only: a 1, b 1, c 1.
  CHECK(value_of(Accuracy{}, outcome) == 0.5);
  CHECK(value_of(Precision{}, outcome) == doctest::Approx((2 / 3.0 + 1 / 2.0 + 0) / 3));
  CHECK(value_of(Recall{Average::weighted}, outcome) == doctest::Approx((3 * 2 / 3.0 + 2 * 0.5 + 0) / 6));
  CHECK(value_of(F1{Average::micro}, outcome) == 0.5);
  CHECK(values_of(F1{Average::none}, outcome) ==
        MetricValues{{"f1/a", 2 * 2 / 6.0}, {"f1/b", 2 * 1 / 4.0}, {"f1/c", 0}});
  CHECK(value_of(TopK{2}, outcome) == doctest::Approx(6 / 6.0));
  CHECK(value_of(TopK{1}, outcome) == 0.5);
  // By the probabilities a: .84 .67 .24 against .01 .08 .72; b: .98 .35 against .11 .24 .67 .01; c: .27
  // against .04 .09 .09 .02 .57.
  CHECK(values_of(Auc{Average::none}, outcome) ==
        MetricValues{{"auc/a", 7 / 9.0}, {"auc/b", 7 / 8.0}, {"auc/c", 4 / 5.0}});
  // Logits of a row may be shifted.
  Outcome shifted = outcome;
  for (size_t i = 0; i < 3; ++i) shifted.outputs[i] += 50;
  CHECK(values_of(Auc{Average::none}, shifted) == values_of(Auc{Average::none}, outcome));
  // A class that neither occurs nor is said has no score.
  Outcome wider = outcome;
  wider.width = 4;
  wider.names.emplace_back("d");
  for (int64_t row = 5; row >= 0; --row) {
    wider.outputs.insert(wider.outputs.begin() + 3 * (row + 1), -9);
    wider.truth.insert(wider.truth.begin() + 3 * (row + 1), 0);
  }
  CHECK(value_of(F1{}, wider) == doctest::Approx(value_of(F1{}, outcome)));
  CHECK(value_of(Auc{}, wider) == doctest::Approx((7 / 9.0 + 7 / 8.0 + 4 / 5.0) / 3));
  // Of all columns in one ranking: how often a pair of one that is true and one that is not is in order.
  std::vector<double> right, wrong;
  for (size_t row = 0; row < 6; ++row) {
    double sum = 0;
    for (size_t c = 0; c < 3; ++c) sum += std::exp(double(outcome.outputs[3 * row + c]));
    for (size_t c = 0; c < 3; ++c)
      (outcome.truth[3 * row + c] > 0 ? right : wrong)
          .push_back(std::exp(double(outcome.outputs[3 * row + c])) / sum);
  }
  double in_order = 0;
  for (const double a : right)
    for (const double b : wrong) in_order += a > b ? 1 : a == b ? 0.5 : 0;
  CHECK(value_of(Auc{Average::micro}, outcome) == doctest::Approx(in_order / (6.0 * 12)));
}

TEST_CASE("metrics: of two classes, and of weights") {
  const Outcome outcome = binary();
  CHECK(value_of(Accuracy{}, outcome) == 0.75);
  CHECK(value_of(Precision{}, outcome) == doctest::Approx(2 / 3.0));
  CHECK(value_of(Recall{}, outcome) == 1);
  CHECK(value_of(F1{}, outcome) == doctest::Approx(0.8));
  // Of four pairs two are in order, one is equal, one is the wrong way round.
  CHECK(value_of(Auc{}, outcome) == doctest::Approx(2.5 / 4));
  // Above 2: one of two; above 0.5: two of three.
  CHECK(value_of(AveragePrecision{}, outcome) == doctest::Approx(0.5 * 0.5 + 0.5 * 2 / 3.0));
  // An example of weight 3 counts as three of them.
  Outcome weighted = outcome, repeated = outcome;
  weighted.weights[1] = 3;
  for (int i = 0; i < 2; ++i) {
    repeated.outputs.push_back(2);
    repeated.truth.push_back(0);
    repeated.weights.push_back(1);
  }
  repeated.rows = 6;
  for (const Metric& metric : {Metric(Accuracy{}), Metric(Precision{}), Metric(Recall{}), Metric(F1{}),
                               Metric(Auc{}), Metric(AveragePrecision{})})
    CHECK(value_of(metric, weighted) == doctest::Approx(value_of(metric, repeated)));
  Outcome never = outcome;
  never.truth = {0, 0, 0, 0};
  CHECK(std::isnan(value_of(Auc{}, never)));
  CHECK(value_of(Recall{}, never) == 0);
}

TEST_CASE("metrics: of several labels") {
  const Outcome outcome{.rows = 2,
                        .width = 2,
                        .outputs = {1, -1, 2, 3},
                        .truth = {1, 0, 0, 1},
                        .weights = {1, 1},
                        .names = {"loud", "long"}};
  CHECK(value_of(Accuracy{}, outcome) == 0.75);
  CHECK(values_of(F1{Average::none}, outcome) == MetricValues{{"f1/loud", 2 / 3.0}, {"f1/long", 1}});
  CHECK(value_of(Auc{}, outcome) == 0.5);
}

TEST_CASE("metrics: of numbers") {
  const Outcome outcome{.rows = 3,
                        .width = 2,
                        .outputs = {1, 5, 2, 5, 4, 5},
                        .truth = {1, 5, 3, 5, 5, 5},
                        .weights = {1, 1, 2},
                        .names = {"x", "y"}};
  CHECK(value_of(MeanSquaredError{}, outcome) == doctest::Approx((1 + 2 * 1) / 8.0));
  CHECK(value_of(MeanAbsoluteError{}, outcome) == doctest::Approx(3 / 8.0));
  // x: mean (1 + 3 + 10)/4 = 3.5; spread 6.25 + 0.25 + 4.5 = 11. y does not vary and is met.
  CHECK(value_of(R2{}, outcome) == doctest::Approx((1 - 3 / 11.0 + 1) / 2));
}

TEST_CASE("metrics: NaN is never right") {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  Outcome outcome = classes();
  outcome.outputs[0] = nan;
  CHECK(value_of(TopK{1}, outcome) == doctest::Approx(2 / 6.0));
  Outcome two = binary();
  two.outputs[3] = nan;
  CHECK(value_of(Accuracy{}, two) == 0.5);
  CHECK(value_of(Auc{}, two) == doctest::Approx(1 / 4.0));
}

}  // namespace lariat::losses_test
