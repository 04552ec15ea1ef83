#include "frontends/sequential/sequential.hpp"

#include <unistd.h>

#include <cmath>
#include <filesystem>
#include <fstream>

#include "frontends/data/random.hpp"
#include "frontends/sequential/model_file.hpp"
#include "graph/error.hpp"
#include "ops/ops.hpp"
#include "tests/testing.hpp"

namespace fs = std::filesystem;
using namespace lariat;
using lariat::testing::message_of;

namespace {

struct Folder {
  fs::path path = fs::temp_directory_path() / ("lariat_sequential_test_" + std::to_string(getpid()));
  Folder() { fs::create_directories(path); }
  ~Folder() { fs::remove_all(path); }
  std::string file(const std::string& name) const { return (path / name).string(); }
};

std::vector<std::string> class_names(int classes) {
  std::vector<std::string> names;
  for (int i = 0; i < classes; ++i) names.push_back("class " + std::to_string(i));
  return names;
}

// Clouds of points around one corner of a cube per class; the last dimensions are noise.
data::Dataset points(int count, int classes, int dimensions, uint64_t seed) {
  data::Dataset dataset;
  dataset.sequences = false;
  dataset.classes = class_names(classes);
  for (int i = 0; i < count; ++i) {
    data::RandomStream random(seed, data::RandomPurpose::noise, static_cast<uint32_t>(i));
    data::Example example{"point " + std::to_string(i), i % classes, 1, dimensions,
                          std::vector<float>(static_cast<size_t>(dimensions))};
    for (int d = 0; d < dimensions; ++d)
      example.values[static_cast<size_t>(d)] =
          static_cast<float>(0.4 * random.normal() + (d == i % classes ? 2 : 0));
    dataset.examples.push_back(std::move(example));
  }
  return dataset;
}

// Sequences of various lengths in which the channel of the class is louder than the others.
data::Dataset sequences(int count, int classes, int dimensions, int shortest, int longest, uint64_t seed) {
  data::Dataset dataset;
  dataset.classes = class_names(classes);
  for (int i = 0; i < count; ++i) {
    data::RandomStream random(seed, data::RandomPurpose::noise, static_cast<uint32_t>(i));
    const int frames =
        shortest + static_cast<int>(random.below(static_cast<uint32_t>(longest - shortest + 1)));
    data::Example example{"sequence " + std::to_string(i), i % classes, frames, dimensions, {}};
    for (int j = 0; j < frames * dimensions; ++j)
      example.values.push_back(
          static_cast<float>(0.5 * random.normal() + (j % dimensions == i % classes ? 1 : 0)));
    dataset.examples.push_back(std::move(example));
  }
  return dataset;
}

// The values of a network over a dataset in which each batch is padded to a multiple of `multiple` frames.
Tensor values_of(Sequential& model, Value value, const data::Dataset& dataset, int batch_size, int multiple) {
  Inference inference(*model.network().graph, std::span(&value, 1));
  return inference.run(dataset, model.store(), *make_serial_executor(), batch_size, multiple).front();
}

double largest_difference(const Tensor& a, const Tensor& b) {
  REQUIRE(a.extents() == b.extents());
  double largest = 0;
  for (int64_t i = 0; i < a.count(); ++i) largest = std::max(largest, std::abs(a.at(i) - b.at(i)));
  return largest;
}

// One layer on one batch of sequences: the output and its lengths.
struct Applied {
  Tensor values, lengths;
};
Applied apply(const LayerSpec& layer, const Tensor& features, std::vector<int32_t> lengths) {
  Graph graph;
  const Shape shape{dim::batch, dim::time, features.extents()[2]};
  const Signal input{graph.input("features", shape), graph.input("lengths", {dim::batch}, i32)};
  std::vector<Value> penalties;
  std::vector<std::string> penalised;
  LayerContext context(graph, "layer", 2, penalties, penalised);
  const Signal output = layer_kind_of(layer).build(context, input, layer);
  graph.output("values", output.value);
  if (output.is_sequence()) graph.output("lengths", output.lengths);
  Store store;
  initialize_store(graph, store, 7);
  Program program(graph);
  const Tensor fed =
      Tensor::of<int32_t>({static_cast<int64_t>(lengths.size())}, std::span<const int32_t>(lengths));
  const auto results =
      program.run({{"features", features}, {"lengths", fed}}, store, *make_serial_executor());
  return {results[0], results.size() > 1 ? results[1] : Tensor()};
}

Tensor random_tensor(Extents extents, uint64_t seed) {
  Tensor tensor(f32, std::move(extents));
  data::RandomStream random(seed, data::RandomPurpose::noise);
  for (float& value : tensor.values<float>()) value = static_cast<float>(random.normal());
  return tensor;
}

std::vector<std::pair<std::string, std::vector<LayerSpec>>> sequence_stacks() {
  return {
      {"lstm", {Lstm(5), Dense(3)}},
      {"lstm, mean", {Lstm(5, {.return_sequences = true}), GlobalAveragePool(), Dense(3)}},
      {"two lstm", {Lstm(5, {.return_sequences = true, .dropout = 0.3}), Lstm(4), Dense(3)}},
      {"bidirectional", {Bidirectional(Lstm(5)), Dense(3)}},
      {"bidirectional sequences",
       {Bidirectional(Lstm(5, {.return_sequences = true})), GlobalMaxPool(), Dense(3)}},
      {"stacked frames",
       {StackFrames(3), Bidirectional(Lstm(4, {.return_sequences = true})), LastStep(), Dense(3)}},
      {"convolutions",
       {Conv1d(6, 5, relu), MaxPool1d(2), Conv1d(5, 3, tanh, {.stride = 2}), GlobalAveragePool(), Dense(3)}},
      {"valid convolutions",
       {Conv1d(6, 4, relu, {.padding = Padding::valid}),
        AveragePool1d(3, {.stride = 2, .padding = Padding::valid}), GlobalMaxPool(), Dense(3)}},
      {"average pooling",
       {Dense(4, sigmoid), LayerNorm(), AveragePool1d(4, {.stride = 3}), Dropout(0.5), GlobalAveragePool(),
        Dense(3)}},
      {"everything in a row",
       {Dense(6), Activation(softplus), MaxPool1d(3, {.stride = 2}), StackFrames(2), Conv1d(4, 2),
        Lstm(3, {.return_sequences = true}), GlobalMaxPool(), Dense(3)}},
  };
}

}  // namespace

