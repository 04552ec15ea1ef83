// What a model learns: classes, two classes, several labels, numbers; for an example or for each frame.
#include <cmath>
#include <limits>

#include "frontends/sequential/model_file.hpp"
#include "frontends/sequential/sequential.hpp"
#include "graph/base/error.hpp"
#include "ops/ops.hpp"
#include "tests/support/files.hpp"
#include "tests/support/testing.hpp"
#include "tests/support/toy_data.hpp"

namespace lariat::tasks_test {

using lariat::testing::message_of;
using lariat::testing::points;
using lariat::testing::sequences;
using lariat::testing::TemporaryFolder;

namespace {

// What is learned of each example, instead of its label.
template <class Function>
data::Dataset with_targets(data::Dataset dataset, data::Targets targets, Function&& function) {
  dataset.targets = std::move(targets);
  for (data::Example& example : dataset.examples) example.targets = function(example);
  return dataset;
}

data::Dataset one_hot_points(int count) {
  return with_targets(points(count, 3, 6, 1), {.width = 3}, [](const data::Example& example) {
    std::vector<float> row(3);
    row[static_cast<size_t>(example.label)] = 1;
    return row;
  });
}

// y = 2·x0 - x1 and y = x2.
data::Dataset line(int count, uint64_t seed = 1) {
  return with_targets(points(count, 3, 6, seed), {.width = 2, .names = {"a", "b"}},
                      [](const data::Example& e) {
                        return std::vector<float>{2 * e.values[0] - e.values[1], e.values[2]};
                      });
}

// Of each frame, whether its first channel is the loudest.
data::Dataset loud_frames() {
  return with_targets(sequences(60, 2, 3, 4, 9, 1), {.width = 1, .by_frame = true},
                      [](const data::Example& e) {
                        std::vector<float> frames;
                        for (int64_t t = 0; t < e.frames; ++t) {
                          const float* x = &e.values[static_cast<size_t>(3 * t)];
                          frames.push_back(x[0] > x[1] ? 1.0F : 0.0F);
                        }
                        return frames;
                      });
}

void fit(const data::Dataset& dataset, const Loss& loss, const std::vector<LayerSpec>& layers) {
  Sequential model{layers};
  model.compile(Adam{}, loss);
  model.fit(dataset);
}
std::string refused(const data::Dataset& dataset, const Loss& loss,
                    const std::vector<LayerSpec>& layers = {Dense(0)},
                    const std::vector<Metric>& metrics = {}) {
  Sequential model{layers};
  model.compile(Adam{}, loss, metrics);
  return message_of<UserError>([&] { model.fit(dataset); });
}

const FitOptions thirty{.epochs = 30, .batch_size = 24};

}  // namespace

TEST_CASE("tasks: numbers are learned, measured and predicted") {
  const data::Dataset train = line(240), test = line(60, 2);
  Sequential model{Dense(0)};
  model.compile(Adam{.learning_rate = 0.05}, MeanSquaredError{}, {R2{}, MeanAbsoluteError{}});
  FitOptions options = thirty;
  options.validation = test;
  const FitResult result = model.fit(train, options);
  const EpochReport& last = result.epochs.back();
  CHECK(last.metrics.size() == 1);  // R² is not one of single examples
  CHECK(last.metrics[0].first == "mean_absolute_error");
  CHECK_FALSE(last.accuracy);
  CHECK_FALSE(last.validation_accuracy);
  const Evaluation evaluation = model.evaluate(test);
  CHECK(last.validation_metrics == evaluation.metrics);
  CHECK(epoch_report_from_json(to_json(last)).validation_metrics == evaluation.metrics);
  CHECK(evaluation.metrics[0].first == "r2");
  CHECK(evaluation.metrics[0].second > 0.99);
  CHECK(std::isnan(evaluation.accuracy));
  CHECK(evaluation.confusion.empty());
  const std::vector<Prediction> predictions = model.predict(test);
  double absolute = 0, squared = 0;
  for (size_t i = 0; i < predictions.size(); ++i) {
    REQUIRE(predictions[i].values.size() == 2);
    CHECK(predictions[i].label.empty());
    for (size_t j = 0; j < 2; ++j) {
      const double e = double(predictions[i].values[j]) - double(test.examples[i].targets[j]);
      absolute += std::abs(e) / 120;
      squared += e * e / 120;
    }
  }
  CHECK(evaluation.metrics[1].second == doctest::Approx(absolute));
  CHECK(evaluation.loss == doctest::Approx(squared).epsilon(1e-4));
  REQUIRE(evaluation.comparisons.size() == 2);
  CHECK(evaluation.comparisons[1].name == "b");
  CHECK(evaluation.comparisons[1].truth[7] == test.examples[7].targets[1]);
  CHECK(evaluation.comparisons[1].given[7] == predictions[7].values[1]);
}

TEST_CASE("tasks: two classes by one output, from labels or from targets") {
  const data::Dataset labelled = points(120, 2, 6, 1);
  const data::Dataset targets =
      with_targets(labelled, {.width = 1, .names = {"second"}},
                   [](const data::Example& e) { return std::vector<float>{static_cast<float>(e.label)}; });
  std::vector<double> losses;
  for (data::Dataset dataset : {labelled, targets}) {
    if (dataset.targets.width > 0) dataset.classes.clear();
    Sequential model{Dense(0)};
    model.compile(Adam{.learning_rate = 0.02}, SigmoidCrossEntropy{}, {Accuracy{}, F1{}, Auc{}});
    losses.push_back(model.fit(dataset, thirty).epochs.back().loss);
    const Evaluation evaluation = model.evaluate(dataset);
    CHECK(evaluation.accuracy > 0.95);
    CHECK(evaluation.metrics.size() == 3);
    CHECK(evaluation.metrics[2].second > 0.99);
    CHECK(evaluation.confusion[0][0] + evaluation.confusion[1][1] == std::llround(120 * evaluation.accuracy));
    const Prediction prediction = model.predict(dataset)[1];
    CHECK(prediction.index == 1);
    CHECK(prediction.label == (dataset.classes.empty() ? "second" : "class 1"));
    CHECK(prediction.probabilities.size() == 2);
    CHECK(prediction.probability > 0.5);
  }
  CHECK(losses[0] == losses[1]);
}

TEST_CASE("tasks: several labels at once") {
  const data::Dataset dataset = with_targets(
      points(180, 3, 6, 1), {.width = 2, .names = {"first", "not third"}}, [](const data::Example& e) {
        return std::vector<float>{e.label == 0 ? 1.0F : 0.0F, e.label == 2 ? 0.0F : 1.0F};
      });
  Sequential model{Dense(0)};
  model.compile(Adam{.learning_rate = 0.05}, SigmoidCrossEntropy{.positive_weight = 2});
  model.fit(dataset, thirty);
  const Evaluation evaluation = model.evaluate(dataset);
  CHECK(evaluation.metrics.size() == 2);
  CHECK(evaluation.metrics[1].first == "f1");
  CHECK(evaluation.accuracy > 0.95);
  const std::vector<Prediction> predictions = model.predict(dataset);
  CHECK(predictions[0].label == "first, not third");
  CHECK(predictions[1].label == "not third");
  CHECK(predictions[2].label.empty());
  CHECK(predictions[0].values.size() == 2);
}

TEST_CASE("tasks: one-hot targets learn what labels learn, and shares are measured by their largest") {
  const data::Dataset labels = points(90, 3, 6, 1), one_hots = one_hot_points(90);
  Sequential a{Dense(0)}, b{Dense(0)};
  for (Sequential* model : {&a, &b}) model->compile(Adam{.learning_rate = 0.02});
  const EpochReport first = a.fit(labels, thirty).epochs.back(),
                    second = b.fit(one_hots, thirty).epochs.back();
  CHECK(first.loss == doctest::Approx(second.loss).epsilon(1e-4));
  CHECK(first.accuracy == second.accuracy);
  CHECK(a.evaluate(labels).confusion == b.evaluate(one_hots).confusion);
}

TEST_CASE("tasks: targets by frame count the frames of an example alone") {
  const data::Dataset dataset = loud_frames();
  for (const bool two_outputs : {false, true}) {
    CAPTURE(two_outputs);
    data::Dataset data = dataset;
    if (!two_outputs) data.classes.clear();
    Sequential model{Dense(8, tanh), Dense(0)};
    const Loss loss = two_outputs ? Loss(SoftmaxCrossEntropy{}) : Loss(SigmoidCrossEntropy{});
    model.compile(Adam{.learning_rate = 0.02}, loss);
    const FitResult result = model.fit(data, {.epochs = 40, .batch_size = 10, .time_multiple = 4});
    CHECK(*result.epochs.back().accuracy > 0.95);
    const Evaluation evaluation = model.evaluate(data);
    CHECK(evaluation.loss ==
          doctest::Approx(model.evaluate(data, {.batch_size = 60, .time_multiple = 16}).loss).epsilon(1e-5));
    int64_t frames = 0, counted = 0;
    for (const data::Example& example : data.examples) frames += example.frames;
    for (const auto& row : evaluation.confusion)
      for (const int64_t count : row) counted += count;
    CHECK(counted == frames);
    const std::vector<Prediction> predictions = model.predict(data);
    CHECK(predictions[3].frames == data.examples[3].frames);
    const size_t width = two_outputs ? 2 : 1;
    REQUIRE(predictions[3].values.size() == width * static_cast<size_t>(predictions[3].frames));
    int64_t right = 0;
    for (size_t i = 0; i < predictions.size(); ++i)
      for (size_t t = 0; t < data.examples[i].targets.size(); ++t) {
        const float p = predictions[i].values[width * t + width - 1];
        right += (p > 0.5F) == (data.examples[i].targets[t] > 0.5F);
      }
    CHECK(evaluation.accuracy == doctest::Approx(double(right) / double(frames)));
  }
}

TEST_CASE("tasks: an example's loss is the mean over its frames") {
  const data::Dataset dataset = loud_frames();
  Sequential model{Dense(0)};
  model.compile(Sgd{.learning_rate = 0}, MeanSquaredError{});
  const FitResult result = model.fit(dataset, {.batch_size = 60});
  double sum = 0;
  const std::vector<Prediction> predictions = model.predict(dataset);
  for (size_t i = 0; i < predictions.size(); ++i)
    for (size_t t = 0; t < predictions[i].values.size(); ++t)
      sum += std::pow(predictions[i].values[t] - dataset.examples[i].targets[t], 2) /
             double(predictions[i].values.size());
  CHECK(model.evaluate(dataset).loss == doctest::Approx(sum / 60).epsilon(1e-5));
  CHECK(result.epochs[0].loss == doctest::Approx(sum / 60).epsilon(1e-5));
}

TEST_CASE("tasks: weights count in training and in evaluation") {
  data::Dataset dataset = points(40, 2, 4, 1), repeated = dataset;
  for (size_t i = 0; i < 10; ++i) {
    dataset.examples[i].weight = 3;
    repeated.examples.insert(repeated.examples.end(), 2, repeated.examples[i]);
  }
  Sequential weighted{Dense(2)}, often{Dense(2)};
  const Metric own{.name = "own", .per_example = [](Value outputs, Value targets) {
                     return softmax_cross_entropy(outputs, targets);
                   }};
  weighted.compile(Sgd{.learning_rate = 0.5}, SoftmaxCrossEntropy{}, {Accuracy{}, own});
  often.compile(Sgd{.learning_rate = 0.5 * 60 / 40.0});  // the mean is over 40 examples, and over 60
  weighted.fit(dataset, {.epochs = 5, .batch_size = 40});
  often.fit(repeated, {.epochs = 5, .batch_size = 60});
  const Tensor a = weighted.store().get("dense_1/kernel"), b = often.store().get("dense_1/kernel");
  for (int64_t i = 0; i < a.count(); ++i) CHECK(a.at(i) == doctest::Approx(b.at(i)).epsilon(1e-4));
  const Evaluation one = weighted.evaluate(dataset), other = weighted.evaluate(repeated);
  CHECK(one.accuracy == doctest::Approx(other.accuracy));
  CHECK(one.loss == doctest::Approx(other.loss * 60 / 40));
  REQUIRE(one.metrics.size() == 2);
  CHECK(one.metrics[1].first == "own");
  CHECK(one.metrics[1].second == doctest::Approx(other.metrics[1].second));
  // The same model goes on with examples that all count alike.
  weighted.fit(repeated, {.batch_size = 60});
  dataset.examples[3].weight = -1;
  CHECK(message_of<UserError>([&] { weighted.fit(dataset); }) ==
        "point 3: has the weight -1; weights are finite numbers from 0");
  Sequential later{Dense(2)};
  later.compile(Sgd{});
  dataset.examples[3].weight = 2;
  const auto epochs = [&](uint32_t epoch) { return epoch == 0 ? repeated : dataset; };
  CHECK(message_of<UserError>([&] { later.fit(epochs, {.epochs = 2}); }) ==
        "the examples of the first epoch all have the weight 1, but later ones have not; give the same "
        "examples "
        "their weights in all epochs");
}

TEST_CASE("tasks: a saved model keeps its task") {
  const TemporaryFolder folder;
  const std::string file = folder / "m.safetensors";
  const data::Dataset dataset = line(60);
  Sequential model{Dense(0)};
  model.compile(Adam{}, Huber{.delta = 2}, {R2{}});
  model.fit(dataset);
  model.save(file);
  Sequential loaded = Sequential::load(file);
  CHECK(loaded.shape() == model.shape());
  CHECK(loaded.evaluate(dataset).loss == model.evaluate(dataset).loss);
  CHECK(loaded.evaluate(dataset).metrics == model.evaluate(dataset).metrics);
  CHECK(loaded.predict(dataset)[5].values == model.predict(dataset)[5].values);
  // One that was saved before there were other tasks learned classes.
  Sequential old{Dense(3)};
  old.build({false, 6, {"a", "b", "c"}});
  old.save(file);
  Store store = Store::load(file);
  store.metadata().erase("loss");
  store.metadata().erase("metrics");
  seal(store, model_format);
  store.save(file);
  CHECK(Sequential::load(file).predict(points(3, 3, 6, 1))[0].probabilities.size() == 3);
  const auto damaged = [&](const char* note, const char* text) {
    model.save(file);
    Store changed = Store::load(file);
    changed.metadata()[note] = text;
    seal(changed, model_format);
    changed.save(file);
    const std::string message = message_of<UserError>([&] { Sequential::load(file); });
    CHECK(message.starts_with("'" + file + "': "));
    return message.substr(file.size() + 4);
  };
  CHECK(damaged("targets", "{}") ==
        "its note 'targets', 'inputs', 'outputs', 'loss' or 'metrics' is damaged; save it again");
  CHECK(damaged("targets", R"({"width":-1,"by_frame":false,"names":[]})") ==
        "its note 'targets' is damaged; save it again");
  CHECK(damaged("targets", R"({"width":3,"by_frame":false,"names":["a","b","c"]})")
            .starts_with("tensor 'dense_1/kernel'"));
  CHECK(damaged("loss", R"({"kind":"hubris"})").starts_with("loss kind = hubris: must be one of "));
  CHECK(damaged("metrics", R"([{"kind":"accuracy"}])") ==
        "the metric 'accuracy' is one of classes, binary, labels, but the model learns numbers; take "
        "mean_absolute_error, mean_squared_error, r2");
}

TEST_CASE("tasks: a loss and a metric of one's own") {
  const TemporaryFolder folder;
  const data::Dataset dataset = line(60);
  const Loss quartic{
      "quartic", [](Value outputs, Value targets) { return mean(square(square(outputs - targets)), {-1}); },
      [](const DataShape&) { return std::string("numbers"); }};
  const Metric bias{"bias", [](Value outputs, Value targets) { return mean(outputs - targets, {-1}); }};
  Sequential model{Dense(0)};
  model.compile(Adam{}, quartic, {bias});
  model.fit(dataset);
  CHECK(model.evaluate(dataset).metrics[0].first == "bias");
  model.save(folder / "m");
  Sequential loaded = Sequential::load(folder / "m");
  CHECK(loaded.predict(dataset)[0].values == model.predict(dataset)[0].values);
  CHECK(message_of<UserError>([&] { loaded.evaluate(dataset); }) ==
        "the model was saved with a loss of its own, 'quartic'; call compile with it first");
  loaded.compile(Adam{}, quartic, {bias});
  CHECK(loaded.evaluate(dataset).loss == model.evaluate(dataset).loss);
}

TEST_CASE("tasks: data that are not what the loss learns are refused, with what would be") {
  const data::Dataset labels = points(12, 3, 6, 1), numbers = line(12);
  CHECK(refused(labels, MeanSquaredError{}) ==
        "mean_squared_error learns numbers, but the data have labels of 3 classes; give targets, or take "
        "softmax_cross_entropy");
  CHECK(refused(labels, SigmoidCrossEntropy{}) ==
        "sigmoid_cross_entropy tells two classes apart, but the data have 3; for one class of several take "
        "softmax_cross_entropy, and for several labels at once give targets, 0 or 1 each");
  CHECK(
      refused(numbers, SoftmaxCrossEntropy{}) ==
      "softmax_cross_entropy learns classes, of which the data have 3, but their targets are 2 numbers; give "
      "one, the class, or 3, the share of each");
  data::Dataset nameless = numbers;
  nameless.classes.clear();
  nameless.targets = {.width = 1};
  CHECK(refused(nameless, SoftmaxCrossEntropy{}) ==
        "softmax_cross_entropy learns classes, but the data name none; name them, or take a loss for "
        "numbers, such "
        "as mean_squared_error");
  CHECK(refused(points(12, 1, 6, 1), SoftmaxCrossEntropy{}) ==
        "softmax_cross_entropy tells classes apart, but the data have one, 'class 0'; give data of several");
  data::Dataset twice = labels;
  twice.classes = {"a", "b", "a"};
  CHECK(refused(twice, SoftmaxCrossEntropy{}) ==
        "the dataset names one class twice: a, b, a; name each once");
  data::Dataset light = labels;
  for (data::Example& example : light.examples) example.weight = 0;
  CHECK(refused(light, SoftmaxCrossEntropy{}) ==
        "every example has the weight 0, so that none counts; give one a weight above 0");
  data::Dataset hollow = labels;
  for (data::Example& example : hollow.examples) example.dimensions = 0, example.values.clear();
  CHECK(refused(hollow, SoftmaxCrossEntropy{}) ==
        "point 0: is of 0 dimensions; an example needs at least one value");
  data::Dataset shares = one_hot_points(12);
  shares.examples[4].targets = {1, 1, 0};
  CHECK(refused(shares, SoftmaxCrossEntropy{}) ==
        "point 4: its targets sum to 2, but shares of classes sum to 1; for several classes at once take "
        "sigmoid_cross_entropy");
  shares.examples[4].targets = {2, -1, 0};
  CHECK(refused(shares, SigmoidCrossEntropy{}) ==
        "point 4: target 0 is 2; it must be 1 where '0' is true, 0 where not, or between");
  const auto indexed = [&](float index) {
    return with_targets(labels, {.width = 1},
                        [&](const data::Example&) { return std::vector<float>{index}; });
  };
  for (const float index : {3.0F, -1.0F, 0.5F})
    CHECK(refused(indexed(index), SoftmaxCrossEntropy{}) ==
          "point 0: has the target " +
              std::to_string(index).substr(0, index == 0.5F ? 3
                                              : index < 0   ? 2
                                                            : 1) +
              ", which is no class; they are whole numbers from 0 to 2");
  data::Dataset infinite = numbers;
  infinite.examples[2].targets[1] = std::numeric_limits<float>::infinity();
  CHECK(refused(infinite, Huber{}).starts_with("point 2: has the target inf; it must be a finite number"));
  data::Dataset few = numbers;
  few.examples[2].targets.pop_back();
  CHECK(refused(few, Huber{}) ==
        "point 2: has 1 targets, but the data have 2 for each example; it must have 2");
  few.targets.names = {"a"};
  CHECK(refused(few, Huber{}) == "the dataset names 1 targets, but they are 2 wide; name each, or none");
  few.targets = {.width = 2, .by_frame = true};
  CHECK(refused(few, Huber{}) ==
        "the dataset's targets are by frame, but its examples have no time axis; set sequences = true");
  Sequential model{Dense(0)};
  model.compile(Adam{}, MeanSquaredError{});
  model.fit(numbers);
  CHECK(
      message_of<UserError>([&] { model.evaluate(labels); }) ==
      "the model learns 2 targets (a, b) for each example, but the data have labels; give data with the same "
      "targets");
}

TEST_CASE("tasks: layers and metrics that do not fit them are refused") {
  const data::Dataset labels = points(12, 3, 6, 1), frames = loud_frames();
  CHECK(refused(line(12), MeanSquaredError{}, {Dense(3)}) ==
        "the model ends in 'dense' with [batch, 3], but the data have 2 numbers to learn; end it with a "
        "dense layer "
        "of 2 units");
  CHECK(refused(labels, SoftmaxCrossEntropy{}, {Dense(3, "sigmoid")}) ==
        "the model ends in 'dense' with the activation sigmoid, but softmax_cross_entropy takes what is "
        "before it: "
        "leave the activation out; predictions are probabilities all the same");
  CHECK(refused(labels, SoftmaxCrossEntropy{}, {Dense(3, relu)}) ==
        "the model ends in 'dense' with the activation relu, which leaves values from 0, but "
        "softmax_cross_entropy takes any: leave the activation out");
  CHECK(refused(labels, SoftmaxCrossEntropy{}, {Dense(3), Activation(tanh)}) ==
        "the model ends in 'activation' with the activation tanh, which leaves values from -1 to 1, but "
        "softmax_cross_entropy takes any: leave the activation out");
  CHECK_NOTHROW(fit(labels, SoftmaxCrossEntropy{}, {Dense(3, "leaky_relu")}));
  const data::Dataset two = points(12, 2, 6, 1);
  CHECK(refused(two, SigmoidCrossEntropy{}, {Dense(1, softplus)}).ends_with("leave the activation out"));
  CHECK(
      refused(two, Hinge{}, {Dense(1, relu)}) ==
      "the model ends in 'dense' with the activation relu, which leaves values from 0, but hinge takes any: "
      "leave the activation out");
  CHECK_NOTHROW(fit(two, Hinge{}, {Dense(1, tanh)}));
  data::Dataset counts = line(12);
  for (data::Example& example : counts.examples) example.targets = {1, 0};
  CHECK_NOTHROW(fit(counts, MeanSquaredError{}, {Dense(2, relu)}));
  counts.examples[3].targets = {1, -2};
  CHECK(refused(counts, MeanSquaredError{}, {Dense(2, relu)}) ==
        "point 3: has the target -2, but the model ends in 'dense' with the activation relu, which leaves "
        "values "
        "from 0: leave the activation out");
  counts.examples[3].targets = {2, 0};
  CHECK(refused(counts, MeanSquaredError{}, {Dense(2), Activation(sigmoid)}) ==
        "point 3: has the target 2, but the model ends in 'activation' with the activation sigmoid, which "
        "leaves "
        "values from 0 to 1: leave the activation out");
  CHECK(refused(labels, SoftmaxCrossEntropy{}, {Dense(3)}, {TopK{3}}) ==
        "the metric 'top_k': k = 3 is always 1 of 3 classes; take a k below that");
  CHECK(refused(labels, SoftmaxCrossEntropy{.class_weights = {0, 0, 0}}, {Dense(3)}) ==
        "class_weights are all 0, so that nothing is learned; give one above 0");
  CHECK(refused(labels, SoftmaxCrossEntropy{}, {Dense(3), OpLayer("softmax")})
            .starts_with("the model ends in 'op' with the activation softmax, but "));
  CHECK(refused(points(12, 2, 6, 1), SigmoidCrossEntropy{}, {Dense(2)}) ==
        "the model ends in 'dense' with [batch, 2], but one output tells two classes apart; end it with a "
        "dense layer of 1 unit");
  CHECK(refused(labels, SoftmaxCrossEntropy{}, {Dense(3)}, {R2{}}) ==
        "the metric 'r2' is one of numbers, but the model learns classes; take accuracy, auc, "
        "average_precision, f1, precision, recall, top_k");
  const std::string every_frame =
      ", but targets are by frame: it must give outputs for each frame; leave out layers that take frames "
      "together, "
      "and give lstm return_sequences = true";
  CHECK(refused(frames, SoftmaxCrossEntropy{}, {Lstm(2), Dense(2)}) ==
        "the model ends in 'dense' with [batch, 2]" + every_frame);
  CHECK(refused(frames, SoftmaxCrossEntropy{}, {StackFrames(2), Dense(2)}).ends_with(every_frame));
}

}  // namespace lariat::tasks_test
