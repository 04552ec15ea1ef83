// States that recurrent layers begin and end with, as values of a model: against recurrences written out by
// hand, differences of losses, and what is refused.
#include <cmath>
#include <functional>

#include "frontends/data/arrays.hpp"
#include "frontends/recipe/recipe.hpp"
#include "frontends/sequential/sequential.hpp"
#include "frontends/sequential/wiring.hpp"
#include "graph/base/error.hpp"
#include "graph/base/random.hpp"
#include "tests/sequential/resumed.hpp"
#include "tests/support/files.hpp"
#include "tests/support/testing.hpp"

namespace lariat::final_states_test {

using lariat::testing::contains;
using lariat::testing::message_of;
using lariat::testing::TemporaryFolder;

namespace {

constexpr int64_t units = 3;

// Sequences of the columns "heard" [2], "asked" [1] and "first" [units], of which targets are `width`
// numbers.
data::Dataset heard_and_asked(int count, int64_t width, uint64_t seed = 3) {
  data::Dataset dataset;
  dataset.columns = {{"heard", 2}, {"asked", 1}, {"first", units}};
  dataset.targets = {.width = width, .by_frame = false, .names = {}};
  uint64_t at = 0;
  const auto random = [&] { return to_unit(random_bits(seed, 11, at++)[0]) * 2 - 1; };
  for (int i = 0; i < count; ++i) {
    data::Example example;
    example.source = "sequence " + std::to_string(i);
    example.frames = 2 + i % 4;
    example.dimensions = 3 + units;
    for (int64_t v = 0; v < example.frames * example.dimensions; ++v) example.values.push_back(random());
    for (int64_t v = 0; v < width; ++v) example.targets.push_back(random());
    dataset.examples.push_back(std::move(example));
  }
  return dataset;
}

using Vector = std::vector<double>;
using States = std::vector<Vector>;

double sigmoid_of(double x) { return 1 / (1 + std::exp(-x)); }

Vector times(const Vector& x, const Tensor& kernel) {
  const int64_t columns = kernel.extents()[1];
  Vector y(static_cast<size_t>(columns));
  for (size_t i = 0; i < x.size(); ++i)
    for (int64_t j = 0; j < columns; ++j)
      y[static_cast<size_t>(j)] += x[i] * kernel.at(static_cast<int64_t>(i) * columns + j);
  return y;
}

// One step of a cell, as its formulas have it.
States step_of(const std::string& kind, LayerWeights weights, const std::string& prefix, const Vector& x,
               const States& before) {
  const Tensor recurrent = weights.weight(prefix + "recurrent_kernel"),
               bias = weights.weight(prefix + "bias");
  Vector z = times(x, weights.weight(prefix + "kernel"));
  for (size_t j = 0; j < z.size(); ++j) z[j] += bias.at(static_cast<int64_t>(j));
  const Vector r = times(before[0], recurrent);
  States next = before;
  for (size_t u = 0; u < units; ++u) {
    const auto gate = [&](size_t g) { return z[g * units + u] + r[g * units + u]; };
    if (kind == "lstm") {
      next[1][u] = sigmoid_of(gate(1) + 1) * before[1][u] + sigmoid_of(gate(0)) * std::tanh(gate(2));
      next[0][u] = sigmoid_of(gate(3)) * std::tanh(next[1][u]);
    } else if (kind == "gru") {
      const double update = sigmoid_of(gate(0)), reset = sigmoid_of(gate(1));
      const double own = weights.weight(prefix + "candidate_bias").at(static_cast<int64_t>(u));
      const double candidate = std::tanh(z[2 * units + u] + reset * (r[2 * units + u] + own));
      next[0][u] = update * before[0][u] + (1 - update) * candidate;
    } else {
      next[0][u] = std::tanh(gate(0));
    }
  }
  return next;
}

// The states behind a sequence's last frame; `first` and `width` say which of its values a layer takes.
States run_by_hand(const std::string& kind, LayerWeights weights, const data::Example& example, int64_t first,
                   int64_t width, States states, const std::string& prefix = "", bool backwards = false) {
  for (int64_t t = 0; t < example.frames; ++t) {
    const int64_t at = (backwards ? example.frames - 1 - t : t) * example.dimensions + first;
    states = step_of(kind, weights, prefix,
                     Vector(example.values.begin() + at, example.values.begin() + at + width), states);
  }
  return states;
}

std::vector<std::pair<std::string, std::function<LayerSpec(bool)>>> kinds() {
  return {{"lstm", [](bool sequences) { return Lstm(units, {.return_sequences = sequences}); }},
          {"gru", [](bool sequences) { return Gru(units, {.return_sequences = sequences}); }},
          {"simple_rnn", [](bool sequences) { return SimpleRnn(units, {.return_sequences = sequences}); }}};
}

Model built(Model model, const data::Dataset& data) {
  model.compile(Adam{.learning_rate = 0.01}, MeanSquaredError{});
  model.build(shape_of(data), 5);
  uint64_t at = 0;
  for (const auto& [name, tensor] : model.store())
    if (name.ends_with("bias"))
      for (float& value : tensor.values<float>()) value = to_unit(random_bits(9, 9, at++)[0]) - 0.5F;
  return model;
}

void check_equal(const std::vector<float>& found, const Vector& expected) {
  REQUIRE(found.size() == expected.size());
  for (size_t i = 0; i < found.size(); ++i) CHECK(found[i] == doctest::Approx(expected[i]).epsilon(1e-5));
}

}  // namespace

TEST_CASE("final states: a decoder goes on where an encoder ended, at each sequence's own last frame") {
  const data::Dataset data = heard_and_asked(9, units);
  const ModelValue heard = input("heard"), asked = input("asked"), first = input("first");
  for (const auto& [kind, make] : kinds()) {
    CAPTURE(kind);
    for (const bool sequences : {false, true}) {
      const ModelValue encoded = make(sequences).named("encoder")(heard);
      Model model =
          built(Model({heard, asked}, {make(false).named("decoder")(asked, encoded.states())}), data);
      const std::vector<Prediction> said = model.predict(data);
      for (size_t i = 0; i < data.examples.size(); ++i) {
        const data::Example& example = data.examples[i];
        const States zeros(kind == "lstm" ? 2 : 1, Vector(units));
        const States middle = run_by_hand(kind, model.layer("encoder"), example, 0, 2, zeros);
        check_equal(said[i].values, run_by_hand(kind, model.layer("decoder"), example, 2, 1, middle)[0]);
      }
    }
    // From a column, of which the first frame counts; a state is an output of the model.
    std::vector<ModelValue> begin{first};
    if (kind == "lstm") begin.push_back(Dense(units, "tanh").named("cell")(LastStep()(first)));
    const ModelValue decoded = make(true).named("decoder")(asked, begin);
    Model model = built(Model({asked, first}, {decoded.state(kind == "lstm" ? "cell" : "hidden")}), data);
    const std::vector<Prediction> said = model.predict(data);
    for (size_t i = 0; i < data.examples.size(); ++i) {
      const data::Example& example = data.examples[i];
      const auto frame = [&](int64_t t) {
        const auto from = example.values.begin() + t * example.dimensions + 3;
        return Vector(from, from + units);
      };
      States states{frame(0)};
      if (kind == "lstm") {
        states.push_back(times(frame(example.frames - 1), model.layer("cell").weight("kernel")));
        for (size_t u = 0; u < units; ++u)
          states[1][u] =
              std::tanh(states[1][u] + model.layer("cell").weight("bias").at(static_cast<int64_t>(u)));
      }
      check_equal(said[i].values, run_by_hand(kind, model.layer("decoder"), example, 2, 1, states).back());
    }
  }
}

TEST_CASE("final states: both directions of a layer begin and end with their own") {
  const data::Dataset data = heard_and_asked(6, units);
  const ModelValue heard = input("heard"), asked = input("asked");
  for (const bool backward : {false, true}) {
    const ModelValue encoded = Bidirectional(Lstm(units)).named("encoder")(heard);
    REQUIRE(encoded.states().size() == 4);
    const ModelValue decoded =
        Bidirectional(Lstm(units, {.return_sequences = true})).named("decoder")(asked, encoded.states());
    Model model =
        built(Model({heard, asked}, {decoded.state(backward ? "backward_cell" : "forward_cell")}), data);
    const std::string prefix = backward ? "backward/" : "forward/";
    for (size_t i = 0; i < data.examples.size(); ++i) {
      const data::Example& example = data.examples[i];
      const States middle = run_by_hand("lstm", model.layer("encoder"), example, 0, 2,
                                        States(2, Vector(units)), prefix, backward);
      check_equal(model.predict(data)[i].values,
                  run_by_hand("lstm", model.layer("decoder"), example, 2, 1, middle, prefix, backward)[1]);
    }
  }
}

TEST_CASE("final states: gradients go through states as through all else") {
  const data::Dataset data = heard_and_asked(5, 2);
  const ModelValue heard = input("heard"), asked = input("asked"), first = input("first");
  for (const auto& [kind, make] : kinds()) {
    CAPTURE(kind);
    const ModelValue encoded = make(false).named("encoder")(heard);
    const ModelValue decoded = make(true).named("decoder")(asked, encoded.states());
    const ModelValue of_state = kind == "lstm" ? decoded.state("cell") : decoded.state("hidden");
    Model model({heard, asked}, {Dense(2).named("y")(Concat()(of_state, encoded))});
    model.compile(Sgd{.learning_rate = 1}, MeanSquaredError{});
    model.build(shape_of(data), 5);
    Store before;
    for (const TensorZeros& tensor : model.zeros())
      before.set(tensor.name, model.store().get(tensor.name).clone());
    model.fit(data, {.epochs = 1, .batch_size = 5, .threads = 1});
    Store gradients;
    for (const auto& [name, tensor] : before) {
      Tensor gradient = tensor.clone();
      for (int64_t i = 0; i < tensor.count(); ++i)
        gradient.data<float>()[i] -= model.store().get(name).data<float>()[i];
      gradients.set(name, gradient);
    }
    const auto loss_with = [&](const std::string& name, int64_t at, float change) {
      for (const auto& [other, tensor] : before) model.store().set(other, tensor.clone());
      model.store().get(name).data<float>()[at] += change;
      return model.evaluate(data).loss;
    };
    for (const auto& [name, gradient] : gradients) {
      double largest = 0;
      for (int64_t at = 0; at < gradient.count(); at += 5) {
        const float change = 0.02F;
        const double difference = (loss_with(name, at, change) - loss_with(name, at, -change)) / (2 * change);
        CHECK_MESSAGE(gradient.at(at) == doctest::Approx(difference).epsilon(0.02).scale(0.05), name);
        largest = std::max(largest, std::fabs(gradient.at(at)));
      }
      CHECK_MESSAGE(largest > 1e-4, name);
    }
  }
}

TEST_CASE("final states: what one layer heard is told by another, which only the state can have told") {
  data::Dataset data = heard_and_asked(160, 1);
  for (data::Example& example : data.examples) {
    example.targets[0] = 0;
    for (int64_t t = 0; t < example.frames; ++t)
      example.targets[0] += example.values[static_cast<size_t>(t * example.dimensions)] / 2;
  }
  data::Dataset fresh = data;
  fresh.examples.erase(fresh.examples.begin(), fresh.examples.begin() + 120);
  data.examples.resize(120);
  const ModelValue heard = input("heard"), asked = input("asked");
  const auto make = [&] {
    const ModelValue encoded = Lstm(8).named("encoder")(heard);
    Model model({heard, asked}, {Dense(1)(Lstm(8).named("decoder")(asked, encoded.states()))});
    model.compile(Adam{.learning_rate = 0.03}, MeanSquaredError{}, {R2{}});
    return model;
  };
  FitOptions options{.epochs = 60, .batch_size = 20, .seed = 2, .threads = 1};
  Model model = make();
  model.fit(data, options);
  CHECK(model.evaluate(fresh).metrics.at(0).second > 0.8);

  // The same bits on other threads, and where training was stopped.
  options.threads = 2;
  Model other = make();
  other.fit(data, options);
  CHECK(other.parameter_hash() == model.parameter_hash());
  CHECK(testing::hash_when_resumed(make, data, options, 3, 2) == model.parameter_hash());

  const TemporaryFolder folder;
  model.save(folder / "m");
  Model loaded = Model::load(folder / "m");
  CHECK(to_json(loaded.layers()) == to_json(model.layers()));
  for (size_t i = 0; i < fresh.examples.size(); ++i)
    CHECK(loaded.predict(fresh)[i].values == model.predict(fresh)[i].values);

  // A model as a layer, and one decoder that is used from two beginnings.
  Model nested({heard, asked}, {model(heard, asked)});
  nested.compile(Adam{}, MeanSquaredError{});
  nested.build(shape_of(fresh));
  CHECK(nested.predict(fresh)[0].values == model.predict(fresh)[0].values);
  const Lstm encoder(4), decoder(4);
  const ModelValue told = encoder(heard);
  Model twice = built(
      Model({heard, asked}, {Dense(1)(Concat()(decoder(asked, told.states()), decoder(asked)))}), fresh);
  CHECK(twice.layer("lstm_2").names().size() == 3);
  CHECK(twice.predict(fresh)[0].values.size() == 1);
}

namespace {

std::string wiring_error(const std::vector<LayerSpec>& layers, const std::vector<std::string>& outputs = {}) {
  const std::vector<std::string> columns{"left", "right"};
  return message_of<UserError>([&] { wiring_of(layers, outputs, &columns); });
}

}  // namespace

TEST_CASE("final states: what cannot be is one line") {
  const auto from = [](LayerSpec layer, const std::string& states) {
    return layer.named("to").with("initial_state", states);
  };
  const LayerSpec lstm = Lstm(4).named("from"), gru = Gru(4).named("from"), dense = Dense(4).named("from");
  CHECK(
      wiring_error({lstm, from(Dense(2), "from.hidden")}) ==
      "layer to: initial_state = from.hidden: dense has no state that begins with anything; recurrent layers "
      "have, so leave it out");
  CHECK(wiring_error({lstm, from(Lstm(4), "from.hidden")}) ==
        "layer to: initial_state = from.hidden: 1 value for the 2 states of lstm; give one for each, hidden "
        "and "
        "cell");
  CHECK(wiring_error({gru, from(Gru(4), "from.hidden, from.hidden")}) ==
        "layer to: initial_state = from.hidden, from.hidden: 2 values for the 1 state of gru; give one for "
        "each, "
        "hidden");
  CHECK(wiring_error({lstm, from(Gru(4), "from.cell")}) ==
        "layer to: initial_state = from.cell: its state hidden would begin with the cell of 'from'; give it "
        "from.hidden");
  CHECK(wiring_error({lstm, from(Lstm(4), "from.cell, from.hidden")}) ==
        "layer to: initial_state = from.cell, from.hidden: its state hidden would begin with the cell of "
        "'from'; "
        "give it from.hidden");
  CHECK(wiring_error({gru, from(Lstm(4), "from.hidden, from.hidden")}) ==
        "layer to: initial_state = from.hidden, from.hidden: its state cell would begin with the hidden of "
        "'from'; a layer of the same kind has one");
  CHECK(wiring_error({lstm, from(Gru(4), "from.hiden")}) ==
        "layer to: initial_state = from.hiden: 'from' has no state 'hiden'. Did you mean "
        "'hidden'?");
  CHECK(wiring_error({dense, Dense(2).named("to").with("input", "from.hidden")}) ==
        "layer to: input = from.hidden: 'from' is a layer of the kind dense, which has no states; recurrent "
        "layers have");
  CHECK(wiring_error({lstm, from(Gru(4), "form.hidden")}) ==
        "layer to: initial_state = form.hidden: there is no layer and no column of that name. Did you mean "
        "'from.hidden'?");
  CHECK(wiring_error({lstm, Dense(2)}, {"from.hiddn"}) ==
        "the output from.hiddn: 'from' has no state 'hiddn'. Did you mean 'hidden'?");
  CHECK(wiring_error({Gru(4).named("a").with("initial_state", "b.hidden"),
                      Gru(4).named("b").with("initial_state", "a.hidden")}) ==
        "layer a: layers feed each other in a circle: b to a to b; one of them must take another input");

  const data::Dataset data = heard_and_asked(4, 2);
  const ModelValue heard = input("heard"), asked = input("asked");
  const auto built_error = [&](const ModelValue& value) {
    return message_of<UserError>([&] {
      Model model({heard, asked},
                  {Dense(2)(Concat()(value, GlobalMaxPool()(asked), GlobalMaxPool()(heard)))});
      model.compile(Adam{}, MeanSquaredError{});
      model.build(shape_of(data));
    });
  };
  const ModelValue narrow = Gru(3).named("narrow")(heard),
                   all = Gru(5, {.return_sequences = true}).named("all")(heard);
  CHECK(built_error(Gru(5).named("to")(asked, narrow.states())) ==
        "layer to: initial_state = narrow.hidden: has 3 values, but its state hidden has 5; give both layers "
        "as "
        "many units, or put a dense layer of 5 units between them");
  CHECK(
      contains(built_error(Gru(5).named("to")(asked, {all})),
               ", but its state hidden is one vector for each example; put last_step or global_average_pool "
               "behind it, or take the state that a layer ends with"));
  CHECK(built_error(Gru(3, {.return_sequences = false, .stateful = 4}).named("to")(asked, narrow.states())) ==
        "layer to: stateful = 4 begins where the batch before ended, and initial_state = narrow.hidden anew; "
        "leave one of them out");
  CHECK(message_of<UserError>([&] { narrow.state("cell"); }) ==
        "a layer of the kind gru has no state 'cell'. Known: hidden.");
  CHECK(message_of<UserError>([&] { Lstm(2)(heard).state("hiden"); }) ==
        "a layer of the kind lstm has no state 'hiden'. Did you mean 'hidden'?");
  CHECK(message_of<UserError>([&] { Dense(2)(heard).states(); }) ==
        "a layer of the kind dense has no state 'hidden'; recurrent layers have states");
  CHECK(message_of<UserError>([&] { heard.state("hidden"); }) ==
        "'heard' is a column of the data, which has no states; recurrent layers have");
  CHECK(message_of<UserError>([&] { narrow.state("hidden").state("cell"); }) ==
        "'hidden' is a state itself; take 'cell' of its layer's value");
  CHECK(message_of<UserError>([&] { TimeDistributed({Dense(2).with("initial_state", "a")}); }) ==
        "time_distributed: layers: dense initial_state = a: layers here take one another; leave it out");
}

TEST_CASE("final states: recipes name them, within blocks as well") {
  const std::string text = R"([data]
kind = "numpy"
[[blocks.reader]]
name = "in"
kind = "gru"
units = 4
[[blocks.reader]]
name = "out"
kind = "gru"
units = 4
initial_state = ["in.hidden"]
[[layers]]
kind = "block"
block = "reader"
name = "read"
input = ["heard"]
[[layers]]
name = "decoder"
kind = "gru"
units = 4
input = ["asked"]
initial_state = ["read.hidden"]
[[layers]]
kind = "dense"
input = ["decoder.hidden"]
units = 2
)";
  const auto layers_of = [](const std::string& of) { return Recipe::parse(of, "r.toml").layers(); };
  const std::vector<LayerSpec> layers = layers_of(text);
  REQUIRE(layers.size() == 4);
  CHECK(layers[1].at("initial_state") == "read/in.hidden");
  CHECK(layers[2].at("initial_state") == "read/out.hidden");
  CHECK(layers[3].at("input") == "decoder.hidden");
  const auto error_with = [&](const std::string& before, const std::string& after) {
    std::string changed = text;
    changed.replace(changed.find(before), before.size(), after);
    return message_of<UserError>([&] { layers_of(changed); });
  };
  CHECK(contains(error_with("\"decoder.hidden\"", "\"decoder.cell\""),
                 "input = decoder.cell: 'decoder' has no state 'cell'. Known: hidden."));
  CHECK(contains(error_with("units = 2\n", "units = 2\ninitial_state = [\"decoder.hidden\"]\n"),
                 "initial_state = decoder.hidden: dense has no state that begins with anything"));
  CHECK(contains(error_with("initial_state = [\"read.hidden\"]", "return_state = true"),
                 "It is called 'initial_state' here."));
}

TEST_CASE("final states: a layer of sequences behind a state says what gives one") {
  data::Dataset rows =
      data::dataset_of_arrays(Tensor(f32, {4, 3, 2}), Tensor::of<double>({4}, {0, 1, 0, 1}), true, "x");
  const ModelValue heard = input("features");
  const ModelValue encoded = Lstm(3).named("encoder")(heard);
  Model model({heard}, {Dense(0)(Gru(2)(encoded.state("hidden")))});
  model.compile(Adam{}, SoftmaxCrossEntropy{});
  CHECK(contains(
      message_of<UserError>([&] { model.fit(rows, {.epochs = 1}); }),
      "takes sequences [batch, time, channels]; got [batch, 3], for encoder.hidden is one vector for "
      "each example; take encoder with return_sequences = true"));
}

}  // namespace lariat::final_states_test
