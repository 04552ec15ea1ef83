// Layers that change what is where, or what stands for it.
#include <fmt/format.h>

#include "frontends/sequential/layers.hpp"
#include "frontends/sequential/sequential.hpp"
#include "graph/base/error.hpp"
#include "graph/program/evaluate.hpp"
#include "tests/support/testing.hpp"

namespace lariat::shape_layers_test {

using lariat::testing::message_of;

namespace {

data::Dataset rows(int64_t dimensions, bool sequences = false) {
  data::Dataset dataset;
  dataset.sequences = sequences;
  dataset.targets = {.width = 1};
  for (int i = 0; i < 4; ++i) {
    data::Example example{"row " + std::to_string(i), 0, sequences ? i + 1 : 1, dimensions, {}};
    for (int64_t j = 0; j < dimensions * example.frames; ++j)
      example.values.push_back(static_cast<float>((i + j) % 3));
    example.targets = {static_cast<float>(i)};
    dataset.examples.push_back(example);
  }
  return dataset;
}

Shape output_of(const std::vector<LayerSpec>& layers, const data::Dataset& dataset) {
  Graph graph;
  Penalties penalties;
  Signal signal{graph.input("x", dataset.sequences
                                     ? Shape{dim::batch, dim::time, dataset.examples[0].dimensions}
                                     : Shape{dim::batch, dataset.examples[0].dimensions})};
  if (dataset.sequences) signal.lengths = graph.input("lengths", {dim::batch}, i32);
  for (const LayerSpec& layer : layers) {
    LayerContext context(graph, layer.kind, 1, penalties);
    signal = layer_kind_of(layer).build(context, signal, layer);
  }
  return signal.value.shape();
}

}  // namespace

TEST_CASE("layers: reshape and permute put values elsewhere") {
  CHECK(output_of({Reshape({2, 6})}, rows(12)) == Shape{dim::batch, 2, 6});
  CHECK(output_of({Reshape({2, 3, 2}), Permute({3, 1, 2})}, rows(12)) == Shape{dim::batch, 2, 2, 3});
  const auto refused = [](const std::vector<LayerSpec>& layers, bool sequences = false) {
    return message_of<UserError>([&] { output_of(layers, rows(12, sequences)); });
  };
  CHECK(refused({Reshape({5, 2})}) == "layer reshape: shape = 5, 2 is of 10 values, but [batch, 12] has 12");
  CHECK(refused({Reshape({})}) == "layer reshape: needs shape, the sizes behind the batch, such as 4, 7");
  CHECK(refused({Reshape({1.5, 8})}) == "layer reshape: shape = 1.5, 8: must be whole numbers");
  CHECK(refused({Reshape({12})}, true) ==
        "layer reshape: sequences have no fixed length to reshape; use flatten, global_average_pool or "
        "last_step");
  CHECK(refused({Permute({1, 2})}) ==
        "layer permute: axes = 1, 2: [batch, 12] has the axes 1 to 1 behind its batch; name each once");
  CHECK(refused({Permute({1})}, true) ==
        "layer permute: the time of sequences stays where it is; end them before permute");
}

TEST_CASE("layers: select picks channels of data, sequences and images") {
  CHECK(output_of({Select({0, 5, 6})}, rows(12)) == Shape{dim::batch, 3});
  CHECK(output_of({Select({2, 11})}, rows(12, true)) == Shape{dim::batch, dim::time, 2});
  CHECK(output_of({Image(2, 2), Select({0, 2})}, rows(12)) == Shape{dim::batch, 2, 2, 2});
  Graph graph;
  Penalties penalties;
  const Value x = graph.input("x", {dim::batch, dim::time, 4});
  LayerContext context(graph, "select_1", 1, penalties);
  const LayerSpec layer = Select({1, 3});
  const Signal picked =
      layer_kind_of(layer).build(context, {x, graph.input("lengths", {dim::batch}, i32)}, layer);
  const Tensor values = evaluate(
      picked.value, {{"x", Tensor::of<float>({1, 3, 4}, {0, 1, 2, 3, 10, 11, 12, 13, 20, 21, 22, 23})},
                     {"lengths", Tensor::of<int32_t>({1}, {3})}});
  CHECK(same_bits(values, Tensor::of<float>({1, 3, 2}, {1, 3, 11, 13, 21, 23})));
  CHECK(layer.at("channels") == "1,3");
  CHECK(Select({0, 1, 2, 5, 7, 8}).at("channels") == "0-2,5,7-8");
  CHECK(layers_from_json(R"([{"kind": "select", "channels": "0-2, 5,7-8"}])") ==
        std::vector<LayerSpec>{Select({0, 1, 2, 5, 7, 8})});
  const auto refused = [](const std::string& channels) {
    return message_of<UserError>(
        [&] { layers_from_json(R"([{"kind": "select", "channels": ")" + channels + R"("}])"); });
  };
  for (const char* channels :
       {"x", "-1", "3-1", "1,1", "2,1", "1-", "1-2-3", "0-99999999999999999999", "1.5"}) {
    CAPTURE(channels);
    CHECK(refused(channels).ends_with(std::string("channels = ") + channels +
                                      ": must be numbers of channels from 0 in rising order, such as 0-3,7"));
  }
  CHECK(message_of<UserError>([] {
          output_of({Select({0, 12})}, rows(12));
        }) == "layer select: channels = 0,12: [batch, 12] has the channels 0 to 11");
  CHECK(message_of<UserError>([] { output_of({Select({})}, rows(12)); }) ==
        "layer select: needs channels, such as 0-3,7");
}

TEST_CASE("layers: an embedding learns a vector for each symbol") {
  for (const bool sequences : {false, true}) {
    const data::Dataset dataset = rows(sequences ? 1 : 3, sequences);
    Sequential model = sequences ? Sequential{Embedding(3, 2), GlobalAveragePool(), Dense(0)}
                                 : Sequential{Embedding(3, 2), Flatten(), Dense(0)};
    model.compile(Adam{.learning_rate = 0.05}, MeanSquaredError{});
    const FitResult result = model.fit(dataset, {.epochs = 40, .batch_size = 4});
    CHECK(result.epochs.back().loss < result.epochs.front().loss);
    CHECK(model.store().get("embedding_1/table").extents() == Extents{3, 2});
    data::Dataset other = dataset;
    other.examples[2].values[0] = 3;
    const std::string refused = message_of<UserError>([&] { model.predict(other); });
    CHECK(refused.ends_with(
        "has 3 for the layer 'embedding_1', which takes symbols, whole numbers from 0 to 2"));
    // What is not whole is no symbol, on neither side of 0.
    for (const float value : {0.5F, -0.5F}) {
      other.examples[2].values[0] = value;
      CHECK(message_of<UserError>([&] { model.predict(other); })
                .ends_with(
                    fmt::format("has {} for the layer 'embedding_1', which takes symbols, whole numbers from "
                                "0 to 2",
                                value)));
    }
  }
  CHECK(message_of<UserError>([] { output_of({Embedding(3, 2)}, rows(2, true)); }) ==
        "layer embedding: takes sequences of one symbol a frame, [batch, time, 1]; got [batch, time, 2]");
}

}  // namespace lariat::shape_layers_test