TEST_CASE("sequential: padding a batch further changes no logit") {
  const data::Dataset dataset = sequences(14, 3, 4, 7, 23, 1);
  int checked = 0;
  for (const auto& [name, layers] : sequence_stacks()) {
    CAPTURE(name);
    Sequential model(layers);
    model.build(shape_of(dataset), 3);
    const Tensor alone = values_of(model, model.network().logits, dataset, 1, 1);
    for (const int multiple : {1, 8, 50})
      for (const int batch : {1, 4, 14}) {
        CHECK(largest_difference(alone, values_of(model, model.network().logits, dataset, batch, multiple)) <=
              1e-6);
        ++checked;
      }
  }
  CHECK(checked == 90);
}

TEST_CASE("sequential: padding a batch further changes no gradient") {
  const data::Dataset dataset = sequences(9, 3, 4, 7, 23, 2);
  for (const auto& [name, layers] : sequence_stacks()) {
    CAPTURE(name);
    std::vector<LayerSpec> without_dropout;
    // Which elements are dropped depends on the shape of the batch.
    for (LayerSpec layer : layers) {
      for (auto& [option, value] : layer.options)
        if (option == "dropout" || option == "rate") value = "0";
      without_dropout.push_back(layer);
    }
    std::vector<std::vector<TensorZeros>> zeros;
    std::vector<Tensor> trained;
    for (const int multiple : {1, 40}) {
      Sequential model(without_dropout);
      model.compile(Sgd{.learning_rate = 0.1});
      model.fit(dataset, {.epochs = 2, .batch_size = 3, .seed = 5, .threads = 1, .time_multiple = multiple});
      for (const TensorZeros& tensor : model.zeros()) trained.push_back(model.store().get(tensor.name));
    }
    const size_t half = trained.size() / 2;
    for (size_t i = 0; i < half; ++i) CHECK(largest_difference(trained[i], trained[i + half]) < 1e-5);
  }
}

