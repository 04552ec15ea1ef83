#include "frontends/recipe/run.hpp"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "frontends/recipe/saved_model.hpp"
#include "graph/base/error.hpp"
#include "tests/support/testing.hpp"
#include "tests/support/toy_runs.hpp"

namespace lariat::run_test {

namespace fs = std::filesystem;
using lariat::testing::image_recipe;
using lariat::testing::message_of;
using lariat::testing::noisy_tone;
using lariat::testing::recipe_of;
using lariat::testing::speech_recipe;
using lariat::testing::TemporaryFolder;
using lariat::testing::write_digits;
using lariat::testing::write_images;

namespace {

void check_same(const RunResult& a, const RunResult& b) {
  CHECK(a.state_hash == b.state_hash);
  CHECK(a.training_state_hash == b.training_state_hash);
  REQUIRE(a.history.size() == b.history.size());
  for (size_t i = 0; i < a.history.size(); ++i) {
    CHECK(a.history[i].loss == b.history[i].loss);
    CHECK(a.history[i].accuracy == b.history[i].accuracy);
    CHECK(a.history[i].penalised.zeros == b.history[i].penalised.zeros);
  }
  REQUIRE(a.test.has_value());
  REQUIRE(b.test.has_value());
  CHECK(a.test->loss == b.test->loss);
  CHECK(a.test->confusion == b.test->confusion);
}

}  // namespace

TEST_CASE("run: images are learned, and the result says everything") {
  const TemporaryFolder folder;
  const std::string data = write_images(folder), out = folder / "m.safetensors";
  std::vector<int64_t> epochs;
  int64_t steps = 0;
  RunOptions options{.data = data, .out = out, .threads = 2};
  options.on_epoch_end = [&](const EpochReport& report) { epochs.push_back(report.epoch); };
  options.on_step = [&](const StepReport&) { ++steps; };
  TrainingRun run(recipe_of(image_recipe), options);
  CHECK(run.train_examples() == 120);
  const RunResult result = run.run();
  CHECK(epochs == std::vector<int64_t>{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12});
  CHECK(steps == 12 * 8);
  CHECK(result.test->accuracy > 0.9);
  CHECK(result.test->examples == 40);
  CHECK_FALSE(result.validation.has_value());
  CHECK(result.classes == std::vector<std::string>{"0", "1", "2", "3"});
  CHECK(result.parameters() == 16 * 12 + 12 + 12 * 4 + 4);
  CHECK(result.penalised.count == 16 * 12);
  CHECK(result.nonzeros() == result.parameters() - result.weights.zeros);
  CHECK(result.report.rewritten.size() == 1);
  CHECK(result.threads == 2);
  CHECK(result.state_hash.size() == 16);
  CHECK(result.seconds > 0);
  CHECK(result.model == out);
  CHECK(result.checkpoint == out + ".checkpoint");
  CHECK_FALSE(result.stopped);
  const auto json = nlohmann::json::parse(result.json());
  CHECK(json["accuracy"] == result.test->accuracy);
  CHECK(json["history"].size() == 12);
  CHECK(json["tensors"].size() == 4);
  CHECK(json["recipe"]["training"]["epochs"] == 12);
  CHECK(json["state_hash"] == result.state_hash);

  SavedModel saved = SavedModel::load(out);
  CHECK_FALSE(saved.is_audio());
  const Evaluation again = saved.evaluate(saved.load_data(data));
  CHECK(again.loss == result.test->loss);
  CHECK(again.confusion == result.test->confusion);
  CHECK(saved.recipe().to_json() == run.recipe().to_json());
  CHECK(message_of<UserError>([&] { saved.recognize({"a.wav"}); }) ==
        "'" + out + "' does not take recordings; give it data like those it was trained on");
}

TEST_CASE("run: a validation slice is taken from the training data, and only when asked for") {
  const TemporaryFolder folder;
  RunOptions options{.data = write_images(folder), .validation = 30, .test = false};
  TrainingRun run(recipe_of(image_recipe), options);
  CHECK(run.train_examples() == 90);
  CHECK(run.validation_examples() == 30);
  const RunResult result = run.run();
  CHECK(result.validation->examples == 30);
  CHECK(result.history.back().validation_loss == result.validation->loss);
  CHECK_FALSE(result.test.has_value());
  CHECK(result.model.empty());
  CHECK(result.checkpoint.empty());
}

TEST_CASE("run: a model of recordings gives the same scores after it was saved") {
  const TemporaryFolder folder;
  const std::string data = write_digits(folder, 8), out = folder / "m.safetensors";
  TrainingRun run(recipe_of(speech_recipe), {.data = data, .out = out});
  const RunResult result = run.run();
  CHECK(result.train_examples == 60);
  CHECK(result.test->examples == 100);
  CHECK(result.history.back().loss < result.history.front().loss);
  CHECK(result.penalised.zeros > 0);
  SavedModel saved = SavedModel::load(out);
  CHECK(saved.is_audio());
  CHECK(saved.features().sample_frequency == 8000);
  CHECK(saved.features().num_mel_bins == 20);
  const data::Dataset test = saved.load_data(data);
  const Evaluation again = saved.evaluate(test);
  CHECK(again.loss == result.test->loss);
  CHECK(again.confusion == result.test->confusion);
  const std::vector<Prediction> before = run.model().predict(test), after = saved.predict(test);
  for (size_t i = 0; i < before.size(); ++i) CHECK(before[i].probabilities == after[i].probabilities);
  // From the file itself: a batch of one rounds otherwise, if at all.
  const Prediction single = saved.recognize({test.examples[7].source}).front();
  CHECK(single.label == after[7].label);
  for (size_t i = 0; i < 10; ++i) CHECK(std::abs(single.probabilities[i] - after[7].probabilities[i]) < 1e-5);
  CHECK(saved.recognize(std::vector<std::string>()).empty());
}

TEST_CASE("run: answers are averaged over the views of [prediction], wherever a model answers") {
  const TemporaryFolder folder;
  const std::string data = write_digits(folder, 7), out = folder / "m.safetensors";
  Recipe recipe = recipe_of(speech_recipe);
  recipe.set({{"prediction.vtln_warps", "0.9, 1.1"}, {"prediction.speeds", "1.2"}});
  REQUIRE(recipe.views().size() == 5);
  CHECK(recipe.views()[0].vtln_min == 0.9);
  CHECK(recipe.views()[0].speed_max == 1);
  CHECK(recipe.views()[4].vtln_max == 1.1);
  CHECK(recipe.views()[4].speed_min == 1.2);
  TrainingRun run(recipe, {.data = data, .out = out});
  const RunResult result = run.run();
  SavedModel saved = SavedModel::load(out);
  data::Dataset test = saved.load_data(data);
  REQUIRE(test.views.size() == 5);
  CHECK(test.views[1].examples[3].values != test.examples[3].values);
  CHECK(test.views[1].examples[3].frames == test.examples[3].frames);
  CHECK(test.views[2].examples[3].frames < test.examples[3].frames);
  CHECK(saved.evaluate(test).loss == result.test->loss);
  const std::vector<Prediction> together = saved.predict(test);
  const Prediction alone = saved.recognize({test.examples[7].source}).front();
  for (size_t i = 0; i < 10; ++i)
    CHECK(std::abs(alone.probabilities[i] - together[7].probabilities[i]) < 1e-5);
  // The same bits from a disk.
  recipe.set("data.stream", "true");
  CHECK(TrainingRun(recipe, {.data = data}).run().test->loss == result.test->loss);
  // A view may be too short for the model where the recording is not: both are left out.
  recipe.set({{"data.stream", "false"}, {"layers.0.frames", "1"}, {"prediction.speeds", "4"}});
  recipe.set({{"layers.0.kind", "conv1d"},
              {"layers.0.filters", "4"},
              {"layers.0.kernel", "10"},
              {"layers.0.padding", "valid"}});
  CHECK(message_of<UserError>([&] {
          TrainingRun(recipe, {.data = data});
        }).starts_with("no clip is long enough; the first: "));

  recipe.set("features.low_freq", "150");
  CHECK(message_of<UserError>([&] { TrainingRun(recipe, {.data = data}); }) ==
        "[prediction] vtln_warps warp the filters of [features]: vtln_low = 100: must be above 150 "
        "(low_freq) where "
        "filters are warped");
  recipe.set({{"prediction.vtln_warps", ""}, {"augment.pitch_max", "1.2"}});
  CHECK(message_of<UserError>([&] { TrainingRun(recipe, {.data = data}); }) ==
        "[augment] warps the filters of [features]: vtln_low = 100: must be above 150 (low_freq) where "
        "filters are "
        "warped");
}

TEST_CASE("run: another sample rate is resampled with a notice, and bad files are named") {
  const TemporaryFolder folder;
  const std::string data = write_digits(folder, 7), out = folder / "m.safetensors";
  Recipe recipe = recipe_of(speech_recipe);
  recipe.set("training.epochs", "1");
  std::ofstream(data + "/3_ann_6.wav") << "this is no audio";
  speech::write_wav(data + "/4_ann_6.wav", noisy_tone(4, 1, 100));
  TrainingRun run(recipe, {.data = data, .out = out});
  REQUIRE(run.skipped().size() == 2);
  CHECK(run.skipped()[0].starts_with(data + "/3_ann_6.wav: "));
  CHECK(run.skipped()[1].starts_with(data + "/4_ann_6.wav: "));
  CHECK(run.train_examples() == 38);
  const RunResult result = run.run();
  CHECK(result.skipped == run.skipped());

  SavedModel saved = SavedModel::load(out);
  speech::Audio audio = noisy_tone(4, 3);
  audio.sample_rate = 16000;
  speech::write_wav(folder / "fast.wav", audio);
  std::vector<std::string> notices;
  CHECK(saved.recognize({folder / "fast.wav"}, &notices).size() == 1);
  CHECK(notices.size() == 1);
  CHECK(message_of<UserError>([&] {
          saved.recognize({data + "/3_ann_6.wav"});
        }).starts_with(data + "/3_ann_6.wav"));
  CHECK(message_of<UserError>([&] { saved.recognize({folder / "none.wav"}); }).find(folder / "none.wav") !=
        std::string::npos);
}

TEST_CASE("run: clips too short for the model are skipped, with the reason") {
  const TemporaryFolder folder;
  const std::string data = write_digits(folder, 7);
  speech::write_wav(data + "/4_ann_6.wav", noisy_tone(4, 1, 600));
  Recipe recipe = recipe_of(speech_recipe);
  recipe.set({{"layers.0.kind", "conv1d"},
              {"layers.0.filters", "4"},
              {"layers.0.kernel", "10"},
              {"layers.0.padding", "valid"}});
  TrainingRun run(recipe, {.data = data});
  CHECK(run.skipped() ==
        std::vector<std::string>{data + "/4_ann_6.wav: is of 6 frames, but the model needs 10"});
  recipe.set("layers.0.kernel", "100");
  CHECK(message_of<UserError>([&] {
          TrainingRun(recipe, {.data = data});
        }).starts_with("no clip is long enough; the first: "));
}

TEST_CASE("run: speakers held out, and the seed") {
  const TemporaryFolder folder;
  const std::string data = write_digits(folder, 7);
  TrainingRun run(recipe_of(speech_recipe), {.data = data, .seed = 77, .held_out = {"bob"}});
  CHECK(run.train_examples() == 70);
  CHECK(run.recipe().get("training.seed") == "77");
  CHECK(run.recipe().get("data.held_out") == "bob");
  CHECK(message_of<UserError>([&] {
          TrainingRun(recipe_of(speech_recipe), {.data = data, .held_out = {"eve"}});
        }) == "data.held_out: '" + data + "' has no speaker 'eve'; it has ann, bob");
  CHECK(message_of<UserError>([&] {
          TrainingRun(recipe_of(image_recipe), {.data = data, .held_out = {"eve", "bob"}});
        }) ==
        "eve, bob: there are no speakers to hold out in data of [data] kind = idx; leave --held-out out");
}

TEST_CASE("run: the state is the same for every number of threads, augmentation included") {
  const TemporaryFolder folder;
  const std::string data = write_digits(folder, 7);
  Recipe recipe = recipe_of(speech_recipe);
  recipe.set("training.epochs", "2");
  recipe.set("augment.speed_min", "0.9");
  recipe.set("augment.noise_probability", "0.5");
  recipe.set("augment.time_masks", "1");
  std::vector<RunResult> results;
  for (const int threads : {1, 2, 3}) {
    results.push_back(TrainingRun(recipe, {.data = data, .threads = threads}).run());
    CHECK(results.back().threads == threads);
  }
  check_same(results[0], results[1]);
  check_same(results[0], results[2]);
  recipe.set("training.seed", "6");
  CHECK(TrainingRun(recipe, {.data = data}).run().state_hash != results[0].state_hash);
}

TEST_CASE("run: a run that is stopped and resumed ends in the same bits") {
  const TemporaryFolder folder;
  const std::string data = write_digits(folder, 8);
  for (const bool augmented : {false, true}) {
    Recipe recipe = recipe_of(speech_recipe);
    if (augmented) recipe.set("augment.gain_max", "6");
    const RunResult whole = TrainingRun(recipe, {.data = data, .out = folder / "whole.safetensors"}).run();
    // 4 steps an epoch: within the first epoch, at the end of one, within the last.
    for (const int stop_after : {1, 4, 10}) {
      CAPTURE(stop_after);
      const std::string out = folder / "m.safetensors";
      fs::remove(out);
      std::atomic<bool> stop = false;
      int steps = 0;
      RunOptions options{.data = data, .out = out};
      options.stop = &stop;
      options.on_step = [&](const StepReport&) { stop = ++steps == stop_after; };
      const RunResult stopped = TrainingRun(recipe, options).run();
      CHECK(stopped.stopped);
      CHECK(steps == stop_after);
      CHECK_FALSE(stopped.test.has_value());
      CHECK(stopped.model.empty());
      CHECK_FALSE(fs::exists(out));
      TrainingRun second(recipe, {.data = data, .out = out});
      second.resume(checkpoint_of(out));
      const RunResult resumed = second.run();
      check_same(whole, resumed);
      CHECK(resumed.seconds >= stopped.seconds);
      const bool same_file = testing::read_file(out) == testing::read_file(folder / "whole.safetensors");
      CHECK(same_file);
    }
    // A finished run's checkpoint has nothing left to train.
    TrainingRun third(recipe, {.data = data});
    third.resume(checkpoint_of(folder / "whole.safetensors"));
    check_same(whole, third.run());
  }
}

TEST_CASE("run: ramp, settling and certificates go on to the same bits, and stop where they say") {
  const TemporaryFolder folder;
  const std::string data = write_images(folder), out = folder / "m.safetensors";
  Recipe recipe = recipe_of(image_recipe);
  recipe.set({{"proximal.ramp", "0.3"},
              {"proximal.settle_from", "0.6"},
              {"proximal.after_settling", "0.05"},
              {"layers.0.kernel_penalty", "log_sum=0.01:0.05"}});
  const RunResult whole = TrainingRun(recipe, {.data = data, .certificate = true}).run();
  CHECK(whole.penalised.zeros > 0);
  REQUIRE(whole.certificate.has_value());
  CHECK(whole.certificate->prox_residual() == whole.history.back().prox_residual);
  CHECK(whole.history.back().penalty_strength == 0.05);
  // 8 steps an epoch, 12 epochs: within the ramp, before and after settling, within an epoch and at its end.
  for (const int stop_after : {5, 40, 61, 80}) {
    CAPTURE(stop_after);
    std::atomic<bool> stop = false;
    int steps = 0;
    RunOptions options{.data = data, .out = out, .certificate = true};
    options.stop = &stop;
    options.on_step = [&](const StepReport&) { stop = ++steps == stop_after; };
    const RunResult stopped = TrainingRun(recipe, options).run();
    CHECK_FALSE(stopped.certificate.has_value());
    TrainingRun second(recipe, {.data = data, .out = out, .certificate = true});
    second.resume(checkpoint_of(out));
    const RunResult resumed = second.run();
    check_same(whole, resumed);
    for (size_t i = 0; i < whole.history.size(); ++i) {
      CHECK(whole.history[i].support_changes == resumed.history[i].support_changes);
      CHECK(whole.history[i].prox_residual == resumed.history[i].prox_residual);
    }
    CHECK(resumed.certificate->json() == whole.certificate->json());
  }
  recipe.set("training.stop_when_stationary", "1000");
  const RunResult early = TrainingRun(recipe, {.data = data, .out = out}).run();
  CHECK(early.history.size() == 1);
  CHECK(early.ended.starts_with("the prox residual is "));
  CHECK(early.model == out);
  CHECK(SavedModel::load(out).recipe().get("layers.0.kernel_penalty") == "log_sum=0.01:0.05");
  // Nothing is left to do.
  TrainingRun again(recipe, {.data = data, .out = out});
  again.resume(checkpoint_of(out));
  check_same(early, again.run());
}

TEST_CASE("run: without a test its figures are null") {
  const auto json = nlohmann::json::parse([] {
    RunResult result;
    result.recipe = "{}";
    return result.json();
  }());
  CHECK(json.at("accuracy").is_null());
  CHECK(json.at("loss").is_null());
}

TEST_CASE("run: no data") {
  CHECK(message_of<UserError>([] { TrainingRun(recipe_of(image_recipe)); }) ==
        "there are no data; give their folder, or set path in the recipe's [data]");
  CHECK(message_of<UserError>([] { TrainingRun(recipe_of(image_recipe), {.data = "/nowhere"}); }) ==
        "'/nowhere': there is no such folder; check the path");
}

TEST_CASE(
    "run: labelled folders with lists are trained on all that is not the test, unless validation is asked "
    "for") {
  const TemporaryFolder folder;
  const fs::path path = folder.path() / "words";
  for (const char* word : {"no", "yes"}) {
    fs::create_directories(path / word);
    for (int i = 0; i < 6; ++i)
      speech::write_wav((path / word / (std::to_string(i) + ".wav")).string(),
                        noisy_tone(word[0] == 'n', static_cast<uint64_t>(i)));
  }
  std::ofstream(path / "testing_list.txt") << "no/0.wav\nyes/1.wav\n";
  std::ofstream(path / "validation_list.txt") << "no/2.wav\nyes/2.wav\nyes/3.wav\n";
  Recipe recipe = recipe_of(speech_recipe);
  recipe.set("data.kind", "folders");
  TrainingRun all(recipe, {.data = path.string()});
  CHECK(all.train_examples() == 10);
  CHECK(all.validation_examples() == 0);
  TrainingRun validated(recipe, {.data = path.string(), .validation = 10});
  CHECK(validated.train_examples() == 7);
  CHECK(validated.validation_examples() == 3);
}

}  // namespace lariat::run_test
