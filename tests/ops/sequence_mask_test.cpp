// Frames behind a sequence's end, whatever an op makes of them, reach neither values nor gradients.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <optional>
#include <set>

#include "autodiff/gradient.hpp"
#include "frontends/sequential/layers.hpp"
#include "frontends/sequential/network.hpp"
#include "graph/base/error.hpp"
#include "graph/base/random.hpp"
#include "graph/exec/constants.hpp"
#include "graph/ir/op_def.hpp"
#include "graph/ir/registry.hpp"
#include "ops/ops.hpp"
#include "tests/support/testing.hpp"

namespace lariat::sequence_mask_test {

namespace {

constexpr int64_t channels = 4, most_frames = 6;
using Layers = std::vector<LayerSpec>;

// The loss and its gradient by all parameters, for clips of these lengths in one batch; frames behind their
// ends hold `behind`.
std::vector<Tensor> gradients_of(const Layers& layers, const std::vector<int32_t>& lengths,
                                 const std::vector<uint64_t>& clips, float behind) {
  const auto batch = static_cast<int64_t>(lengths.size());
  const int64_t time = *std::max_element(lengths.begin(), lengths.end());
  Network network = build_network(layers, {true, channels, {"a", "b", "c"}}, SoftmaxCrossEntropy{}, {});
  Graph& graph = *network.graph;
  std::vector<Value> parameters;
  for (int32_t id = 0; id < graph.size(); ++id)
    if (graph.node(id).op->traits.source == SourceKind::parameter) parameters.push_back({&graph, id});
  const std::vector<Value> gradients = gradient(network.loss, parameters);
  graph.output("loss", network.loss);
  for (size_t i = 0; i < gradients.size(); ++i) graph.output(fmt::format("gradient {}", i), gradients[i]);

  Tensor features = Tensor::filled(f32, {batch, time, channels}, behind), labels(i32, {batch});
  for (int64_t row = 0; row < batch; ++row) {
    labels.data<int32_t>()[row] = static_cast<int32_t>(clips[row] % 3);
    for (int64_t i = 0; i < lengths[row] * channels; ++i)
      features.data<float>()[row * time * channels + i] =
          0.5f + to_unit(random_bits(clips[row], 1, static_cast<uint64_t>(i))[0]);
  }
  Store store;
  initialize_store(graph, store, 5);
  const Tensor frames = Tensor::of<int32_t>({batch}, std::span<const int32_t>(lengths));
  return Program(graph).run({{"features", features}, {"lengths", frames}, {"labels", labels}}, store,
                            *make_serial_executor());
}

// Ops of one input that layers take and that are not finite, or have no finite derivative, at 0.
std::vector<std::string> ops_not_finite_at_zero() {
  std::vector<std::string> names;
  for (const OpDef* op : registry().all()) {
    if (op->plugin || op->inputs.size() != 1 || op->variadic || op->traits.source != SourceKind::none ||
        !op->kernel.float32 || !op->vjp || !op->attributes.empty())
      continue;
    Graph graph;
    const Value x = graph.input("x", {1, 1, channels});
    Value y;
    try {
      y = graph.add(*op, std::vector<Value>{x});
      if (y.type() != x.type()) continue;
      graph.output("y", y);
      graph.output("dx", gradient(sum(y), {x})[0]);
    } catch (const UserError&) {
      continue;
    }
    Store store;
    const auto results =
        Program(graph).run({{"x", Tensor(f32, {1, 1, channels})}}, store, *make_serial_executor());
    if (!is_finite(results[0]) || !is_finite(results[1])) names.push_back(op->name);
  }
  return names;
}

// Every kind of layer that takes sequences, each followed by what makes logits of it.
std::vector<std::pair<std::string, Layers>> layers_behind() {
  const LstmOptions sequences{.return_sequences = true};
  return {{"dense", {Dense(5, gelu), GlobalAveragePool()}},
          {"activation", {Activation(gelu), GlobalAveragePool()}},
          {"prelu", {make_layer("prelu"), Dense(3), GlobalAveragePool()}},
          {"layer_norm", {LayerNorm(), GlobalAveragePool()}},
          {"lstm", {Lstm(3)}},
          {"lstm over time", {Lstm(3, sequences), GlobalMaxPool()}},
          {"bidirectional_lstm", {Bidirectional(Lstm(3))}},
          {"bidirectional_lstm over time", {Bidirectional(Lstm(3, sequences)), GlobalAveragePool()}},
          {"gru", {Gru(3)}},
          {"gru over time, reset before",
           {Gru(3, {.return_sequences = true, .reset_after = false}), GlobalMaxPool()}},
          {"bidirectional_gru", {Bidirectional(Gru(3))}},
          {"simple_rnn", {SimpleRnn(3, {.activation = RnnActivation::relu})}},
          {"bidirectional_simple_rnn over time",
           {Bidirectional(SimpleRnn(3, {.return_sequences = true})), GlobalMaxPool()}},
          {"gaussian_noise", {GaussianNoise(0), Dense(3), GlobalAveragePool()}},
          {"select", {Select({0, 2}), Dense(3), GlobalAveragePool()}},
          {"masking", {Masking(-5), Dense(3), GlobalAveragePool()}},
          {"conv1d", {Conv1d(3, 3), GlobalAveragePool()}},
          {"conv2d", {Conv2d(2, 3, 2), Flatten(), GlobalAveragePool()}},
          {"max_pool1d", {MaxPool1d(2), GlobalAveragePool()}},
          {"max_pool1d valid", {MaxPool1d(2, {.padding = Padding::valid}), GlobalAveragePool()}},
          {"average_pool1d", {AveragePool1d(2), GlobalAveragePool()}},
          {"average_pool1d valid", {AveragePool1d(2, {.padding = Padding::valid}), GlobalAveragePool()}},
          {"max_pool2d", {MaxPool2d(2, 2), Flatten(), GlobalAveragePool()}},
          {"average_pool2d", {AveragePool2d(2, 2), Flatten(), GlobalAveragePool()}},
          {"select", {Select({0, 2}), Dense(3), GlobalAveragePool()}},
          {"stack_frames", {StackFrames(2), Dense(3), GlobalAveragePool()}},
          {"dropout", {Dropout(0), Dense(3), GlobalAveragePool()}},
          {"op", {OpLayer("square"), Dense(3), GlobalAveragePool()}},
          {"time_distributed", {TimeDistributed({Dense(5, gelu), Dense(3)}), GlobalAveragePool()}},
          {"global_average_pool", {GlobalAveragePool()}},
          {"global_max_pool", {GlobalMaxPool()}},
          {"last_step", {LastStep()}},
          {"add, multiply and concat",
           {Dense(4, gelu).named("left"), Dense(4).named("right"),
            Add().with("input", "left, right").named("sum"),
            Multiply().with("input", "sum, left").named("product"), Concat().with("input", "product, right"),
            GlobalAveragePool()}},
          {"all in a row",
           {LayerNorm(), Dense(4, gelu), Conv1d(4, 2), Bidirectional(Lstm(3, sequences)), MaxPool1d(2),
            Dense(3), Lstm(3)}}};
}

Layers joined(Layers first, const Layers& then) {
  first.insert(first.end(), then.begin(), then.end());
  first.push_back(Dense(0));
  return first;
}

// The second clip is shortened frame by frame: the gradient of the batch is the mean of those of its clips,
// each by itself without padding. Returns how many were compared.
int check_shortened(const Layers& layers, float behind) {
  const int64_t needed = frames_needed(layers);
  const std::vector<Tensor> longest = gradients_of(layers, {most_frames}, {1}, behind);
  int compared = 0;
  for (int32_t frames = most_frames; frames >= 0; --frames) {
    CAPTURE(frames);
    std::vector<Tensor> both;
    try {
      both = gradients_of(layers, {most_frames, frames}, {1, 2}, behind);
    } catch (const UserError&) {
      CHECK(frames < needed);  // no last frame, or no window
      continue;
    }
    for (const Tensor& tensor : both) CHECK(is_finite(tensor));
    if (frames < needed) continue;
    const std::vector<Tensor> alone = gradients_of(layers, {frames}, {2}, behind);
    for (size_t i = 0; i < both.size(); ++i)
      for (int64_t e = 0; e < both[i].count(); ++e)
        CHECK(both[i].at(e) == doctest::Approx((longest[i].at(e) + alone[i].at(e)) / 2).epsilon(1e-4));
    ++compared;
  }
  return compared;
}

}  // namespace

TEST_CASE("sequence masks: an op that is not finite at 0 leaves gradients as they are, before every layer") {
  const std::vector<std::string> ops = ops_not_finite_at_zero();
  for (const char* known : {"log", "reciprocal", "sqrt"})
    CHECK(std::find(ops.begin(), ops.end(), known) != ops.end());
  std::set<std::string> kinds;
  for (const std::string& op : ops)
    for (const auto& [name, behind] : layers_behind()) {
      CAPTURE(op);
      CAPTURE(name);
      for (const LayerSpec& layer : behind) kinds.insert(layer.kind);
      CHECK(check_shortened(joined({OpLayer(op)}, behind), 0) >= 5);
      CHECK(check_shortened(joined({OpLayer(op), OpLayer("log1p"), OpLayer("reciprocal")}, behind), 0) >= 5);
    }
  // Images, other shapes and orders of axes are made of plain data only, symbols are no results, and what
  // batch_norm makes of a clip depends on the others.
  CHECK(kinds.size() == layer_kinds().size() - 5);
}

TEST_CASE("sequence masks: of a sequence of no frames the last step is the first") {
  Graph g;
  const Value x = g.constant(Tensor::of<double>({2, 3, 1}, {1, 2, 3, 4, 5, 6}));
  g.output("last", last_step(x, g.constant(Tensor::of<int32_t>({2}, {0, 2}))));
  const Tensor last = evaluate_constant(g)[0];
  CHECK(last.at(0) == 1);
  CHECK(last.at(1) == 5);
}

TEST_CASE("sequence masks: any number behind the end of the features reaches no gradient") {
  for (const float behind : {1e3f, -2.5f, NAN, INFINITY, -INFINITY})
    for (const auto& [name, layers] : layers_behind()) {
      CAPTURE(name);
      CHECK(check_shortened(joined({}, layers), behind) >= 5);
    }
}

}  // namespace lariat::sequence_mask_test
