// Runs that begin with a model: its weights keep their meaning, whatever the means of other data are.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "frontends/recipe/start_scales.hpp"
#include "graph/base/error.hpp"
#include "graph/io/store.hpp"
#include "tests/support/files.hpp"
#include "tests/support/program.hpp"
#include "tests/support/testing.hpp"
#include "tests/support/tones.hpp"

namespace lariat::cli_start_test {

using namespace lariat::testing;
using nlohmann::json;

namespace {

const std::string recipe_text =
    "[data]\nkind = \"csv\"\ntarget = [\"price\"]\nstandardize_targets = true\ntesting = 20\n"
    "[loss]\nkind = \"mean_squared_error\"\n[[layers]]\nkind = \"dense\"\nunits = 0\n[optimizer]\nkind = "
    "\"adam\"\nlearning_rate = 0.05\n[training]\nepochs = 60\n";

// Prices by one rule, of houses from `smallest` on; the larger ones all lie by the sea.
std::string houses_text(int smallest, int widest) {
  std::string text = "area,rooms,place,price\n";
  for (int i = 0; i < 300; ++i) {
    const int area = smallest + i * 37 % widest, rooms = 1 + i * 11 % 6;
    const bool sea = smallest > 100 || i % 3 == 0;
    text += fmt::format("{},{},{},{}\n", area, rooms, sea ? "sea" : "hill",
                        150000 + 2400 * area + 9000 * rooms + (sea ? 80000 : 0));
  }
  return text;
}

struct Runs {
  TemporaryFolder folder;
  std::string recipe = folder / "r.toml", model = folder / "m";

  Runs() {
    write_file(recipe, recipe_text);
    write_file(folder / "old.csv", houses_text(40, 120));
    write_file(folder / "new.csv", houses_text(200, 60));
  }
  ProgramRun train(const std::string& data, const std::string& out,
                   const std::vector<std::string>& more) const {
    std::vector<std::string> words{"train", recipe,        "--data", folder / data,    "--out",
                                   out,     "--no-report", "--json", folder / "t.json"};
    words.insert(words.end(), more.begin(), more.end());
    return run_lariat(words);
  }
  json figures() const { return json::parse(read_file(folder / "t.json")); }
};

}  // namespace

TEST_CASE("cli: a model that is begun with keeps the scales that its weights are of") {
  if (!have_lariat()) return;
  const Runs runs;
  REQUIRE(runs.train("old.csv", runs.model, {}).status == 0);
  CHECK(runs.figures()["test"]["r2"] > 0.99);
  // Nothing is learned, and nothing forgotten.
  const std::vector<std::string> still{
      "--start", runs.model, "--set", "optimizer.learning_rate=1e-12", "--set", "training.epochs=4"};
  const ProgramRun kept = runs.train("new.csv", runs.folder / "kept", still);
  REQUIRE_MESSAGE(kept.status == 0, kept.err);
  CHECK(runs.figures()["test"]["r2"] > 0.98);
  for (const char* what : {"columns", "targets"})
    CHECK(
        contains(kept.err, fmt::format("means and deviations of {} are those of '{}', which its weights are "
                                       "of, not of these data\n",
                                       what, runs.model)));
  const std::string before = run_lariat({"predict", runs.model, runs.folder / "new.csv"}).out;
  CHECK(run_lariat({"predict", runs.folder / "kept", runs.folder / "new.csv"}).out == before);
  // On its own data there is nothing to say.
  const ProgramRun same = runs.train("old.csv", runs.folder / "same", still);
  CHECK(same.status == 0);
  CHECK_FALSE(contains(same.err, "means and deviations"));

  // A run that goes on has them too.
  const std::vector<std::string> learning{"--start",
                                          runs.model,
                                          "--set",
                                          "training.epochs=4",
                                          "--set",
                                          "training.checkpoint_keep=3",
                                          "--checkpoint-epochs",
                                          "1"};
  REQUIRE(runs.train("new.csv", runs.folder / "l", learning).status == 0);
  const json whole = runs.figures();
  const ProgramRun resumed =
      runs.train("new.csv", runs.folder / "again",
                 {"--resume", runs.folder / "l.checkpoint-2", "--set", "training.epochs=4"});
  REQUIRE_MESSAGE(resumed.status == 0, resumed.err);
  CHECK(runs.figures()["state_hash"] == whole["state_hash"]);
  CHECK(runs.figures()["test"] == whole["test"]);
}

TEST_CASE(
    "cli: a model of standardised targets is begun with where they are, and others where they are not") {
  if (!have_lariat()) return;
  const Runs runs;
  const std::vector<std::string> plain{"--set", "data.standardize_targets=false", "--set",
                                       "training.epochs=1"};
  REQUIRE(runs.train("old.csv", runs.model, {"--set", "training.epochs=1"}).status == 0);
  REQUIRE(runs.train("old.csv", runs.folder / "plain", plain).status == 0);
  const auto refused = [&](std::vector<std::string> more, const std::string& line) {
    const ProgramRun run = runs.train("new.csv", runs.folder / "x", more);
    CHECK(run.status == 2);
    CHECK(run.err == "lariat: " + line + "\n");
  };
  refused(
      {"--start", runs.model, "--set", "data.standardize_targets=false"},
      "'" + runs.model +
          "' learned its targets standardised, and its weights mean these; set standardize_targets = true "
          "in [data]");
  refused(
      {"--start", runs.folder / "plain"},
      "'" + (runs.folder / "plain") +
          "' learned its targets as they are, and its weights mean these; set standardize_targets = false "
          "in [data]");
}

TEST_CASE("cli: a model of recordings keeps the statistics of its features") {
  if (!have_lariat()) return;
  const Trained& made = trained();
  const TemporaryFolder folder;
  const auto train = [&](const std::string& out, const std::vector<std::string>& more) {
    std::vector<std::string> words{
        "train", made.recipe,         "--data",      made.tones, "--set",     "features.cmvn=global",
        "--set", "training.epochs=1", "--no-report", "--out",    folder / out};
    words.insert(words.end(), more.begin(), more.end());
    const ProgramRun run = run_lariat(words);
    REQUIRE_MESSAGE(run.status == 0, run.err);
    return run.err;
  };
  const auto means = [&](const std::string& file) { return Store::load(folder / file).get("cmvn/mean"); };
  train("ann", {"--held-out", "bob"});
  train("bob", {"--held-out", "ann"});
  const std::string told = train("both", {"--held-out", "ann", "--start", folder / "ann"});
  CHECK(contains(told, "means and deviations of features are those of '" + (folder / "ann") + "'"));
  CHECK(largest_difference(means("ann"), means("bob")) > 0);
  CHECK(largest_difference(means("ann"), means("both")) == 0);

  const std::string notes = StartScales::of(Store::load(folder / "ann"), "ann").to_json();
  CHECK(StartScales::from_json(notes).to_json() == notes);
  CHECK(message_of<UserError>([] { StartScales::from_json("{}"); }) ==
        "the scales that the run began with are damaged; start the training again");
}

}  // namespace lariat::cli_start_test
