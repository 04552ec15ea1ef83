// What a fit does and tells about penalties over its course: their strength, the zeros' places, certificates,
// warnings, and its early end.
#include <fmt/format.h>

#include <cmath>
#include <limits>

#include "autodiff/training/optimizers.hpp"
#include "frontends/sequential/fit_loop.hpp"
#include "frontends/sequential/sequential.hpp"
#include "graph/base/error.hpp"
#include "ops/ops.hpp"
#include "tests/support/testing.hpp"
#include "tests/support/toy_data.hpp"
#include "tests/support/toy_fits.hpp"

namespace lariat::sparse_fit_test {

using lariat::testing::message_of;
using lariat::testing::points;

namespace {

Sequential sparse_model(const Optimizer& optimizer = Adam{.learning_rate = 0.02}) {
  Sequential model{Dense(8, tanh, {.kernel_penalty = l1(0.02)}), Dense(3, {}, {.kernel_penalty = l1(0.02)})};
  model.compile(optimizer);
  return model;
}

double absolute_sum(const Tensor& tensor) {
  double sum = 0;
  for (int64_t i = 0; i < tensor.count(); ++i) sum += std::abs(tensor.at(i));
  return sum;
}

}  // namespace

TEST_CASE("sparse fit: penalties grow over the ramp and are weaker once zeros stay") {
  const data::Dataset train = points(40, 2, 3, 1);
  Sequential model{Dense(2, {}, {.kernel_penalty = l1(0.25)})};
  model.compile(Sgd{.learning_rate = 0});
  std::vector<double> penalties;
  FitOptions fit{
      .epochs = 5, .batch_size = 20, .settle_from = 0.6, .penalty_ramp = 0.4, .after_settling = 0.5};
  fit.on_step = [&](const StepReport& report) {
    penalties.push_back(report.result.penalty);
    CHECK(report.result.loss == doctest::Approx(report.result.smooth + report.result.penalty));
  };
  const FitResult result = model.fit(train, fit);
  const double whole = 0.25 * absolute_sum(model.store().get("dense_1/kernel"));
  const double strengths[] = {0.25, 0.5, 0.75, 1, 1, 1, 0.5, 0.5, 0.5, 0.5};
  REQUIRE(penalties.size() == 10);
  for (size_t i = 0; i < 10; ++i) CHECK(penalties[i] == doctest::Approx(strengths[i] * whole).epsilon(1e-6));
  const double of_epochs[] = {0.5, 1, 1, 0.5, 0.5};
  for (size_t i = 0; i < 5; ++i) CHECK(result.epochs[i].penalty_strength == of_epochs[i]);
  CHECK(model.report().text() ==
        "dense_1/kernel: 0.25 * penalty_strength * |dense_1/kernel| -> soft threshold, metric SGD: "
        "learning_rate\n");
  CHECK(model.report().rewritten[0].coefficients[0] == 0.25);
  // Nothing but training needs the strength.
  CHECK(model.evaluate(train).examples == 40);
  CHECK(model.predict(train).size() == 40);
  // A fit without a schedule is one at full strength.
  const FitResult plain = model.fit(train, {.batch_size = 40});
  CHECK(plain.epochs[0].penalty == doctest::Approx(whole).epsilon(1e-6));
  CHECK(plain.epochs[0].penalty_strength == 1);
}

TEST_CASE("sparse fit: from settle_from on zeros stay zero") {
  const data::Dataset train = points(60, 3, 10, 1);
  Sequential model = sparse_model();
  std::vector<Support> supports;
  FitOptions fit{.epochs = 8, .batch_size = 10, .settle_from = 0.5};
  fit.on_epoch_end = [&](const EpochReport&) {
    supports.push_back(
        support_of(model.store(), std::vector<std::string>{"dense_1/kernel", "dense_2/kernel"}));
  };
  const FitResult result = model.fit(train, fit);
  bool grew_before = false;
  for (size_t epoch = 1; epoch < 8; ++epoch) {
    bool grew = false;
    for (size_t i = 0; i < supports[epoch].size(); ++i) grew |= supports[epoch][i] && !supports[epoch - 1][i];
    if (epoch >= 4) CHECK_FALSE(grew);
    grew_before |= epoch < 4 && grew;
    CHECK(result.epochs[epoch].support_changes == share_changed(supports[epoch - 1], supports[epoch]));
  }
  CHECK(grew_before);
  // No weight was zero when training began.
  CHECK(result.epochs[0].support_changes ==
        doctest::Approx(result.epochs[0].penalised.fraction()).epsilon(1e-14));
}

TEST_CASE("sparse fit: with freeze_zeros what is zero at first stays zero, whatever the optimizer") {
  const data::Dataset train = points(60, 3, 10, 1);
  for (const Optimizer& optimizer :
       std::vector<Optimizer>{Sgd{.learning_rate = 0.1}, Momentum{.learning_rate = 0.05},
                              Adam{.learning_rate = 0.02}, AdamW{.learning_rate = 0.02}}) {
    CAPTURE(optimizer.name);
    // One layer with a penalty, one without; biases are 0 at first, and free.
    Sequential model{Dense(8, tanh, {.kernel_penalty = l1(1e-3)}), Dense(3)};
    model.compile(optimizer);
    model.build(shape_of(train), 4);
    const std::vector<std::string> kernels{"dense_1/kernel", "dense_2/kernel"};
    for (const std::string& name : kernels)
      for (int64_t i = 0; i < model.store().get(name).count(); i += 3)
        model.store().get(name).data<float>()[i] = 0;
    const Support before = support_of(model.store(), kernels);
    const Tensor first = model.store().get("dense_1/kernel").clone();
    const FitResult result = model.fit(train, {.epochs = 6, .batch_size = 10, .freeze_zeros = true});
    const Support after = support_of(model.store(), kernels);
    for (size_t i = 0; i < before.size(); ++i)
      if (!before[i]) CHECK_FALSE(after[i]);
    CHECK(model.store().get("dense_1/kernel").at(1) != first.at(1));
    CHECK(model.store().get("dense_1/bias").at(0) != 0);
    CHECK(result.epochs.back().loss < 0.9 * result.epochs.front().loss);
  }
  Graph graph;
  const Value w = graph.parameter("w", {2});
  CHECK(message_of<UserError>([&] { Trainer(sum(square(w)), Sgd{}, {.frozen_zeros = {"v"}}); }) ==
        "'v', whose zeros are to stay, is no parameter of the loss");
  const Value x = graph.input("x", {2});
  CHECK(message_of<UserError>([&] { Trainer(sum(square(w * x)), Sgd{}, {.frozen_zeros = {"x"}}); }) ==
        "'x', whose zeros are to stay, is no parameter of the loss");
  // What nothing trains keeps its zeros as it is.
  const Value held = graph.parameter("held", {2}, init::constant(0));
  Trainer trainer(sum(square(w - 1)) + sum(square(stop_gradient(held) - 1)), Sgd{},
                  {.frozen_zeros = {"held", "w"}});
  trainer.step(Feeds{});
  CHECK(trainer.value(held).at(0) == 0);
}

TEST_CASE("sparse fit: units of an LSTM become zero as wholes, with all gates and biases") {
  const data::Dataset train = [] {
    data::Dataset dataset;
    dataset.classes = {"up", "down"};
    for (int i = 0; i < 40; ++i) {
      const float slope = i % 2 == 0 ? 0.3f : -0.3f;
      data::Example example{"e", i % 2, 6, 2, {}};
      for (int t = 0; t < 6; ++t) {
        example.values.push_back(slope * static_cast<float>(t) + 0.1f * static_cast<float>(i % 5));
        example.values.push_back(static_cast<float>((i * 7 + t * 3) % 5) * 0.2f);
      }
      dataset.examples.push_back(std::move(example));
    }
    return dataset;
  }();
  Sequential model{Lstm(12, {.group_units = 0.02}), Dense(0)};
  model.compile(Adam{.learning_rate = 0.03});
  const FitResult result = model.fit(train, {.epochs = 60, .batch_size = 20, .settle_from = 0.5});
  const Tensor kernel = model.store().get("lstm_1/kernel"),
               recurrent = model.store().get("lstm_1/recurrent_kernel"),
               bias = model.store().get("lstm_1/bias");
  int64_t gone = 0;
  for (int64_t unit = 0; unit < 12; ++unit) {
    int64_t zeros = 0;
    for (int64_t gate = 0; gate < 4; ++gate) {
      const int64_t column = gate * 12 + unit;
      for (int64_t row = 0; row < 2; ++row) zeros += kernel.at(row * 48 + column) == 0;
      for (int64_t row = 0; row < 12; ++row) zeros += recurrent.at(row * 48 + column) == 0;
      zeros += bias.at(column) == 0;
    }
    // All of 4·(2 + 12 + 1), or none but by chance.
    CHECK((zeros == 60 || zeros < 10));
    gone += zeros == 60 ? 1 : 0;
  }
  CHECK(gone >= 4);
  CHECK(gone < 12);
  CHECK(model.evaluate(train).accuracy > 0.9);
  CHECK(result.epochs.back().penalised.count == 2 * 48 + 12 * 48 + 48);
  for (const TensorZeros& tensor : model.zeros()) {
    CHECK(tensor.penalised == tensor.name.starts_with("lstm"));
    CHECK(tensor.penalty == (tensor.penalised ? "group_units=0.02" : "none"));
  }
  CHECK(model.report().text().find("group soft threshold") != std::string::npos);
  const Certificate certificate = model.certify(train);
  CHECK(certificate.distance().has_value());
}

TEST_CASE("sparse fit: a unit's group holds all its biases, of the recurrent part too") {
  const data::Dataset data = testing::sequences(24, 2, 3, 4, 7, 1);
  const auto penalised = [&](const LayerSpec& layer) {
    Sequential model{layer, Dense(0)};
    model.build(shape_of(data), 1);
    std::vector<std::string> names;
    for (const TensorZeros& tensor : model.zeros())
      if (tensor.penalty == "group_units=0.02") names.push_back(tensor.name);
    return names;
  };
  CHECK(penalised(Gru(4, {.group_units = 0.02})) ==
        std::vector<std::string>{"gru_1/bias", "gru_1/candidate_bias", "gru_1/kernel",
                                 "gru_1/recurrent_kernel"});
  CHECK(penalised(Gru(4, {.reset_after = false, .group_units = 0.02})) ==
        std::vector<std::string>{"gru_1/bias", "gru_1/kernel", "gru_1/recurrent_kernel"});
  CHECK(penalised(SimpleRnn(4, {.group_units = 0.02})).size() == 3);
}

TEST_CASE("sparse fit: supports as text and back") {
  const Support support{true, false, false, true, true, false, true};
  CHECK(hexadecimal(support) == "95");
  const std::optional<Support> back = parse_support("95");
  CHECK(back == Support{true, false, false, true, true, false, true, false});
  CHECK_FALSE(parse_support("9g").has_value());
  CHECK(hexadecimal({}).empty());
  CHECK(share_changed({true, true, false, false}, {true, false, true, false}) == 0.5);
}

TEST_CASE("sparse fit: stopped within ramp or settled phase it goes on to the same bits") {
  const data::Dataset data = points(50, 3, 6, 1);
  const auto options = [&] {
    FitOptions fit{.epochs = 4,
                   .batch_size = 8,
                   .seed = 11,
                   .settle_from = 0.5,
                   .penalty_ramp = 0.3,
                   .after_settling = 0.1,
                   .certificate = data};
    return fit;
  };
  Sequential whole = sparse_model();
  const FitResult expected = whole.fit(data, options());
  REQUIRE(expected.epochs.back().penalised.zeros > 0);
  for (const int64_t stop_after : {3, 7, 10, 17, 27}) {
    CAPTURE(stop_after);
    std::atomic<bool> stop = false;
    int64_t steps = 0;
    FitOptions first = options();
    first.stop = &stop;
    first.on_step = [&](const StepReport&) { stop = ++steps == stop_after; };
    Sequential model = sparse_model();
    const FitResult before = model.fit(data, first);
    REQUIRE(before.stopped);
    Sequential other = sparse_model();
    const FitResult after = testing::go_on(other, model, before, data, options());
    CHECK(other.store().hash() == whole.store().hash());
    REQUIRE(after.epochs.size() == 4);
    for (size_t i = 0; i < 4; ++i) {
      CHECK(after.epochs[i].loss == expected.epochs[i].loss);
      CHECK(after.epochs[i].support_changes == expected.epochs[i].support_changes);
      CHECK(after.epochs[i].prox_residual == expected.epochs[i].prox_residual);
      CHECK(after.epochs[i].distance == expected.epochs[i].distance);
      CHECK(after.epochs[i].penalty_strength == expected.epochs[i].penalty_strength);
    }
  }
  FitOptions wrong = options();
  wrong.from = {.epoch = 1, .step = 2, .total_steps = 28, .examples = 16, .support = Support(8)};
  wrong.earlier = {expected.epochs[0]};
  CHECK(message_of<UserError>([&] { whole.fit(data, wrong); }) ==
        "the state to go on from has the support of 8 weights, but 72 are penalised; start the training "
        "again");
  CHECK(message_of<UserError>([&] {
          fit_state_from_json(R"({"epoch": 0, "step": 1, "first_step": 0, "total_steps": 4, "examples": 8,
                                  "loss": 1, "penalty": 0, "seconds": 1, "metrics": [], "support": "xyz"})");
        }) == "the checkpoint's progress has a support that is not hexadecimal; it is damaged");
}

