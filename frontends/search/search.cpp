#include "frontends/search/search.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>

#include "frontends/search/choice.hpp"
#include "frontends/search/fold_weights.hpp"
#include "frontends/search/journal.hpp"
#include "frontends/search/plan.hpp"
#include "frontends/search/spread.hpp"
#include "graph/base/clock.hpp"
#include "graph/base/error.hpp"
#include "graph/base/version.hpp"

namespace lariat::search {

namespace {

constexpr const char* study_name = "lariat search";

// What the journal calls the figures of a fold.
std::string fold_note(int64_t epochs, size_t fold) {
  return fmt::format("epochs {}, fold {}", epochs, fold + 1);
}

Json figures_of(const TrialScore& found) {
  return {{"score", found.score}, {"zeros", found.zeros}, {"seconds", found.seconds}};
}

}  // namespace

struct Search::Implementation {
  Recipe recipe;
  SearchOptions options;
  SearchTable table;
  uint64_t seed = 0;
  std::string data;  // what tells the examples from others; empty without ranks and journal
  std::vector<Range> ranges;
  std::string score;
  bool larger = true;
  SearchPlan plan;
  std::optional<Journal> journal;
  bool began = false;  // whether the journal is this search's own

  // Of the present run.
  std::vector<Trial> trials;
  std::vector<Store> weights;  // of each fold, with which the next trial begins
  double units = 0, done = 0, done_before = 0;
  Clock::time_point start;