TEST_CASE("sequential: lengths are the numbers of windows") {
  struct Case {
    LayerSpec layer;
    int size, stride;
    bool same;
  };
  std::vector<Case> cases;
  for (const int size : {1, 2, 3, 5})
    for (const int stride : {1, 2, 3})
      for (const bool same : {true, false}) {
        const Padding padding = same ? Padding::same : Padding::valid;
        cases.push_back({Conv1d(2, size, {}, {.stride = stride, .padding = padding}), size, stride, same});
        cases.push_back({MaxPool1d(size, {.stride = stride, .padding = padding}), size, stride, same});
        cases.push_back({AveragePool1d(size, {.stride = stride, .padding = padding}), size, stride, same});
      }
  for (const int frames : {1, 2, 3, 4}) cases.push_back({StackFrames(frames), frames, frames, true});
  std::vector<int32_t> lengths;
  for (int32_t n = 5; n <= 20; ++n) lengths.push_back(n);
  const auto count = static_cast<int64_t>(lengths.size());
  const Tensor features = random_tensor({count, 20, 2}, 1);
  for (const Case& c : cases) {
    CAPTURE(c.layer.kind);
    CAPTURE(c.size);
    CAPTURE(c.stride);
    const Applied out = apply(c.layer, features, lengths);
    for (int64_t i = 0; i < count; ++i) {
      int64_t windows = 0;
      for (int64_t first = 0; first < lengths[static_cast<size_t>(i)]; first += c.stride)
        windows += c.same || first + c.size <= lengths[static_cast<size_t>(i)];
      CHECK(out.lengths.at(i) == windows);
      // The shortest sequence with so many windows is as long as the layer says it needs.
      CHECK(layer_kind_of(c.layer).frames_needed(c.layer, windows) <= lengths[static_cast<size_t>(i)]);
      CHECK(layer_kind_of(c.layer).frames_needed(c.layer, windows + 1) > lengths[static_cast<size_t>(i)]);
    }
    CHECK(out.values.extents()[1] == out.lengths.at(count - 1));
  }
  CHECK(cases.size() == 76);
}

TEST_CASE("sequential: pooling looks at the frames within the sequence only") {
  Tensor features = random_tensor({2, 9, 3}, 2);
  // All below zero, so that a padded zero would win.
  for (float& value : features.values<float>()) value = -1 - std::abs(value);
  const std::vector<int32_t> lengths{7, 9};
  const Applied largest = apply(MaxPool1d(3, {.stride = 2}), features, lengths),
                mean = apply(AveragePool1d(3, {.stride = 2}), features, lengths);
  for (int64_t b = 0; b < 2; ++b)
    for (int64_t s = 0; s < largest.lengths.at(b); ++s)
      for (int64_t d = 0; d < 3; ++d) {
        double maximum = -1e30, sum = 0, frames = 0;
        for (int64_t t = 2 * s - 1; t <= 2 * s + 1; ++t) {
          if (t < 0 || t >= lengths[static_cast<size_t>(b)]) continue;
          const double value = features.at((b * 9 + t) * 3 + d);
          maximum = std::max(maximum, value);
          sum += value;
          ++frames;
        }
        CHECK(largest.values.at((b * 5 + s) * 3 + d) == maximum);
        CHECK(mean.values.at((b * 5 + s) * 3 + d) == doctest::Approx(sum / frames).epsilon(1e-6));
      }
}

TEST_CASE("sequential: stacked frames lie side by side, the last filled up with zeros") {
  const Tensor features = random_tensor({1, 5, 2}, 3);
  const Applied out = apply(StackFrames(3), features, {4});
  CHECK(out.values.extents() == Extents{1, 2, 6});
  CHECK(out.lengths.at(0) == 2);
  for (int64_t i = 0; i < 12; ++i) CHECK(out.values.at(i) == (i < 8 ? features.at(i) : 0));
}