TEST_CASE("sparse fit: a convex model is certified as it converges, and ends where it is stationary") {
  const data::Dataset train = points(60, 3, 6, 1);
  const auto make = [] {
    Sequential model{Dense(3, {}, {.kernel_penalty = l1(0.05)})};
    model.compile(Sgd{.learning_rate = 0.5});
    return model;
  };
  Sequential model = make();
  FitOptions fit{.epochs = 400, .batch_size = 60, .certificate = train};
  const FitResult result = model.fit(train, fit);
  CHECK(*result.epochs.front().prox_residual > 1e-2);
  CHECK(*result.epochs.back().prox_residual < 1e-3);
  CHECK(result.epochs.back().distance.has_value());
  CHECK(result.ended.empty());
  const Certificate certificate = model.certify(train);
  CHECK(certificate.prox_residual() == *result.epochs.back().prox_residual);
  CHECK(certificate.entries.size() == 2);
  CHECK(certificate.loss ==
        doctest::Approx(model.evaluate(train).loss + certificate.loss - certificate.smooth));

  Sequential early = make();
  FitOptions until{.epochs = 400, .batch_size = 60, .stop_when_stationary = 2e-3};
  const FitResult ended = early.fit(train, until);
  CHECK(ended.epochs.size() < 400);
  CHECK(*ended.epochs.back().prox_residual <= 2e-3);
  CHECK(*ended.epochs[ended.epochs.size() - 2].prox_residual > 2e-3);
  CHECK_FALSE(ended.stopped);
  CHECK(ended.ended.starts_with("the prox residual is "));
  CHECK(ended.ended.ends_with(fmt::format(" after epoch {}, at most 0.002", ended.epochs.size())));
  // Asked to go on, it has nothing left to do.
  until.from = ended.state;
  until.earlier = ended.epochs;
  CHECK(early.fit(train, until).epochs.size() == ended.epochs.size());

  CHECK(message_of<UserError>([&] { make().certify(train); }) ==
        "the model has not been trained here, so there is no loss to certify; call fit first");
}

