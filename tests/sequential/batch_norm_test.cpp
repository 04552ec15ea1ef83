#include <cmath>
#include <filesystem>

#include "frontends/data/random.hpp"
#include "frontends/sequential/callbacks/callbacks.hpp"
#include "frontends/sequential/sequential.hpp"
#include "graph/base/error.hpp"
#include "ops/ops.hpp"
#include "tests/sequential/resumed.hpp"
#include "tests/support/files.hpp"
#include "tests/support/testing.hpp"
#include "tests/support/toy_data.hpp"

namespace lariat::batch_norm_test {

using lariat::testing::largest_difference;
using lariat::testing::points;
using lariat::testing::sequences;
using lariat::testing::TemporaryFolder;

namespace {

// One layer over a graph of its own, in training or at inference.
struct Layer {
  Graph graph;
  Store store;
  Value output;

  Layer(const LayerSpec& spec, Shape shape, bool by_time = false) {
    Signal input{graph.input("x", std::move(shape))};
    if (by_time) input.lengths = graph.input("lengths", {dim::batch}, i32);
    Penalties penalties;
    LayerContext context(graph, "norm", 2, penalties, place_of(spec));
    output = layer_kind_of(spec).build(context, input, spec).value;
    graph.output("y", output);
    initialize_store(graph, store, 1);
  }
  Tensor train(const Feeds& feeds) { return Program(graph).run(feeds, store, *make_serial_executor())[0]; }
  Tensor infer(const Feeds& feeds, const Store* frozen = nullptr) {
    return inference_program(graph, {&output, 1}, frozen)->run(feeds, store, *make_serial_executor())[0];
  }
  double state(const char* name, int64_t i = 0) const { return store.get(std::string("norm/") + name).at(i); }
};

data::Dataset single_points(int count) {
  data::Dataset dataset = points(count, 3, 6, 4);
  return dataset;
}

}  // namespace

TEST_CASE("batch_norm: statistics of the batch in training, running ones at inference") {
  // Of 1, 2, 3, 6: mean 3, variance 3.5, and 14/3 of n - 1.
  const Feeds feeds{{"x", Tensor::of<float>({4, 1}, {1, 2, 3, 6})}};
  for (const bool unbiased : {false, true}) {
    Layer layer(BatchNorm({.momentum = 0.9, .epsilon = 0.5, .unbiased = unbiased}), {dim::batch, 1});
    const Tensor y = layer.train(feeds);
    for (int64_t i = 0; i < 4; ++i) CHECK(y.at(i) == doctest::Approx((feeds.at("x").at(i) - 3) / 2));
    const double variance = 0.9 + 0.1 * (unbiased ? 14.0 / 3 : 3.5);
    CHECK(layer.state("moving_mean") == doctest::Approx(0.3));
    CHECK(layer.state("moving_variance") == doctest::Approx(variance));
    const Tensor inferred = layer.infer(feeds), frozen = layer.infer(feeds, &layer.store);
    for (int64_t i = 0; i < 4; ++i)
      CHECK(inferred.at(i) == doctest::Approx((feeds.at("x").at(i) - 0.3) / std::sqrt(variance + 0.5)));
    CHECK(largest_difference(inferred, frozen) < 1e-6);
    // Inference moves nothing.
    CHECK(layer.state("moving_mean") == doctest::Approx(0.3));
  }
}

TEST_CASE("batch_norm: a batch of one row gives the offset, and leaves the running variance") {
  Layer layer(BatchNorm({.momentum = 0.5}), {dim::batch, 2});
  const Tensor y = layer.train({{"x", Tensor::of<float>({1, 2}, {4, -8})}});
  CHECK(y.at(0) == 0);
  CHECK(y.at(1) == 0);
  CHECK(layer.state("moving_mean", 1) == -4);
  CHECK(layer.state("moving_variance") == 1);
}

TEST_CASE("batch_norm: channels of images, and of frames within their sequences") {
  Layer images(BatchNorm({.momentum = 0, .epsilon = 1e-12}), {dim::batch, 2, 1, 2});
  images.train({{"x", Tensor::of<float>({2, 2, 1, 2}, {1, 10, 2, 20, 3, 30, 6, 60})}});
  CHECK(images.state("moving_mean", 0) == doctest::Approx(3));
  CHECK(images.state("moving_mean", 1) == doctest::Approx(30));
  CHECK(images.state("moving_variance", 1) == doctest::Approx(350));

  for (const float behind : {0.0F, 1e6F}) {
    Layer frames(BatchNorm({.momentum = 0, .epsilon = 1e-12}), {dim::batch, dim::time, 1}, true);
    const Tensor y = frames.train({{"x", Tensor::of<float>({2, 3, 1}, {1, 2, 3, 6, behind, behind})},
                                   {"lengths", Tensor::of<int32_t>({2}, {3, 1})}});
    CHECK(frames.state("moving_mean") == doctest::Approx(3));
    CHECK(frames.state("moving_variance") == doctest::Approx(3.5));
    CHECK(y.at(3) == doctest::Approx(3 / std::sqrt(3.5)));
  }
}

TEST_CASE("batch_norm: a frozen one takes running statistics in training, too, and leaves them") {
  Layer layer(BatchNorm({.epsilon = 0.5}).frozen(), {dim::batch, 1});
  layer.store.set("norm/moving_mean", Tensor::of<float>({1}, {2}));
  layer.store.set("norm/moving_variance", Tensor::of<float>({1}, {3.5}));
  const Feeds feeds{{"x", Tensor::of<float>({4, 1}, {1, 2, 3, 6})}};
  const Tensor trained = layer.train(feeds), inferred = layer.infer(feeds);
  for (int64_t i = 0; i < 4; ++i) {
    CHECK(trained.at(i) == doctest::Approx((feeds.at("x").at(i) - 2) / 2));
    CHECK(trained.at(i) == inferred.at(i));
  }
  CHECK(layer.state("moving_mean") == 2);
  CHECK(layer.state("moving_variance") == 3.5);
}

TEST_CASE("batch_norm: one that is applied twice has statistics of each place, and one gamma") {
  const BatchNorm norm({.momentum = 0, .epsilon = 1e-12});
  const ModelValue x = input("x"), first = norm(x), second = norm(Activation(relu)(x));
  Model model({x}, {Dense(0)(Concat()(first, second))});
  model.compile(Adam{.learning_rate = 1e-3});
  data::Dataset dataset = points(64, 3, 2, 4);
  dataset.columns = {{"x", 2}};
  model.fit(dataset, {.batch_size = 64});
  double mean = 0, rectified = 0;
  for (const data::Example& example : dataset.examples) {
    mean += static_cast<double>(example.values[0]) / 64;
    rectified += std::max(0.0, static_cast<double>(example.values[0])) / 64;
  }
  CHECK(model.store().get("batch_norm_1/moving_mean").at(0) == doctest::Approx(mean).epsilon(1e-4));
  CHECK(model.store().get("batch_norm_2/moving_mean").at(0) == doctest::Approx(rectified).epsilon(1e-4));
  CHECK(model.store().find("batch_norm_1/gamma") != nullptr);
  CHECK(model.store().find("batch_norm_2/gamma") == nullptr);
  const Evaluation before = model.evaluate(dataset);
  const TemporaryFolder folder;
  model.save(folder / "m");
  CHECK(Sequential::load(folder / "m").evaluate(dataset).loss == before.loss);
}

TEST_CASE("batch_norm: learns, is saved and loaded, has the same bits on any number of threads") {
  const data::Dataset train = single_points(96), test = single_points(33);
  std::vector<uint64_t> hashes;
  for (const int threads : {1, 2, 5}) {
    Sequential model{Dense(16, {}, {.use_bias = false}), BatchNorm(), Activation(relu), Dense(0)};
    model.compile(Adam{.learning_rate = 1e-2});
    model.fit(train, {.epochs = 20, .batch_size = 17, .seed = 3, .threads = threads});
    hashes.push_back(model.parameter_hash());
    CHECK(model.evaluate(test).accuracy > 0.9);
    // 6·16 of the first kernel, gamma and beta, 16·3 and 3: states are no weights.
    CHECK(model.parameter_count() == 96 + 32 + 51);
    const auto file = std::filesystem::temp_directory_path() / "lariat_batch_norm_test.safetensors";
    model.save(file.string());
    Sequential loaded = Sequential::load(file.string());
    std::filesystem::remove(file);
    CHECK(loaded.parameter_hash() == model.parameter_hash());
    CHECK(loaded.evaluate(test).loss == model.evaluate(test).loss);
  }
  CHECK(hashes == std::vector(3, hashes[0]));
}

TEST_CASE("batch_norm: a penalty of gamma makes channels exactly zero") {
  const data::Dataset train = single_points(96);
  Sequential model{Dense(16), BatchNorm({.gamma_penalty = l1(0.05)}), Activation(relu), Dense(0)};
  model.compile(Adam{.learning_rate = 1e-2});
  model.fit(train, {.epochs = 40, .batch_size = 16, .seed = 3});
  const Sparsity zeros = sparsity(model.store().get("batch_norm_1/gamma"));
  CHECK(zeros.zeros > 0);
  CHECK(zeros.zeros < zeros.count);
  CHECK(model.evaluate(train).accuracy > 0.9);
}

TEST_CASE("batch_norm: training that is resumed within an epoch has the same bits") {
  const data::Dataset train = single_points(60);
  const auto make = [] {
    Sequential model{Dense(8), BatchNorm(), Dense(0)};
    model.compile(Adam{.learning_rate = 1e-2});
    return model;
  };
  FitOptions options{.epochs = 2, .batch_size = 16, .seed = 3};
  Sequential whole = make();
  whole.fit(train, options);
  CHECK(testing::hash_when_resumed(make, train, options, 1, 2) == whole.parameter_hash());
}

TEST_CASE("gaussian_noise: noise of the deviation that is asked for, in training only") {
  Layer layer(GaussianNoise(2), {dim::batch});
  const Feeds feeds{{"x", Tensor::filled(f32, {20001}, 5)}};
  const Tensor y = layer.train(feeds);
  double sum = 0, squares = 0;
  for (int64_t i = 0; i < y.count(); ++i) {
    sum += y.at(i) - 5;
    squares += (y.at(i) - 5) * (y.at(i) - 5);
  }
  CHECK(std::abs(sum / 20001) < 0.06);
  CHECK(std::sqrt(squares / 20001) == doctest::Approx(2).epsilon(0.02));
  CHECK(largest_difference(layer.infer(feeds), feeds.at("x")) == 0);
}

TEST_CASE("masking: a sequence ends behind its last frame that holds anything else") {
  Graph graph;
  const Signal input{graph.input("x", {dim::batch, dim::time, 2}), graph.input("lengths", {dim::batch}, i32)};
  Penalties penalties;
  LayerContext context(graph, "masking", 2, penalties);
  const LayerSpec spec = Masking(-1);
  graph.output("lengths", layer_kind_of(spec).build(context, input, spec).lengths);
  Store store;
  const Tensor lengths = Program(graph).run({{"x", Tensor::of<float>({4, 3, 2}, {1,  -1, -1, -1, -1, -1,  //
                                                                                 -1, -1, 2,  2,  -1, -1,  //
                                                                                 -1, -1, -1, -1, -1, -1,  //
                                                                                 5,  5,  -1, -1, 7,  7})},
                                             {"lengths", Tensor::of<int32_t>({4}, {3, 3, 2, 2})}},
                                            store, *make_serial_executor())[0];
  const std::vector<int32_t> expected{1, 2, 1, 1};
  for (size_t i = 0; i < 4; ++i) CHECK(lengths.data<int32_t>()[i] == expected[i]);
}

TEST_CASE("batch_norm: best weights come back with their statistics, and averages have theirs") {
  const data::Dataset train = points(60, 3, 2, 1), other = points(40, 3, 2, 2);
  const auto fitted = [&](const std::vector<Callback>& callbacks, int epochs, FitResult* result = nullptr) {
    Sequential model{Dense(8, relu), BatchNorm({.momentum = 0.5}), Dense(0)};
    model.compile(Adam{.learning_rate = 0.1});
    FitOptions options{.epochs = epochs, .batch_size = 8, .seed = 3};
    options.validation = other;
    options.callbacks = callbacks;
    FitResult found = model.fit(train, options);
    if (result != nullptr) *result = std::move(found);
    return model;
  };
  FitResult result;
  Sequential model = fitted({EarlyStopping{.patience = 4}}, 40, &result);
  size_t best = 0;
  for (size_t i = 0; i < result.epochs.size(); ++i)
    if (*result.epochs[i].validation_loss < *result.epochs[best].validation_loss) best = i;
  REQUIRE(best + 1 < result.epochs.size());
  CHECK(model.evaluate(other).loss == *result.epochs[best].validation_loss);

  const auto statistics = [](Sequential& of) {
    return of.store().get("batch_norm_1/moving_variance").clone();
  };
  Sequential first = fitted({}, 1), second = fitted({}, 2), mean = fitted({Swa{.start = 0}}, 2);
  for (int64_t i = 0; i < 8; ++i)
    CHECK(statistics(mean).at(i) ==
          doctest::Approx((statistics(first).at(i) + statistics(second).at(i)) / 2).epsilon(1e-6));
}

}  // namespace lariat::batch_norm_test