TEST_CASE("sequential: the backward half of a bidirectional layer is an LSTM on the reversed sequence") {
  const Tensor features = random_tensor({1, 6, 3}, 4);
  Tensor reversed = features.clone();
  for (int64_t t = 0; t < 4; ++t)
    std::copy_n(features.data<float>() + (3 - t) * 3, 3, reversed.data<float>() + t * 3);
  // First values depend on the name: these parameters are the layer's.
  Graph graph;
  const Value x = graph.input("features", {1, 6, 3});
  graph.output("states", lstm(x, graph.parameter("layer/backward/kernel", {3, 8}),
                              graph.parameter("layer/backward/recurrent_kernel", {2, 8}, init::orthogonal()),
                              graph.parameter("layer/backward/bias", {8}, init::zeros()), 1));
  Store store;
  initialize_store(graph, store, 7);
  Program program(graph);
  const Tensor expected = program.run({{"features", reversed}}, store, *make_serial_executor()).front();
  const Tensor found = apply(Bidirectional(Lstm(2, {.return_sequences = true})), features, {4}).values;
  for (int64_t t = 0; t < 4; ++t)
    for (int64_t j = 0; j < 2; ++j)
      CHECK(found.at(t * 4 + 2 + j) == doctest::Approx(expected.at((3 - t) * 2 + j)).epsilon(1e-6));
  const Tensor last = apply(Bidirectional(Lstm(2)), features, {4}).values;
  CHECK(last.extents() == Extents{1, 4});
  for (int64_t j = 0; j < 2; ++j) {
    CHECK(last.at(j) == found.at(3 * 4 + j));
    CHECK(last.at(2 + j) == found.at(2 + j));
  }
}

TEST_CASE("sequential: layer norm gives every frame mean 0 and variance 1") {
  const Applied out = apply(LayerNorm({.epsilon = 1e-12}), random_tensor({2, 3, 8}, 5), {3, 3});
  for (int64_t row = 0; row < 6; ++row) {
    double sum = 0, squares = 0;
    for (int64_t d = 0; d < 8; ++d) {
      sum += out.values.at(row * 8 + d);
      squares += out.values.at(row * 8 + d) * out.values.at(row * 8 + d);
    }
    CHECK(std::abs(sum) < 1e-5);
    CHECK(squares / 8 == doctest::Approx(1).epsilon(1e-5));
  }
}

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
  const Folder folder;
  const data::Dataset data = sequences(20, 3, 4, 5, 12, 1);
  Sequential model{StackFrames(2),
                   Bidirectional(Lstm(6, {.return_sequences = true, .kernel_penalty = l1(1e-3)})),
                   GlobalAveragePool(), Dropout(0.2), Dense(3)};
  model.compile(Adam{}, SoftmaxCrossEntropy{.label_smoothing = 0.1});
  model.fit(data, {.epochs = 3, .batch_size = 6});
  model.save(folder.file("model.safetensors"), {{"note", "kept"}});
  Sequential loaded = Sequential::load(folder.file("model.safetensors"));
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
  const Store file = Store::load(folder.file("model.safetensors"));
  CHECK(file.size() == 8);
  CHECK(file.metadata().at("note") == "kept");
  // It can be trained further.
  loaded.compile(Adam{});
  CHECK(loaded.fit(data, {.batch_size = 6}).epochs[0].loss <
        model.fit(data, {.batch_size = 6}).epochs[0].loss + 1);
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
    // Another process: only the store and the state are left.
    Sequential other = make();
    other.build(shape_of(data), 11);
    for (const auto& [name, tensor] : model.store()) other.store().set(name, tensor.clone());
    FitOptions second = options();
    second.from = fit_state_from_json(to_json(before.state));
    for (const EpochReport& epoch : before.epochs)
      second.earlier.push_back(epoch_report_from_json(to_json(epoch)));
    const FitResult after = other.fit(data, second);
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

TEST_CASE("sequential: the schedule acts on the steps that it names") {
  const data::Dataset data = points(20, 2, 3, 1);
  const auto weights_after = [&](int epochs, bool twice, const Schedule& schedule) {
    Sequential model{Dense(2)};
    model.compile(Sgd{.learning_rate = 0.5});
    FitOptions fit{.epochs = epochs, .batch_size = 20};
    fit.schedule = [&](int64_t) { return schedule; };
    for (int time = 0; time < (twice ? 2 : 1); ++time) model.fit(data, fit);
    return model.store().get("dense_1/kernel");
  };
  const Schedule first_only = [](int64_t step) { return step == 0 ? 1.0 : 0.0; };
  for (const bool twice : {false, true})
    CHECK(same_bits(weights_after(5, twice, first_only), weights_after(1, twice, schedule::constant())));
}