TEST_CASE("sparse fit: it ends where the zeros have stayed in their places") {
  const auto epoch = [](int64_t number, int64_t zeros, double changes) {
    EpochReport report;
    report.epoch = number;
    report.penalised = {zeros, 10};
    report.support_changes = changes;
    return report;
  };
  FitOptions options;
  options.stop_when_settled = 2;
  CHECK(early_end({}, options).empty());
  // Before the first zero nothing has settled.
  CHECK(early_end({epoch(1, 0, 0), epoch(2, 0, 0)}, options).empty());
  CHECK(early_end({epoch(1, 4, 0.4), epoch(2, 4, 0)}, options).empty());
  CHECK(early_end({epoch(1, 4, 0.4), epoch(2, 4, 0), epoch(3, 4, 0)}, options) ==
        "no weight became zero or ceased to be in 2 epochs, up to epoch 3");
  CHECK(early_end({epoch(1, 4, 0), epoch(2, 5, 0.1), epoch(3, 5, 0)}, options).empty());
  options.stop_when_settled = 0;
  CHECK(early_end({epoch(1, 4, 0), epoch(2, 4, 0)}, options).empty());

  const data::Dataset train = points(60, 3, 6, 1);
  Sequential model = sparse_model();
  const FitResult result =
      model.fit(train, {.epochs = 300, .batch_size = 60, .settle_from = 0.1, .stop_when_settled = 3});
  CHECK(result.epochs.size() < 300);
  CHECK(result.ended.starts_with("no weight became zero or ceased to be in 3 epochs, up to epoch "));
}

