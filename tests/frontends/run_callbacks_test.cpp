// Recipes with callbacks, groups and large batches: what their runs write, and going on with them.
#include <algorithm>
#include <atomic>
#include <filesystem>

#include "frontends/recipe/checkpoint.hpp"
#include "frontends/recipe/run.hpp"
#include "frontends/recipe/saved_model.hpp"
#include "graph/base/error.hpp"
#include "tests/support/event_reader.hpp"
#include "tests/support/program.hpp"
#include "tests/support/testing.hpp"
#include "tests/support/toy_runs.hpp"

namespace lariat::run_callbacks_test {

namespace fs = std::filesystem;
using lariat::testing::image_recipe;
using lariat::testing::message_of;
using lariat::testing::recipe_of;
using lariat::testing::TemporaryFolder;
using lariat::testing::write_images;

namespace {

const std::string with_callbacks = std::string(image_recipe) + R"(accumulate = 2
[schedule]
kind = "plateau"
monitor = "loss"
patience = 2
warmup = 3
[proximal]
target_zeros = 0.6
[[callbacks]]
kind = "early_stopping"
patience = 6
monitor = "accuracy"
[[callbacks]]
kind = "ema"
decay = 0.9
keep_zeros = true
[[callbacks]]
kind = "csv_log"
[[callbacks]]
kind = "json_lines"
[[callbacks]]
kind = "tensorboard"
[[callbacks]]
kind = "best_checkpoint"
monitor = "loss"
[[groups]]
pattern = "*/bias"
learning_rate = 0.1
)";

}  // namespace

TEST_CASE("run: callbacks of a recipe write beside the model, and a run that is stopped goes on with them") {
  const TemporaryFolder folder;
  const std::string data = write_images(folder), out = folder / "m", part = folder / "part";
  const Recipe recipe = recipe_of(with_callbacks.c_str());
  const RunResult whole = TrainingRun(recipe, {.data = data, .out = out}).run();
  for (const char* file : {"m.csv", "m.jsonl", "m.tensorboard/events.out.tfevents.0.lariat", "m.best"})
    CHECK_MESSAGE(fs::exists(folder / file), file);
  const auto lines = [&](const std::string& file) {
    const std::string text = testing::read_file(file);
    return static_cast<size_t>(std::count(text.begin(), text.end(), '\n'));
  };
  CHECK(lines(folder / "m.jsonl") == whole.history.size());
  CHECK(lines(folder / "m.csv") == whole.history.size() + 1);
  CHECK(testing::read_events(folder / "m.tensorboard/events.out.tfevents.0.lariat").size() ==
        1 + 8 * whole.history.size());
  // The best model has its recipe.
  SavedModel best = SavedModel::load(folder / "m.best");
  CHECK(best.recipe().list("callbacks").size() == 6);

  for (const int64_t steps : {1, 6, 11}) {
    std::atomic<bool> stop{false};
    RunOptions options{.data = data, .out = part};
    options.stop = &stop;
    int64_t done = 0;
    options.on_step = [&](const StepReport&) { stop = ++done == steps; };
    const RunResult stopped = TrainingRun(recipe, options).run();
    REQUIRE(stopped.stopped);
    TrainingRun rest(recipe, {.data = data, .out = part});
    rest.resume(checkpoint_of(part));
    const RunResult end = rest.run();
    CHECK(end.state_hash == whole.state_hash);
    CHECK(end.training_state_hash == whole.training_state_hash);
    CHECK(lines(part + ".jsonl") == whole.history.size());
    CHECK(lines(part + ".csv") == whole.history.size() + 1);
  }
  // A finished one ends as it did.
  TrainingRun again(recipe, {.data = data, .out = part});
  again.resume(checkpoint_of(part));
  CHECK(again.run().state_hash == whole.state_hash);

  Recipe other = recipe;
  other.set("callbacks.1.decay", "0.5");
  CHECK(message_of<UserError>([&] { TrainingRun(other, {.data = data}).resume(checkpoint_of(out)); }) ==
        "'" + checkpoint_of(out) +
            "' was written by another recipe: callbacks.1.decay is 0.9 there and 0.5 here; give the same "
            "recipe and "
            "settings");
}

TEST_CASE("run: what callbacks and groups of a recipe lack is told by their place in it") {
  const TemporaryFolder folder;
  const std::string data = write_images(folder);
  const auto refused = [&](const std::string& more) {
    return message_of<UserError>(
        [&] { TrainingRun(recipe_of((image_recipe + more).c_str()), {.data = data}).run(); });
  };
  CHECK(
      refused("[[callbacks]]\nkind = 'early_stopping'\nmonitor = 'validation_loss'\n") ==
      "[callbacks.0] early_stopping: monitor = validation_loss, but there are no validation data; give some "
      "(validation of [data], or of FitOptions), or monitor loss");
  CHECK(refused("[schedule]\nkind = 'plateau'\nmonitor = 'lss'\n") ==
        "[schedule] monitor = lss: an epoch has no such figure. Did you mean 'loss'?");
  CHECK(refused("[[callbacks]]\nkind = 'csv_log'\n") ==
        "[callbacks.0] csv_log: file is empty, and the model is not saved, after whose file it would be "
        "named; set "
        "file");
  CHECK(refused("[[groups]]\npattern = 'dens_1/*'\nlearning_rate = 0\n")
            .starts_with("the parameter group 'dens_1/*' matches no parameter."));
  Recipe lion = recipe_of(image_recipe);
  lion.set({{"optimizer.kind", "lion"}});
  CHECK(message_of<UserError>([&] {
          TrainingRun(lion, {.data = data}).run();
        }).starts_with("Lion does not go with the penalty 0.002 * |dense_1/kernel| of 'dense_1/kernel': "));
}

TEST_CASE("cli: callbacks in recipes") {
  if (!lariat::testing::have_lariat()) return;
  const TemporaryFolder folder;
  const std::string data = write_images(folder), recipe = folder / "r.toml";
  testing::write_file(recipe, with_callbacks);
  const auto run = [&](std::vector<std::string> words) { return testing::run_lariat(words); };
  const testing::ProgramRun trained =
      run({"train", recipe, "--data", data, "--out", folder / "m", "--quiet", "--set", "training.epochs=3"});
  INFO(trained.err);
  CHECK(trained.status == 0);
  CHECK(fs::exists(folder / "m.csv"));
  const testing::ProgramRun clash = run({"train", recipe, "--data", data, "--out", folder / "m", "--quiet",
                                         "--set", "callbacks.2.file=" + (folder / "m")});
  CHECK(clash.status == 2);
  const testing::ProgramRun refused = run({"train", recipe, "--data", data, "--out", folder / "n", "--quiet",
                                           "--set", "callbacks.0.monitor=validation_loss"});
  CHECK(refused.status == 2);
  CHECK(testing::contains(refused.err,
                          "[callbacks.0] early_stopping: monitor = validation_loss, but there are no "));
  const testing::ProgramRun list = run({"recipe", "list"});
  for (const char* name : {"one_cycle", "lbfgs", "early_stopping", "[groups]"})
    CHECK_MESSAGE(testing::contains(list.out, name), name);
  const testing::ProgramRun show = run({"recipe", "show", "target_zeros"});
  CHECK(testing::contains(show.out, "[callbacks] kind = target_zeros: "));
  CHECK(testing::contains(show.out, "= 0.9"));
  CHECK(testing::contains(run({"recipe", "show", "groups"}).out, "pattern"));
}

}  // namespace lariat::run_callbacks_test