TEST_CASE("sequential: a stop at the last step comes too late to stop anything") {
  const data::Dataset data = points(20, 2, 3, 1);
  Sequential model{Dense(2)};
  model.compile(Sgd{});
  std::atomic<bool> stop = false;
  FitOptions fit{.epochs = 2, .batch_size = 10};
  fit.stop = &stop;
  fit.on_step = [&](const StepReport& report) { stop = report.epoch == 2 && report.step == 2; };
  const FitResult result = model.fit(data, fit);
  CHECK_FALSE(result.stopped);
  CHECK(result.epochs.size() == 2);
}

TEST_CASE("sequential: schedules run over all steps, and again in a second fit") {
  const data::Dataset data = points(20, 2, 3, 1);
  Sequential model{Dense(2)};
  model.compile(Sgd{.learning_rate = 0.5});
  FitOptions fit{.epochs = 2, .batch_size = 5};
  int64_t asked = 0;
  fit.schedule = [&](int64_t steps) {
    asked = steps;
    return schedule::linear(steps);
  };
  for (int time = 0; time < 2; ++time) {
    const FitResult result = model.fit(data, fit);
    CHECK(asked == 8);
    CHECK(result.epochs[0].learning_rate == doctest::Approx(0.5 * 5 / 8));
    CHECK(result.epochs[1].learning_rate == doctest::Approx(0.5 * 1 / 8));
  }
  CHECK(model.store().get("step").item() == 16);
}

TEST_CASE("sequential: data of each epoch may come from a function") {
  std::vector<uint32_t> asked;
  Sequential model{Dense(2)};
  model.compile(Sgd{});
  int steps = 0;
  FitOptions fit{.epochs = 3, .batch_size = 10};
  fit.on_step = [&](const StepReport& report) {
    ++steps;
    CHECK(report.steps == 2);
    CHECK(report.epochs == 3);
  };
  model.fit(
      [&](uint32_t epoch) {
        asked.push_back(epoch);
        return points(20, 2, 3, epoch);
      },
      fit);
  CHECK(asked == std::vector<uint32_t>{0, 1, 2});
  CHECK(steps == 6);
}

TEST_CASE("sequential: layers as JSON and back") {
  for (const auto& [name, layers] : sequence_stacks()) CHECK(layers_from_json(to_json(layers)) == layers);
  CHECK(
      to_json({Dense(3, relu, {.kernel_penalty = l1(1e-4)}), Flatten()}) ==
      R"([{"kind":"dense","units":3,"activation":"relu","use_bias":true,"kernel_penalty":"l1=0.0001","bias_penalty":"none"},{"kind":"flatten"}])");
  CHECK(layers_from_json(R"([{"kind": "lstm", "units": 4, "recurrent_penalty": "l2=0.5, l1=2"}])") ==
        std::vector<LayerSpec>{Lstm(4, {.recurrent_penalty = elastic_net(2, 0.5)})});
  CHECK(message_of<UserError>([] { layers_from_json("{}"); }) ==
        "the layers are not a JSON array such as [{\"kind\": \"dense\", \"units\": 10}]");
  CHECK(message_of<UserError>([] { layers_from_json(R"([{"kind": "lstm", "unit": 4}])"); }) ==
        "layers.0 has no key 'unit'. Did you mean 'units'?");
  CHECK(message_of<UserError>([] {
          layers_from_json(R"([{"kind": "lstn"}])");
        }).starts_with("layers.0 kind = lstn: must be one of dense, "));
}

TEST_CASE("sequential: every layer is documented") {
  CHECK(layer_kinds().size() == 14);
  for (const LayerKind& kind : layer_kinds()) {
    CAPTURE(kind.spec.name);
    CHECK(!kind.spec.doc.empty());
    for (const SpecOption& option : kind.spec.options) {
      CHECK(!option.doc.empty());
      CHECK(!option.range.empty());
    }
  }
}

