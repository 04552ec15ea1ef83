#include "frontends/search/search.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <filesystem>

#include "frontends/cli/command_records.hpp"
#include "frontends/cli/console.hpp"
#include "frontends/cli/interrupt.hpp"
#include "frontends/cli/outputs.hpp"
#include "frontends/cli/progress.hpp"
#include "frontends/cli/rank.hpp"
#include "frontends/cli/recipe_arguments.hpp"
#include "frontends/cli/search_report.hpp"
#include "frontends/cli/shell.hpp"
#include "frontends/cli/summary.hpp"
#include "frontends/cli/watched_run.hpp"
#include "graph/base/error.hpp"
#include "graph/base/json.hpp"
#include "graph/io/atomic_file.hpp"

namespace lariat::cli {

namespace {

struct SearchCommand {
  RecipeArguments recipe;
  Strings over;
  std::string out, json, journal;
  ReportFile report;
  std::vector<std::pair<std::string, std::string>> settings;  // of [search]
  std::optional<int64_t> seed, threads;
  bool resume = false, warm_start = false, no_test = false, quiet = false;
};

bool read_options(const Strings& words, SearchCommand& options) {
  Arguments arguments(
      "lariat search",
      "Trains the model of a recipe with other values of its keys, scores each by cross-validation on the "
      "training data, and trains the best on all of them.",
      "lariat search digits.toml --over 'layers.*.kernel_penalty=l1=1e-5..1e-3:log' --out "
      "digits.safetensors");
  options.recipe.declare(arguments);
  arguments.repeated("--over", "KEY=VALUES", options.over,
                     "what to try of a key, instead of the recipe's [search]: A,B,C or LOW..HIGH, with :log "
                     "and :COUNT behind; of a penalty's term l1=LOW..HIGH; * is any layer");
  const auto setting = [&](const char* flag, const char* value, const char* key, const char* doc) {
    arguments.option(
        flag, value, [&options, key](const std::string& text) { options.settings.emplace_back(key, text); },
        doc);
  };
  setting("--method", "NAME", "search.method", "grid (the default), random or halving");
  setting("--trials", "N", "search.trials", "random draws: 20 where it is not given");
  setting("--folds", "N", "search.folds",
          "folds to score on, by classes: 5 where it is not given; 0: the recipe's validation data");
  setting("--factor", "N", "search.factor", "halving keeps one of so many, 3 where it is not given");
  setting("--score", "NAME", "search.score",
          "a metric or loss; accuracy, of symbols symbol_error_rate, of numbers loss where it is not given");
  setting("--choose", "RULE", "search.choose",
          "best (the default), or sparsest within a standard error of it");
  arguments.flag("--warm-start", options.warm_start,
                 "along the penalty of a grid each trial begins with the weights of the last");
  arguments.output("--out", "MODEL", options.out, "the model file of the winner to write");
  arguments.option("--journal", "FILE", options.journal,
                   "where trials are kept, as Optuna's journal storage reads them; MODEL.journal");
  arguments.flag("--resume", options.resume, "go on with the trials that the journal has");
  options.report.declare(arguments, "the page with scores and zeros to write");
  arguments.flag("--no-test", options.no_test, "do not measure the winner on the test data either");
  arguments.seed(options.seed);
  arguments.threads(options.threads);
  arguments.plugins();
  arguments.json(options.json);
  arguments.flag("--quiet", options.quiet, "no progress");
  return arguments.read(words);
}

Recipe recipe_to_search(SearchCommand& options) {
  Recipe recipe = options.recipe.recipe("lariat search");
  if (!options.over.empty()) options.settings.emplace_back("search.over", join_lines(options.over));
  if (options.warm_start) options.settings.emplace_back("search.warm_start", "true");
  recipe.set(options.settings);
  return recipe;
}

// A bar with the time left on a terminal, a line for each trial elsewhere.
class TrialProgress {
 public:
  explicit TrialProgress(bool quiet) : quiet_(quiet) {}
  void draw(const search::SearchProgress& at, const std::string& score) {
    if (quiet_) return;
    if (at.again && at.trial != again_) {
      again_ = at.trial;
      note(fmt::format("what the winner begins with, on all training examples: {} of {}\n", at.trial,
                       at.trials));
    }
    if (!line_.due()) return;
    if (at.again)
      return line_.draw(fmt::format("before the winner {}/{} {}{}", at.trial, at.trials, bar(at.done, 20),
                                    at.seconds_left > 0 ? "  " + duration(at.seconds_left) + " left" : ""));
    line_.draw(fmt::format("trial {}/{} fold {}/{} {}{}{}", at.trial, at.trials, at.fold, at.folds,
                           bar(at.done, 20),
                           at.seconds_left > 0 ? "  " + duration(at.seconds_left) + " left" : "",
                           at.best ? fmt::format("  best {} {:.4g}", score, *at.best) : ""));
  }
  void trial(const std::string& line) {
    if (quiet_) return;
    line_.clear();
    note(line + "\n");
  }
  void finish() { line_.clear(); }

