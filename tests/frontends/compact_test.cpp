#include "frontends/compact/compact.hpp"

#include <cmath>
#include <functional>

#include "frontends/compact/compact_model.hpp"
#include "frontends/compact/figures.hpp"
#include "frontends/sequential/layers.hpp"
#include "frontends/sequential/model_file.hpp"
#include "frontends/sequential/model_value.hpp"
#include "graph/base/error.hpp"
#include "graph/base/random.hpp"
#include "graph/program/program.hpp"
#include "ops/ops.hpp"
#include "tests/frontends/compact_stacks.hpp"
#include "tests/support/files.hpp"
#include "tests/support/testing.hpp"

namespace lariat::compact_test {

using namespace compact_stacks;
using lariat::testing::contains;
using lariat::testing::message_of;
using lariat::testing::TemporaryFolder;

TEST_CASE("compact: dense units that nothing reads go, and what they alone read") {
  Stack stack = plain({Dense(6, relu), Dropout(0.5), Dense(5, tanh), Dense(0)}, 4, 3);
  zero_row(stack, "dense_2/kernel", 1);
  zero_row(stack, "dense_2/kernel", 4);
  zero_row(stack, "dense_3/kernel", 2);
  // Unit 3 of the first layer goes to unit 2 of the second alone, which goes.
  set(stack, "dense_2/kernel", 0, [](int64_t r, int64_t c) { return r == 3 && c != 2; });
  const CompactReport report = checked(stack, rounding);
  CHECK(report.unread == 4);
  CHECK(report.zero + report.folded == 0);
  CHECK(report.kept.empty());
  CHECK(report.units == std::vector<std::pair<int64_t, int64_t>>{{6, 3}, {6, 3}, {5, 4}, {3, 3}});
  CHECK(stack.layers[0].at("units") == "3");
  CHECK(stack.layers[3].at("units") == "0");
  CHECK(stack.weights.get("dense_1/kernel").extents() == Extents{4, 3});
  CHECK(stack.weights.get("dense_1/bias").extents() == Extents{3});
  CHECK(stack.weights.get("dense_2/kernel").extents() == Extents{3, 4});
}

TEST_CASE("compact: units that are always the same go into the next bias") {
  Stack stack = plain({Dense(4, sigmoid), Dense(3, relu, {.use_bias = false}), Dense(0)}, 5, 2);
  zero_column(stack, "dense_1/kernel", 2);
  stack.weights.get("dense_1/bias").data<float>()[2] = 0.5f;
  const Tensor row = stack.weights.get("dense_2/kernel").clone();
  CompactReport report = checked(stack, rounding);
  CHECK(report.folded == 1);
  CHECK(stack.layers[1].at("use_bias") == "true");
  // σ(0.5) times the row.
  for (int64_t j = 0; j < 3; ++j)
    CHECK(stack.weights.get("dense_2/bias").at(j) ==
          doctest::Approx(1 / (1 + std::exp(-0.5)) * row.at(2 * 3 + j)).epsilon(1e-6));
  // A rectified unit with a bias below 0 is always 0, which costs no bit of rounding.
  stack = plain({Dense(4, relu), Dense(0)}, 5, 2);
  zero_column(stack, "dense_1/kernel", 0);
  stack.weights.get("dense_1/bias").data<float>()[0] = -0.1f;
  const Tensor bias = stack.weights.get("dense_2/bias").clone();
  report = checked(stack, rounding);
  CHECK(report.zero == 1);
  CHECK(report.folded == 0);
  CHECK(same_bits(stack.weights.get("dense_2/bias"), bias));
}

TEST_CASE("compact: a layer keeps one unit, and the last layer all its outputs") {
  Stack stack = plain({Dense(4, relu), Dense(0)}, 3, 2);
  set(stack, "dense_2/kernel", 0, [](int64_t, int64_t) { return true; });
  const CompactReport report = checked(stack);
  CHECK(report.units[0] == std::pair<int64_t, int64_t>{4, 1});
  CHECK(report.units[1] == std::pair<int64_t, int64_t>{2, 2});
  REQUIRE(report.kept.size() == 2);
  CHECK(report.kept[0] == "1 useless channel of dense_1: a layer has one unit at least");
  CHECK(report.kept[1] == "1 useless channel of select_1: a layer has one unit at least");
}

TEST_CASE("compact: filters go through pooling and flatten, with all that reads them") {
  Stack stack = plain({Image(6, 4), Conv2d(5, 3, 3, relu), MaxPool2d(2, 2), Conv2d(4, 2, 2), Activation(relu),
                       AveragePool2d(2, 1), Flatten(), Dense(0)},
                      24, 3);
  set(stack, "conv2d_2/kernel", 0, [](int64_t r, int64_t) { return r == 1 || r == 3; });
  // Filter 2 of the second is always 0, and nothing reads filter 0 of it: places are [.., channel] in rows
  // of 4.
  zero_column(stack, "conv2d_2/kernel", 2);
  stack.weights.get("conv2d_2/bias").data<float>()[2] = -1;
  set(stack, "dense_1/kernel", 0, [](int64_t r, int64_t) { return r % 4 == 0; });
  CompactReport report = checked(stack, rounding);
  CHECK(report.unread == 3);
  CHECK(report.zero == 1);
  CHECK(stack.layers[1].at("filters") == "3");
  CHECK(stack.layers[3].at("filters") == "2");
  CHECK(stack.weights.get("conv2d_2/kernel").extents() == Extents{2, 2, 3, 2});
  CHECK(stack.weights.get("dense_1/kernel").extents()[0] == 2 * 2 * 2);
  // A filter that is read at one place stays as a whole.
  stack = plain({Image(2, 2), Conv2d(2, 1, 1), Flatten(), Dense(0)}, 4, 2);
  set(stack, "dense_1/kernel", 0, [](int64_t r, int64_t) { return r % 2 == 1 && r != 5; });
  report = checked(stack);
  CHECK(report.unread == 0);
}

TEST_CASE("compact: a constant beside padding stays, and goes where there is none") {
  for (const Padding padding : {Padding::same, Padding::valid}) {
    Stack stack =
        clips({Conv1d(3, 3, sigmoid), Conv1d(4, 2, relu, {.padding = padding}), LastStep(), Dense(0)}, 2, 2);
    zero_column(stack, "conv1d_1/kernel", 1);
    const CompactReport report = checked(stack, rounding);
    CHECK(report.folded == (padding == Padding::valid ? 1 : 0));
    if (padding == Padding::valid) continue;
    REQUIRE(report.kept.size() == 1);
    CHECK(report.kept[0] ==
          "1 useless channel of conv1d_1: conv1d_2 reads them: windows at the edges see zeros beside it "
          "(padding = "
          "same)");
  }
}

TEST_CASE("compact: units of LSTM layers go with all gates, where no other unit needs them") {
  const auto gates_of = [](int64_t units, int64_t unit) {
    return [=](int64_t, int64_t c) { return c % units == unit; };
  };
  Stack stack = clips({Lstm(5, {.return_sequences = true}), Lstm(4), Dense(0)}, 3, 2);
  // Unit 1 of the first layer: nothing comes in. Unit 3: nothing reads it. Unit 4: only unit 3 does.
  for (const char* what : {"kernel", "recurrent_kernel", "bias"})
    set(stack, std::string("lstm_1/") + what, 0, gates_of(5, 1));
  zero_row(stack, "lstm_2/kernel", 3);
  zero_row(stack, "lstm_2/kernel", 4);
  set(stack, "lstm_1/recurrent_kernel", 0, [](int64_t r, int64_t c) { return r == 3 && c % 5 != 3; });
  set(stack, "lstm_1/recurrent_kernel", 0, [](int64_t r, int64_t c) { return r == 4 && c % 5 < 3; });
  // Unit 2 of the second layer is read by unit 0, which is read.
  zero_row(stack, "dense_1/kernel", 2);
  CompactReport report = checked(stack, rounding);
  CHECK(report.unread == 2);
  CHECK(report.zero == 1);
  CHECK(stack.layers[0].at("units") == "2");
  CHECK(stack.layers[1].at("units") == "4");
  CHECK(stack.weights.get("lstm_1/kernel").extents() == Extents{3, 8});
  CHECK(stack.weights.get("lstm_1/recurrent_kernel").extents() == Extents{2, 8});
  CHECK(stack.weights.get("lstm_2/kernel").extents() == Extents{2, 16});
  // A unit whose candidate has a bias moves, though nothing comes in.
  stack = clips({Lstm(3), Dense(0)}, 3, 2);
  for (const char* what : {"kernel", "recurrent_kernel"})
    set(stack, std::string("lstm_1/") + what, 0, gates_of(3, 1));
  report = checked(stack);
  CHECK(report.zero == 0);
}

TEST_CASE("compact: both directions of an LSTM keep as many units") {
  Stack stack =
      clips({Bidirectional(Lstm(4, {.return_sequences = true})), GlobalAveragePool(), Dense(0)}, 3, 2);
  for (const int64_t unit : {0, 2, 5}) zero_row(stack, "dense_1/kernel", unit);
  for (const char* direction : {"forward", "backward"})
    set(stack, "bidirectional_lstm_1/" + std::string(direction) + "/recurrent_kernel", 0,
        [](int64_t r, int64_t c) { return r != c % 4; });
  const CompactReport report = checked(stack, rounding);
  CHECK(report.unread == 2);
  REQUIRE(report.kept.size() == 1);
  CHECK(report.kept[0] == "1 useless channel of bidirectional_lstm_1: both directions have as many");
  CHECK(stack.weights.get("dense_1/kernel").extents() == Extents{6, 2});
}

TEST_CASE("compact: units of simple recurrent layers go, and those of stateful layers stay") {
  const auto compacted = [](SimpleRnnOptions options) {
    Stack stack = clips({SimpleRnn(4, options), Dense(0)}, 3, 2);
    for (const char* what : {"kernel", "recurrent_kernel", "bias"})
      zero_column(stack, std::string("simple_rnn_1/") + what, 2);
    if (options.stateful > 0) return compact(stack).zero;
    return checked(stack, rounding).zero;
  };
  CHECK(compacted({}) == 1);
  CHECK(compacted({.activation = RnnActivation::relu, .go_backwards = true}) == 1);
  CHECK(compacted({.stateful = 3}) == 0);
}

TEST_CASE("compact: units of GRU layers go with their gates, where the candidate's own bias is zero too") {
  for (const bool reset_after : {true, false}) {
    Stack stack = clips({Gru(4, {.reset_after = reset_after}), Dense(0)}, 3, 2);
    for (const std::string what : {"kernel", "recurrent_kernel", "bias"})
      zero_column(stack, "gru_1/" + what, 9);
    if (reset_after) CHECK(checked(stack, rounding).zero == 0);
    if (reset_after) zero_column(stack, "gru_1/candidate_bias", 1);
    CHECK(checked(stack, rounding).zero == 1);
  }
}

TEST_CASE("compact: what a layer cannot let go stays, and the report says why") {
  Stack stack = plain({Dense(4, relu), LayerNorm(), Dense(3), OpLayer("tanh"), Dense(0)}, 3, 2);
  zero_row(stack, "dense_2/kernel", 1);
  zero_row(stack, "dense_3/kernel", 0);
  zero_row(stack, "dense_3/kernel", 2);
  zero_column(stack, "dense_1/kernel", 3);
  const CompactReport report = checked(stack);
  CHECK(report.unread + report.zero + report.folded == 0);
  REQUIRE(report.kept.size() == 3);
  CHECK(report.kept[0] ==
        "1 useless channel of dense_1: layer_norm_1 reads them: its statistics are over all channels");
  CHECK(report.kept[1] == "1 useless channel of layer_norm_1: its statistics are over all channels");
  CHECK(report.kept[2] == "2 useless channels of op_1: what its op does with channels is not known");
}

TEST_CASE("compact: channels of the data that nothing reads are not picked out, where they are many") {
  Stack stack = clips({Conv1d(4, 3, relu), LastStep(), Dense(0)}, 16, 2);
  set(stack, "conv1d_1/kernel", 0, [](int64_t r, int64_t) { return r < 3 || r == 7; });
  CompactReport report = checked(stack, rounding);
  CHECK(report.unread_data == 4);
  CHECK(report.unread == 0);
  CHECK(report.units == std::vector<std::pair<int64_t, int64_t>>{{4, 4}, {4, 4}, {2, 2}});
  REQUIRE(stack.layers.size() == 4);
  CHECK(stack.layers[0] == Select({3, 4, 5, 6, 8, 9, 10, 11, 12, 13, 14, 15}));
  CHECK(stack.layers[0].at("channels") == "3-6,8-15");
  CHECK(stack.weights.get("conv1d_1/kernel").extents() == Extents{3, 12, 4});
  // What it picked out may become unread too.
  set(stack, "conv1d_1/kernel", 0, [](int64_t r, int64_t) { return r == 0 || r == 4; });
  report = checked(stack, rounding);
  CHECK(stack.layers.size() == 4);
  CHECK(stack.layers[0].at("channels") == "4-6,9-15");
  // One of 16 is not worth it.
  stack = plain({Dense(4, relu), Dense(0)}, 16, 2);
  zero_row(stack, "dense_1/kernel", 5);
  report = checked(stack);
  REQUIRE(report.kept.size() == 1);
  CHECK(report.kept[0] == "1 useless channel of the data: too few to pick out the others");
}

TEST_CASE("compact: entries of embeddings, stacked frames, and sequences that are images") {
  Stack stack = plain({Embedding(5, 4), Flatten(), Dense(0)}, 3, 2);
  zero_column(stack, "embedding_1/table", 1);
  set(stack, "embedding_1/table", 0.5f, [](int64_t, int64_t c) { return c == 3; });
  const CompactReport embedded = compact(stack);
  CHECK(embedded.zero == 1);
  CHECK(embedded.folded == 1);
  CHECK(stack.weights.get("embedding_1/table").extents() == Extents{5, 2});
  CHECK(stack.weights.get("dense_1/kernel").extents() == Extents{6, 2});
  stack = clips({Dense(4, relu), StackFrames(3), Dense(5, relu), Conv2d(3, 2, 2, relu), MaxPool2d(1, 2),
                 Flatten(), LastStep(), Dense(0)},
                2, 2);
  set(stack, "dense_2/kernel", 0, [](int64_t r, int64_t) { return r % 4 == 2; });
  // The units of the second layer are the width of images: all of them stay.
  zero_column(stack, "dense_2/kernel", 1);
  set(stack, "dense_3/kernel", 0, [](int64_t r, int64_t) { return r % 3 == 1; });
  const CompactReport report = checked(stack, rounding);
  CHECK(report.unread == 2);
  CHECK(stack.weights.get("dense_2/kernel").extents() == Extents{9, 5});
  CHECK(stack.weights.get("conv2d_1/kernel").extents() == Extents{2, 2, 1, 2});
  REQUIRE(report.kept.size() == 1);
  CHECK(report.kept[0] ==
        "1 useless channel of dense_2: conv2d_1 reads them: it convolves over the channels of sequences");
}

TEST_CASE("compact: random zeros in random places change nothing but rounding") {
  for (uint64_t seed = 0; seed < 30; ++seed) {
    CAPTURE(seed);
    Stack stack =
        seed % 3 == 0
            ? plain({Dense(9, relu), Dense(8, seed % 2 == 0 ? relu : tanh), Dense(7), Dense(0)}, 5, 3, seed)
        : seed % 6 == 4 ? clips({Gru(6, {.return_sequences = true}),
                                 Bidirectional(Gru(5, {.reset_after = false})), Dense(0)},
                                4, 3, seed)
        : seed % 3 == 1 ? clips({Conv1d(6, 3, relu), MaxPool1d(2), Lstm(6, {.return_sequences = true}),
                                 Bidirectional(Lstm(5)), Dense(0)},
                                4, 3, seed)
                        : plain({Image(4, 4), Conv2d(6, 2, 2, relu), MaxPool2d(2, 2), Conv2d(6, 2, 2, tanh),
                                 Flatten(), Dense(0)},
                                16, 3, seed);
    uint64_t at = 0;
    for (const auto& [name, tensor] : stack.weights) {
      if (tensor.dtype() != f32) continue;
      const int64_t columns = tensor.extents().back();
      for (int64_t i = 0; i < tensor.count(); ++i) {
        // Whole rows and columns, and single elements.
        const float row = to_unit(random_bits(seed, 11, static_cast<uint64_t>(i / columns))[0]),
                    column = to_unit(random_bits(seed, 12, static_cast<uint64_t>(i % columns % 6))[1]),
                    single = to_unit(random_bits(seed, 13, at++)[2]);
        if (row < 0.3f || column < 0.3f || single < 0.5f) tensor.data<float>()[i] = 0;
      }
    }
    checked(stack, 3e-6);
  }
}

TEST_CASE("compact: costs of layers, and models in files, before and after") {
  Stack stack = clips({Conv1d(6, 3, relu, {.padding = Padding::valid}), Lstm(4), Dense(0)}, 5, 2);
  set(stack, "lstm_1/kernel", 0, [](int64_t r, int64_t) { return r < 3; });
  Stack small = stack;
  compact(small);
  const auto executor = make_serial_executor();
  const std::vector<StackCost> costs = costs_of({&stack, &small}, example_for(stack, 12), *executor);
  REQUIRE(costs.size() == 2);
  REQUIRE(costs[0].layers.size() == 3);
  // 10 windows of 3·5 for 6 filters; 10 frames of 6 and 4 inputs for 4·4 gates; 4·2.
  CHECK(costs[0].layers[0].multiply_adds == 10 * 15 * 6);
  CHECK(costs[0].layers[1].multiply_adds == 10 * (6 + 4) * 16);
  CHECK(costs[0].layers[2].multiply_adds == 8);
  CHECK(costs[1].layers[0].multiply_adds == 10 * 15 * 3);
  CHECK(costs[0].layers[1].weights == 6 * 16 + 4 * 16 + 16);
  CHECK(costs[0].layers[1].zeros == 3 * 16);
  CHECK(costs[1].layers[1].zeros == 0);
  CHECK(costs[1].layers[0].bytes == (3 * 5 * 3 + 3) * 4);
  for (const StackCost& cost : costs) {
    CHECK(cost.seconds > 0);
    for (const LayerCost& layer : cost.layers) CHECK(layer.seconds > 0);
  }
}

TEST_CASE("compact: a model file of a network becomes one of a smaller network, which learns on") {
  const TemporaryFolder folder;
  const std::string file = folder / "m", out = folder / "s";
  Sequential model{Dense(8, relu), Dense(0)};
  const DataShape shape{.sequences = false, .dimensions = 3, .classes = {"a", "b"}};
  model.build(shape, 2);
  for (int64_t i = 0; i < 16; ++i)
    if (i % 4 < 2) model.store().get("dense_2/kernel").data<float>()[i] = 0;
  model.save(file, {{"mine", "kept"}}, {{"extra", Tensor::scalar(3)}});
  const Store store = Store::load(file);
  Stack stack = stack_of(store, file);
  compact(stack);
  Store result = with_stack(store, stack, file);
  save_model(result, out);
  CHECK(Store::load(out).metadata().at("mine") == "kept");
  CHECK(Store::load(out).get("extra").item() == 3);
  Sequential small = Sequential::load(out);
  CHECK(small.parameter_count() == 3 * 4 + 4 + 4 * 2 + 2);
  data::Dataset dataset;
  dataset.classes = shape.classes;
  dataset.sequences = false;
  for (int i = 0; i < 20; ++i) {
    const auto x = static_cast<float>(i % 5 - 2);
    dataset.examples.push_back({"e", i % 2, 1, 3, {x, 1, static_cast<float>(i % 2)}});
  }
  SavedModel before = SavedModel::of(store, file), after = SavedModel::of(Store::load(out), out);
  const ModelDifference difference = difference_of(before, after, dataset, "");
  CHECK(difference.examples == 20);
  CHECK(difference.other_labels == 0);
  CHECK(difference.largest < 1e-6);
  dataset.examples.front().values.push_back(1);
  dataset.examples.front().dimensions = 4;
  CHECK(message_of<UserError>([&] {
          difference_of(before, after, dataset, "--check data: ");
        }).starts_with("--check data: "));
  dataset.examples.erase(dataset.examples.begin());
  small.compile(Adam{.learning_rate = 0.05});
  const FitResult fitted = small.fit(dataset, {.epochs = 60, .batch_size = 19});
  CHECK(fitted.epochs.back().loss < 0.5 * fitted.epochs.front().loss);
}

}  // namespace lariat::compact_test
