#include "frontends/search/search.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <set>

#include "frontends/search/choice.hpp"
#include "frontends/search/journal.hpp"
#include "graph/base/error.hpp"
#include "tests/support/files.hpp"
#include "tests/support/program.hpp"
#include "tests/support/testing.hpp"
#include "tests/support/toy_runs.hpp"

namespace lariat::search_test {

namespace fs = std::filesystem;
using namespace lariat::search;
using lariat::testing::contains;
using lariat::testing::image_recipe;
using lariat::testing::message_of;
using lariat::testing::read_file;
using lariat::testing::recipe_of;
using lariat::testing::TemporaryFolder;
using lariat::testing::write_images;

namespace {

using Strings = std::vector<std::string>;

Recipe searched(const Strings& over, const std::vector<std::pair<std::string, std::string>>& more = {}) {
  Recipe recipe = recipe_of(image_recipe);
  std::vector<std::pair<std::string, std::string>> settings{
      {"training.epochs", "3"}, {"search.folds", "3"}, {"search.over", join_lines(over)}};
  settings.insert(settings.end(), more.begin(), more.end());
  recipe.set(settings);
  return recipe;
}

const Strings lambdas{"layers.0.kernel_penalty=l1=1e-4..1e-1:log:4"};

void check_same(const SearchResult& a, const SearchResult& b) {
  REQUIRE(a.trials.size() == b.trials.size());
  for (size_t i = 0; i < a.trials.size(); ++i) {
    CHECK(a.trials[i].fold_scores == b.trials[i].fold_scores);
    CHECK(a.trials[i].fold_zeros == b.trials[i].fold_zeros);
    CHECK(a.trials[i].epochs == b.trials[i].epochs);
    CHECK(a.trials[i].state == b.trials[i].state);
  }
  CHECK(a.best == b.best);
  CHECK(a.chosen == b.chosen);
}

// Runs a search that is stopped during the n-th progress, then goes on with it until it is over.
SearchResult interrupted(const Recipe& recipe, SearchOptions options, int64_t every) {
  for (int64_t tries = 0;; ++tries) {
    REQUIRE(tries < 200);
    std::atomic<bool> stop = false;
    int64_t calls = 0;
    options.stop = &stop;
    options.on_progress = [&](const SearchProgress& at) {
      CHECK(at.done >= 0);
      CHECK(at.done <= 1);
      if (++calls == every) stop = true;
    };
    SearchResult result = Search(recipe, options).run();
    if (!result.stopped) return result;
    options.resume = true;
  }
}

}  // namespace

TEST_CASE("search: the sparsest within a standard error is chosen where that is asked for") {
  SearchResult result;
  const auto add = [&](double score, double error, double zeros, TrialState state = TrialState::complete) {
    result.trials.emplace_back();
    result.trials.back().score = score;
    result.trials.back().standard_error = error;
    result.trials.back().zeros = zeros;
    result.trials.back().state = state;
  };
  add(0.90, 0.01, 0.2);
  add(0.95, 0.02, 0.5);
  add(0.94, 0.01, 0.7);
  add(0.92, 0.01, 0.9);
  add(0.95, 0.01, 0.4);
  add(0.99, 0.01, 0.99, TrialState::pruned);
  SearchResult sparse = result;
  choose(result, SearchChoice::best);
  CHECK(result.best == 1);
  CHECK(result.chosen == 1);
  choose(sparse, SearchChoice::sparsest);
  CHECK(sparse.best == 1);
  CHECK(sparse.chosen == 2);
  Trial trial;
  trial.fold_scores = {1, 2, 3, 6};
  trial.fold_zeros = {0, 0, 1, 1};
  summarise(trial);
  CHECK(trial.score == 3);
  CHECK(trial.zeros == 0.5);
  // s² = (4 + 1 + 0 + 9)/3, over 4 folds.
  CHECK(trial.standard_error == doctest::Approx(std::sqrt(14.0 / 3 / 4)));
  SearchResult none;
  CHECK(message_of<JobError>([&] { choose(none, SearchChoice::best); }) ==
        "every trial failed; the last: there are none");
}

TEST_CASE("search: a grid is cross-validated without the test data, on any number of threads") {
  const TemporaryFolder folder;
  const std::string data = write_images(folder);
  for (const char* name : {"t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"}) fs::remove(data + "/" + name);
  const Recipe recipe = searched(lambdas);
  std::vector<int64_t> told;
  SearchOptions options{.data = data, .seed = 5, .threads = 1};
  options.on_trial = [&](const Trial& trial) { told.push_back(trial.number); };
  Search search(recipe, options);
  CHECK(search.planned() == 4);
  CHECK(search.score() == "accuracy");
  const SearchResult result = search.run();
  CHECK(told == std::vector<int64_t>{0, 1, 2, 3});
  REQUIRE(result.trials.size() == 4);
  CHECK(result.winner().score > 0.5);
  // Where λ is large enough nothing is left.
  CHECK(result.trials[3].zeros > result.trials[0].zeros);
  for (const Trial& trial : result.trials) {
    CHECK(trial.fold_scores.size() == 3);
    CHECK(trial.score <= result.winner().score);
  }
  check_same(result, Search(recipe, {.data = data, .seed = 5, .threads = 2}).run());
  const SearchResult other = Search(recipe, {.data = data, .seed = 6, .threads = 2}).run();
  CHECK(other.trials[0].fold_scores != result.trials[0].fold_scores);

  // A trial is what its recipe, its fold and its seed make of it.
  const Recipe winning = search.winning_recipe(result);
  CHECK(winning.get("layers.0.kernel_penalty") == "l1=" + result.winner().values[0]);
  CHECK_FALSE(search.winning_start(result).has_value());
  const auto alone = run_trial({winning, data::FoldChoice{1, 3, 5}, 5, "accuracy"}, {.data = data});
  REQUIRE(alone.has_value());
  CHECK(alone->score == result.winner().fold_scores[1]);
  CHECK(alone->zeros == result.winner().fold_zeros[1]);
}

TEST_CASE("search: a stopped search goes on to the same bits") {
  const TemporaryFolder folder;
  const std::string data = write_images(folder);
  for (const auto& [method, warm] : {std::pair{"grid", "false"}, {"grid", "true"}, {"halving", "false"}}) {
    CAPTURE(method);
    CAPTURE(warm);
    const Recipe recipe = searched(lambdas, {{"search.method", method}, {"search.warm_start", warm}});
    const SearchResult whole = Search(recipe, {.data = data, .seed = 5}).run();
    const std::string journal = folder / fmt::format("{}-{}.journal", method, warm);
    check_same(whole, interrupted(recipe, {.data = data, .seed = 5, .journal = journal}, 40));
    // What trials began with is gone.
    for (const auto& entry : fs::directory_iterator(folder.path()))
      CHECK_FALSE(contains(entry.path().string(), ".weights-"));
    if (std::string_view(warm) == "true") {
      CHECK(whole.trials[1].fold_scores.size() == 3);
      SearchResult second = whole;
      second.chosen = 1;
      CHECK(Search(recipe, {.data = data, .seed = 5}).winning_start(second).has_value());
    }
    // A search that is over has nothing left to do.
    std::atomic<bool> never = true;
    check_same(
        whole,
        Search(recipe, {.data = data, .seed = 5, .journal = journal, .resume = true, .stop = &never}).run());
  }
}

TEST_CASE("search: halving drops the worse ones and trains the better ones longer") {
  const TemporaryFolder folder;
  const std::string data = write_images(folder);
  Recipe recipe = searched({"optimizer.learning_rate=1e-6..0.1:log"}, {{"search.method", "halving"},
                                                                       {"search.trials", "9"},
                                                                       {"training.epochs", "9"},
                                                                       {"search.folds", "2"}});
  const SearchResult result = Search(recipe, {.data = data, .seed = 2}).run();
  int64_t complete = 0, pruned = 0;
  for (const Trial& trial : result.trials) {
    complete += trial.state == TrialState::complete ? 1 : 0;
    pruned += trial.state == TrialState::pruned ? 1 : 0;
    if (trial.state == TrialState::pruned) CHECK(trial.epochs < 9);
  }
  CHECK(complete == 1);
  CHECK(pruned == 8);
  CHECK(result.winner().epochs == 9);
  CHECK(std::stod(result.winner().values[0]) > 1e-4);
}

TEST_CASE("search: rows of a table are folded with their categories, and numbers are scored by loss") {
  const TemporaryFolder folder;
  std::string text = "size,town,price\n";
  for (int i = 0; i < 60; ++i)
    text += fmt::format("{},{},{}\n", i, i == 7 ? "rare" : i % 2 == 0 ? "a" : "b", 3 * i + (i % 2));
  lariat::testing::write_file(folder / "houses.csv", text);
  const Recipe recipe = recipe_of(R"([data]
kind = "csv"
target = ["price"]
[loss]
kind = "mean_squared_error"
[[layers]]
kind = "dense"
units = 0
[training]
epochs = 5
[search]
over = ["optimizer.learning_rate=1e-5,0.1", "layers.0.kernel_penalty=l1=0,1e-3"]
folds = 4
)");
  const SearchResult result = Search(recipe, {.data = folder / "houses.csv"}).run();
  CHECK(result.score == "loss");
  CHECK_FALSE(result.larger_is_better);
  CHECK(result.trials.size() == 4);
  CHECK(result.winner().values[0] == "0.1");
  Recipe scored = recipe;
  scored.set("search.score", "r2");
  CHECK(Search(scored, {.data = folder / "houses.csv"}).run().winner().values[0] == "0.1");
}

TEST_CASE("search: each fold standardises numbers by the rows that it trains on") {
  const TemporaryFolder folder;
  std::string text = "size,price,counts\n";
  for (int i = 0; i < 60; ++i) text += fmt::format("{},{},{}\n", i, 300000 + 2000 * i, 1 + i % 3);
  lariat::testing::write_file(folder / "houses.csv", text);
  const Recipe recipe = recipe_of(R"([data]
kind = "csv"
target = ["price"]
weight = "counts"
standardize_targets = true
[loss]
kind = "mean_squared_error"
[[layers]]
kind = "dense"
units = 0
)");
  std::vector<std::vector<data::TargetScale>> found;
  for (const int index : {0, 1}) {
    TrainingRun run(recipe, {.data = folder / "houses.csv", .fold = data::FoldChoice{index, 3}});
    found.push_back(run.model().shape().target_scales);
    CHECK(found.back() == data::target_scales_of(*run.examples(data::Split::train)));
  }
  CHECK(found[0] != found[1]);
}

TEST_CASE("search: a trial is not scored on the fold that its callbacks watch") {
  const TemporaryFolder folder;
  std::string text = "size,price\n";
  for (int i = 0; i < 60; ++i) text += fmt::format("{},{}\n", i, 3 + i % 7);
  lariat::testing::write_file(folder / "houses.csv", text);
  const std::string table =
      "[data]\nkind = \"csv\"\ntarget = [\"price\"]\ntesting = 0\n[loss]\nkind = "
      "\"mean_squared_error\"\n[[layers]]\nkind = \"dense\"\nunits = 0\n";
  const std::string pictures = write_images(folder), voices = lariat::testing::write_digits(folder, 12);
  for (const auto& [recipe, data] : {std::pair(recipe_of(table.c_str()), folder / "houses.csv"),
                                     std::pair(recipe_of(image_recipe), pictures),
                                     std::pair(recipe_of(lariat::testing::speech_recipe), voices)}) {
    const auto sources = [&](const std::optional<data::FoldChoice>& fold, std::set<std::string>& found) {
      TrainingRun run(recipe, {.data = data, .fold = fold, .test = fold.has_value()});
      size_t count = 0;
      for (const data::Split split : {data::Split::train, data::Split::validation, data::Split::test})
        if (const data::Dataset* part = run.examples(split)) {
          count += part->examples.size();
          for (const data::Example& example : part->examples) found.insert(example.source);
        }
      return count;
    };
    std::set<std::string> all, parts;
    const size_t count = sources(std::nullopt, all);
    // None is in two of them.
    CHECK(sources(data::FoldChoice{0, 3, 7, 1}, parts) == count);
    CHECK(parts == all);
  }
  // The fold behind the one that is scored decides when the training ends, and its figures are no score.
  const std::string stops =
      std::string(image_recipe) + "[[callbacks]]\nkind = \"early_stopping\"\npatience = 1\n";
  Recipe watching = recipe_of(stops.c_str());
  watching.set({{"training.epochs", "4"}});
  for (const int64_t fold : {0, 2}) {
    const auto score = run_trial({watching, data::FoldChoice{fold, 3, 5}, 5, "loss"}, {.data = pictures});
    TrainingRun run(watching,
                    {.data = pictures, .seed = 5, .fold = data::FoldChoice{fold, 3, 5, (fold + 1) % 3}});
    const RunResult result = run.run();
    CHECK(score->score == result.test->loss);
    CHECK(score->score != result.validation->loss);
  }
  CHECK(watches_own_fold(watching, 3));
  CHECK_FALSE(watches_own_fold(watching, 2));
  CHECK_FALSE(watches_own_fold(recipe_of(image_recipe), 3));
}

TEST_CASE("search: recordings are folded by their labels") {
  const TemporaryFolder folder;
  const std::string data = lariat::testing::write_digits(folder, 6);
  Recipe recipe = recipe_of(lariat::testing::speech_recipe);
  recipe.set({{"training.epochs", "1"}, {"search.folds", "2"}, {"search.over", "training.clip_norm=1,2"}});
  Corpus whole(recipe, data);
  std::set<std::string> held_out;
  for (const int64_t fold : {0, 1}) {
    Corpus corpus(recipe, data, data::FoldChoice{fold, 2, 1});
    CHECK(corpus.list(data::Split::test).entries.size() == whole.list(data::Split::test).entries.size());
    for (const auto& entry : corpus.list(data::Split::validation).entries)
      CHECK(held_out.insert(entry.file).second);
  }
  CHECK(held_out.size() == whole.list(data::Split::train).entries.size());
  CHECK(message_of<UserError>([&] {
          Search(searched({"training.epochs=1,2"}, {{"search.folds", "31"}}), {.data = write_images(folder)})
              .run();
        }) == "folds = 31: the class '0' has only 30 examples; take at most 30 folds, or give it more");
}

TEST_CASE("search: what fails is noted, and what cannot be is refused before any training") {
  const TemporaryFolder folder;
  const std::string data = write_images(folder);
  const auto message = [&](const Recipe& recipe, SearchOptions options = {}) {
    options.data = data;
    return message_of<UserError>([&] { Search search(recipe, options); });
  };
  CHECK(contains(message(recipe_of(image_recipe)), "there is nothing to search over"));
  CHECK(contains(message(searched({"data.validation=1,2"})), "says what the data are"));
  CHECK(contains(message(searched({"training.epochs=1,2"}, {{"search.method", "halving"}})),
                 "halving itself says for how many epochs"));
  CHECK(
      contains(message(searched({"training.epochs=1,2", "training.epochs=3,4"})), "is searched over twice"));
  CHECK(contains(message(searched(lambdas, {{"search.folds", "1"}})), "folds = 1: must be 0"));
  CHECK(contains(message(searched(lambdas, {{"search.folds", "0"}, {"search.choose", "sparsest"}})),
                 "choose = sparsest: needs folds"));
  CHECK(message(searched(lambdas, {{"search.score", "acuracy"}})) ==
        "score = acuracy: is no metric. Did you mean 'accuracy'?");
  CHECK(message(searched(lambdas, {{"search.score", "roc_auc"}})) ==
        "score = roc_auc: is no metric. It is called 'auc' here.");
  CHECK(contains(message(searched(lambdas), {.resume = true}), "there is nothing to go on from"));
  CHECK(contains(message_of<UserError>([&] {
                   Search(searched(lambdas, {{"search.folds", "0"}}), {.data = data}).run();
                 }),
                 "folds = 0: scores on the recipe's validation data, but it sets none apart"));
  const std::string journal = folder / "j.journal";
  lariat::testing::write_file(journal, "no journal\n");
  CHECK(message(searched(lambdas), {.journal = journal}) ==
        journal + ":1: is no line of a search's journal; name another file, or remove it");
  fs::remove(journal);
  Search(searched(lambdas), {.data = data, .journal = journal}).run();
  CHECK(message(searched(lambdas), {.journal = journal}) ==
        fmt::format("'{}' holds a search of 4 trials; go on with it by --resume, or name another --journal",
                    journal));
  CHECK(contains(message(searched(lambdas, {{"search.folds", "4"}}), {.journal = journal, .resume = true}),
                 "folds is \"3\" there and \"4\" here"));
  CHECK(contains(message(searched(lambdas, {{"training.epochs", "4"}}), {.journal = journal, .resume = true}),
                 "training.epochs is 3 there and 4 here"));

  // A step of 1e30 leads nowhere.
  const SearchResult result =
      Search(searched({"optimizer.kind=sgd", "optimizer.learning_rate=0.1,1000000"}), {.data = data}).run();
  CHECK(result.trials[0].state == TrialState::complete);
  CHECK((result.trials[1].state == TrialState::failed || result.trials[1].score < result.trials[0].score));
}

TEST_CASE("search: Optuna reads the journal") {
  const TemporaryFolder folder;
  const std::string data = write_images(folder), journal = folder / "search.journal";
  const Recipe recipe = searched({"layers.0.kernel_penalty=l1=1e-4..1e-1:log:3",
                                  "training.batch_size=8..16:2", "layers.0.activation=relu,tanh"},
                                 {{"training.epochs", "1"}, {"search.folds", "2"}});
  const SearchResult result = Search(recipe, {.data = data, .journal = journal}).run();
  const Journal read = Journal::load(journal, "lariat search");
  REQUIRE(read.trials().size() == 12);
  CHECK(read.trials()[5].score == result.trials[5].score);
  CHECK(read.trials()[5].values.at("layers.0.activation") == result.trials[5].values[2]);

  const auto python = [](const std::string& code, const std::string& file) {
    return lariat::testing::run_lariat({"-W", "ignore", "-c", code, file}, {.program = "/usr/bin/python3"});
  };
  if (python("import optuna", "").status != 0)
    return lariat::testing::skip("python3-optuna is missing; ./run test installs it");
  const lariat::testing::ProgramRun run = python(
      "import sys, optuna\n"
      "storage = optuna.storages.JournalStorage(optuna.storages.JournalFileStorage(sys.argv[1]))\n"
      "study = optuna.load_study(study_name='lariat search', storage=storage)\n"
      "print('%.17g' % study.best_value, study.best_params['layers.0.kernel_penalty.l1'],\n"
      "      study.best_params['training.batch_size'], study.best_params['layers.0.activation'],\n"
      "      len(study.trials), sum(t.state.name == 'COMPLETE' for t in study.trials),\n"
      "      '%.17g' % study.trials[3].user_attrs['zeros'], study.direction.name)\n",
      journal);
  CHECK(run.status == 0);
  const Trial& best = result.trials[*result.best];
  // Of equal scores Optuna takes the first.
  size_t first = 0;
  while (result.trials[first].score != best.score) ++first;
  const Strings& values = result.trials[first].values;
  CHECK(run.out == fmt::format("{:.17g} {} {} {} 12 12 {:.17g} MAXIMIZE\n", best.score, values[0], values[1],
                               values[2], result.trials[3].zeros));
}

}  // namespace lariat::search_test
