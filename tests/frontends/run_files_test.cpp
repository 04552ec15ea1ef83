// The model files and checkpoints that runs leave, and what is left where a run fails.
#include <fmt/format.h>

#include <filesystem>
#include <limits>

#include "frontends/recipe/checkpoint.hpp"
#include "frontends/recipe/run.hpp"
#include "frontends/recipe/saved_model.hpp"
#include "frontends/sequential/model_file.hpp"
#include "graph/base/error.hpp"
#include "tests/support/testing.hpp"
#include "tests/support/toy_runs.hpp"

namespace lariat::run_files_test {

namespace fs = std::filesystem;
using lariat::testing::image_recipe;
using lariat::testing::message_of;
using lariat::testing::recipe_of;
using lariat::testing::speech_recipe;
using lariat::testing::TemporaryFolder;
using lariat::testing::write_digits;
using lariat::testing::write_images;

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

TEST_CASE("run: a new checkpoint has the permissions of the model beside it") {
  const TemporaryFolder folder;
  const std::string data = write_images(folder), out = folder / "m.safetensors", file = checkpoint_of(out);
  Recipe recipe = recipe_of(image_recipe);
  recipe.set("training.epochs", "1");
  TrainingRun(recipe, {.data = data, .out = out}).run();
  fs::permissions(out, fs::perms(0640));
  fs::remove(file);
  TrainingRun(recipe, {.data = data, .out = out}).run();
  for (const std::string& written : {out, file}) CHECK(fs::status(written).permissions() == fs::perms(0640));
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
  const auto save = [&] {
    seal(store, checkpoint_format);
    store.save(file);
  };
  store.metadata()["history"] = "{";
  save();
  CHECK(refused(recipe, file) == "'" + file + "': its notes are damaged; start the training again");
  store.metadata()["progress"] = "{}";
  save();
  CHECK(refused(recipe, file) ==
        "'" + file + "': the checkpoint's progress lacks a member or has one of another type; it is damaged");
  store.metadata().erase("recipe");
  save();
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
    if (!store.metadata().empty()) seal(store, model_format);
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
  CHECK(load_changed([](Store& s) {
          s.metadata()["recipe"] = std::string(100000, '[') + std::string(100000, ']');
        }) == quoted + ": its note 'recipe' is nested too deeply; save it again");
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

// A bit of every byte, or every one by night.
TEST_CASE("run: a bit that flips anywhere in a model or a checkpoint is found") {
  const bool nightly = lariat::testing::is_nightly();
  const TemporaryFolder folder;
  const std::string data = write_digits(folder, 6), out = folder / "m.safetensors";
  Recipe recipe = recipe_of(speech_recipe);
  recipe.set({{"training.epochs", "1"}, {"features.num_mel_bins", "4"}, {"layers.1.units", "1"}});
  TrainingRun(recipe, {.data = data, .out = out}).run();
  int64_t found = 0, irrelevant = 0, missed = 0;
  const auto flip_all = [&](const std::string& file, const auto& load) {
    const Store saved = Store::load(file);
    const std::string whole = testing::read_file(file), damaged = file + ".damaged";
    load(file);
    for (size_t bit = 0; bit < 8 * whole.size(); bit += nightly || bit % 8 == 7 ? 1 : 9) {
      std::string bytes = whole;
      bytes[bit / 8] = static_cast<char>(bytes[bit / 8] ^ (1 << bit % 8));
      testing::write_file(damaged, bytes);
      try {
        load(damaged);
        const Store same = Store::load(damaged);
        const bool equal = same.hash() == saved.hash() && same.metadata() == saved.metadata();
        ++(equal ? irrelevant : missed);
      } catch (const UserError&) {
        ++found;
      }
    }
  };
  flip_all(out, [](const std::string& file) { SavedModel::load(file); });
  flip_all(checkpoint_of(out), [](const std::string& file) { Checkpoint::load(file); });
  MESSAGE(found << " flips found, " << irrelevant << " that change nothing");
  CHECK(missed == 0);
  CHECK(irrelevant == 0);
  CHECK(found > 7500);
}

TEST_CASE("run: checkpoints within epochs, of which the last stay, go on to the same bits") {
  const TemporaryFolder folder;
  const std::string data = write_images(folder), out = folder / "m";
  Recipe recipe = recipe_of(image_recipe);
  recipe.set("training.epochs", "2");
  const RunResult whole = TrainingRun(recipe, {.data = data, .out = folder / "whole"}).run();
  Recipe often = recipe;
  often.set({{"training.checkpoint_epochs", "1"},
             {"training.checkpoint_steps", "3"},
             {"training.checkpoint_keep", "4"}});
  TrainingRun(often, {.data = data, .out = out}).run();
  // 120 examples in batches of 16: 8 steps an epoch. The last: after the second epoch, its steps 6 and 3,
  // after the first epoch.
  const std::pair<int64_t, int64_t> places[] = {{2, 0}, {1, 6}, {1, 3}, {1, 0}};
  for (int number = 0; number < 4; ++number) {
    const std::string file = checkpoint_of(out) + (number == 0 ? "" : "-" + std::to_string(number));
    const Checkpoint checkpoint = Checkpoint::load(file);
    CHECK(checkpoint.state.epoch == places[number].first);
    CHECK(checkpoint.state.step == places[number].second);
    // How often it is saved makes no other recipe.
    TrainingRun again(recipe, {.data = data});
    again.resume(file);
    CHECK(again.run().state_hash == whole.state_hash);
  }
  CHECK_FALSE(fs::exists(checkpoint_of(out) + "-4"));
  CHECK_FALSE(fs::exists(checkpoint_of(folder / "whole") + "-1"));
  often.set({{"training.checkpoint_steps", "0"}, {"training.checkpoint_minutes", "1e-9"}});
  TrainingRun(often, {.data = data, .out = out}).run();
  CHECK(Checkpoint::load(checkpoint_of(out) + "-1").state.step == 7);
  // Where checkpoints are on another disk, say.
  fs::create_directory(folder / "disk");
  fs::create_symlink("disk/real", checkpoint_of(folder / "linked"));
  often.set({{"training.checkpoint_steps", "3"}, {"training.checkpoint_minutes", "0"}});
  TrainingRun(often, {.data = data, .out = folder / "linked"}).run();
  CHECK(fs::is_symlink(checkpoint_of(folder / "linked")));
  CHECK(Checkpoint::load(folder / "disk/real").state.epoch == 2);
  for (int number = 0; number < 4; ++number) {
    const std::string file =
        checkpoint_of(folder / "linked") + (number == 0 ? "" : "-" + std::to_string(number));
    CHECK(Checkpoint::load(file).state.step == places[number].second);
  }
}

TEST_CASE("run: checkpoints after every so many epochs, and after the last one in any case") {
  const TemporaryFolder folder;
  const std::string data = write_images(folder);
  Recipe recipe = recipe_of(image_recipe);
  recipe.set({{"training.epochs", "10"}, {"training.checkpoint_keep", "20"}});
  std::string hash;
  // The epochs after which there is a checkpoint, the last one first.
  const auto saved = [&](const std::string& epochs) {
    const std::string out = folder / ("every" + epochs);
    Recipe every = recipe;
    every.set("training.checkpoint_epochs", epochs);
    const RunResult result = TrainingRun(every, {.data = data, .out = out}).run();
    if (hash.empty()) hash = result.training_state_hash;
    CHECK(result.training_state_hash == hash);
    std::vector<int64_t> found;
    for (int number = 0; number < 20; ++number) {
      const std::string file = checkpoint_of(out) + (number == 0 ? "" : "-" + std::to_string(number));
      if (!fs::exists(file)) break;
      found.push_back(Checkpoint::load(file).state.epoch);
      // From wherever it goes on, to the same bits.
      TrainingRun again(recipe, {.data = data});
      again.resume(file);
      CHECK(again.run().training_state_hash == hash);
    }
    return found;
  };
  CHECK(saved("1") == std::vector<int64_t>{10, 9, 8, 7, 6, 5, 4, 3, 2, 1});
  CHECK(saved("4") == std::vector<int64_t>{10, 8, 4});
  CHECK(saved("100") == std::vector<int64_t>{10});
  const std::vector<int64_t> found = saved("0");
  CHECK(found.size() >= 2);
  CHECK(found.front() == 10);
  CHECK(found.back() == 1);
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
  CHECK(message.starts_with("diverged at step "));
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
  const std::string message =
      message_of<JobError>([&] { TrainingRun(recipe, {.data = data, .out = out}).run(); });
  CHECK(message.starts_with("diverged at step 1: the next value of 'dense_1/kernel' is "));
  CHECK(message.ends_with("; lower the learning rate or clip the gradient"));
  const bool same = testing::read_file(out) == model && testing::read_file(checkpoint_of(out)) == checkpoint;
  CHECK(same);
}

TEST_CASE("run: a device gets no checkpoint beside it") {
  const TemporaryFolder folder;
  Recipe recipe = recipe_of(image_recipe);
  recipe.set("training.epochs", "1");
  CHECK(TrainingRun(recipe, {.data = write_images(folder), .out = "/dev/null"}).run().checkpoint.empty());
  CHECK_FALSE(fs::exists("/dev/null.checkpoint"));
}

}  // namespace lariat::run_files_test