TEST_CASE("sparse fit: a penalty that leaves nothing is a warning, not an error") {
  const data::Dataset train = points(60, 3, 6, 1);
  for (const double ramp : {0.0, 1.0}) {
    CAPTURE(ramp);
    Sequential model{Dense(3, {}, {.kernel_penalty = l1(100)})};
    model.compile(Adam{.learning_rate = 0.1});
    std::vector<std::string> seen;
    int starts = 0;
    FitOptions fit{.epochs = 5, .batch_size = 20, .penalty_ramp = ramp};
    fit.on_start = [&](const RewriteReport& report, const std::vector<std::string>& warnings) {
      CHECK(report.rewritten.size() == 1);
      seen = warnings;
      ++starts;
    };
    const FitResult result = model.fit(train, fit);
    CHECK(starts == 1);
    REQUIRE(seen.size() == 1);
    CHECK(seen[0].starts_with("L201: 'dense_1/kernel' is stationary where all of it is zero: "));
    CHECK(result.epochs.back().penalised.fraction() == 1);
  }
  Sequential mild = sparse_model();
  FitOptions fit{.batch_size = 20};
  fit.on_start = [](const RewriteReport&, const std::vector<std::string>& warnings) {
    CHECK(warnings.empty());
  };
  mild.fit(train, fit);
}

