#include "frontends/sequential/layers.hpp"

#include <cmath>

#include "frontends/data/random.hpp"
#include "frontends/sequential/evaluation.hpp"
#include "frontends/sequential/sequential.hpp"
#include "graph/base/error.hpp"
#include "ops/ops.hpp"
#include "tests/support/testing.hpp"
#include "tests/support/toy_data.hpp"

namespace lariat::layers_test {

using lariat::testing::largest_difference;
using lariat::testing::message_of;
using lariat::testing::points;
using lariat::testing::sequences;

namespace {

// The values of a network over a dataset in which each batch is padded to a multiple of `multiple` frames.
Tensor values_of(Sequential& model, Value value, const data::Dataset& dataset, int batch_size, int multiple) {
  Inference inference(*model.network().graph, std::span(&value, 1));
  const ExampleRows rows(dataset, false);
  std::vector<float> values;
  inference.each(
      dataset, model.store(), *make_serial_executor(), batch_size, multiple,
      [&](const data::Batch& batch, const std::vector<Tensor>& found) { rows.put(batch, found[0], values); });
  return Tensor::of<float>({static_cast<int64_t>(values.size())}, values);
}

// One layer on one batch of sequences: the output and its lengths.
struct Applied {
  Tensor values, lengths;
};
Applied apply(const LayerSpec& layer, const Tensor& features, std::vector<int32_t> lengths) {
  Graph graph;
  const Shape shape{dim::batch, dim::time, features.extents()[2]};
  const Signal input{graph.input("features", shape), graph.input("lengths", {dim::batch}, i32)};
  Penalties penalties;
  LayerContext context(graph, "layer", 2, penalties);
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
      {"gru", {Gru(5, {.return_sequences = true, .dropout = 0.3}), Gru(4, {.reset_after = false}), Dense(3)}},
      {"simple_rnn",
       {SimpleRnn(5, {.activation = RnnActivation::relu, .return_sequences = true}),
        Bidirectional(SimpleRnn(4)), Dense(3)}},
      {"bidirectional gru, normalised",
       {Bidirectional(Gru(5, {.return_sequences = true})), BatchNorm(), GlobalMaxPool(), Dense(3)}},
      {"stacked frames",
       {StackFrames(3), Bidirectional(Lstm(4, {.return_sequences = true})), LastStep(), Dense(3)}},
      {"convolutions",
       {Conv1d(6, 5, relu), MaxPool1d(2), Conv1d(5, 3, tanh, {.stride = 2}), GlobalAveragePool(), Dense(3)}},
      {"valid convolutions",
       {Conv1d(6, 4, relu, {.padding = Padding::valid}),
        AveragePool1d(3, {.stride = 2, .padding = Padding::valid}), GlobalMaxPool(), Dense(3)}},
      {"dilated, causal and grouped convolutions",
       {Conv1d(8, 3, relu, {.dilation = 2, .groups = 2}),
        Conv1d(8, 3, tanh, {.padding = Padding::causal, .groups = 0}),
        Conv1d(4, 2, {}, {.stride = 2, .padding = Padding::valid, .dilation = 2}), GlobalMaxPool(),
        Dense(3)}},
      {"average pooling",
       {Dense(4, sigmoid), LayerNorm(), AveragePool1d(4, {.stride = 3}), Dropout(0.5), GlobalAveragePool(),
        Dense(3)}},
      {"convolutions in two dimensions",
       {Conv2d(3, 3, 2, relu), MaxPool2d(2, 2), Conv2d(4, 2, 2, tanh, {.stride_height = 2}), LayerNorm(),
        AveragePool2d(3, 2, {.stride_height = 1}), Flatten(), GlobalAveragePool(), Dense(3)}},
      {"valid convolutions in two dimensions",
       {Conv2d(3, 4, 3, relu, {.padding = Padding::valid}), MaxPool2d(2, 1, {.padding = Padding::valid}),
        AveragePool2d(1, 2, {.padding = Padding::valid}), Flatten(), Lstm(3), Dense(3)}},
      {"everything in a row",
       {Dense(6), Activation(softplus), MaxPool1d(3, {.stride = 2}), StackFrames(2), Conv1d(4, 2),
        Lstm(3, {.return_sequences = true}), GlobalMaxPool(), Dense(3)}},
  };
}

}  // namespace

TEST_CASE("layers: padding a batch further changes no logit") {
  const data::Dataset dataset = sequences(14, 3, 4, 7, 23, 1);
  int checked = 0;
  for (const auto& [name, layers] : sequence_stacks()) {
    CAPTURE(name);
    Sequential model(layers);
    model.build(shape_of(dataset), 3);
    const Tensor alone = values_of(model, model.network().outputs, dataset, 1, 1);
    for (const int multiple : {1, 8, 50})
      for (const int batch : {1, 4, 14}) {
        CHECK(largest_difference(
                  alone, values_of(model, model.network().outputs, dataset, batch, multiple)) <= 1e-6);
        ++checked;
      }
  }
  CHECK(checked == 144);
}

