// Tables from the shell: what their parts hold, labels in words, and runs that go on with other tables.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "tests/support/files.hpp"
#include "tests/support/program.hpp"
#include "tests/support/testing.hpp"

namespace lariat::cli_table_splits_test {

using namespace lariat::testing;
using nlohmann::json;

namespace {

// One dense layer of that loss.
std::string recipe_text(const std::string& loss, const std::string& target, const std::string& more = "") {
  return fmt::format(
      "[data]\nkind = \"csv\"\ntarget = [{}]\n{}[loss]\nkind = \"{}\"\n[[layers]]\nkind = \"dense\"\n"
      "units = 0\n[optimizer]\nkind = \"adam\"\nlearning_rate = 0.1\n[training]\nepochs = 20\n",
      target, more, loss);
}

void check_refused(const std::vector<std::string>& words, const std::string& message) {
  const ProgramRun run = run_lariat(words);
  CHECK(run.status == 2);
  CHECK_MESSAGE(contains(run.err, message), run.err);
}

}  // namespace

TEST_CASE("cli: a split that leaves no rows to train on is refused before anything is read") {
  if (!have_lariat()) return;
  const TemporaryFolder folder;
  const std::string recipe = folder / "r.toml", data = folder / "d.csv";
  write_file(data, "x,y\n1,a\n2,b\n3,a\n4,b\n");
  write_file(recipe, recipe_text("softmax_cross_entropy", "\"y\""));
  for (const char* stream : {"false", "true"})
    check_refused({"train", recipe, "--data", data, "--set", "data.testing=60", "--set", "data.validation=40",
                   "--set", fmt::format("data.stream={}", stream)},
                  "lariat: [data] testing = 60 and validation = 40 leave no rows to train on; keep their sum "
                  "below 100");
  // Of as few as there are, chance may leave none.
  write_file(data, "x,y\n1,a\n");
  for (const char* stream : {"false", "true"})
    for (int testing = 10; testing <= 90; testing += 10) {
      const ProgramRun run = run_lariat({"train", recipe, "--data", data, "--quiet", "--set",
                                         fmt::format("data.testing={}", testing), "--set",
                                         fmt::format("data.stream={}", stream)});
      CHECK_FALSE(contains(run.err, "classes are learned by"));
      if (run.status == 2 && contains(run.err, "no rows"))
        CHECK(contains(run.err, "there are no rows to train on; keep fewer of them for other things"));
    }
}

TEST_CASE("cli: several labels are learned of words for true and false") {
  if (!have_lariat()) return;
  const TemporaryFolder folder;
  const std::string recipe = folder / "r.toml", data = folder / "d.csv", numbers = folder / "n.csv",
                    model = folder / "m";
  std::string words = "x,warm,bright\n", digits = words;
  for (int i = 0; i < 60; ++i) {
    const bool warm = i % 20 > 9, bright = i % 20 < 5;
    words += fmt::format("{},{},{}\n", i % 20, warm ? "Yes" : "No", bright ? "true" : "FALSE");
    digits += fmt::format("{},{},{}\n", i % 20, warm ? 1 : 0, bright ? 1 : 0);
  }
  write_file(data, words);
  write_file(numbers, digits);
  write_file(recipe, recipe_text("sigmoid_cross_entropy", "\"warm\", \"bright\""));
  const auto hash = [&](const std::string& table) {
    const ProgramRun run =
        run_lariat({"train", recipe, "--data", table, "--quiet", "--out", model, "--json", folder / "j"});
    CHECK_MESSAGE(run.status == 0, run.err);
    return json::parse(read_file(folder / "j"))["state_hash"];
  };
  CHECK(hash(numbers) == hash(data));
  CHECK(run_lariat({"evaluate", model, "--data", data}).status == 0);
  write_file(folder / "new.csv", "x\n19\n0\n");
  CHECK(contains(run_lariat({"predict", model, folder / "new.csv"}).out, "\n0,warm,"));
  write_file(data, words + "3,maybe,true\n");
  check_refused(
      {"train", recipe, "--data", data, "--set", "data.testing=0"},
      "d.csv: line 62: column 'warm' is 'maybe', which is no finite number; of several labels each is 1 "
      "or 0, or yes or no, or true or false");
}

TEST_CASE("cli: several metrics of one name are told apart in logs, figures, monitors and scores") {
  if (!have_lariat()) return;
  const TemporaryFolder folder;
  const std::string recipe = folder / "r.toml", data = folder / "d.csv", model = folder / "m";
  std::string rows = "x,y\n";
  for (int i = 0; i < 90; ++i) rows += fmt::format("{},{}\n", i, i % 10 == 0 ? "a" : i % 3 == 0 ? "b" : "c");
  write_file(data, rows);
  write_file(recipe,
             recipe_text("softmax_cross_entropy", "\"y\"", "validation = 20\n") +
                 "[metrics]\nkinds = [\"f1\", \"f1 average=micro\"]\n[[callbacks]]\nkind = \"csv_log\"\n"
                 "[[callbacks]]\nkind = \"early_stopping\"\nmonitor = \"validation_f1_micro\"\n");
  const ProgramRun run =
      run_lariat({"train", recipe, "--data", data, "--quiet", "--out", model, "--json", folder / "j"});
  REQUIRE_MESSAGE(run.status == 0, run.err);
  const std::string log = read_file(model + ".csv");
  CHECK(contains(log.substr(0, log.find('\n')), "validation_f1,validation_f1_micro"));
  CHECK(run_lariat({"evaluate", model, "--data", data, "--json", folder / "e"}).status == 0);
  const json metrics = json::parse(read_file(folder / "e"))["metrics"];
  CHECK(metrics.size() == 2);
  CHECK(metrics["f1"] != metrics["f1_micro"]);
  write_file(recipe, recipe_text("softmax_cross_entropy", "\"y\"", "") +
                         "[metrics]\nkinds = [\"f1\", \"f1 average=micro\"]\n");
  const auto search = [&](const std::string& score) {
    return run_lariat({"search", recipe, "--data", data, "--quiet", "--folds", "2", "--score", score,
                       "--over", "optimizer.learning_rate=0.01,0.1", "--json", folder / "s"});
  };
  const ProgramRun scored = search("f1_micro");
  CHECK_MESSAGE(scored.status == 0, scored.err);
  CHECK(json::parse(read_file(folder / "s"))["score"] == "f1_micro");
  CHECK(contains(search("f1_macro").err, "score = f1_macro: is no metric."));
  check_refused({"train", recipe, "--data", data, "--set", "metrics.kinds=accuracy, accuracy"},
                "the metric 'accuracy' is there twice; leave one out, or give it other options");
}

TEST_CASE("cli: a category that only other rows have is refused with what may be done") {
  if (!have_lariat()) return;
  const TemporaryFolder folder;
  const std::string recipe = folder / "r.toml";
  std::string rows = "colour,y\n";
  for (int i = 0; i < 20; ++i) rows += fmt::format("{},{}\n", i % 2 == 0 ? "red" : "green", i % 2);
  write_file(folder / "train.csv", rows);
  write_file(folder / "test.csv", "colour,y\nblue,0\n");
  write_file(recipe, recipe_text("mean_squared_error", "\"y\""));
  check_refused(
      {"train", recipe, "--data", folder.text()},
      "test.csv: line 2: column 'colour' is 'blue', which training never saw. Known: green, red. Leave "
      "it empty, which is none of these, train on rows that have it too, or leave the row out");
  write_file(folder / "test.csv", "colour,y\n,0\n");
  CHECK(run_lariat({"train", recipe, "--data", folder.text(), "--quiet"}).status == 0);
  write_file(folder / "test.csv", "colour,y\nred,7\n");
  const std::vector<std::string> classes{"train",       recipe,  "--data",
                                         folder.text(), "--set", "loss.kind=softmax_cross_entropy"};
  check_refused(classes, "test.csv: line 2: column 'y' is '7', which training never saw.");
  check_refused(classes, " Correct it, train on rows that have it too, or leave the row out");
}

TEST_CASE("cli: a layer that takes symbols is told of columns that are none") {
  if (!have_lariat()) return;
  const TemporaryFolder folder;
  const std::string recipe = folder / "r.toml", data = folder / "d.csv", model = folder / "m";
  std::string rows = "user,age,y\n";
  for (int i = 0; i < 40; ++i) rows += fmt::format("{},{},{}\n", i % 5, 20 + i, i % 5 * 0.5);
  write_file(data, rows);
  write_file(
      recipe,
      "[data]\nkind = \"csv\"\ntarget = [\"y\"]\n[loss]\nkind = \"mean_squared_error\"\n[[layers]]\nname = "
      "\"u\"\nkind = \"embedding\"\nsymbols = 5\nunits = 2\ninput = [\"user\"]\n[[layers]]\nkind = "
      "\"flatten\"\n[[layers]]\nkind = \"dense\"\nunits = 0\n[training]\nepochs = 2\n");
  const std::vector<std::string> train{"train", recipe, "--data", data, "--out", model};
  check_refused(
      train,
      "lariat: layer u: takes symbols, whole numbers from 0, but the column 'user' is standardised; "
      "set standardize = false in [data]");
  std::vector<std::string> categories = train;
  categories.insert(categories.end(), {"--set", "data.categories=user"});
  check_refused(
      categories,
      "lariat: layer u: takes symbols, whole numbers from 0, but 'user' is a column of categories, which "
      "are zeros and a one: a dense layer without bias has a vector for each of these, or number them and "
      "leave 'user' out of [data] categories");
  std::vector<std::string> plain = train;
  plain.insert(plain.end(), {"--set", "data.standardize=false"});
  CHECK(run_lariat(plain).status == 0);
  const auto refused = [&](const std::string& row, const std::string& message) {
    write_file(folder / "new.csv", "user,age\n" + row + "\n");
    check_refused({"predict", model, folder / "new.csv"}, "new.csv: line 2: " + message);
  };
  const std::string rest = " in 'user' for the layer 'u', which takes symbols, whole numbers from 0 to 4",
                    missing =
                        "; what is missing in a table is the mean of its column: give it a symbol of its own";
  refused("3.7,1", "has 3.7" + rest + missing);
  refused("7,1", "has 7" + rest);
  refused("-1,1", "has -1" + rest);
  write_file(data, rows + ",1,1\n,1,1\n3,1,1\n");
  plain.insert(plain.end(), {"--set", "data.testing=0"});
  check_refused(plain, rest + missing);
  plain.insert(plain.end(), {"--set", "data.stream=true"});
  check_refused(plain, rest + missing);
  write_file(data, rows + "3,1,1\n9,1,1\n");
  check_refused(plain, "has 9" + rest);
}

TEST_CASE("cli: a run goes on with the data that it began with") {
  if (!have_lariat()) return;
  const TemporaryFolder folder;
  const std::string recipe = folder / "r.toml", data = folder / "d.csv", model = folder / "m";
  const auto table = [&](const std::string& column, const std::string& first, const std::string& second,
                         int shift = 0) {
    std::string text = column + ",y\n";
    for (int i = 0; i < 40; ++i) text += fmt::format("{},{}\n", i, (i + shift) % 3 == 0 ? first : second);
    return text;
  };
  write_file(recipe, recipe_text("softmax_cross_entropy", "\"y\"", "testing = 0\n"));
  write_file(data, table("x", "a", "b"));
  REQUIRE(run_lariat({"train", recipe, "--data", data, "--quiet", "--out", model}).status == 0);
  const std::vector<std::string> resume{"train", recipe, "--data",   data,
                                        "--out", model,  "--resume", model + ".checkpoint"};
  CHECK_FALSE(contains(run_lariat(resume).err, "other data"));
  const std::string other = "m.checkpoint' was trained on other data: ";
  write_file(data, table("x", "c", "d"));
  check_refused(resume, other + "its classes were a, b, these are c, d; give the same data");
  write_file(data, table("width", "a", "b"));
  check_refused(resume, other + "its columns were x, these are width; give the same data");
  write_file(data, table("x", "a", "b", 1));
  check_refused(resume, other + "names are the same, but labels or values differ; give the same data");
  std::string values = table("x", "a", "b");
  values.replace(values.find("\n5,"), 3, "\n9,");
  write_file(data, values);
  check_refused(resume, other + "names are the same, but labels or values differ; give the same data");
}

}  // namespace lariat::cli_table_splits_test