TEST_CASE("sequential: options out of range") {
  CHECK(message_of<UserError>([] { Dense(-1); }) == "dense: units = -1: must be an integer from 0 to 65536");
  CHECK(message_of<UserError>([] { Conv1d(0, 3); }) ==
        "conv1d: filters = 0: must be an integer from 1 to 65536");
  CHECK(message_of<UserError>([] { Dropout(1); }) == "dropout: rate = 1: must be a number from 0 to 0.99");
  CHECK(message_of<UserError>([] { StackFrames(0); }) ==
        "stack_frames: frames = 0: must be an integer from 1 to 10000");
  CHECK(message_of<UserError>([] { Dense(2, "rellu"); }) ==
        "there is no activation 'rellu'. Did you mean 'relu'?");
  CHECK(message_of<UserError>([] { Dense(2, lariat::exp); }) ==
        "the activation is no function that layers know; give one of linear, elu, gelu, leaky_relu, relu, "
        "sigmoid, silu, softplus, tanh");
  CHECK(message_of<UserError>([] { Dense(2, {}, {.kernel_penalty = l1(-1)}); }) ==
        "dense: kernel_penalty = l1=-1: must be none, or l1 and l2 with numbers from 0, such as "
        "l1=1e-4,l2=1e-5");
  for (const char* text :
       {"", "l1", "l1=", "l1=x", "l3=1", "l1=1;l2=2", "l1=1,l1=2", "l1=inf", "l1=nan", "l1=1e-4 x"}) {
    CAPTURE(text);
    CHECK(message_of<UserError>([&] { parse_weight_penalty("p", text); }) ==
          std::string("p = ") + (*text == 0 ? "''" : text) +
              ": must be none, or l1 and l2 with numbers from 0, such as l1=1e-4,l2=1e-5");
  }
  CHECK(message_of<UserError>([] { const Loss loss = SoftmaxCrossEntropy{.label_smoothing = 1}; }) ==
        "SoftmaxCrossEntropy: label_smoothing = 1: must be a number from 0 to below 1");
}

TEST_CASE("sequential: layers that do not fit") {
  const auto build = [](std::vector<LayerSpec> layers, bool sequences) {
    return message_of<UserError>([&] {
      Sequential(std::move(layers)).build({sequences, 4, class_names(3)});
    });
  };
  CHECK(build({}, false) == "the model has no layers; it needs at least a dense layer");
  CHECK(build({Dense(2), Lstm(3)}, false) ==
        "layer lstm_1: takes sequences [batch, time, channels]; got [batch, 2]");
  CHECK(build({Lstm(3), Lstm(3)}, true) ==
        "layer lstm_2: takes sequences [batch, time, channels]; got [batch, 3]");
  CHECK(build({Flatten(), Dense(3)}, true) ==
        "layer flatten_1: sequences have no fixed length to flatten; use global_average_pool, "
        "global_max_pool or last_step");
  CHECK(build({Dense(3)}, true) ==
        "the model ends in 'dense' with [batch, time, 3], a value for every frame; end it with last_step, "
        "global_average_pool or "
        "global_max_pool before the last dense layer");
  CHECK(build({Dense(5)}, false) ==
        "the model ends in 'dense' with [batch, 5], but the data have 3 classes; end it with a dense layer "
        "of 3 units");
}

TEST_CASE("sequential: data that do not fit, and calls out of order") {
  const data::Dataset plain = points(6, 3, 4, 1), frames = sequences(6, 3, 4, 2, 6, 1);
  Sequential model{Conv1d(4, 5, {}, {.padding = Padding::valid}), GlobalMaxPool(), Dense(3)};
  const auto fit = [&](const data::Dataset& data) { return message_of<UserError>([&] { model.fit(data); }); };
  CHECK(fit(frames) == "the model does not know how to train yet; call compile first");
  CHECK(message_of<UserError>([&] { model.evaluate(frames); }) ==
        "the model has no weights yet; call fit, or load a saved model");
  CHECK(message_of<UserError>([&] { model.save("none"); }) ==
        "the model has no weights yet; call fit, or load a saved model");
  model.compile(Sgd{});
  model.build(shape_of(frames));
  CHECK(fit(plain) ==
        "the model takes sequences, but these are data without a time axis; give data of the same kind");
  CHECK(fit(sequences(6, 3, 5, 8, 9, 1)) ==
        "the model takes 4 values per frame, but the data have 5; compute them with the model's options");
  CHECK(fit(sequences(6, 2, 4, 8, 9, 1)) ==
        "the model knows the classes class 0, class 1, class 2, but the data have class 0, class 1; give "
        "data of the same classes");
  const std::string message = fit(frames);
  CHECK(message.starts_with("sequence "));
  CHECK(message.ends_with(" frames, but the model needs 5; leave it out, or use padding = same"));
  data::Dataset none;
  CHECK(fit(none) == "the dataset has no examples; check its skipped files");
  CHECK(message_of<UserError>([&] { model.fit(frames, {.epochs = 0}); }) ==
        "epochs = 0: must be an integer from 1");
}

