// `lariat search` and `lariat compare`, and what `evaluate`, `predict` and `inspect` say of linear models.
#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "graph/io/store.hpp"
#include "tests/support/files.hpp"
#include "tests/support/program.hpp"
#include "tests/support/testing.hpp"
#include "tests/support/toy_runs.hpp"

namespace lariat::cli_search_test {

namespace fs = std::filesystem;
using namespace lariat::testing;
using Json = nlohmann::json;
using Words = std::vector<std::string>;

namespace {

struct Images {
  TemporaryFolder folder;
  std::string data = write_images(folder), recipe = folder / "images.toml";
  Images() { write_file(recipe, image_recipe); }
  Words search(const Words& more) const {
    Words words{"search", recipe, "--data", data, "--set", "training.epochs=3", "--seed", "1"};
    words.insert(words.end(), more.begin(), more.end());
    return words;
  }
};

const std::string lambdas = "layers.0.kernel_penalty=l1=1e-4..1e-1:log:3";

void refused(const Words& words, const std::string& message) {
  const ProgramRun run = run_lariat(words);
  CHECK(run.status == 2);
  CHECK(run.err.ends_with("lariat: " + message + "\n"));
}

}  // namespace

TEST_CASE("cli: search tries, tells, and trains the winner on all training examples") {
  if (!have_lariat()) return;
  const Images images;
  const auto in = [&](const char* name) { return images.folder / name; };
  const ProgramRun run = run_lariat(
      images.search({"--over", lambdas, "--over", "optimizer.learning_rate=0.001,0.02", "--folds", "3",
                     "--out", in("m.safetensors"), "--json", in("s.json"), "--report", in("s.html")}));
  INFO(run.err);
  REQUIRE(run.status == 0);
  CHECK(contains(run.err,
                 "trial 6/6  layers.0.kernel_penalty.l1 0.1  optimizer.learning_rate 0.02: accuracy "));
  CHECK(contains(run.out, "trial  layers.0.kernel_penalty.l1  optimizer.learning_rate  accuracy"));
  CHECK(contains(run.out, "The winner, trained on all training examples:"));
  const Json json = Json::parse(read_file(in("s.json")));
  CHECK(json["trials"].size() == 6);
  CHECK(json["score"] == "accuracy");
  CHECK(json["best"]["folds"].size() == 3);
  CHECK(json["winner"]["train_examples"] == 120);
  CHECK(json["winner"]["recipe"]["optimizer"]["learning_rate"] ==
        json["chosen"]["values"]["optimizer.learning_rate"]);
  CHECK(json["winner"]["test"]["examples"] == 40);
  const std::string page = read_file(in("s.html"));
  for (const char* part : {"accuracy against layers.0.kernel_penalty.l1", "Exact zeros against",
                           "class=\"error\"", "<h2>Trials</h2>", "optimizer.learning_rate 0.001"})
    CHECK_MESSAGE(contains(page, part), part);
  CHECK_FALSE(contains(page, "nan"));
  CHECK(fs::exists(in("m.safetensors.journal")));
  // Again, on another number of threads.
  const ProgramRun again =
      run_lariat(images.search({"--over", lambdas, "--over", "optimizer.learning_rate=0.001,0.02", "--folds",
                                "3", "--json", "-", "--threads", "1", "--quiet"}));
  const Json same = Json::parse(again.out);
  CHECK(same["chosen"]["folds"] == json["chosen"]["folds"]);
  CHECK(same["winner"]["state_hash"] == json["winner"]["state_hash"]);
  CHECK(contains(again.err, "neither --out nor --journal is given: trials will not be kept"));
  const ProgramRun evaluated =
      run_lariat({"evaluate", in("m.safetensors"), "--data", images.data, "--json", "-"});
  CHECK(Json::parse(evaluated.out)["accuracy"] == json["winner"]["accuracy"]);
}

TEST_CASE("cli: of a search the winner alone writes the logs of its callbacks") {
  if (!have_lariat()) return;
  const Images images;
  std::string logs;
  for (const char* kind : {"csv_log", "json_lines", "best_checkpoint", "tensorboard"})
    logs += fmt::format("\n[[callbacks]]\nkind = \"{}\"\n", kind);
  write_file(images.recipe, image_recipe + logs);
  const std::string model = images.folder / "m.safetensors";
  const Words words = images.search({"--over", lambdas, "--folds", "2", "--quiet"});
  Words saved = words;
  saved.insert(saved.end(), {"--out", model});
  const ProgramRun run = run_lariat(saved);
  INFO(run.err);
  CHECK(run.status == 0);
  const std::string table = read_file(model + ".csv");
  CHECK(std::count(table.begin(), table.end(), '\n') == 1 + 3);
  for (const char* ending : {".jsonl", ".best", ".tensorboard"}) CHECK(fs::exists(model + ending));
  CHECK_FALSE(contains(run.err, "writes nothing"));
  // Without a model there is nothing that they would be named after.
  const ProgramRun unsaved = run_lariat(words);
  INFO(unsaved.err);
  CHECK(unsaved.status == 0);
  CHECK(contains(unsaved.err, "lariat: [callbacks.0] csv_log: writes nothing, for no --out is given\n"));
}

TEST_CASE("cli: no log of a callback replaces what a search reads or writes besides") {
  if (!have_lariat()) return;
  const Images images;
  const std::string model = images.folder / "m", log = "[[callbacks]]\nkind = \"csv_log\"\nfile = \"";
  const std::string before = read_file(images.data + "/train-labels-idx1-ubyte");
  for (const auto& [file, message] :
       {std::pair(images.data + "/train-labels-idx1-ubyte", "is one of the data, and would be overwritten"),
        std::pair(images.recipe, "is an input, and would be overwritten"),
        std::pair(model, "is asked for twice"), std::pair(model + ".journal", "is asked for twice"),
        std::pair(images.folder / "none/x.csv", "No such file or directory")}) {
    write_file(images.recipe, image_recipe + ("\n" + log) + file + "\"\n");
    const std::string recipe = read_file(images.recipe);
    const ProgramRun run =
        run_lariat(images.search({"--over", lambdas, "--folds", "2", "--quiet", "--out", model}));
    CHECK(run.status == 2);
    CHECK_MESSAGE(contains(run.err, message), run.err);
    CHECK_FALSE(contains(run.err, "trial"));
    CHECK(read_file(images.recipe) == recipe);
    CHECK_FALSE(fs::exists(model + ".journal"));
  }
  CHECK(read_file(images.data + "/train-labels-idx1-ubyte") == before);
  // Two of a kind that name no file would share one, and a folder may be none.
  write_file(images.recipe, std::string(image_recipe) +
                                "\n[[callbacks]]\nkind = \"csv_log\"\n[[callbacks]]\nkind = \"csv_log\"\n");
  for (const char* command : {"train", "search"}) {
    Words words = images.search({"--out", model});
    words[0] = command;
    if (command == std::string("search")) words.insert(words.end(), {"--over", lambdas});
    CHECK(contains(run_lariat(words).err, "'" + model + ".csv' is asked for twice"));
  }
  write_file(images.recipe, std::string(image_recipe) +
                                "\n[[callbacks]]\nkind = \"tensorboard\"\nfolder = \"" + images.recipe +
                                "\"\n");
  CHECK(contains(run_lariat({"recipe", "check", images.recipe}).err, "is a file; name a folder"));
}

TEST_CASE("cli: a search goes on with the examples that it began with") {
  if (!have_lariat()) return;
  const Images images;
  const std::string model = images.folder / "m";
  Words words = images.search({"--over", lambdas, "--folds", "2", "--quiet", "--out", model});
  REQUIRE(run_lariat(words).status == 0);
  words.push_back("--resume");
  CHECK(run_lariat(words).status == 0);
  const std::string labels = images.data + "/train-labels-idx1-ubyte";
  std::string changed = read_file(labels);
  std::swap(changed[8], changed[9]);
  changed[10] = static_cast<char>((changed[10] + 1) % 4);
  write_file(labels, changed);
  const ProgramRun other = run_lariat(words);
  CHECK(other.status == 2);
  CHECK(contains(other.err, "its trials were trained on other examples"));
}

TEST_CASE("cli: a search that is interrupted says how to go on, and does") {
  if (!have_lariat()) return;
  const Images images;
  const std::string model = images.folder / "m";
  const Words words =
      images.search({"--over", "training.epochs=20,21,22,23,24,25", "--folds", "4", "--out", model});
  const ProgramRun run = run_lariat(words, {.interrupt_after = "trial 2/6"});
  if (run.status == 0) return skip("the search was over before it could be interrupted");
  CHECK(run.status == 1);
  CHECK(contains(run.err, " of 6 trials; to go on: lariat search "));
  CHECK(run.err.ends_with(" --resume\n"));
  CHECK_FALSE(fs::exists(model));
  Words resumed = words;
  resumed.push_back("--resume");
  const ProgramRun rest = run_lariat(resumed);
  INFO(rest.err);
  CHECK(rest.status == 0);
  CHECK(fs::exists(model));
}

TEST_CASE("cli: search refuses bad input with one line") {
  if (!have_lariat()) return;
  const Images images;
  refused(images.search({"--over", "optimizer.learning_rat=1,2"}),
          "optimizer.learning_rat=1,2: [optimizer] has no key 'learning_rat'. Did you mean 'learning_rate'?");
  refused(
      images.search({"--over", "optimizer.learning_rate=1..0"}),
      "optimizer.learning_rate=1..0: the range is empty: 1 is not below 0; write LOW..HIGH, or one value");
  refused(images.search({"--over", lambdas, "--folds", "31"}),
          "folds = 31: the class '0' has only 30 examples; take at most 30 folds, or give it more");
  refused(images.search({}),
          "there is nothing to search over; name keys with what to try, such as "
          "layers.*.kernel_penalty=l1=1e-5..1e-2:log");
  refused(images.search({"--over", lambdas, "--method", "gird"}),
          "[search] method = gird: must be one of grid, random, halving. Did you mean 'grid'?");
  refused(images.search({"--over", lambdas, "--resume", "--out", images.folder / "m"}),
          "'" + (images.folder / "m.journal") +
              "' is not there, so there is nothing to go on from; leave --resume out");
  refused(images.search({"--over", lambdas, "--journal", images.recipe}),
          "'" + images.recipe + "' is an input, and would be overwritten; choose another name");
  // What the winner could not do is said before the first trial, and what makes scores too good beside them.
  const std::string watches = std::string(image_recipe) +
                              "[[callbacks]]\nkind = \"early_stopping\"\nmonitor = \"validation_accuracy\"\n";
  write_file(images.recipe, watches);
  refused(
      images.search({"--over", lambdas, "--folds", "3"}),
      "[callbacks.0] early_stopping: monitor = validation_accuracy: folds have validation data, but the "
      "winner, "
      "which is trained on all examples, has none; give data.validation, which the winner sets apart too, or "
      "monitor loss");
  const ProgramRun kept = run_lariat(images.search(
      {"--over", lambdas, "--folds", "3", "--set", "data.validation=10", "--out", images.folder / "kept"}));
  CHECK(kept.status == 0);
  CHECK_FALSE(contains(kept.err, "scored on"));
  CHECK(contains(kept.out, "on 10 validation examples"));
  const ProgramRun two = run_lariat(images.search(
      {"--over", lambdas, "--folds", "2", "--set", "data.validation=10", "--out", images.folder / "two"}));
  CHECK(two.status == 0);
  CHECK(contains(two.err, "of 2 folds, validation_accuracy is that of the one which a trial is scored on"));
  // The recipe's own table says the same.
  write_file(images.recipe,
             std::string(image_recipe) + "[search]\nover = [\"optimizer.learning_rate=1..0\"]\n");
  refused(
      images.search({}),
      "optimizer.learning_rate=1..0: the range is empty: 1 is not below 0; write LOW..HIGH, or one value");
  write_file(images.recipe, std::string(image_recipe) + "[search]\nfold = 3\n");
  const ProgramRun unknown = run_lariat(images.search({}));
  CHECK(contains(unknown.err, ":17: [search] has no key 'fold'. Did you mean 'folds'?"));
}

TEST_CASE("cli: compare sets runs side by side") {
  if (!have_lariat()) return;
  const Images images;
  const auto train = [&](const std::string& name, const Words& more) {
    fs::create_directories(images.folder / name);
    Words words{"train",
                images.recipe,
                "--data",
                images.data,
                "--quiet",
                "--set",
                "training.epochs=3",
                "--out",
                images.folder / (name + "/model.safetensors"),
                "--seed",
                "1"};
    words.insert(words.end(), more.begin(), more.end());
    REQUIRE(run_lariat(words).status == 0);
  };
  train("dense", {"--set", "layers.0.kernel_penalty=none"});
  train("sparse", {"--json", images.folder / "sparse/figures.json"});
  const std::string dense = images.folder / "dense", sparse = images.folder / "sparse";
  const std::string page = images.folder / "c.html", figures = images.folder / "c.json";
  const ProgramRun run =
      run_lariat({"compare", dense, sparse + "/figures.json", "--report", page, "--json", figures});
  INFO(run.err);
  REQUIRE(run.status == 0);
  CHECK(contains(run.out, "test accuracy"));
  CHECK(contains(run.out, "layers.0.kernel_penalty  none"));
  const Json json = Json::parse(read_file(figures));
  REQUIRE(json["runs"].size() == 2);
  CHECK(json["runs"][0]["name"] == "dense");
  CHECK(json["runs"][1]["name"] == "figures");
  for (const Json& one : json["runs"]) {
    CHECK(one["history"].size() == 3);
    CHECK(one["test"].contains("accuracy"));
    CHECK(one["model_bytes"] > 0);
    CHECK(one["seconds"] > 0);
  }
  REQUIRE(json["differences"].size() == 1);
  CHECK(json["differences"][0]["key"] == "layers.0.kernel_penalty");
  CHECK(json["differences"][0]["values"] == Json({"none", "l1=0.002"}));
  for (const char* part : {"<svg class=\"chart\"", "Exact zeros", "What differs in their recipes"})
    CHECK_MESSAGE(contains(read_file(page), part), part);
  // A model and its folder are the same run; names then have more parts.
  const Json twice = Json::parse(
      run_lariat({"compare", dense + "/model.safetensors", sparse + "/model.safetensors", "--json", "-"})
          .out);
  CHECK(twice["runs"][0]["name"] == "dense/model");
  CHECK(twice["runs"][0]["test"] == json["runs"][0]["test"]);

  refused({"compare", images.folder / "none"},
          "there is no run '" + (images.folder / "none") +
              "'; name a model, what lariat train --json wrote, or their folder");
  refused({"compare", images.data},
          "'" + images.data +
              "' holds no run: neither a model (.safetensors) nor what lariat train --json wrote");
  write_file(images.folder / "x.json", "{}");
  refused({"compare", images.folder / "x.json"},
          "'" + (images.folder / "x.json") +
              "' is no run: it has no recipe and no epochs, as lariat train --json writes them");
  fs::copy_file(dense + "/model.safetensors", dense + "/other.safetensors");
  refused({"compare", dense},
          "'" + dense + "' holds several runs: model.safetensors, other.safetensors; name them");
  CHECK(run_lariat({"compare"}).err == "lariat compare: RUN is missing. See lariat compare --help\n");
}

TEST_CASE("cli: what solve and path write is taken by evaluate, predict and inspect") {
  if (!have_lariat()) return;
  const TemporaryFolder folder;
  const std::string rows = folder / "rows", model = folder / "w.safetensors";
  write_file(rows, "1 1:1 2:0.5\n0 1:-1 3:1\n1 1:2 2:-0.25\n0 2:1 3:-0.5\n1 1:0.5\n0 3:2\n");
  REQUIRE(run_lariat({"solve", "--data", rows, "--penalty", "0.1*l1", "--bias", "--quiet", "--out", model})
              .status == 0);
  const Json measured = Json::parse(run_lariat({"evaluate", model, "--data", rows, "--json", "-"}).out);
  CHECK(measured["task"] == "linear");
  CHECK(measured["metrics"]["accuracy"] == 1);
  CHECK(measured["metrics"]["auc"] == 1);
  CHECK(measured["examples"] == 6);
  const ProgramRun said = run_lariat({"predict", model, rows});
  CHECK(said.out.starts_with("row,prediction,probability\n0,1,0."));
  CHECK(contains(said.out, "\n1,0,0."));
  const ProgramRun shown = run_lariat({"inspect", model});
  CHECK(contains(shown.out, "a linear model of 3 columns"));
  CHECK(contains(shown.out, "optimal to a relative duality gap of"));
  // The l2 of several classes, and a path.
  write_file(rows, "4 1:1 2:0.5\n7 1:-1 3:1\n9 1:2 2:-0.25\n4 2:1 3:-0.5\n7 1:0.5\n9 3:2\n");
  REQUIRE(run_lariat({"path",           "--data",        rows,        "--loss",   "multinomial",
                      "--penalty",      "1*l1",          "--lambdas", "5",        "--ratio",
                      "0.01",           "--folds",       "2",         "--score",  "accuracy",
                      "--quiet",        "--out",         model,       "--report", folder / "p.html",
                      "--coefficients", folder / "c.csv"})
              .status == 0);
  CHECK(read_file(folder / "c.csv").starts_with("lambda,index,class,weight\n"));
  CHECK(run_lariat({"predict", model, rows}).out.starts_with("row,prediction,4,7,9\n0,"));
  CHECK(contains(run_lariat({"inspect", model}).out, "class"));

  refused(
      {"evaluate", model, "--data", rows, "--split", "test"},
      "'" + model + "' is a linear model, measured on all rows of --data; leave --split and --held-out out");
  refused({"evaluate", model},
          "there are no data to measure the linear model on; give their file with --data");
  refused({"recognize", model, rows},
          "'" + model + "' is a linear model, which lariat evaluate, predict and inspect take");
  write_file(folder / "three", "1\n2\n-3\n1\n1\n1\n");
  refused({"solve", "--data", rows, "--loss", "squared", "--weights", folder / "three"},
          "--weights " + (folder / "three") + ": number 3 is -3; it must be 0 or more");
  refused({"solve", "--data", rows, "--loss", "squared", "--penalty-factor", folder / "three"},
          "--penalty-factor " + (folder / "three") +
              ": has 6 numbers, but there are 3 columns; give one for each");
  refused({"solve", "--data", rows, "--loss", "multinomial", "--offset", folder / "three"},
          "--offset is one number for each row, but multinomial predicts one for each class; leave it out");
  refused({"solve", "--data", rows, "--loss", "multinomial", "--classes", "4,7"},
          rows + ": line 3: the label is 9, which is none of the classes 4, 7");
  write_file(folder / "groups", "1\n2\n1\n");
  refused({"solve", "--data", rows, "--loss", "squared", "--groups", folder / "groups"},
          "--groups " + (folder / "groups") +
              ": has no effect without the penalty group; write --penalty 1.0*group");
  refused(
      {"solve", "--data", rows, "--loss", "squared", "--penalty", "1*group", "--groups", folder / "three"},
      "--groups " + (folder / "three") + ": has 6 numbers, but there are 3 columns; give one for each");
  CHECK(run_lariat({"solve", "--data", rows, "--loss", "squared", "--penalty", "1*group", "--groups",
                    folder / "groups", "--quiet", "--out", model})
            .status == 0);
  CHECK(contains(run_lariat({"inspect", model}).out, "1*group"));
}

TEST_CASE("cli: losses of different units are not compared, and what was refused leaves nothing behind") {
  if (!have_lariat()) return;
  const TemporaryFolder folder;
  const std::string recipe = folder / "r.toml", rows = folder / "d.csv", model = folder / "m";
  std::string text = "x,y\n";
  for (int i = 0; i < 60; ++i) text += fmt::format("{},{}\n", i % 7, 3 * (i % 7) + i % 2);
  write_file(rows, text);
  write_file(recipe,
             "[data]\nkind = \"csv\"\ntarget = [\"y\"]\n[loss]\nkind = \"mean_squared_error\"\n[[layers]]\n"
             "kind = \"dense\"\nunits = 0\n[training]\nepochs = 2\n");
  const auto search = [&](const Words& more) {
    Words words{"search", recipe, "--data", rows, "--out", model, "--quiet", "--folds", "2"};
    words.insert(words.end(), more.begin(), more.end());
    return words;
  };
  for (const auto& [key, values] : {std::pair("data.standardize_targets", "true,false"),
                                    std::pair("loss.kind", "mean_squared_error,mean_absolute_error")}) {
    const std::string over = fmt::format("{}={}", key, values);
    refused(search({"--over", over}),
            fmt::format("{}: losses of its values are in different units, and cannot be compared; give "
                        "--score mean_squared_error, which measures all alike",
                        key));
    CHECK_FALSE(fs::exists(model + ".journal"));
    const ProgramRun scored = run_lariat(search({"--over", over, "--score", "mean_squared_error"}));
    CHECK_MESSAGE(scored.status == 0, scored.err);
    fs::remove(model + ".journal");
  }
  const std::string rates = "optimizer.learning_rate=0.01";
  for (const Words& wrong : {Words{"--set", "data.target=z"}, Words{"--folds", "1000"},
                             Words{"--data", folder / "none.csv"}, Words{"--score", "accuracy"}}) {
    Words words{"search", recipe, "--out", model, "--quiet", "--over", rates};
    if (wrong.front() != "--data") words.insert(words.end(), {"--data", rows});
    words.insert(words.end(), wrong.begin(), wrong.end());
    const ProgramRun run = run_lariat(words);
    CHECK(run.status == 2);
    CHECK_FALSE(contains(run.err, "twice"));
    CHECK_FALSE(fs::exists(model + ".journal"));
  }
  CHECK(run_lariat(search({"--over", rates})).status == 0);
  refused(search({"--over", rates}),
          fmt::format("'{}.journal' holds a search of 1 trial; go on with it by --resume, or name another "
                      "--journal",
                      model));
}

}  // namespace lariat::cli_search_test
