#include "frontends/sequential/sequential.hpp"

#include <cmath>
#include <filesystem>
#include <fstream>

#include "frontends/sequential/model_file.hpp"
#include "graph/base/error.hpp"
#include "ops/ops.hpp"
#include "tests/support/files.hpp"
#include "tests/support/testing.hpp"
#include "tests/support/toy_data.hpp"

namespace lariat::sequential_runs_test {

using lariat::testing::message_of;
using lariat::testing::points;
using lariat::testing::sequences;
using lariat::testing::TemporaryFolder;

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

TEST_CASE("sequential: what a fit stands on does not change while it runs") {
  const data::Dataset data = points(20, 2, 3, 1);
  const std::vector<std::pair<std::string, std::function<void(Sequential&)>>> calls{
      {"fit", [&](Sequential& model) { model.fit(data); }},
      {"fit", [&](Sequential& model) { model.check_fit(data); }},
      {"compile", [](Sequential& model) { model.compile(Adam{}); }},
      {"set_trainable", [](Sequential& model) { model.set_trainable("dense_1", false); }},
  };
  for (const auto& [name, call] : calls) {
    Sequential model{Dense(2)};
    model.compile(Sgd{});
    FitOptions fit{.batch_size = 10};
    fit.on_step = [&](const StepReport&) { call(model); };
    CHECK(message_of<UserError>([&] { model.fit(data, fit); }) ==
          name + " was called while the model is in a fit; call it before or after");
    fit.on_step = [&](const StepReport&) { model.evaluate(data); };
    CHECK(model.fit(data, fit).epochs.size() == 1);
    call(model);
  }
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
  CHECK(fit(none) == "the dataset has no examples; give it one at least");
  CHECK(message_of<UserError>([&] { model.fit(frames, {.epochs = 0}); }) ==
        "epochs = 0: must be an integer from 1");
  CHECK(message_of<UserError>([] {
          Sequential({Dense(2)}).build({false, 4, {"no", "\xff"}});
        }) == "the class '\xff' is not named in UTF-8, in which models are saved; rename it");
}

TEST_CASE("sequential: NaN is the largest probability, as it is to the accuracy") {
  const data::Dataset data = points(4, 2, 3, 1);
  Sequential model{Dense(2)};
  model.compile(Sgd{});
  model.build(shape_of(data));
  model.store().set("dense_1/bias", Tensor::filled(f32, {2}, std::numeric_limits<double>::quiet_NaN()));
  const Evaluation evaluation = model.evaluate(data);
  CHECK(evaluation.accuracy == evaluation.metrics.front().second);
}

TEST_CASE("sequential: frames that layers need stay countable") {
  const std::vector<LayerSpec> layers(8, MaxPool1d(10000, {.padding = Padding::valid}));
  CHECK(frames_needed(layers) == int64_t{1} << 31);
  std::vector<LayerSpec> stacks(8, StackFrames(10000));
  stacks.push_back(MaxPool1d(2, {.padding = Padding::valid}));
  CHECK(frames_needed(stacks) == int64_t{1} << 31);
}

TEST_CASE("sequential: a state to go on from must be whole") {
  const data::Dataset data = points(20, 2, 3, 1);
  Sequential model{Dense(2)};
  model.compile(Adam{});
  FitOptions fit{.epochs = 2, .batch_size = 10};
  fit.from = {.epoch = 1, .total_steps = 4};
  CHECK(message_of<UserError>([&] { model.fit(data, fit); }) ==
        "the state to go on from has no tensor 'optimizer/dense_1/bias/mean' of type f32[2]; start the "
        "training again");
  fit.from = {};
  model.fit(data, fit);
  fit.from = {.epoch = 1, .step = 3, .total_steps = 4, .examples = 30};
  CHECK(message_of<UserError>([&] { model.fit(data, fit); }) ==
        "the state to go on from is at step 3 of an epoch of 2; give the same data");
}

TEST_CASE("sequential: files that are no models") {
  const TemporaryFolder folder;
  const std::string file = folder / "m.safetensors", quoted = "'" + file + "'";
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
  store.metadata() = {{"format", "lariat model"}, {"format_version", "3"}};
  store.save(file);
  CHECK(load() ==
        quoted + " has format version 3, this program reads versions 1 and 2; use the Lariat that wrote it");
  store.metadata() = {{"format", "lariat model"}, {"format_version", "2"}};
  store.save(file);
  CHECK(load() == quoted + " is damaged: it does not hold what was saved; copy it again");
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
    seal(changed, model_format);
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
  CHECK(change([](Store& s) {
          s.metadata()["layers"] =
              R"([{"kind":)" + std::string(100000, '[') + std::string(100000, ']') + "}]";
        }) == quoted + ": its note 'layers' is nested too deeply; save it again");
  const double nan = std::numeric_limits<double>::quiet_NaN();
  CHECK(change([&](Store& s) { s.set("dense_1/bias", Tensor::filled(f32, {3}, nan)); }) ==
        quoted + ": tensor 'dense_1/bias' holds NaN or infinity; train the model again");
  model.save(file);
  Store flipped = Store::load(file);
  flipped.get("dense_2/kernel").data<float>()[1] += 1;
  flipped.save(file);
  CHECK(load() == quoted + " is damaged: it does not hold what was saved; copy it again");
  model.save(file);
  model.store().set("dense_1/bias", Tensor::filled(f32, {3}, nan));
  CHECK(message_of<UserError>([&] { model.save(file); }) ==
        "'the model': tensor 'dense_1/bias' holds NaN or infinity; train the model again");
  CHECK(Sequential::load(file).parameter_count() == 23);
  std::filesystem::resize_file(file, std::filesystem::file_size(file) - 4);
  CHECK(load().starts_with("cannot load " + quoted + ": it is truncated: "));
}

}  // namespace lariat::sequential_runs_test