TEST_CASE("sequential: files that are no models") {
  const Folder folder;
  const std::string file = folder.file("m.safetensors"), quoted = "'" + file + "'";
  const auto load = [&] { return message_of<UserError>([&] { Sequential::load(file); }); };
  CHECK(load() == "cannot load " + quoted + ": there is no such file");
  std::ofstream(file) << "hello, this is text";
  CHECK(load().starts_with("cannot load " + quoted + ": it is not a safetensors file"));
  Store store;
  store.set("x", Tensor::scalar(1));
  store.save(file);
  CHECK(load() == quoted + " is not a Lariat model; give a file that lariat train or Sequential::save wrote");
  store.metadata() = {{"format", "lariat checkpoint"}, {"format_version", "1"}};
  store.save(file);
  CHECK(load() ==
        quoted + " is a checkpoint, not a Lariat model; finish its training, or give the model file");
  store.metadata() = {{"format", "lariat model"}, {"format_version", "2"}};
  store.save(file);
  CHECK(load() ==
        quoted + " has format version 2, this program reads version 1; use the Lariat that wrote it");
  store.metadata() = {{"format", "lariat model"}, {"format_version", "1"}};
  store.save(file);
  CHECK(load() == quoted + " has no note 'layers'; save it again");

  Sequential model{Dense(3, relu), Dense(2)};
  model.build({false, 4, {"no", "yes"}});
  model.save(file);
  const auto change = [&](const std::function<void(Store&)>& action) {
    model.save(file);
    Store changed = Store::load(file);
    action(changed);
    changed.save(file);
    return load();
  };
  CHECK(change([](Store& s) {
          s.set("dense_1/kernel", Tensor(f32, {4, 5}));
        }) ==
        quoted +
            ": tensor 'dense_1/kernel' is f32[4, 5], but its layers make it f32[4, 3]; save the model again");
  CHECK(change([](Store& s) { s.set("dense_1/bias", Tensor(f64, {3})); }) ==
        quoted + ": tensor 'dense_1/bias' is f64[3], but its layers make it f32[3]; save the model again");
  CHECK(change([](Store& s) {
          s.metadata()["layers"] =
              R"([{"kind":"dense","units":3},{"kind":"dense","units":2},{"kind":"dense","units":2}])";
        }) == quoted + " has no tensor 'dense_3/kernel'; save the model again");
  CHECK(change([](Store& s) {
          s.metadata()["layers"] = R"([{"kind":"dense","units":3,"colour":1}])";
        }).starts_with(quoted + ": layers.0 has no key 'colour'. Known: units, "));
  CHECK(change([](Store& s) { s.metadata()["layers"] = R"([{"kind":"dense","units":3}])"; }) ==
        quoted +
            ": the model ends in 'dense' with [batch, 3], but the data have 2 classes; end it with a dense "
            "layer of 2 units");
  CHECK(change([](Store& s) { s.metadata()["input"] = "{}"; }) ==
        quoted + ": its note 'input' or 'classes' is damaged; save it again");
  CHECK(change([](Store& s) { s.metadata()["classes"] = "[1]"; }) ==
        quoted + ": its note 'input' or 'classes' is damaged; save it again");
  CHECK(change([](Store& s) { s.metadata()["input"] = R"({"sequences":false,"dimensions":-4})"; }) ==
        quoted + ": its note 'input' is damaged; save it again");
  model.save(file);
  fs::resize_file(file, fs::file_size(file) - 4);
  CHECK(load().starts_with("cannot load " + quoted + ": it is truncated: "));
}