  Implementation(Recipe with, SearchOptions given);
  void begin();
  int64_t parts() const { return std::max<int64_t>(1, table.folds); }
  Recipe recipe_of(size_t trial, int64_t epochs) const;
  Json settings() const;
  void open_journal();
  void check_journal() const;
  std::string weights_file(size_t trial) const {
    return fmt::format("{}.weights-{}", options.journal, trial);
  }
  void measure_work();
  TrialTask task_of(int64_t fold, const Recipe& with) const;
  bool train_open(const std::vector<size_t>& which, size_t rung);
  bool run_rung(const std::vector<size_t>& which, size_t rung);
  bool run_trial_at(size_t trial, int64_t epochs);
  bool run_fold(size_t trial, int64_t fold, const Recipe& with);
  void finish(size_t trial, TrialState state);
  void say_progress(size_t trial, int64_t fold, double within);
};

Search::Implementation::Implementation(Recipe with, SearchOptions given)
    : recipe(std::move(with)),
      options(std::move(given)),
      table(search_fields().read(recipe.table("search"))) {
  if (options.seed) recipe.set("training.seed", fmt::format("{}", *options.seed));
  seed = static_cast<uint64_t>(recipe.training().seed);
  if (table.folds == 1)
    throw UserError("folds = 1: must be 0, for the validation split, or an integer from 2");
  if (table.folds == 0 && table.choose == SearchChoice::sparsest)
    throw UserError("choose = sparsest: needs folds, from which the standard error of a score is known");
  score = table.score.empty() ? usual_score(recipe) : table.score;
  recipe = measuring(std::move(recipe), score);
  larger = larger_is_better(score);
  ranges = parse_ranges(table.over, recipe, table.method == SearchMethod::halving);
  check_units(ranges, recipe, score);
  plan = plan_of(ranges, table, recipe.training().epochs, seed);
  if (options.ranks && plan.chain > 1)
    throw UserError(
        "trials that begin with the weights of the last one are trained one after the other, not by several "
        "ranks; start the search without mpirun, or try values of λ without such a start");
  if (options.ranks) agree_on_recipe(*options.ranks, recipe);
  // What does not go together is said before any training.
  for (size_t trial = 0; trial < plan.trials.size(); ++trial) recipe_of(trial, 0);
}

// What needs the data, or writes.
void Search::Implementation::begin() {
  const TrialContext context{options.data, options.threads, nullptr, {}};
  if (table.folds > 0) check_winner(recipe_of(0, 0), context);
  if (options.ranks || !options.journal.empty()) data = data_of(recipe, context);
  if (options.ranks) agree_on_data(*options.ranks, data);
  open_journal();
}

Recipe Search::Implementation::recipe_of(size_t trial, int64_t epochs) const {
  Recipe with = with_values(recipe, ranges, plan.trials[trial]);
  if (epochs > 0) with.set("training.epochs", fmt::format("{}", epochs));
  return with;
}

// What else than the recipe decides scores.
Json Search::Implementation::settings() const {
  Json settings{{"lariat", version}, {"score", score}, {"seed", seed}};
  const Spec& spec = recipe.table("search");
  for (const auto& [name, text] : spec.options)
    if (name != "score" && name != "choose") settings[name] = text;
  return settings;
}

void Search::Implementation::open_journal() {
  std::error_code none;
  const bool there = !options.journal.empty() && std::filesystem::exists(options.journal, none);
  if (options.resume && !there)
    throw UserError(
        options.journal.empty()
            ? "there is nothing to go on from: name the journal of the earlier run"
            : fmt::format("'{}' is not there, so there is nothing to go on from; leave --resume out",
                          options.journal));
  if (there) {
    journal = Journal::load(options.journal, study_name);
    if (!options.resume)
      throw UserError(fmt::format(
          "'{}' holds a search of {} trial{}; go on with it by --resume, or name another --journal",
          options.journal, journal->trials().size(), journal->trials().size() == 1 ? "" : "s"));
    return check_journal();
  }
  if (options.ranks) options.ranks->gather("", "the others to look for the journal");
  journal.emplace(options.journal, study_name, larger);
  journal->note("recipe", parse_json(recipe.to_json()));
  journal->note("settings", settings());
  journal->note("score", score);
  if (!data.empty()) journal->note("data", data);
  began = true;
  journal->save();
}

void Search::Implementation::check_journal() const {
  const auto refuse = [&](const std::string& difference) {
    throw UserError(
        fmt::format("'{}' is of another search: {}; give the same recipe and options, or another --journal",
                    options.journal, difference));
  };
  const auto& notes = journal->notes();
  if (!notes.contains("recipe") || !notes.contains("settings")) refuse("it has no recipe");
  const Recipe there = Recipe::from_json(notes.at("recipe").dump());
  if (const std::string difference = recipe.first_difference(there); !difference.empty()) refuse(difference);
  const Json &known = notes.at("settings"), mine = settings();
  for (const auto& [name, value] : mine.items())
    if (!known.contains(name) || known.at(name) != value)
      refuse(fmt::format("{} is {} there and {} here", name, known.value(name, Json()).dump(), value.dump()));
  if (notes.contains("data") && notes.at("data") != Json(data))
    refuse("its trials were trained on other examples");
  if (journal->trials().size() > plan.trials.size()) refuse("it has more trials");
}

void Search::Implementation::measure_work() {
  units = done = 0;
  for (const SearchPlan::Rung& rung : plan.rungs)
    for (size_t trial = 0; trial < rung.trials; ++trial)
      units += static_cast<double>(parts() *
                                   (rung.epochs > 0 ? rung.epochs : recipe_of(trial, 0).training().epochs));
  start = Clock::now();
  done_before = -1;
}

void Search::Implementation::say_progress(size_t trial, int64_t fold, double within) {
  if (!options.on_progress) return;
  SearchProgress progress{static_cast<int64_t>(trial) + 1,
                          static_cast<int64_t>(plan.trials.size()),
                          fold + 1,
                          parts(),
                          std::min(1.0, (done + within) / units),
                          0,
                          std::nullopt};
  if (done_before < 0) done_before = progress.done;
  if (progress.done > done_before)
    progress.seconds_left = seconds_since(start) * (1 - progress.done) / (progress.done - done_before);
  for (const Trial& other : trials)
    if (other.state == TrialState::complete &&
        (!progress.best || (larger ? other.score > *progress.best : other.score < *progress.best)))
      progress.best = other.score;
  options.on_progress(progress);
}

TrialTask Search::Implementation::task_of(int64_t fold, const Recipe& with) const {
  TrialTask task{with, std::nullopt, static_cast<uint64_t>(with.training().seed), score, nullptr};
  if (table.folds > 0) task.fold = {fold, table.folds, seed};
  return task;
}

// What the journal does not know yet is trained by all ranks together. False where it was stopped.
bool Search::Implementation::train_open(const std::vector<size_t>& which, size_t rung) {
  std::vector<OpenTraining> trainings;
  for (const size_t trial : which) {
    if (trial == journal->trials().size()) journal->add_trial(ranges, plan.trials[trial]);
    const auto& notes = journal->trials()[trial].notes;
    const Recipe with = recipe_of(trial, plan.rungs[rung].epochs);
    for (int64_t fold = 0; fold < parts() && !notes.contains("failure"); ++fold)
      if (const std::string name = fold_note(with.training().epochs, static_cast<size_t>(fold));
          !notes.contains(name))
        trainings.push_back({trial, name, task_of(fold, with)});
  }
  return train_on_ranks(*options.ranks, trainings, {options.data, options.threads, options.stop, {}},
                        [&](const OpenTraining& training, const TrialScore& found) {
                          journal->note(training.trial, training.note, figures_of(found));
                          journal->save();
                        });
}

// One fold, or what the journal knows of it. False where it was stopped.
bool Search::Implementation::run_fold(size_t trial, int64_t fold, const Recipe& with) {
  Trial& record = trials[trial];
  const auto epochs = with.training().epochs;
  const std::string name = fold_note(epochs, static_cast<size_t>(fold));
  const auto& notes = journal->trials()[trial].notes;
  const auto place = static_cast<size_t>(fold);
  const bool warm = plan.chain > 1;
  if (notes.contains(name)) {
    const Json& note = notes.at(name);
    record.fold_scores.push_back(note.at("score").get<double>());
    record.fold_zeros.push_back(note.at("zeros").get<double>());
    record.seconds += note.at("seconds").get<double>();
    done += static_cast<double>(epochs);
    return true;
  }
  TrialTask task = task_of(fold, with);
  if (warm && trial % plan.chain > 0 && !weights[place].empty()) task.start = &weights[place];
  TrialContext context{options.data, options.threads, options.stop, {}};
  context.on_step = [&](const StepReport& step) { say_progress(trial, fold, step.epochs_done()); };
  std::optional<TrialScore> found = run_trial(task, context);
  if (!found) return false;
  record.fold_scores.push_back(found->score);
  record.fold_zeros.push_back(found->zeros);
  record.seconds += found->seconds;
  if (warm) {
    weights[place] = std::move(found->weights);
    if (!options.journal.empty()) save_fold_weights(weights_file(trial), weights);
  }
  done += static_cast<double>(epochs);
  journal->note(trial, name, figures_of(*found));
  journal->save();
  return true;
}

// All folds of a trial. False where it was stopped.
bool Search::Implementation::run_trial_at(size_t trial, int64_t epochs) {
  const Recipe with = recipe_of(trial, epochs);
  Trial& record = trials[trial];
  record.epochs = with.training().epochs;
  record.fold_scores.clear();
  record.fold_zeros.clear();
  try {
    for (int64_t fold = 0; fold < parts(); ++fold)
      if (!run_fold(trial, fold, with)) return false;
  } catch (const JobError& error) {
    done += static_cast<double>((parts() - static_cast<int64_t>(record.fold_scores.size())) * record.epochs);
    record.failure = error.what();
    // The next one along λ begins anew.
    for (Store& store : weights) store = {};
    journal->note(trial, "failure", record.failure);
    return true;
  }
  summarise(record);
  return true;
}

void Search::Implementation::finish(size_t trial, TrialState state) {
  Trial& record = trials[trial];
  record.state = state;
  if (journal->trials()[trial].state == TrialState::running) {
    if (state != TrialState::failed) {
      journal->note(trial, "zeros", record.zeros);
      journal->note(trial, "standard_error", record.standard_error);
    }
    journal->finish(trial, state, record.score);
    journal->save();
  }
  if (options.on_trial) options.on_trial(record);
}

// Trains these trials; of the last rung they are complete then. False where it was stopped.
bool Search::Implementation::run_rung(const std::vector<size_t>& which, size_t rung) {
  const bool last = rung + 1 == plan.rungs.size(), warm = plan.chain > 1;
  if (options.ranks && !train_open(which, rung)) return false;
  for (const size_t trial : which) {
    Trial& record = trials[trial];
    if (trial == journal->trials().size()) {
      journal->add_trial(ranges, plan.trials[trial]);
      journal->save();
    }
    const Journal::Trial& known = journal->trials()[trial];
    if (known.notes.contains("failure")) {
      record.failure = known.notes.at("failure").get<std::string>();
      record.epochs = recipe_of(trial, plan.rungs[rung].epochs).training().epochs;
      done += static_cast<double>(parts() * record.epochs);
      finish(trial, TrialState::failed);
      continue;
    }
    if (warm && known.state == TrialState::complete) {
      // Its weights matter where the next one begins with them.
      const Recipe with = recipe_of(trial, 0);
      record.epochs = with.training().epochs;
      for (int64_t fold = 0; fold < parts(); ++fold) {
        const Json& note = known.notes.at(fold_note(record.epochs, static_cast<size_t>(fold)));
        record.fold_scores.push_back(note.at("score").get<double>());
        record.fold_zeros.push_back(note.at("zeros").get<double>());
        record.seconds += note.at("seconds").get<double>();
      }
      summarise(record);
      done += static_cast<double>(parts() * record.epochs);
      const bool next_begins = trial + 1 < plan.trials.size() && (trial + 1) % plan.chain > 0 &&
                               (trial + 1 >= journal->trials().size() ||
                                journal->trials()[trial + 1].state == TrialState::running);
      if (next_begins)
        load_fold_weights(
            weights_file(trial), [](size_t) { return true; }, weights);
      finish(trial, TrialState::complete);
      continue;
    }
    if (warm && !known.notes.empty()) {
      // Folds of an earlier run that are over; the others still have the weights of the trial before.
      const int64_t epochs = recipe_of(trial, 0).training().epochs;
      load_fold_weights(
          weights_file(trial), [&](size_t fold) { return known.notes.contains(fold_note(epochs, fold)); },
          weights);
    }
    if (!run_trial_at(trial, plan.rungs[rung].epochs)) return false;
    if (!record.failure.empty()) {
      finish(trial, TrialState::failed);
      continue;
    }
    if (plan.rungs.size() > 1 && known.state == TrialState::running)
      journal->report(trial, record.epochs, record.score);
    if (last) finish(trial, TrialState::complete);
    std::error_code none;
    if (warm && trial > 0) std::filesystem::remove(weights_file(trial - 1), none);
  }
  return true;
}

void check_search(const Recipe& recipe) { Search::Implementation(recipe, {}); }

Search::Search(Recipe recipe, SearchOptions options)
    : self_(std::make_unique<Implementation>(std::move(recipe), std::move(options))) {
  self_->begin();
}
Search::Search(Search&&) noexcept = default;
Search::~Search() = default;

const std::vector<Range>& Search::ranges() const { return self_->ranges; }
const std::string& Search::score() const { return self_->score; }
int64_t Search::folds() const { return self_->table.folds; }
int64_t Search::planned() const { return static_cast<int64_t>(self_->plan.trials.size()); }

SearchResult Search::run() {
  Implementation& self = *self_;
  self.trials.clear();
  for (const auto& values : self.plan.trials) {
    self.trials.emplace_back();
    self.trials.back().number = static_cast<int64_t>(self.trials.size()) - 1;
    self.trials.back().values = values;
  }
  self.weights.assign(static_cast<size_t>(self.parts()), Store());
  self.measure_work();
  SearchResult result;
  std::vector<size_t> alive(self.trials.size());
  for (size_t i = 0; i < alive.size(); ++i) alive[i] = i;
  for (size_t rung = 0; rung < self.plan.rungs.size() && !result.stopped; ++rung) {
    try {
      result.stopped = !self.run_rung(alive, rung);
    } catch (const Json::exception&) {
      throw UserError(fmt::format("'{}' is damaged: a trial lacks its figures; start the search again",
                                  self.options.journal));
    } catch (...) {
      if (self.began) self.journal->remove_without_results();
      throw;
    }
    if (result.stopped || rung + 1 == self.plan.rungs.size()) break;
    std::vector<size_t> better;
    for (const size_t place : ranked(self.trials, self.larger))
      if (self.trials[place].failure.empty() && std::find(alive.begin(), alive.end(), place) != alive.end())
        better.push_back(place);
    const size_t keep = std::min(better.size(), self.plan.rungs[rung + 1].trials);
    for (size_t i = keep; i < better.size(); ++i) self.finish(better[i], TrialState::pruned);
    better.resize(keep);
    std::sort(better.begin(), better.end());
    alive = std::move(better);
  }
  result.ranges = self.ranges;
  result.score = self.score;
  result.larger_is_better = self.larger;
  result.folds = self.table.folds;
  result.seed = self.seed;
  result.seconds = seconds_since(self.start);
  result.trials = self.trials;
  if (!result.stopped) choose(result, self.table.choose);
  std::error_code none;
  if (!result.stopped && self.plan.chain > 1 && !self.options.journal.empty())
    for (size_t trial = 0; trial < self.trials.size(); ++trial)
      std::filesystem::remove(self.weights_file(trial), none);
  return result;
}

Recipe Search::winning_recipe(const SearchResult& result) const {
  Recipe recipe = self_->recipe_of(static_cast<size_t>(result.winner().number), 0);
  // What a callback watches is set apart for the winner too.
  if (!watched_figures(recipe).empty()) return recipe;
  if (data_kind_of(recipe.table("data")).spec.find("validation") != nullptr)
    recipe.set("data.validation", "0");
  return recipe;
}

std::optional<Store> Search::winning_start(const SearchResult& result) const {
  Implementation& self = *self_;
  const auto winner = static_cast<size_t>(result.winner().number);
  const size_t first = winner - winner % self.plan.chain;
  std::optional<Store> weights;
  const Clock::time_point began = Clock::now();
  for (size_t trial = first; trial < winner; ++trial) {
    SearchResult at = result;
    at.chosen = trial;
    TrialTask task{winning_recipe(at), std::nullopt, self.seed, self.score, weights ? &*weights : nullptr};
    TrialContext context{self.options.data, self.options.threads, self.options.stop, {}};
    const auto epochs = static_cast<double>(task.recipe.training().epochs);
    context.on_step = [&](const StepReport& step) {
      if (!self.options.on_progress) return;
      const double done = (static_cast<double>(trial - first) + step.epochs_done() / epochs) /
                          static_cast<double>(winner - first);
      self.options.on_progress({static_cast<int64_t>(trial - first) + 1, static_cast<int64_t>(winner - first),
                                0, 0, done, seconds_since(began) * (1 - done) / done, std::nullopt, true});
    };
    weights = run_training(task, context);
    if (!weights) return std::nullopt;
  }
  return weights;
}

}  // namespace lariat::search
