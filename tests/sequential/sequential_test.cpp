#include "frontends/sequential/sequential.hpp"

#include <cmath>
#include <filesystem>
#include <fstream>
#include <functional>

#include "frontends/sequential/model_file.hpp"
#include "graph/base/error.hpp"
#include "ops/ops.hpp"
#include "tests/support/files.hpp"
#include "tests/support/testing.hpp"
#include "tests/support/toy_data.hpp"
#include "tests/support/toy_fits.hpp"

namespace lariat::sequential_test {

using lariat::testing::message_of;
using lariat::testing::points;
using lariat::testing::sequences;
using lariat::testing::TemporaryFolder;

TEST_CASE("sequential: names, shapes and first values of parameters") {
  const data::Dataset dataset = sequences(4, 3, 5, 8, 9, 1);
  Sequential model{Conv1d(6, 3), Lstm(4, {.return_sequences = true, .kernel_penalty = l1(0.1)}),
                   Bidirectional(Lstm(2)), Dense(7), Dense(0, {}, {.use_bias = false})};
  model.build(shape_of(dataset));
  std::vector<std::string> found;
  for (const TensorZeros& tensor : model.zeros())
    found.push_back(tensor.name + " " + text(tensor.extents) + (tensor.penalised ? " penalised" : ""));
  CHECK(found == std::vector<std::string>{
                     "bidirectional_lstm_1/backward/bias [8]", "bidirectional_lstm_1/backward/kernel [4, 8]",
                     "bidirectional_lstm_1/backward/recurrent_kernel [2, 8]",
                     "bidirectional_lstm_1/forward/bias [8]", "bidirectional_lstm_1/forward/kernel [4, 8]",
                     "bidirectional_lstm_1/forward/recurrent_kernel [2, 8]", "conv1d_1/bias [6]",
                     "conv1d_1/kernel [3, 5, 6]", "dense_1/bias [7]", "dense_1/kernel [4, 7]",
                     "dense_2/kernel [7, 3]", "lstm_1/bias [16]", "lstm_1/kernel [6, 16] penalised",
                     "lstm_1/recurrent_kernel [4, 16]"});
  CHECK(model.parameter_count() == 8 + 32 + 16 + 8 + 32 + 16 + 6 + 90 + 7 + 28 + 21 + 16 + 96 + 64);
}

TEST_CASE("sequential: it learns, and the penalty makes weights exactly zero") {
  const data::Dataset train = points(240, 3, 12, 1), test = points(90, 3, 12, 2);
  Sequential model{Dense(16, relu, {.kernel_penalty = l1(0.01)}), Dropout(0.1),
                   Dense(3, {}, {.kernel_penalty = l1(0.01)})};
  model.compile(Adam{.learning_rate = 0.02}, SoftmaxCrossEntropy{}, {Accuracy{}});
  const FitResult result = model.fit(train, {.epochs = 30, .batch_size = 24, .validation = test, .seed = 4});
  REQUIRE(result.epochs.size() == 30);
  const EpochReport& last = result.epochs.back();
  CHECK(last.epoch == 30);
  CHECK(*last.validation_accuracy > 0.95);
  CHECK(last.loss < result.epochs.front().loss);
  CHECK(last.loss == doctest::Approx(last.smooth + last.penalty).epsilon(1e-6));
  CHECK(last.penalty > 0);
  CHECK(last.learning_rate == 0.02);
  CHECK(last.metrics == MetricValues{{"accuracy", *last.accuracy}});
  CHECK(last.penalised.count == 12 * 16 + 16 * 3);
  CHECK(last.penalised.fraction() > 0.6);
  CHECK(last.weights.count == last.penalised.count + 16 + 3);
  const Evaluation evaluation = model.evaluate(test);
  CHECK(evaluation.accuracy == *last.validation_accuracy);
  CHECK(evaluation.loss == *last.validation_loss);
  CHECK(evaluation.metrics.front().second == doctest::Approx(evaluation.accuracy));
  int64_t right = 0, all = 0;
  for (size_t i = 0; i < 3; ++i)
    for (size_t j = 0; j < 3; ++j) {
      all += evaluation.confusion[i][j];
      right += i == j ? evaluation.confusion[i][j] : 0;
    }
  CHECK(all == 90);
  CHECK(evaluation.accuracy == static_cast<double>(right) / 90);
  CHECK(model.report().rewritten.size() == 2);
  CHECK(total(model.zeros(), true).zeros == last.penalised.zeros);
}

TEST_CASE("sequential: without the rewrite the same penalty gives no zeros") {
  const data::Dataset train = points(60, 3, 6, 1);
  Sequential model{Dense(3, {}, {.kernel_penalty = l1(0.05)})};
  model.compile(Adam{.learning_rate = 0.02});
  const FitResult result = model.fit(train, {.epochs = 20, .batch_size = 20, .rewrite = false});
  CHECK(result.epochs.back().penalised.zeros == 0);
  CHECK(result.epochs.back().penalised.count == 18);
  CHECK(model.report().note == "the proximal rewrite is switched off: penalties keep their subgradients");
}

TEST_CASE("sequential: elastic net and label smoothing are in the loss as they are written") {
  const data::Dataset train = points(10, 2, 3, 1);
  Sequential model{Dense(2, {}, {.kernel_penalty = elastic_net(0.25, 0.5), .bias_penalty = l2(3)})};
  model.compile(Sgd{.learning_rate = 0}, SoftmaxCrossEntropy{.label_smoothing = 0.2});
  const FitResult result = model.fit(train, {.batch_size = 10});
  double penalty = 0;
  const Tensor kernel = model.store().get("dense_1/kernel");
  for (int64_t i = 0; i < kernel.count(); ++i)
    penalty += 0.25 * std::abs(kernel.at(i)) + 0.5 * kernel.at(i) * kernel.at(i);
  double loss = 0;
  for (const data::Example& example : train.examples) {
    double z[2] = {};
    for (int d = 0; d < 3; ++d)
      for (int c = 0; c < 2; ++c) z[c] += example.values[static_cast<size_t>(d)] * kernel.at(d * 2 + c);
    const double log_sum = std::log(std::exp(z[0]) + std::exp(z[1]));
    for (int c = 0; c < 2; ++c) loss += (c == example.label ? 0.9 : 0.1) * (log_sum - z[c]) / 10;
  }
  CHECK(result.epochs[0].loss == doctest::Approx(loss + penalty).epsilon(1e-5));
  CHECK(model.evaluate(train).loss == doctest::Approx(loss).epsilon(1e-5));
}

TEST_CASE("sequential: dropout works in training and is off in evaluation") {
  const data::Dataset train = points(50, 2, 4, 1);
  Sequential model{Dropout(0.9), Dense(2)};
  model.compile(Sgd{.learning_rate = 0});
  const FitResult result = model.fit(train, {.batch_size = 50});
  CHECK(model.evaluate(train).loss != doctest::Approx(result.epochs[0].loss).epsilon(1e-3));
  CHECK(model.evaluate(train).loss == model.evaluate(train).loss);
}

TEST_CASE("sequential: a saved model gives the same bits") {
  const TemporaryFolder folder;
  const data::Dataset data = sequences(20, 3, 4, 5, 12, 1);
  Sequential model{StackFrames(2),
                   Bidirectional(Lstm(6, {.return_sequences = true, .kernel_penalty = l1(1e-3)})),
                   GlobalAveragePool(), Dropout(0.2), Dense(3)};
  model.compile(Adam{}, SoftmaxCrossEntropy{.label_smoothing = 0.1});
  model.fit(data, {.epochs = 3, .batch_size = 6});
  model.save(folder / "model.safetensors", {{"note", "kept"}});
  Sequential loaded = Sequential::load(folder / "model.safetensors");
  CHECK(loaded.layers() == model.layers());
  CHECK(loaded.shape() == model.shape());
  const auto a = model.predict(data), b = loaded.predict(data);
  REQUIRE(a.size() == 20);
  for (size_t i = 0; i < a.size(); ++i) {
    CHECK(a[i].probabilities == b[i].probabilities);
    CHECK(a[i].label == data.classes[static_cast<size_t>(a[i].index)]);
    CHECK(a[i].probability == a[i].probabilities[static_cast<size_t>(a[i].index)]);
  }
  CHECK(loaded.evaluate(data).accuracy == model.evaluate(data).accuracy);
  const Store file = Store::load(folder / "model.safetensors");
  CHECK(file.size() == 8);
  CHECK(file.metadata().at("note") == "kept");
  // It can be trained further.
  loaded.compile(Adam{});
  CHECK(loaded.fit(data, {.batch_size = 6}).epochs[0].loss <
        model.fit(data, {.batch_size = 6}).epochs[0].loss + 1);
}

TEST_CASE("sequential: a model answers with the weights that it has at the time") {
  const TemporaryFolder folder;
  const data::Dataset data = sequences(20, 3, 4, 5, 12, 1);
  const auto file = folder / "model.safetensors";
  const auto probabilities = [&](Sequential& model) {
    std::vector<float> all;
    for (const Prediction& prediction : model.predict(data))
      all.insert(all.end(), prediction.probabilities.begin(), prediction.probabilities.end());
    all.push_back(static_cast<float>(model.evaluate(data).loss));
    return all;
  };
  // What a model that was only just loaded answers with the same weights.
  const auto expected = [&](Sequential& model) {
    model.save(file);
    Sequential fresh = Sequential::load(file);
    return probabilities(fresh);
  };
  const auto check = [&](Sequential& model) {
    std::vector<float> before;
    FitOptions fit{.epochs = 2, .batch_size = 6, .validation = data};
    fit.on_epoch_end = [&](const EpochReport& report) {
      const std::vector<float> present = probabilities(model);
      CHECK(present != before);
      CHECK(present.back() == static_cast<float>(*report.validation_loss));
      before = present;
    };
    for (int time = 0; time < 2; ++time) {
      model.fit(data, fit);
      const std::vector<float> after = probabilities(model);
      CHECK(after == before);
      CHECK(after == expected(model));
    }
  };
  Sequential model{Conv1d(6, 3), Lstm(6), Dense(3)};
  model.compile(Adam{});
  check(model);
  Sequential loaded = Sequential::load(file);
  CHECK(probabilities(loaded) == probabilities(model));
  loaded.compile(Adam{});
  check(loaded);
  // Through the store, by whoever keeps it.
  for (Sequential* changed : {&model, &loaded}) {
    const std::vector<float> before = probabilities(*changed);
    const Tensor kernel = changed->store().get("lstm_1/recurrent_kernel");
    for (float factor : {2.0f, 0.5f}) {
      CHECK(probabilities(*changed) == (factor == 2 ? before : expected(*changed)));
      for (float& value : kernel.values<float>()) value *= factor;
      CHECK(probabilities(*changed) == (factor == 2 ? expected(*changed) : before));
    }
  }
}

TEST_CASE("sequential: the state is the same for every number of threads") {
  const data::Dataset data = sequences(40, 3, 6, 5, 30, 1);
  std::vector<uint64_t> hashes;
  for (const int threads : {1, 2, 3}) {
    Sequential model{Conv1d(24, 3, relu),
                     Bidirectional(Lstm(20, {.dropout = 0.2, .kernel_penalty = l1(1e-3)})), Dropout(0.3),
                     Dense(3)};
    model.compile(Adam{});
    model.fit(data, {.epochs = 2, .batch_size = 20, .threads = threads, .clip_norm = 1});
    CHECK(model.threads() == threads);
    hashes.push_back(model.store().hash());
  }
  CHECK(hashes[0] == hashes[1]);
  CHECK(hashes[0] == hashes[2]);
}

TEST_CASE("sequential: a fit that is stopped goes on to the same bits") {
  const data::Dataset data = points(50, 3, 6, 1);
  const auto make = [] {
    Sequential model{Dense(8, tanh, {.kernel_penalty = l1(1e-2)}), Dropout(0.3), Dense(3)};
    model.compile(Adam{});
    return model;
  };
  const auto options = [&] {
    FitOptions fit{.epochs = 4, .batch_size = 8, .validation = data, .seed = 11};
    fit.schedule = [](int64_t steps) { return schedule::cosine(steps); };
    return fit;
  };
  Sequential whole = make();
  const FitResult expected = whole.fit(data, options());
  CHECK(whole.store().get("step").item() == 28);
  for (const int64_t stop_after : {1, 6, 7, 10, 27}) {
    CAPTURE(stop_after);
    std::atomic<bool> stop = false;
    int64_t steps = 0, checkpoints = 0;
    FitOptions first = options();
    first.stop = &stop;
    first.on_step = [&](const StepReport&) { stop = ++steps == stop_after; };
    first.on_checkpoint = [&](const FitState&, const std::vector<EpochReport>&) { ++checkpoints; };
    Sequential model = make();
    const FitResult before = model.fit(data, first);
    CHECK(before.stopped);
    CHECK(checkpoints == (stop_after + 6) / 7);
    Sequential other = make();
    const FitResult after = testing::go_on(other, model, before, data, options());
    CHECK(other.store().hash() == whole.store().hash());
    REQUIRE(after.epochs.size() == 4);
    for (size_t i = 0; i < 4; ++i) {
      CHECK(after.epochs[i].loss == expected.epochs[i].loss);
      CHECK(after.epochs[i].accuracy == expected.epochs[i].accuracy);
      CHECK(after.epochs[i].validation_loss == expected.epochs[i].validation_loss);
      CHECK(after.epochs[i].learning_rate == expected.epochs[i].learning_rate);
      CHECK(after.epochs[i].penalised.zeros == expected.epochs[i].penalised.zeros);
    }
  }
}

TEST_CASE("sequential: losses and metrics of one's own give a value for each example") {
  const data::Dataset data = points(20, 3, 2, 1);
  const auto built = [&](const Loss& loss, const std::vector<Metric>& metrics = {}) {
    Sequential model{Dense(0)};
    model.compile(Adam{}, loss, metrics);
    return message_of<UserError>([&] { model.build(shape_of(data)); });
  };
  CHECK(built({"mine", [](Value outputs, Value) { return outputs; }}) ==
        "the loss 'mine' gives [batch, 3] of outputs [batch, 3], but must give one value for each example; "
        "take "
        "the mean over the last axis");
  CHECK(built({"mine", [](Value outputs, Value) { return mean(outputs); }})
            .starts_with("the loss 'mine' gives [] of outputs [batch, 3]"));
  CHECK(built({"mine", [](Value, Value) { return Value(); }}) ==
        "the loss 'mine' gives an empty Value; give a value for each example");
  CHECK(built(SoftmaxCrossEntropy{}, {{"own", [](Value outputs, Value) { return outputs; }}})
            .starts_with("the metric 'own' gives [batch, 3] of outputs [batch, 3]"));
}

TEST_CASE("sequential: a model that was moved to another says so, whatever it is asked") {
  const data::Dataset data = points(20, 3, 2, 1);
  Sequential model{Dense(4, relu), Dense(0)};
  model.compile(Adam{});
  model.fit(data, {.epochs = 1});
  Sequential other = std::move(model);
  const std::vector<std::function<void()>> asked{
      [&] { model.fit(data); },         [&] { model.evaluate(data); },  [&] { model.predict(data); },
      [&] { model.certify(data); },     [&] { model.compile(Adam{}); }, [&] { model.save("m"); },
      [&] { model.layer("dense_1"); },  [&] { model.layers(); },        [&] { model.shape(); },
      [&] { model.store(); },           [&] { model.report(); },        [&] { model.states(); },
      [&] { model.parameter_count(); }, [&] { model(input()); }};
  for (const auto& ask : asked)
    CHECK(message_of<UserError>(ask) ==
          "this model was moved to another, and is empty; ask the model that it was moved to");
  CHECK(other.predict(data).size() == 20);
  // It may take another's place.
  model = std::move(other);
  CHECK(model.predict(data).size() == 20);
}

}  // namespace lariat::sequential_test
