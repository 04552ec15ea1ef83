#include <fmt/format.h>
#include <fmt/ranges.h>

#include <limits>

#include "frontends/cli/command_records.hpp"
#include "frontends/cli/console.hpp"
#include "frontends/cli/interrupt.hpp"
#include "frontends/cli/outputs.hpp"
#include "frontends/cli/rank.hpp"
#include "frontends/cli/recipe_arguments.hpp"
#include "frontends/cli/shell.hpp"
#include "frontends/cli/summary.hpp"
#include "frontends/cli/training_report.hpp"
#include "frontends/cli/training_step.hpp"
#include "frontends/cli/watched_run.hpp"
#include "frontends/recipe/checkpoint.hpp"
#include "graph/base/error.hpp"
#include "graph/base/json.hpp"

namespace lariat::cli {

namespace {

struct TrainOptions {
  RecipeArguments recipe;
  std::string out, json, resume, start, profile;
  ReportFile report;
  Strings held_out;
  std::optional<int64_t> seed, threads, checkpoint_epochs, checkpoint_steps, keep_checkpoints;
  std::string checkpoint_minutes;
  NumberForm weights = NumberForm::float32;
  bool freeze_zeros = false, no_test = false, quiet = false, certificate = false, check_finite = false;
};

bool read_options(const Strings& words, TrainOptions& options) {
  Arguments arguments("lariat train",
                      "Trains the model that a recipe describes, and measures it on the test data.",
                      "lariat train examples/fsdd_lstm_l1.toml --data recordings --out digits.safetensors");
  options.recipe.declare(arguments);
  arguments.output("--out", "MODEL", options.out,
                   "the model file to write; MODEL.checkpoint is kept beside it");
  arguments.weights(options.weights);
  arguments.repeated("--held-out", "SPEAKER", options.held_out,
                     "test on this speaker, whom training does not hear");
  arguments.seed(options.seed);
  arguments.threads(options.threads);
  arguments.plugins();
  arguments.json(options.json);
  arguments.input("--resume", "CHECKPOINT", options.resume, "go on where a run with the same recipe stopped");
  arguments.input("--start", "MODEL", options.start,
                  "begin with the weights of this model rather than random ones");
  arguments.flag("--freeze-zeros", options.freeze_zeros, "zeros that the weights begin with stay zero");
  arguments.integer(
      "--checkpoint-epochs", options.checkpoint_epochs, 0, std::numeric_limits<int64_t>::max(),
      "write a checkpoint after every so many epochs; 0, the default: after each, unless that takes "
      "more than a twentieth of the time");
  arguments.integer("--checkpoint-steps", options.checkpoint_steps, 0, std::numeric_limits<int64_t>::max(),
                    "write a checkpoint after so many steps too, and not only after epochs");
  arguments.option("--checkpoint-minutes", "N", options.checkpoint_minutes,
                   "write a checkpoint after so many minutes too");
  arguments.integer("--keep-checkpoints", options.keep_checkpoints, 1, 1000,
                    "keep the last so many: MODEL.checkpoint, MODEL.checkpoint-1, …");
  arguments.output("--profile", "FILE", options.profile, "first write a Perfetto trace of a few steps");
  options.report.declare(arguments, "the page with curves, confusions and zeros to write");
  arguments.flag("--no-test", options.no_test, "leave the test data alone, as a search for settings should");
  arguments.flag("--certificate", options.certificate,
                 "after each epoch, and not only at the end, say how close the weights are to stationary");
  arguments.flag(
      "--check-finite", options.check_finite,
      "look at all gradients before a step moves anything: one that fails is explained in every case");
  arguments.flag("--quiet", options.quiet, "no progress");
  return arguments.read(words);
}

void set_checkpoints(Recipe& recipe, const TrainOptions& options) {
  if (options.checkpoint_epochs)
    recipe.set("training.checkpoint_epochs", fmt::format("{}", *options.checkpoint_epochs));
  if (options.checkpoint_steps)
    recipe.set("training.checkpoint_steps", fmt::format("{}", *options.checkpoint_steps));
  if (!options.checkpoint_minutes.empty())
    recipe.set("training.checkpoint_minutes", options.checkpoint_minutes);
  if (options.keep_checkpoints)
    recipe.set("training.checkpoint_keep", fmt::format("{}", *options.keep_checkpoints));
}

RunOptions run_options(const TrainOptions& options) {
  RunOptions run;
  run.data = options.recipe.data;
  run.out = options.out;
  if (options.seed) run.seed = static_cast<uint64_t>(*options.seed);
  run.held_out = options.held_out;
  run.threads = static_cast<int>(options.threads.value_or(0));
  run.weights = options.weights;
  run.start = options.start;
  run.test = !options.no_test;
  run.certificate = options.certificate;
  run.check_finite = options.check_finite;
  return run;
}

}  // namespace

static void train(const Strings& words) {
  TrainOptions options;
  if (!read_options(words, options)) return;
  Recipe recipe = options.recipe.recipe("lariat train");
  set_checkpoints(recipe, options);
  if (options.freeze_zeros) recipe.set("proximal.freeze_zeros", "true");
  const std::string checkpoint = checkpoint_of(options.out);
  options.report.choose("lariat train", options.out);
  Strings inputs{options.recipe.file, options.start};
  // What a run goes on from may be what it goes on writing.
  if (!same_file(options.resume, checkpoint)) inputs.push_back(options.resume);
  check_outputs({options.out, checkpoint, options.json, options.profile, options.report.name()}, inputs,
                recipe, options.recipe.data, options.out);
  options.report.check();
  const JsonFile json(options.json);
  if (!options.resume.empty()) Checkpoint::load(options.resume);
  if (!options.resume.empty() && !options.start.empty())
    throw UsageError("lariat train: --start and --resume: a run that goes on has its weights; leave one out");
  const std::string recipe_text = options.recipe.text();

  if (!options.threads) options.threads = threads_of_rank();
  const ThreadLimit limit(options.threads);
  if (!options.profile.empty())
    print(
        profile_training(recipe, options.recipe.data, limit.threads(), options.profile, ranks_of_process()) +
        "\n");

  const Interruption interruption;
  RunOptions with = run_options(options);
  with.stop = &interruption.flag();
  with.ranks = ranks_of_process();
  WatchedRun run(recipe, with, options.quiet);
  if (options.out.empty()) report("no --out is given: neither the model nor checkpoints will be saved");
  if (!options.resume.empty()) run.training().resume(options.resume);
  const RunResult result = run.run();
  json.write(figures(result));
  if (result.stopped) {
    const size_t epochs = result.history.size();
    throw JobError(
        result.checkpoint.empty()
            ? fmt::format("stopped after {} whole epochs; nothing is saved, for --out names no file", epochs)
            : fmt::format(
                  "stopped after {} whole epochs; to go on: {}", epochs,
                  command_again("lariat train", words, "--resume", "--resume " + quoted(result.checkpoint))));
  }
  if (!options.report.name().empty()) {
    ReportData data = training_report(result, run.training(), recipe_text, options.report.is_asked_for());
    data.title = "Training of " + options.recipe.file;
    data.summary = fmt::format("lariat train {}", fmt::join(words, " "));
    write_report(options.report.name(), data);
  }
  print("\n" + summary(result, options.report.name()) + ranks_summary());
}

Command command_records::train() {
  return {"train", "train the model that a recipe describes", cli::train, CommandGroup::models};
}

}  // namespace lariat::cli
