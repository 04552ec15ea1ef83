// Prices and other numbers of any size, from the shell: learned standardised, told as they are.
#include <fmt/format.h>

#include <cmath>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <sstream>

#include "tests/support/files.hpp"
#include "tests/support/npy.hpp"
#include "tests/support/program.hpp"
#include "tests/support/testing.hpp"

namespace lariat::cli_targets_test {

using namespace lariat::testing;
using nlohmann::json;

namespace {

json read_json(const std::string& file) { return json::parse(read_file(file)); }

// What houses cost, near 400,000, and when they were built.
std::string houses_text(int rows, int more = 0) {
  std::string text = "area,rooms,place,year,price\n";
  for (int i = 0; i < rows; ++i) {
    const int area = 40 + i * 37 % 120, rooms = 1 + i * 11 % 6, year = 1900 + i * 13 % 120;
    const bool sea = i * 7 % 5 == 0;
    text += fmt::format("{},{},{},{},{}\n", area, rooms, sea ? "sea" : "hill", year,
                        150000 + 2400 * area + 9000 * rooms + (sea ? 80000 : 0) + i * 29 % 1000 + more);
  }
  return text;
}

std::string succeeded(const std::vector<std::string>& words) {
  const ProgramRun run = run_lariat(words);
  REQUIRE_MESSAGE(run.status == 0, run.err);
  return run.out + run.err;
}

}  // namespace

TEST_CASE("cli: prices are learned by the recipe that is begun with, and told as they are") {
  if (!have_lariat()) return;
  const TemporaryFolder folder;
  const std::string recipe = folder / "r.toml", data = folder / "houses.csv",
                    model = folder / "m.safetensors";
  for (const char* kind : {"csv", "numpy", "libsvm"})
    CHECK(contains(succeeded({"recipe", "new", kind}), "\nstandardize_targets = true  # "));
  CHECK_FALSE(contains(succeeded({"recipe", "new", "list"}), "standardize_targets"));
  write_file(recipe, succeeded({"recipe", "new", "csv"}));
  write_file(data, houses_text(400));
  const auto train = [&](const std::string& out, const std::vector<std::string>& more = {}) {
    std::vector<std::string> words{"train",
                                   recipe,
                                   "--data",
                                   data,
                                   "--set",
                                   "data.target=price",
                                   "--out",
                                   out,
                                   "--no-report",
                                   "--json",
                                   folder / "t.json",
                                   "--set",
                                   "data.features=area,rooms,place"};
    words.insert(words.end(), more.begin(), more.end());
    const std::string said = succeeded(words);
    CHECK(contains(said, "set standardize_targets = true in [data]") ==
          contains(fmt::format("{}", fmt::join(words, " ")), "standardize_targets=false"));
    return read_json(folder / "t.json");
  };
  const json plain = train(folder / "plain", {"--set", "data.standardize_targets=false"}),
             figures = train(model, {"--checkpoint-epochs", "1", "--keep-checkpoints", "5"});
  CHECK(plain["test"]["r2"] < 0);
  CHECK(figures["test"]["r2"] > 0.9);
  CHECK(figures["test"]["mean_absolute_error"] > 500);
  CHECK(figures["loss"] < 0.1);
  // Streamed it is the same, and so is a run that was stopped.
  CHECK(train(folder / "streamed", {"--set", "data.stream=true"})["state_hash"] == figures["state_hash"]);
  const std::string checkpoint = model + ".checkpoint-3";
  const json resumed = train(folder / "again", {"--resume", checkpoint});
  CHECK(resumed["state_hash"] == figures["state_hash"]);
  CHECK(resumed["test"] == figures["test"]);
  write_file(folder / "dearer.csv", houses_text(400, 1000));
  const ProgramRun other =
      run_lariat({"train", recipe, "--resume", checkpoint, "--data", folder / "dearer.csv", "--set",
                  "data.target=price", "--set", "data.features=area,rooms,place", "--out", folder / "again"});
  CHECK(other.status == 2);
  CHECK(contains(other.err,
                 ".checkpoint-3' was trained on targets of another mean or deviation; give the same data"));

  const std::string evaluated = succeeded({"evaluate", model, "--data", data, "--json", folder / "e.json"});
  CHECK(read_json(folder / "e.json")["metrics"]["r2"] == figures["test"]["r2"]);
  CHECK_FALSE(contains(evaluated, "standardize_targets"));
  CHECK_FALSE(contains(succeeded({"evaluate", folder / "plain", "--data", data, "--split", "train"}),
                       "standardize_targets"));
  write_file(folder / "new.csv", "area,rooms,place\n100,3,hill\n");
  const std::string predicted = succeeded({"predict", model, folder / "new.csv"});
  CHECK(predicted.starts_with("row,price\n0,"));
  CHECK(std::stod(predicted.substr(predicted.rfind(',') + 1)) ==
        doctest::Approx(150000 + 240000 + 27000).epsilon(0.1));
  const std::string inspected = succeeded({"inspect", model, "--json", folder / "i.json"});
  CHECK(contains(inspected, "standardised target"));
  const json scale = read_json(folder / "i.json")["standardised_targets"][0];
  CHECK(scale["name"] == "price");
  CHECK(std::abs(scale["mean"].get<double>() - 430000) < 20000);
  CHECK(std::abs(scale["deviation"].get<double>() - 93000) < 15000);

  // Smaller, rounded and in C it tells the same.
  const auto price = [&](const std::string& file) {
    const std::string text = succeeded({"predict", file, folder / "new.csv"});
    return std::stod(text.substr(text.rfind(',') + 1));
  };
  succeeded({"compact", model, "--out", folder / "small", "--check", data});
  CHECK(price(folder / "small") == doctest::Approx(price(model)).epsilon(1e-5));
  succeeded({"convert", model, "--weights", "int8", "--out", folder / "rounded"});
  CHECK(price(folder / "rounded") == doctest::Approx(price(model)).epsilon(0.05));
  succeeded({"export", model, "--to", "c", "--out", folder / "c", "--data", data});
  CHECK(contains(
      run_lariat({"export", model, "--to", "c", "--out", folder / "c2", "--data", data, "--json", data}).err,
      "is one of the data, and would be overwritten"));
  const ProgramRun built =
      run_lariat({"-c", "cd '" + (folder / "c") + "' && cc -std=c99 m.c m_test.c -lm && ./a.out"},
                 {.program = "/bin/sh"});
  CHECK_MESSAGE(contains(built.out, "answers are the host's"), built.err);

  // Each fold has its own, of the rows that it trains on.
  succeeded({"search", recipe, "--data", data, "--out", folder / "s", "--quiet", "--set", "data.target=price",
             "--set", "data.features=area,rooms,place", "--set", "training.epochs=3", "--over",
             "optimizer.learning_rate=0.001,0.01", "--folds", "3", "--json", folder / "s.json"});
  for (const json& trial : read_json(folder / "s.json")["trials"]) CHECK(trial["score"] < 2);

  // Classes are what they were.
  succeeded({"train", recipe, "--data", data, "--set", "data.target=place", "--set",
             "loss.kind=softmax_cross_entropy", "--set", "training.epochs=1", "--no-report", "--out",
             folder / "classes"});
  CHECK(contains(run_lariat({"train", recipe, "--data", data, "--set", "data.target_scaling=true"}).err,
                 "It is called 'standardize_targets' here."));
}

TEST_CASE("cli: what a loss cannot learn standardised is told by a check of the recipe as by a training") {
  if (!have_lariat()) return;
  const TemporaryFolder folder;
  const std::string recipe = folder / "r.toml";
  write_file(folder / "d.csv", houses_text(40));
  write_file(recipe,
             "[data]\nkind = \"csv\"\ntarget = [\"price\"]\nstandardize_targets = true\n[loss]\nkind = "
             "\"cosine\"\n[[layers]]\nkind = \"dense\"\nunits = 0\n");
  const ProgramRun checked = run_lariat({"recipe", "check", recipe}),
                   trained = run_lariat({"train", recipe, "--data", folder / "d.csv"});
  CHECK(checked.status == 2);
  CHECK(trained.status == 2);
  CHECK(
      contains(checked.err,
               "cosine learns the direction of its targets from 0, which standardised ones have lost; leave "
               "standardize_targets out, or take mean_squared_error\n"));
  CHECK(trained.err == checked.err);
}

TEST_CASE("cli: targets that floats do not tell apart are told of, wherever they are read as doubles") {
  if (!have_lariat()) return;
  const TemporaryFolder folder;
  const auto train = [&](const std::string& kind, const std::string& file, const std::string& target) {
    write_file(folder / "r.toml",
               fmt::format("[data]\nkind = \"{}\"\n{}standardize_targets = true\n[loss]\nkind = "
                           "\"mean_squared_error\"\n[[layers]]\nkind = \"dense\"\nunits = "
                           "0\n[training]\nepochs = 1\n",
                           kind, target.empty() ? "" : fmt::format("target = [\"{}\"]\n", target)));
    return succeeded({"train", folder / "r.toml", "--data", folder / file, "--no-report"});
  };
  const auto lines_in = [](const std::string& text) {
    size_t count = 0;
    for (size_t at = 0; (at = text.find("the digits of a float", at)) != text.npos; ++at) ++count;
    return count;
  };
  std::string csv = "x,time,near\n", svm;
  for (int i = 0; i < 200; ++i) {
    csv += fmt::format("{},{},{}\n", i % 7, 1700000000 + i % 7 % 3, 1000 + i % 7 % 3);
    svm += fmt::format("{} 1:{}\n", 1700000000 + i % 7 % 3, i % 7);
  }
  write_file(folder / "d.csv", csv);
  write_file(folder / "d.svm", svm);
  const std::string told = train("csv", "d.csv", "time");
  CHECK(contains(told, "the target 'time' has a mean of 1.7e+09 and a standard deviation of 0.8"));
  CHECK(contains(told,
                 "the digits of a float do not tell these apart; subtract 1.7e+09 from the column first"));
  CHECK(lines_in(told) == 1);
  CHECK(lines_in(train("csv", "d.csv", "near")) == 0);
  // Times that are far enough apart, but not kept to the second; years and fractions are.
  csv = "x,time,year,price\n";
  for (int i = 0; i < 200; ++i)
    csv +=
        fmt::format("{},{},{},{}\n", i % 7, 1700000001 + 86401 * (i % 7), 1900 + i % 7, 0.1 + 1e5 * (i % 7));
  write_file(folder / "t.csv", csv);
  const std::string not_kept = " is learned as floats, which do not keep all its numbers: ";
  CHECK(contains(train("csv", "t.csv", "time"),
                 "the target 'time'" + not_kept +
                     "1700000001 is 1700000000 there; where that matters, subtract "
                     "1700"));
  for (const char* target : {"year", "price"}) CHECK_FALSE(contains(train("csv", "t.csv", target), not_kept));
  CHECK(contains(train("libsvm", "d.svm", ""), "the target 'label' has a mean of 1.7e+09"));
  // Arrays of doubles, and the same as floats, which have lost them before.
  std::vector<double> x, y;
  for (int i = 0; i < 200; ++i) x.push_back(i % 7), y.push_back(1.7e9 + i % 7 % 3);
  std::filesystem::create_directories(folder / "n");
  write_file(folder / "n/X.npy", npy_of("<f8", "(200, 1)", x));
  write_file(folder / "n/y.npy", npy_of("<f8", "(200,)", y));
  CHECK(lines_in(train("numpy", "n", "")) == 1);
  write_file(folder / "n/y.npy", npy_of("<f4", "(200,)", std::vector<float>(y.begin(), y.end())));
  CHECK(lines_in(train("numpy", "n", "")) == 0);
}

TEST_CASE("cli: test rows of which none counts are told of before the training, not behind it") {
  if (!have_lariat()) return;
  const TemporaryFolder folder;
  const std::string recipe = folder / "r.toml", model = folder / "m.safetensors";
  const auto rows = [](int count, const char* weight) {
    std::string text = "x,kind,weight\n";
    for (int i = 0; i < count; ++i) text += fmt::format("{},{},{}\n", i, i % 2 == 0 ? "a" : "b", weight);
    return text;
  };
  write_file(folder / "train.csv", rows(40, "1"));
  write_file(folder / "test.csv", rows(10, "0"));
  write_file(recipe,
             "[data]\nkind = \"csv\"\ntarget = [\"kind\"]\nweight = \"weight\"\n[training]\nepochs = 2\n"
             "[[layers]]\nkind = \"dense\"\nunits = 0\n");
  const std::vector<std::string> words{"train", recipe, "--data", folder.text(), "--out", model};
  const ProgramRun run = run_lariat(words);
  CHECK(run.status == 2);
  CHECK(contains(
      run.err,
      "the test data: every example has the weight 0, so that none counts; give one a weight above 0"));
  CHECK_FALSE(contains(run.out + run.err, "epoch"));
  CHECK_FALSE(std::filesystem::exists(model + ".checkpoint"));
  std::vector<std::string> without = words;
  without.push_back("--no-test");
  CHECK(run_lariat(without).status == 0);
  // A loss that is 0 for what the test is of is a warning, and metrics are what they are.
  write_file(folder / "test.csv", "x,kind,weight\n1,a,1\n3,a,1\n");
  std::vector<std::string> classes = words;
  classes.insert(classes.end(), {"--set", "loss.class_weights=0,1"});
  const std::string told = succeeded(classes);
  CHECK(contains(told, "the test data: every example that counts is of a class whose class_weights are 0"));
}

}  // namespace lariat::cli_targets_test
