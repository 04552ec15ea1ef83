// Models that are no stack: branches, shared layers, several inputs and outputs, models as layers; weights as
// attributes of layers, frozen ones, penalties of all weights, and parameters with steps of their own.
#include <algorithm>
#include <cmath>

#include "frontends/sequential/sequential.hpp"
#include "graph/base/error.hpp"
#include "ops/ops.hpp"
#include "tests/support/files.hpp"
#include "tests/support/testing.hpp"
#include "tests/support/toy_data.hpp"

namespace lariat::model_test {

using lariat::testing::message_of;
using lariat::testing::points;
using lariat::testing::sequences;
using lariat::testing::TemporaryFolder;

namespace {

// Two columns, "left" [2] and "right" [3], of which each example says something in the targets: their sums'
// sum, and whether the left sum is the larger.
data::Dataset pairs(int count) {
  data::Dataset dataset;
  dataset.sequences = false;
  dataset.columns = {{"left", 2}, {"right", 3}};
  dataset.targets = {2, false, {"sum", "larger"}, {{}, {"right", "left"}}};
  for (int i = 0; i < count; ++i) {
    const float a = static_cast<float>(i % 7) / 3 - 1, b = static_cast<float>(i % 5) / 2 - 1;
    const float c = static_cast<float>(i % 3) - 1;
    const float left = a + b, right = c + a + 0.5F;
    dataset.examples.push_back({"pair " + std::to_string(i),
                                0,
                                1,
                                5,
                                {a, b, c, a, 0.5F},
                                {left + right, left > right ? 1.0F : 0.0F}});
  }
  return dataset;
}

data::Dataset sums(int count) {
  data::Dataset dataset = pairs(count);
  dataset.targets = {1, false, {"sum"}};
  for (data::Example& example : dataset.examples) example.targets.resize(1);
  return dataset;
}

Tensor numbers(const Extents& extents, const std::vector<float>& values) {
  return Tensor::of<float>(extents, std::span<const float>(values));
}

}  // namespace

TEST_CASE("model: a chain written by values is the stack of the same layers") {
  const Dense first(4, relu), second(3);
  const ModelValue x = input();
  const Model chain({x}, {second(first(x))});
  CHECK(to_json(chain.layers()) == to_json({first, second}));
}

TEST_CASE("model: branches of named columns are computed as by hand") {
  const ModelValue left = input("left"), right = input("right");
  Model model({left, right},
              {Dense(1).named("out")(Concat()(Dense(1).named("a")(left), Dense(1).named("b")(right)))});
  const data::Dataset data = sums(20);
  model.compile(Sgd{}, MeanSquaredError{});
  model.build(shape_of(data));
  model.layer("a").set("kernel", numbers({2, 1}, {1, 2}));
  model.layer("b").set("kernel", numbers({3, 1}, {3, 0, 4}));
  model.layer("b").set("bias", numbers({1}, {0.5}));
  model.layer("out").set("kernel", numbers({2, 1}, {1, -1}));
  const std::vector<float>& v = data.examples[3].values;
  const float expected = (v[0] + 2 * v[1]) - (3 * v[2] + 4 * v[4] + 0.5F);
  CHECK(model.predict(data)[3].values[0] == doctest::Approx(expected));
  CHECK(model.layer("a").names() == std::vector<std::string>{"bias", "kernel"});
  CHECK(model.layer("a").weight("kernel").at(1) == 2);

  // Another order of columns, or other widths, are other data.
  data::Dataset turned = data;
  std::swap(turned.columns[0], turned.columns[1]);
  CHECK(message_of<UserError>([&] { model.predict(turned); }) ==
        "the model takes the columns left (2), right (3), but the data have right (3), left (2); give the "
        "same, in "
        "that order");
  CHECK(message_of<UserError>([&] { model.layer("out").weight("kernels"); }) ==
        "layer out: has no weight 'kernels'; it has bias, kernel. Did you mean 'kernel'?");
  CHECK(message_of<UserError>([&] { model.layer("ou"); }) ==
        "the model has no layer 'ou'. Did you mean 'out'?");
  CHECK(message_of<UserError>([&] {
          model.layer("out").set("bias", numbers({2}, {0, 0}));
        }) == "layer out: its weight 'bias' is f32[1], but this is f32[2]; give it that shape");
  CHECK(message_of<UserError>([&] { model.layer("out").set("bias", numbers({1}, {NAN})); }) ==
        "layer out: what 'bias' is to be holds NaN or infinity");
}

TEST_CASE("model: add and multiply, and a layer that is applied twice has one set of weights") {
  const Dense shared(3, {}, {.kernel_penalty = l1(0.5)});
  const ModelValue x = input(), once = shared(x);
  Model model({x}, {Dense(1)(Add()(once, Multiply()(once, shared(x))))});
  const data::Dataset data = sums(30);
  model.compile(Adam{.learning_rate = 0.01}, MeanSquaredError{});
  model.fit(data, {.epochs = 2, .seed = 3, .on_warning = [](const std::string&) {}});
  std::vector<std::string> names;
  for (const TensorZeros& tensor : model.zeros()) names.push_back(tensor.name);
  CHECK(names ==
        std::vector<std::string>{"dense_1/bias", "dense_1/kernel", "dense_3/bias", "dense_3/kernel"});
  CHECK(model.network().penalties.values.size() == 1);
  // y + y·y, by hand.
  const Tensor kernel = model.layer("dense_1").weight("kernel"), bias = model.layer("dense_1").weight("bias");
  const Tensor last = model.layer("dense_3").weight("kernel");
  double expected = model.layer("dense_3").weight("bias").at(0);
  for (int64_t unit = 0; unit < 3; ++unit) {
    double y = bias.at(unit);
    for (int64_t i = 0; i < 5; ++i)
      y += double(data.examples[7].values[static_cast<size_t>(i)]) * kernel.at(3 * i + unit);
    expected += (y + y * y) * last.at(unit);
  }
  CHECK(double(model.predict(data)[7].values[0]) == doctest::Approx(expected).epsilon(1e-5));

  const TemporaryFolder folder;
  model.save(folder / "m.safetensors");
  Model loaded = Model::load(folder / "m.safetensors");
  CHECK(loaded.parameter_hash() == model.parameter_hash());
  CHECK(loaded.predict(data)[7].values == model.predict(data)[7].values);
  CHECK(to_json(loaded.layers()) == to_json(model.layers()));
}

TEST_CASE("model: sequences flow through branches") {
  const data::Dataset data = sequences(40, 3, 4, 3, 9, 1);
  const ModelValue x = input(), frames = Dense(6, tanh)(x);
  Model model({x}, {Dense(3)(Concat()(GlobalMaxPool()(frames), LastStep()(Add()(frames, Dense(6)(x)))))});
  model.compile(Adam{.learning_rate = 0.02});
  model.fit(data, {.epochs = 12, .seed = 1});
  CHECK(model.evaluate(data).accuracy > 0.9);
  CHECK(message_of<UserError>([&] {
          Model wrong({x}, {Dense(3)(Concat()(GlobalMaxPool()(frames), frames))});
          wrong.build(shape_of(data));
        }) ==
        "layer concat_1: takes sequences or none, but got [batch, 6] and [batch, time, 6]; end the sequence "
        "with last_step or global_average_pool before it");
  CHECK(message_of<UserError>([&] {
          Model wrong({x}, {Dense(3)(LastStep()(Add()(frames, x)))});
          wrong.build(shape_of(data));
        }) ==
        "layer add_1: takes inputs of one shape, but got [batch, time, 6] and [batch, time, 4]; give the "
        "layers before it as many units, or take concat");
  CHECK(frames_needed({Conv1d(2, 5, {}, {.padding = Padding::valid}).named("a"),
                       Conv1d(2, 3, {}, {.padding = Padding::valid}).with("input", "features").named("b"),
                       GlobalMaxPool().with("input", "a").named("c"),
                       GlobalMaxPool().with("input", "b").named("d"), Concat().with("input", "c, d")}) == 5);
}

TEST_CASE("model: several outputs learn one thing each") {
  const data::Dataset data = pairs(105);
  const ModelValue x = input(), hidden = Dense(16, tanh)(x);
  Model model({x}, {Dense(1).named("sum")(hidden), Dense(2).named("larger")(hidden)});
  CHECK(message_of<UserError>([&] { model.compile(Adam{}); }) ==
        "the model has 2 outputs; give compile a loss for each: {\"sum\", …}, …");
  model.compile(Adam{.learning_rate = 0.02}, {{"sum", MeanSquaredError{}, {}, 0.5},
                                              {"larger", SoftmaxCrossEntropy{}, {Accuracy{}, F1{}}}});
  model.fit(data, {.epochs = 60, .seed = 1});
  const Evaluation found = model.evaluate(data);
  CHECK(found.output_names == std::vector<std::string>{"sum", "larger"});
  CHECK(found.loss == doctest::Approx(0.5 * found.outputs[0].loss + found.outputs[1].loss));
  std::vector<std::string> names;
  for (const auto& [name, value] : found.metrics) names.push_back(name);
  CHECK(names == std::vector<std::string>{"sum/mean_squared_error", "sum/mean_absolute_error", "sum/r2",
                                          "larger/accuracy", "larger/f1"});
  CHECK(found.metrics[2].second > 0.95);
  CHECK(found.outputs[1].accuracy > 0.95);
  const Prediction said = model.predict(data)[4];
  CHECK(said.outputs.size() == 2);
  CHECK(said.values == said.outputs[0].values);
  CHECK(said.outputs[1].label == (data.examples[4].targets[1] == 1 ? "left" : "right"));

  const TemporaryFolder folder;
  model.save(folder / "m.safetensors");
  Model loaded = Model::load(folder / "m.safetensors");
  CHECK(loaded.evaluate(data).loss == found.loss);
  CHECK(loaded.predict(data)[4].outputs[1].label == said.outputs[1].label);

  const auto compiled = [&](std::vector<ModelOutput> outputs) {
    return message_of<UserError>([&] { model.compile(Adam{}, std::move(outputs)); });
  };
  CHECK(compiled({{"sum", MeanSquaredError{}}, {"", MeanSquaredError{}}}) ==
        "each of several outputs must name its layer; give compile {\"name\", loss}, …");
  CHECK(compiled({{"sun", MeanSquaredError{}}, {"larger"}}) ==
        "there is no layer 'sun' to be an output. Did you mean 'sum'?");
  CHECK(compiled({{"sum", MeanSquaredError{}}, {"larger", SoftmaxCrossEntropy{}, {R2{}}}})
            .starts_with("output larger: the metric 'r2' is one of numbers, but the model learns classes"));
  CHECK(compiled({{"sum", MeanSquaredError{}}, {"larger", SoftmaxCrossEntropy{}, {}, 1, {"large"}}}) ==
        "the output 'larger' is to learn 'large', but the data have no such target. Did you mean 'larger'?");
  CHECK(compiled({{"sum", MeanSquaredError{}, {}, -1}, {"larger"}}) ==
        "the output 'sum' has the weight -1; weights are finite numbers from 0");
  CHECK(compiled({{"sum", MeanSquaredError{}}, {"sum", MeanSquaredError{}}}) ==
        "'sum' is an output twice; leave one out");
}

TEST_CASE("model: a model is a layer of others, with its weights") {
  const data::Dataset data = sums(30);
  Model encoder{Dense(4, tanh).named("code"), Dense(2)};
  encoder.compile(Sgd{}, MeanSquaredError{});
  encoder.build({false, 5, {}, {2, false, {}}}, 7);
  const ModelValue x = input();
  Model outer({x}, {Dense(1)(Add()(encoder(x), encoder(Activation(tanh)(x))))});
  outer.compile(Sgd{}, MeanSquaredError{});
  outer.build(shape_of(data), 1);
  CHECK(testing::largest_difference(outer.layer("code").weight("kernel"),
                                    encoder.layer("code").weight("kernel")) == 0);
  // code, dense_1 and the last: the encoder's layers are there once.
  CHECK(outer.zeros().size() == 6);
  CHECK(message_of<UserError>([&] { encoder(x, x); }) ==
        "the model takes 1 input (features), but is given 2");
}

TEST_CASE("model: values that are no model") {
  const ModelValue a = input("a"), b = input("b");
  CHECK(message_of<UserError>([&] { Model({a}, {Dense(1)(b)}); }) ==
        "the model's input 'a' leads to none of its outputs; leave it out");
  CHECK(message_of<UserError>([&] { Model({a}, {Dense(1)(Concat()(a, b))}); }) ==
        "the model takes the column 'b', which is not among its inputs a");
  CHECK(message_of<UserError>([&] {
          Model({a, input("a")}, {Dense(1)(a)});
        }) == "'a' is an input of the model twice; leave one out");
  // An input is known by its name.
  CHECK_NOTHROW(Model({input("a"), input("b")}, {Dense(1)(Concat()(input("b"), input("a")))}));
  CHECK(message_of<UserError>([&] { Model({a}, std::vector<ModelValue>{}); }) ==
        "the model has no outputs; give it the value of a layer");
  CHECK(message_of<UserError>([&] { Model(std::vector<ModelValue>{}, {Dense(1)(b)}); }) ==
        "the model takes the column 'b', but has no inputs; name it as one");
  CHECK(message_of<UserError>([&] {
          Model built({a}, {Dense(2)(a)});
          built.compile(Sgd{});
          built.build({false, 3, {"x", "y"}, {}, {{"a", 3}}});
          built.build({false, 5, {"x", "y"}, {}, {{"a", 5}}});
        }) ==
        "the model takes 3 values per example, but the data have 5; compute them with the model's options");
  CHECK(message_of<UserError>([&] { Model({a}, {a}); }) ==
        "the model has no layers; it needs at least a dense layer");
  CHECK(message_of<UserError>([&] { Model({Dense(1)(a)}, {Dense(1)(a)}); }) ==
        "a model's inputs are columns of the data; begin with input(), not with a layer's value");
}

TEST_CASE("model: frozen layers do not move and are not penalised") {
  const data::Dataset data = points(60, 3, 4, 1);
  Model model{Dense(5, relu, {.kernel_penalty = l1(1e-2)}).frozen(),
              Dense(3, {}, {.kernel_penalty = l1(1e-2)})};
  model.compile(Adam{.learning_rate = 0.05});
  model.build(shape_of(data), 2);
  const Tensor before = model.layer("dense_1").weight("kernel"),
               second = model.layer("dense_2").weight("kernel");
  model.fit(data, {.epochs = 3});
  CHECK(testing::largest_difference(model.layer("dense_1").weight("kernel"), before) == 0);
  CHECK(testing::largest_difference(model.layer("dense_2").weight("kernel"), second) > 0.01);
  CHECK(model.network().penalised() == std::vector<std::string>{"dense_2/kernel"});
  CHECK(model.zeros()[0].frozen);
  CHECK_FALSE(model.zeros()[2].frozen);

  model.set_trainable("dense_1", true);
  model.fit(data, {.epochs = 3});
  CHECK(testing::largest_difference(model.layer("dense_1").weight("kernel"), before) > 0.01);
  model.set_trainable("dense_1", false);
  model.set_trainable("dense_2", false);
  CHECK(message_of<UserError>([&] { model.fit(data); }) ==
        "every layer has trainable = false, so there is nothing to train; let one of them move");
  CHECK(message_of<UserError>([&] {
          model.set_trainable("dense_3", false);
        }).starts_with("the model has no layer 'dense_3'. Did you mean"));
}

TEST_CASE("model: one penalty for all weights, beside those of layers") {
  std::vector<LayerSpec> layers{Dense(4, relu), Dense(4, relu, {.kernel_penalty = l1(1e-3)}),
                                Dense(2).named("last")};
  layers = penalised(std::move(layers), {.kernels = l2(1e-4), .biases = l2(1e-5), .except = {"last"}});
  CHECK(layers[0].at("kernel_penalty") == "l2=0.0001");
  // What a layer is normalised with is no kernel.
  const auto normalised = penalised({BatchNorm()}, {.kernels = l1(1), .biases = l1(2)});
  CHECK(normalised[0].at("gamma_penalty") == "none");
  CHECK(normalised[0].at("beta_penalty") == "none");
  CHECK(layers[0].at("bias_penalty") == "l2=1e-05");
  CHECK(layers[1].at("kernel_penalty") == "l1=0.001");
  CHECK(layers[1].at("bias_penalty") == "l2=1e-05");
  CHECK(layers[2].at("kernel_penalty") == "none");
  CHECK(message_of<UserError>([&] { penalised(layers, {.except = {"lost"}}); }) ==
        "except = lost: there is no layer of that name. Did you mean 'last'?");
  Model built{Dense(2)};
  built.compile(Sgd{});
  built.build({false, 3, {"x", "y"}});
  CHECK(message_of<UserError>([&] { built.penalise({.kernels = l2(1)}); }) ==
        "the model has been built; penalise it before fit, build or load");
}

TEST_CASE("model: what is left after settling needs something to settle") {
  Model model{Dense(2)};
  model.compile(Sgd{});
  CHECK(message_of<UserError>([&] { model.fit(points(8, 2, 3, 1), {.after_settling = 0.5}); }) ==
        "after_settling = 0.5: has no effect with settle_from = 1; set settle_from too, such as 0.5");
}

TEST_CASE("model: learning rates and decay of some layers") {
  const data::Dataset data = points(8, 2, 3, 1);
  const auto moved = [&](const LayerSpec& layer) {
    Model model{layer};
    model.compile(Sgd{.learning_rate = 0.1});
    model.build(shape_of(data), 1);
    const Tensor before = model.layer("dense_1").weight("kernel");
    model.fit(data, {.epochs = 1, .batch_size = 8});
    const Tensor after = model.layer("dense_1").weight("kernel");
    std::vector<double> steps;
    for (int64_t i = 0; i < before.count(); ++i) steps.push_back(after.at(i) - before.at(i));
    steps.push_back(before.at(0));
    return steps;
  };
  const auto plain = moved(Dense(2)), slow = moved(Dense(2).with("learning_rate_factor", "0.25")),
             decayed = moved(Dense(2).with("weight_decay", "0.5"));
  CHECK(slow[0] == doctest::Approx(0.25 * plain[0]).epsilon(1e-4));
  // η·decay·w beside the gradient's step.
  CHECK(decayed[0] - plain[0] == doctest::Approx(-0.1 * 0.5 * plain.back()).epsilon(1e-4));
}

}  // namespace lariat::model_test
