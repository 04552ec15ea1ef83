// Recurrent layers, and states that go on from batch to batch.
#include <cmath>
#include <filesystem>

#include "frontends/sequential/sequential.hpp"
#include "graph/base/error.hpp"
#include "ops/ops.hpp"
#include "tests/sequential/resumed.hpp"
#include "tests/support/testing.hpp"
#include "tests/support/toy_data.hpp"

namespace lariat::stateful_test {

using lariat::testing::largest_difference;
using lariat::testing::message_of;
using lariat::testing::sequences;

namespace {

constexpr int rows = 4, frames = 5, channels = 3;

// `batches` pieces of 4 long sequences, one behind the other; targets are a class per frame.
data::Dataset pieces(int batches, int length = frames) {
  const data::Dataset whole = sequences(rows, 2, channels, batches * length, batches * length, 8);
  data::Dataset dataset;
  dataset.classes = {"low", "high"};
  dataset.targets = {.width = 2, .by_frame = true, .names = {}};
  for (int b = 0; b < batches; ++b)
    for (const data::Example& long_one : whole.examples) {
      data::Example piece;
      piece.source = long_one.source;
      piece.frames = length;
      piece.dimensions = channels;
      const auto begin = long_one.values.begin() + b * length * channels;
      piece.values.assign(begin, begin + length * channels);
      for (int t = 0; t < length; ++t) {
        const bool high = piece.values[static_cast<size_t>(t * channels)] > 0.5F;
        piece.targets.insert(piece.targets.end(), {high ? 0.0F : 1.0F, high ? 1.0F : 0.0F});
      }
      dataset.examples.push_back(std::move(piece));
    }
  return dataset;
}

std::vector<std::pair<std::string, std::vector<LayerSpec>>> stacks(int64_t stateful) {
  return {{"lstm",
           {Lstm(6, {.return_sequences = true, .stateful = stateful}),
            Lstm(5, {.return_sequences = true, .stateful = stateful}), Dense(2)}},
          {"gru", {Gru(6, {.return_sequences = true, .stateful = stateful}), Dense(2)}},
          {"gru, reset before",
           {Gru(6, {.return_sequences = true, .stateful = stateful, .reset_after = false}), Dense(2)}},
          {"simple_rnn", {SimpleRnn(6, {.return_sequences = true, .stateful = stateful}), Dense(2)}}};
}

}  // namespace

TEST_CASE("stateful layers: two batches are one of twice the length") {
  const data::Dataset halves = pieces(2), whole = pieces(1, 2 * frames);
  for (size_t i = 0; i < stacks(rows).size(); ++i) {
    const auto [name, layers] = stacks(rows)[i];
    CAPTURE(name);
    Sequential model(layers), plain(stacks(0)[i].second);
    model.build(shape_of(halves), 3);
    plain.build(shape_of(whole), 3);
    const std::vector<Prediction> parts = model.predict(halves), all = plain.predict(whole);
    for (int row = 0; row < rows; ++row)
      for (int half = 0; half < 2; ++half) {
        const std::vector<float>& part = parts[static_cast<size_t>(half * rows + row)].values;
        for (size_t j = 0; j < part.size(); ++j)
          CHECK(part[j] == all[static_cast<size_t>(row)].values[static_cast<size_t>(half) * part.size() + j]);
      }
    // It began with zeros, and left the states as they were.
    for (const auto& [state, tensor] : model.states()) CHECK(sparsity(tensor).zeros == tensor.count());
    CHECK(model.predict(halves)[0].values == parts[0].values);
  }
}

TEST_CASE("stateful layers: states go in and come out") {
  const data::Dataset first = pieces(1), both = pieces(2);
  data::Dataset second = both;
  second.examples.erase(second.examples.begin(), second.examples.begin() + rows);
  for (const auto& [name, layers] : stacks(rows)) {
    CAPTURE(name);
    Sequential model(layers);
    model.build(shape_of(first), 3);
    const std::vector<Prediction> expected = model.predict(both);
    model.predict(first, {.reset_states = false});
    const auto states = model.states();
    CHECK(states.size() == (name == "lstm" ? 4 : 1));
    CHECK(model.predict(second, {.reset_states = false})[0].values == expected[rows].values);
    model.set_states(states);
    CHECK(model.predict(second, {.reset_states = false})[1].values == expected[rows + 1].values);
    model.reset_states();
    CHECK(model.predict(first, {.reset_states = false})[0].values == expected[0].values);

    // A saved model keeps them.
    const auto file = std::filesystem::temp_directory_path() / "lariat_stateful_test.safetensors";
    model.save(file.string());
    Sequential loaded = Sequential::load(file.string());
    std::filesystem::remove(file);
    CHECK(loaded.predict(second, {.reset_states = false})[0].values == expected[rows].values);
  }
}

TEST_CASE("stateful layers: training goes on from batch to batch, and each epoch from zeros") {
  const data::Dataset data = pieces(3);
  for (const auto& [name, layers] : stacks(rows)) {
    CAPTURE(name);
    const auto make = [&] {
      Sequential model(layers);
      model.compile(Adam{.learning_rate = 1e-2});
      return model;
    };
    FitOptions options{.epochs = 12, .batch_size = rows, .validation = data, .seed = 2, .threads = 1};
    Sequential model = make();
    const FitResult result = model.fit(data, options);
    CHECK(result.epochs.back().loss < 0.8 * result.epochs.front().loss);
    // The state behind the last batch is that of a prediction over all, but for the weights' last step.
    bool moved = false;
    for (const auto& [state, tensor] : model.states()) moved |= sparsity(tensor).zeros < tensor.count();
    CHECK(moved);
    options.threads = 3;
    Sequential other = make();
    other.fit(data, options);
    CHECK(other.parameter_hash() == model.parameter_hash());

    // Stopped within an epoch, it goes on with the same bits.
    CHECK(testing::hash_when_resumed(make, data, options, 2, 2) == model.parameter_hash());
  }
}

TEST_CASE(
    "recurrent layers: dropout of the state keeps its channels for all frames, and is off at inference") {
  const data::Dataset data = pieces(2);
  for (const LayerSpec& layer :
       std::vector<LayerSpec>{Lstm(8, {.return_sequences = true, .recurrent_dropout = 0.5}),
                              Gru(8, {.return_sequences = true, .recurrent_dropout = 0.5}),
                              SimpleRnn(8, {.return_sequences = true, .recurrent_dropout = 0.5})}) {
    Sequential model{layer, Dense(2)};
    model.compile(Adam{.learning_rate = 1e-2});
    model.fit(data, {.epochs = 3, .batch_size = rows, .seed = 2});
    CHECK(model.predict(data)[0].values == model.predict(data)[0].values);
  }
}

TEST_CASE("stateful layers: a penalty that leaves nothing of them is told of, with one that would") {
  const data::Dataset data = pieces(6);
  const auto train = [&](double lambda, std::string& warnings) {
    const LstmOptions lstm{.return_sequences = true,
                           .stateful = rows,
                           .kernel_penalty = l1(lambda),
                           .recurrent_penalty = l1(lambda)};
    Sequential model{Lstm(8, lstm), Lstm(8, lstm), Dense(2, {}, {.kernel_penalty = l1(lambda)})};
    model.compile(Adam{.learning_rate = 1e-2}, SoftmaxCrossEntropy{}, {Accuracy{}});
    model.fit(data,
              {.epochs = 30, .batch_size = rows, .seed = 2, .on_warning = [&](const std::string& warning) {
                 warnings += warning + "\n";
               }});
    return total(model.zeros(), true);
  };
  std::string warnings, none;
  const Sparsity strong = train(0.3, warnings), weak = train(1e-3, none);
  CHECK(strong.zeros == strong.count);
  CHECK(testing::contains(warnings, "L201: "));
  CHECK(testing::contains(warnings, "'lstm_2/recurrent_kernel'"));
  CHECK(testing::contains(warnings, "from the start"));
  CHECK(weak.zeros < weak.count);
  CHECK(none.find("L201: all of") == none.npos);
}

TEST_CASE("recurrent layers: backwards is forwards over what is turned round") {
  data::Dataset data = sequences(6, 2, channels, 3, 7, 8), turned = data;
  for (data::Example& example : turned.examples)
    for (int64_t t = 0; t < example.frames; ++t)
      std::copy_n(&data.examples[static_cast<size_t>(&example - turned.examples.data())]
                       .values[static_cast<size_t>((example.frames - 1 - t) * channels)],
                  channels, &example.values[static_cast<size_t>(t * channels)]);
  Sequential backwards{Gru(5, {.go_backwards = true}), Dense(0)}, forwards{Gru(5), Dense(0)};
  backwards.build(shape_of(data), 4);
  forwards.build(shape_of(data), 4);
  for (size_t i = 0; i < data.examples.size(); ++i)
    CHECK(backwards.predict(data)[i].values == forwards.predict(turned)[i].values);
}

TEST_CASE("stateful layers: what does not fit is refused in one line") {
  const data::Dataset data = pieces(2);
  Sequential model{Lstm(6, {.return_sequences = true, .stateful = rows}), Dense(2)};
  model.compile(Adam{});
  CHECK(message_of<UserError>([&] { model.fit(data, {.batch_size = 8}); }) ==
        "layer lstm_1 is stateful over batches of 4 rows, but batch_size = 8; give both one number");
  data::Dataset odd = data;
  odd.examples.pop_back();
  const std::string multiple =
      "layer lstm_1 is stateful over batches of 4 rows, but of 7 examples the last batch has 3; give a "
      "multiple "
      "of 4";
  CHECK(message_of<UserError>([&] { model.fit(odd, {.batch_size = rows}); }) == multiple);
  CHECK(message_of<UserError>([&] { model.predict(odd); }) == multiple);
  CHECK(message_of<UserError>([&] { model.evaluate(odd); }) == multiple);
  CHECK(message_of<UserError>([&] {
          model.set_states({{"lstm_1/hidden", Tensor(f32, {8, 6})}});
        }) ==
        "the state 'lstm_1/hidden' is f32[4, 6], but f32[8, 6] was given; give [rows, units] of the layer");
  CHECK(message_of<UserError>([&] {
          model.set_states({{"lstm_1/hiden", Tensor(f32, {4, 6})}});
        }) == "there is no state 'lstm_1/hiden'. Did you mean 'lstm_1/hidden'?");
  const auto build = [&](std::vector<LayerSpec> layers) {
    return message_of<UserError>([&] { Sequential(std::move(layers)).build(shape_of(data)); });
  };
  CHECK(build({Lstm(6, {.return_sequences = true, .stateful = 4}),
               Gru(6, {.return_sequences = true, .stateful = 8}), Dense(2)}) ==
        "layer lstm_1 is stateful over batches of 4 rows, and layer gru_1 over 8; give them one number");
  CHECK(build({Bidirectional(Gru(6, {.stateful = 4}))}) ==
        "layer bidirectional_gru_1: goes over each sequence both ways, so that no state of it is the next "
        "one's "
        "first; leave out stateful");
  CHECK(build({Bidirectional(Lstm(6, {.go_backwards = true}))}) ==
        "layer bidirectional_lstm_1: goes over each sequence both ways; leave out go_backwards");
  CHECK(
      build({Gru(3), Dense(4), Lstm(3)}) ==
      "layer lstm_1: takes sequences [batch, time, channels]; got [batch, 4]; give gru_1 return_sequences = "
      "true");
  Sequential plain{Gru(3, {.return_sequences = true}), Dense(2)};
  plain.build(shape_of(data));
  CHECK(message_of<UserError>([&] {
          plain.set_states({{"gru_1/hidden", Tensor(f32, {4, 3})}});
        }) == "there is no state 'gru_1/hidden': no layer of the model is stateful");
}

}  // namespace lariat::stateful_test
