#include "frontends/recipe/run.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <numbers>

#include "frontends/data/idx.hpp"
#include "frontends/data/random.hpp"
#include "frontends/recipe/checkpoint.hpp"
#include "frontends/recipe/saved_model.hpp"
#include "graph/error.hpp"
#include "tests/files.hpp"
#include "tests/testing.hpp"

namespace fs = std::filesystem;
using namespace lariat;
using lariat::testing::message_of;
using lariat::testing::TemporaryFolder;

namespace {

// A tone whose pitch says the class, with a little noise.
speech::Audio tone(int label, uint64_t seed, int samples = 2400) {
  speech::Audio audio{std::vector<float>(static_cast<size_t>(samples)), 8000};
  data::RandomStream random(seed, data::RandomPurpose::noise);
  const double phase = random.uniform(0, 6), frequency = 300 + 350 * label + random.uniform(-30, 30);
  for (int t = 0; t < samples; ++t)
    audio.samples[static_cast<size_t>(t)] = static_cast<float>(
        6000 * std::sin(phase + 2 * std::numbers::pi * frequency * t / 8000) + 300 * random.normal());
  return audio;
}

// Digits 0 to 9 of two speakers, indices 0 to `count` - 1.
std::string write_digits(const TemporaryFolder& folder, int count) {
  const fs::path path = folder.path() / "digits";
  fs::create_directories(path);
  uint64_t seed = 0;
  for (int digit = 0; digit < 10; ++digit)
    for (const char* speaker : {"ann", "bob"})
      for (int i = 0; i < count; ++i, ++seed)
        speech::write_wav(
            (path / (std::to_string(digit) + "_" + speaker + "_" + std::to_string(i) + ".wav")).string(),
            tone(digit, seed, 2000 + 37 * static_cast<int>(seed % 11)));
  return path.string();
}

// Images of 4 × 4 in which the row of the label is bright.
std::string write_images(const TemporaryFolder& folder) {
  const fs::path path = folder.path() / "images";
  fs::create_directories(path);
  const auto write = [&](const std::string& name, int count, uint64_t seed) {
    std::ofstream images(path / (name + "-images-idx3-ubyte"), std::ios::binary),
        labels(path / (name + "-labels-idx1-ubyte"), std::ios::binary);
    const auto number = [](std::ofstream& out, int value) {
      out << '\0' << '\0' << static_cast<char>(value >> 8) << static_cast<char>(value);
    };
    images.write("\0\0\x08\x03", 4);
    labels.write("\0\0\x08\x01", 4);
    number(images, count);
    number(images, 4);
    number(images, 4);
    number(labels, count);
    data::RandomStream random(seed, data::RandomPurpose::noise);
    for (int i = 0; i < count; ++i) {
      labels << static_cast<char>(i % 4);
      for (int pixel = 0; pixel < 16; ++pixel)
        images << static_cast<char>(pixel / 4 == i % 4 ? 100 + random.below(100) : random.below(100));
    }
  };
  write("train", 120, 1);
  write("t10k", 40, 2);
  return path.string();
}

const char* const speech_recipe = R"([data]
kind = "digits"
[features]
num_mel_bins = 20
cmvn = "global"
[[layers]]
kind = "stack_frames"
frames = 3
[[layers]]
kind = "bidirectional_lstm"
units = 10
dropout = 0.1
kernel_penalty = "l1=1e-3"
recurrent_penalty = "l1=1e-3"
[[layers]]
kind = "dense"
units = 0
[optimizer]
learning_rate = 0.02
[schedule]
kind = "cosine"
[training]
epochs = 3
batch_size = 16
clip_norm = 1
seed = 5
)";

const char* const image_recipe = R"([data]
kind = "idx"
[[layers]]
kind = "dense"
units = 12
activation = "relu"
kernel_penalty = "l1=2e-3"
[[layers]]
kind = "dense"
units = 4
[optimizer]
learning_rate = 0.02
[training]
epochs = 12
batch_size = 16
)";

Recipe recipe_of(const char* text) { return Recipe::parse(text, "recipe.toml"); }