 private:
  bool quiet_;
  int64_t again_ = 0;
  LiveLine line_;
};

Json search_figures(const search::SearchResult& result, const std::optional<RunResult>& winner,
                    const SearchCommand& options, int threads) {
  Json json = search_json(result);
  json["journal"] = options.journal;
  json["threads"] = threads;
  json["winner"] = winner ? figures(*winner) : Json();
  return json;
}

[[noreturn]] void say_stopped(const search::SearchResult& result, const SearchCommand& options,
                              const Strings& words) {
  int64_t finished = 0;
  for (const search::Trial& trial : result.trials) finished += trial.state != search::TrialState::running;
  throw JobError(
      options.journal.empty()
          ? fmt::format("stopped after {} of {} trials; nothing is kept, for --journal names no file",
                        finished, result.trials.size())
          : fmt::format("stopped after {} of {} trials; to go on: {}", finished, result.trials.size(),
                        command_again("lariat search", words, {}, "--resume")));
}

}  // namespace

static void search(const Strings& words) {
  SearchCommand options;
  if (!read_options(words, options)) return;
  const Recipe recipe = recipe_to_search(options);
  if (options.journal.empty()) {
    options.journal = checkpoint_of(options.out);
    if (!options.journal.empty()) options.journal = options.out + ".journal";
  }
  const std::string checkpoint = checkpoint_of(options.out);
  options.report.choose("lariat search", options.out);
  check_outputs({options.out, checkpoint, options.json, options.report.name(), options.journal},
                {options.recipe.file}, recipe, options.recipe.data, options.out);
  options.report.check();
  const JsonFile json(options.json);
  const std::string recipe_text = options.recipe.text();
  if (!options.threads) options.threads = threads_of_rank();
  const ThreadLimit limit(options.threads);
  const Interruption interruption;
  if (options.journal.empty()) report("neither --out nor --journal is given: trials will not be kept");
  for (const Callback& callback : recipe.callbacks())
    if (callback.writes_files() && options.out.empty())
      report(callback.place + "writes nothing, for no --out is given");

  TrialProgress progress(options.quiet);
  search::SearchOptions with;
  with.data = options.recipe.data;
  if (options.seed) with.seed = static_cast<uint64_t>(*options.seed);
  with.threads = limit.threads();
  with.journal = options.journal;
  with.resume = options.resume;
  with.stop = &interruption.flag();
  with.ranks = ranks_of_process();
  std::string score;
  std::vector<search::Range> ranges;
  int64_t planned = 0;
  with.on_progress = [&](const search::SearchProgress& at) { progress.draw(at, score); };
  with.on_trial = [&](const search::Trial& trial) {
    progress.trial(trial_line(trial, ranges, planned, score));
  };
  search::Search searching(recipe, with);
  for (const search::WatchedFigure& watched : search::watched_figures(recipe))
    if (watched.steers && searching.folds() == 2)
      report(fmt::format(
          "{}of 2 folds, {} is that of the one which a trial is scored on, so that scores come out better "
          "than on examples that nothing has seen; take 3 folds or more, of which it watches one of its own",
          watched.place, watched.name));
  score = searching.score();
  ranges = searching.ranges();
  planned = searching.planned();
  search::SearchResult result = searching.run();
  progress.finish();
  if (result.stopped) {
    json.write(search_figures(result, std::nullopt, options, limit.threads()));
    say_stopped(result, options, words);
  }
  print(search_table(result));

  const Recipe winning = searching.winning_recipe(result);
  const std::optional<Store> start = searching.winning_start(result);
  progress.finish();
  std::optional<RunResult> winner;
  std::string weights_note;
  if (!interruption.flag()) {
    RunOptions run;
    run.data = options.recipe.data;
    run.out = options.out;
    run.write_logs = !options.out.empty();
    run.threads = limit.threads();
    run.test = !options.no_test;
    run.stop = &interruption.flag();
    if (start) run.start_weights = &*start;
    print("\nThe winner, trained on all training examples:\n");
    WatchedRun training(winning, run, options.quiet);
    winner = training.run();
  }
  if (!winner || winner->stopped) {
    json.write(search_figures(result, std::nullopt, options, limit.threads()));
    say_stopped(result, options, words);
  }
  json.write(search_figures(result, winner, options, limit.threads()));
  if (!options.report.name().empty()) {
    ReportData data = search_report(result, *winner, recipe_text);
    data.title = "Search of " + options.recipe.file;
    data.summary = fmt::format("lariat search {}", fmt::join(words, " "));
    write_report(options.report.name(), data);
  }
  print("\n" + summary(*winner, options.report.name()));
}

Command command_records::search() {
  return {"search", "try values of a recipe's keys, and train the best", cli::search, CommandGroup::models};
}

}  // namespace lariat::cli