TEST_CASE("sparse fit: data that are not finite, and options out of range, are named") {
  data::Dataset train = points(20, 2, 3, 1);
  Sequential model{Dense(2, {}, {.kernel_penalty = l1(0.1)})};
  model.compile(Sgd{});
  const auto fit = [&](const FitOptions& options) {
    return message_of<UserError>([&] { model.fit(train, options); });
  };
  CHECK(fit({.settle_from = 1.5}) == "settle_from = 1.5: must be a number from 0 to 1");
  CHECK(fit({.penalty_ramp = -0.5}) == "penalty_ramp = -0.5: must be a number from 0 to 1");
  CHECK(fit({.after_settling = std::nan("")}) == "after_settling = nan: must be a number from 0 to 1");
  CHECK(fit({.threads = -2}) == "threads = -2: must be an integer from 0 to 1024");
  Sequential built{Dense(2)};
  built.build({false, 3, train.classes});
  for (const int size : {0, -4})
    CHECK(message_of<UserError>([&] { built.predict(train, {.batch_size = size}); }) ==
          "batch_size = " + std::to_string(size) + ": must be an integer from 1");
  CHECK(message_of<UserError>([&] { built.predict(train, {.threads = -1}); }) ==
        "threads = -1: must be an integer from 0 to 1024");
  CHECK(fit({.threads = 5000}) == "threads = 5000: must be an integer from 0 to 1024");
  CHECK(fit({.stop_when_settled = -1}) == "stop_when_settled = -1: must be an integer from 0");
  CHECK(fit({.stop_when_stationary = -1}) == "stop_when_stationary = -1: must be a number from 0");
  CHECK(fit({.checkpoint_epochs = -1}) == "checkpoint_epochs = -1: must be an integer from 0");
  CHECK(fit({.checkpoint_steps = -1}) == "checkpoint_steps = -1: must be an integer from 0");
  CHECK(fit({.checkpoint_minutes = std::nan("")}) == "checkpoint_minutes = nan: must be a number from 0");
  CHECK(fit({.groups = {{"*/bias"}}}) ==
        "the parameter group '*/bias': has no effect without a learning_rate or a weight_decay; set one");
  CHECK(fit({.schedule = [](int64_t) { return Schedule{}; }}) ==
        "the schedule gives no factors; return one, such as schedule::constant()");
  const std::string give = "; give a layer one, such as kernel_penalty = \"l1=1e-4\"";
  for (const bool smooth : {false, true}) {
    Sequential plain{Dense(2, {}, {.kernel_penalty = smooth ? l2(0.1) : WeightPenalty{}})};
    plain.compile(Sgd{});
    const auto vain = [&](const FitOptions& options) {
      return message_of<UserError>([&] { plain.fit(train, options); });
    };
    CHECK(vain({.settle_from = 0.5}) ==
          "settle_from = 0.5: has no effect, for no weight has a penalty that makes zeros" + give);
    CHECK(vain({.stop_when_settled = 2}) ==
          "stop_when_settled = 2: has no effect, for no weight has a penalty that makes zeros" + give);
    if (smooth) {
      CHECK_NOTHROW(plain.fit(train, {.rewrite = false, .penalty_ramp = 0.5}));
      continue;
    }
    CHECK(vain({.penalty_ramp = 0.5}) ==
          "penalty_ramp = 0.5: has no effect, for no weight has a penalty" + give);
    CHECK(vain({.rewrite = false}) == "rewrite = false: has no effect, for no weight has a penalty" + give);
    CHECK(vain({.freeze_zeros = true})
              .starts_with(
                  "freeze_zeros: has no effect, for no weight is zero at first, and none has a penalty"));
  }
  for (const float bad : {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
    train.examples[7].values[1] = bad;
    CHECK(fit({}) == "point 7: holds NaN or infinity; leave it out, or compute it again");
  }
}

}  // namespace lariat::sparse_fit_test