TEST_CASE("layers: padding a batch further changes no gradient") {
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

TEST_CASE("layers: lengths are the numbers of windows") {
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
        cases.push_back(
            {Conv2d(2, size, 2, {}, {.stride_height = stride, .padding = padding}), size, stride, same});
        cases.push_back(
            {MaxPool2d(size, 2, {.stride_height = stride, .padding = padding}), size, stride, same});
        cases.push_back(
            {AveragePool2d(size, 1, {.stride_height = stride, .padding = padding}), size, stride, same});
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
  CHECK(cases.size() == 148);
}

TEST_CASE("layers: pooling looks at the frames within the sequence only") {
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

TEST_CASE("layers: what lies behind the end of a sequence reaches nothing, infinite as it may be") {
  const data::Dataset dataset = [] {
    data::Dataset both = sequences(1, 1, 4, 5, 5, 1);
    const data::Dataset longer = sequences(1, 1, 4, 40, 40, 2);
    both.examples.push_back(longer.examples[0]);
    return both;
  }();
  Sequential model{MaxPool1d(2), Dense(64, relu), Conv1d(8, 3), GlobalAveragePool(), Dense(2)};
  model.build({true, 4, {"a", "b"}});
  const Tensor logits = values_of(model, model.network().outputs, dataset, 2, 1);
  for (int64_t i = 0; i < logits.count(); ++i) CHECK(std::isfinite(logits.at(i)));
}

TEST_CASE("layers: stacked frames lie side by side, the last filled up with zeros") {
  const Tensor features = random_tensor({1, 5, 2}, 3);
  const Applied out = apply(StackFrames(3), features, {4});
  CHECK(out.values.extents() == Extents{1, 2, 6});
  CHECK(out.lengths.at(0) == 2);
  for (int64_t i = 0; i < 12; ++i) CHECK(out.values.at(i) == (i < 8 ? features.at(i) : 0));
}

TEST_CASE("layers: the backward half of a bidirectional layer is an LSTM on the reversed sequence") {
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

TEST_CASE("layers: layer norm gives every frame mean 0 and variance 1") {
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

TEST_CASE("layers: layers as JSON and back") {
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
        }).starts_with("layers.0 kind = lstn: must be one of activation, "));
}

TEST_CASE("layers: kernels begin as their initialiser says") {
  const data::Dataset dataset = points(8, 2, 5, 1);
  const auto kernel_of = [&](const std::string& initializer) {
    Sequential model{Dense(40).with("kernel_initializer", initializer), Dense(0)};
    model.compile(Adam{});
    model.build(shape_of(dataset));
    return model.layer("dense_1").weight("kernel");
  };
  const Tensor constant = kernel_of("constant value=0.25"), uniform = kernel_of("uniform half_width=0.01");
  for (const float value : constant.values<float>()) CHECK(value == 0.25F);
  for (const float value : uniform.values<float>()) CHECK(std::abs(value) <= 0.01F);
  // Rows of length 1, at right angles.
  const Tensor orthogonal = kernel_of("orthogonal");
  for (int64_t a = 0; a < 5; ++a)
    for (int64_t b = 0; b <= a; ++b) {
      double product = 0;
      for (int64_t j = 0; j < 40; ++j) product += orthogonal.at(a * 40 + j) * orthogonal.at(b * 40 + j);
      CHECK(product == doctest::Approx(a == b ? 1 : 0).epsilon(1e-5));
    }
  CHECK(message_of<UserError>([] { Dense(2).with("kernel_initializer", "he_uniform"); }) ==
        "dense: kernel_initializer kind = he_uniform: must be one of constant, glorot_uniform, he_normal, "
        "normal, "
        "orthogonal, uniform. Did you mean 'uniform'?");
}

TEST_CASE("layers: every layer is documented") {
  for (const LayerKind& kind : layer_kinds()) {
    CAPTURE(kind.spec.name);
    CHECK(!kind.spec.doc.empty());
    for (const SpecOption& option : kind.spec.options) {
      CHECK(!option.doc.empty());
      CHECK(!option.range.empty());
    }
  }
}

TEST_CASE("layers: options out of range") {
  CHECK(message_of<UserError>([] {
          Dense(2, "softmax");
        }).ends_with("softplus, tanh. Losses of classes have their own softmax: leave it out"));
  CHECK(message_of<UserError>([] { Dense(-1); }) == "dense: units = -1: must be an integer from 0 to 65536");
  CHECK(message_of<UserError>([] { Conv1d(0, 3); }) ==
        "conv1d: filters = 0: must be an integer from 1 to 65536");
  CHECK(message_of<UserError>([] { Conv2d(2, 0, 3); }) ==
        "conv2d: kernel_height = 0: must be an integer from 1 to 10000");
  CHECK(message_of<UserError>([] { MaxPool2d(2, 20000); }) ==
        "max_pool2d: width = 20000: must be an integer from 1 to 10000");
  CHECK(message_of<UserError>([] { AveragePool2d(2, 2, {.stride_width = -1}); }) ==
        "average_pool2d: stride_width = -1: must be an integer from 0 to 10000");
  CHECK(message_of<UserError>([] { Image(0, 28); }) ==
        "image: height = 0: must be an integer from 1 to 10000");
  CHECK(message_of<UserError>([] { Dropout(1); }) == "dropout: rate = 1: must be a number from 0 to 0.99");
  CHECK(message_of<UserError>([] { StackFrames(0); }) ==
        "stack_frames: frames = 0: must be an integer from 1 to 10000");
  CHECK(message_of<UserError>([] { Dense(2, "rellu"); }) ==
        "there is no activation 'rellu'. Did you mean 'relu'?");
  CHECK(message_of<UserError>([] { Dense(2, lariat::exp); }) ==
        "the activation is no function that layers know; give one of linear, elu, gelu, leaky_relu, relu, "
        "sigmoid, silu, softplus, tanh");
  CHECK(message_of<UserError>([] { Dense(2, {}, {.kernel_penalty = l1(-1)}); }) ==
        std::string("dense: kernel_penalty = l1=-1: must be ") + weight_penalty_range);
  CHECK(message_of<UserError>([] { const Loss loss = SoftmaxCrossEntropy{.label_smoothing = 1}; }) ==
        "softmax_cross_entropy: label_smoothing = 1: must be a number from 0 to 0.999999");
}

TEST_CASE("layers: layers that do not fit") {
  const auto make = [](const std::vector<LayerSpec>& layers) {
    Sequential model(layers);
    model.build({false, 4, {"x", "y"}});
  };
  const auto built = [&](const std::vector<LayerSpec>& layers) {
    return message_of<UserError>([&] { make(layers); });
  };
  CHECK(built({Dropout(0.5).with("weight_decay", "0.1"), Dense(2)}) ==
        "layer dropout_1: weight_decay = 0.1: has no effect on a layer without weights; leave it out");
  CHECK(built({Activation(relu).with("learning_rate_factor", "0.5"), Dense(2)}) ==
        "layer activation_1: learning_rate_factor = 0.5: has no effect on a layer without weights; leave it "
        "out");
  CHECK(built({LayerNorm().with("kernel_initializer", "he_normal"), Dense(2)}) ==
        "layer layer_norm_1: kernel_initializer = he_normal: has no effect on a layer without kernels; leave "
        "it "
        "out");
  CHECK_NOTHROW(
      make({LayerNorm().with("weight_decay", "0.1"), Dense(2).with("kernel_initializer", "he_normal")}));
  // Layers may be frozen one and all.
  CHECK_NOTHROW(make({Dropout(0.5).frozen(), Dense(2)}));
  const auto build = [](std::vector<LayerSpec> layers, bool sequences) {
    return message_of<UserError>([&] {
      Sequential(std::move(layers)).build({sequences, 4, {"a", "b", "c"}});
    });
  };
  CHECK(build({}, false) == "the model has no layers; it needs at least a dense layer");
  CHECK(build({Dense(2), Lstm(3)}, false) ==
        "layer lstm_1: takes sequences [batch, time, channels]; got [batch, 2]; these have no time axis: "
        "take "
        "dense, or data with one, such as arrays [examples, frames, values]");
  CHECK(
      build({Lstm(3), Lstm(3)}, true) ==
      "layer lstm_2: takes sequences [batch, time, channels]; got [batch, 3]; give lstm_1 return_sequences = "
      "true");
  CHECK(
      build({Conv2d(2, 3, 3), Flatten(), Dense(3)}, false) ==
      "layer conv2d_1: takes images [batch, height, width, channels] or sequences; got [batch, 4]; put image "
      "before it");
  CHECK(build({MaxPool2d(2, 2)}, false) ==
        "layer max_pool2d_1: takes images [batch, height, width, channels] or sequences; got [batch, 4]; put "
        "image before it");
  CHECK(build({Conv2d(2, 3, 3), GlobalAveragePool()}, true) ==
        "layer global_average_pool_1: takes sequences [batch, time, channels]; got [batch, time, 4, 2]; put "
        "flatten before it");
  CHECK(build({Image(3, 1)}, false) == "layer image_1: 4 values are no image of 3 by 1 pixels");
  CHECK(build({Image(2, 2)}, true) ==
        "layer image_1: takes data [batch, height·width·channels]; got [batch, time, 4]; sequences are "
        "images as "
        "they are");
  CHECK(build({Image(2, 2), Conv2d(2, 3, 2, {}, {.padding = Padding::valid})}, false)
            .ends_with(": the window spans 3 rows, but there are 2 with padding"));
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

}  // namespace lariat::layers_test