void check_same(const RunResult& a, const RunResult& b) {
  CHECK(a.state_hash == b.state_hash);
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

TEST_CASE("run: another sample rate is resampled with a notice, and bad files are named") {
  const TemporaryFolder folder;
  const std::string data = write_digits(folder, 7), out = folder / "m.safetensors";
  Recipe recipe = recipe_of(speech_recipe);
  recipe.set("training.epochs", "1");
  std::ofstream(data + "/3_ann_6.wav") << "this is no audio";
  speech::write_wav(data + "/4_ann_6.wav", tone(4, 1, 100));
  TrainingRun run(recipe, {.data = data, .out = out});
  REQUIRE(run.skipped().size() == 2);
  CHECK(run.skipped()[0].starts_with(data + "/3_ann_6.wav: "));
  CHECK(run.skipped()[1].starts_with(data + "/4_ann_6.wav: "));
  CHECK(run.train_examples() == 38);
  const RunResult result = run.run();
  CHECK(result.skipped == run.skipped());

  SavedModel saved = SavedModel::load(out);
  speech::Audio audio = tone(4, 3);
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
  speech::write_wav(data + "/4_ann_6.wav", tone(4, 1, 600));
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

TEST_CASE("run: checkpoints of something else are refused") {
  const TemporaryFolder folder;
  const std::string data = write_images(folder), out = folder / "m.safetensors", file = checkpoint_of(out);
  Recipe recipe = recipe_of(image_recipe);
  recipe.set("training.epochs", "1");
  TrainingRun(recipe, {.data = data, .out = out}).run();
  const auto refused = [&](const Recipe& other, const std::string& from,
                           std::optional<double> validation = std::nullopt) {
    return message_of<UserError>(
        [&] { TrainingRun(other, {.data = data, .validation = validation}).resume(from); });
  };
  Recipe other = recipe;
  other.set("optimizer.learning_rate", "0.5");
  CHECK(refused(other, file) == "'" + file +
                                    "' was written by another recipe: optimizer.learning_rate is 0.02 there "
                                    "and 0.5 here; give the same recipe and settings");
  CHECK(refused(recipe, out) ==
        "'" + out + "' is not a Lariat checkpoint; give a file that an unfinished lariat train wrote");
  CHECK(refused(recipe, folder / "none") == "cannot load '" + folder / "none" + "': there is no such file");
  Checkpoint checkpoint = Checkpoint::load(file);
  checkpoint.train_examples = 7;
  checkpoint.save(file);
  CHECK(refused(recipe, file) ==
        "'" + file + "' was trained on 7 examples, but these data have 120; give the same data");
  checkpoint.train_examples = 120;
  checkpoint.store.set("dense_1/bias", Tensor(f32, {3}));
  checkpoint.save(file);
  CHECK(refused(recipe, file) ==
        "'" + file + "' has no tensor 'dense_1/bias' of type f32[12]; start the training again");
  Store store = Store::load(file);
  store.metadata()["history"] = "{";
  store.save(file);
  CHECK(refused(recipe, file) == "'" + file + "': its notes are damaged; start the training again");
  store.metadata()["progress"] = "{}";
  store.save(file);
  CHECK(refused(recipe, file) ==
        "'" + file + "': the checkpoint's progress lacks a member or has one of another type; it is damaged");
  store.metadata().erase("recipe");
  store.save(file);
  CHECK(refused(recipe, file) == "'" + file + "' has no note 'recipe'; save it again");
}

TEST_CASE("run: model files that do not hold together are refused") {
  const TemporaryFolder folder;
  const std::string data = write_digits(folder, 6), out = folder / "m.safetensors", quoted = "'" + out + "'";
  Recipe recipe = recipe_of(speech_recipe);
  recipe.set("training.epochs", "1");
  TrainingRun(recipe, {.data = data, .out = out}).run();
  const Store good = Store::load(out);
  const auto load_changed = [&](const std::function<void(Store&)>& change) {
    Store store = good;
    change(store);
    store.metadata().erase("tensor_hash");
    store.save(out);
    return message_of<UserError>([&] { SavedModel::load(out); });
  };
  CHECK(load_changed([](Store& s) { s.set("cmvn/mean", Tensor(f32, {3})); }) ==
        quoted + ": tensor 'cmvn/mean' is f32[3], but its features make it f32[20]; save the model again");
  CHECK(load_changed([](Store& s) {
          s.metadata()["features"] = R"({"num_mel_bins": 30, "sample_frequency": 8000})";
        }) == quoted + ": its features have 30 dimensions, but its layers take 20; save the model again");
  CHECK(load_changed([](Store& s) { s.metadata()["features"] = R"({"num_mel_bin": 30})"; }) ==
        quoted + ": unknown option 'num_mel_bin'. Did you mean 'num_mel_bins'?");
  CHECK(load_changed([](Store& s) {
          const float nan = std::numeric_limits<float>::quiet_NaN();
          s.set("cmvn/mean", Tensor::filled(f32, {20}, nan));
        }) == quoted + ": tensor 'cmvn/mean' holds NaN or infinity; train the model again");
  CHECK(load_changed([](Store& s) { s.metadata()["recipe"] = "[]"; }) ==
        quoted + ": the recipe is not a JSON object; it is damaged");
  CHECK(load_changed([](Store& s) { s.metadata().erase("layers"); }) ==
        quoted + " has no note 'layers'; save it again");
  CHECK(load_changed([](Store& s) { s.metadata().clear(); }) ==
        quoted + " is not a Lariat model; give a file that lariat train or Sequential::save wrote");
  CHECK(message_of<UserError>([&] { SavedModel::load(checkpoint_of(out)); }) ==
        "'" + checkpoint_of(out) +
            "' is a checkpoint, not a Lariat model; finish its training, or give the model file");

  Sequential plain{Dense(2)};
  plain.build({false, 3, {"a", "b"}});
  plain.save(out);
  const SavedModel saved = SavedModel::load(out);
  CHECK_FALSE(saved.is_audio());
  CHECK(message_of<UserError>([&] { saved.recipe(); }) ==
        quoted + " has no recipe: Sequential::save wrote it; give data in code, or train it by a recipe");
}

TEST_CASE("run: a run that diverges says so, and its last checkpoint stays") {
  const TemporaryFolder folder;
  const std::string data = write_images(folder), out = folder / "m.safetensors";
  Recipe recipe = recipe_of(image_recipe);
  // w ← (1 - 2·10⁶)·w at each step.
  recipe.set("layers.0.kernel_penalty", "l2=1");
  recipe.set("optimizer.kind", "sgd");
  recipe.set("optimizer.learning_rate", "1e6");
  recipe.set("training.batch_size", "120");
  const std::string message =
      message_of<JobError>([&] { TrainingRun(recipe, {.data = data, .out = out}).run(); });
  const size_t epochs = Checkpoint::load(checkpoint_of(out)).history.size();
  CHECK(epochs >= 1);
  CHECK(epochs < 12);
  CHECK(message.starts_with("diverged: the loss is "));
  CHECK(message.ends_with("; '" + checkpoint_of(out) + "' holds the state after epoch " +
                          std::to_string(epochs)));
  CHECK_FALSE(fs::exists(out));
}

TEST_CASE("run: weights that diverge in the last step replace nothing") {
  const TemporaryFolder folder;
  const std::string data = write_images(folder), out = folder / "m.safetensors";
  Recipe recipe = recipe_of(image_recipe);
  recipe.set("training.epochs", "1");
  TrainingRun(recipe, {.data = data, .out = out}).run();
  const std::string model = testing::read_file(out), checkpoint = testing::read_file(checkpoint_of(out));
  // The loss before the only step is finite, the gradient of the penalty times the learning rate is not.
  recipe.set({{"layers.0.kernel_penalty", "l2=1e34"},
              {"proximal.rewrite", "false"},
              {"optimizer.kind", "sgd"},
              {"optimizer.learning_rate", "1e6"},
              {"training.batch_size", "120"}});
  CHECK(message_of<JobError>([&] { TrainingRun(recipe, {.data = data, .out = out}).run(); }) ==
        "diverged: dense_1/kernel is not finite after step 1; lower the learning rate or clip the gradient");
  const bool same = testing::read_file(out) == model && testing::read_file(checkpoint_of(out)) == checkpoint;
  CHECK(same);
}

TEST_CASE("run: a saved model is evaluated with the loss of its recipe") {
  const TemporaryFolder folder;
  const std::string data = write_images(folder), out = folder / "m.safetensors";
  Recipe recipe = recipe_of(image_recipe);
  recipe.set({{"training.epochs", "1"}, {"loss.label_smoothing", "0.3"}});
  const RunResult result = TrainingRun(recipe, {.data = data, .out = out}).run();
  SavedModel saved = SavedModel::load(out);
  CHECK(saved.evaluate(saved.load_data(data)).loss == result.test->loss);
  CHECK(fmt::format("{:016x}", saved.model().parameter_hash()) == result.state_hash);
  CHECK(result.training_state_hash != result.state_hash);
  CHECK(message_of<UserError>([&] { saved.load_data(data, data::Split::validation); }) ==
        "'" + out +
            "' was trained without validation data (data.validation = 0); take the split train or test");
}

TEST_CASE("run: a device gets no checkpoint beside it") {
  const TemporaryFolder folder;
  Recipe recipe = recipe_of(image_recipe);
  recipe.set("training.epochs", "1");
  CHECK(TrainingRun(recipe, {.data = write_images(folder), .out = "/dev/null"}).run().checkpoint.empty());
  CHECK_FALSE(fs::exists("/dev/null.checkpoint"));
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
                        tone(word[0] == 'n', static_cast<uint64_t>(i)));
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
