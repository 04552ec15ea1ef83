// What someone with data of their own does next: other kinds of files, new rows with and without what is to
// be learned, and what the program says on the way.
#include <fmt/format.h>

#include <cmath>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "tests/support/files.hpp"
#include "tests/support/npy.hpp"
#include "tests/support/program.hpp"
#include "tests/support/testing.hpp"

namespace lariat::cli_new_user_test {

using namespace lariat::testing;
using nlohmann::json;

namespace {

// The label says whether columns 2 and 5 together are above 0; most columns of a row are left out.
std::string libsvm_text(int rows, int columns = 9) {
  std::string text;
  for (int i = 0; i < rows; ++i) {
    const double a = i * 7 % 11 / 5.0 - 1, b = i * 5 % 13 / 6.0 - 1;
    text += fmt::format("{} 2:{} 5:{} {}:1\n", a + b > 0 ? "1" : "-1", a, b, 6 + i % (columns - 5));
  }
  return text;
}

constexpr const char* layer =
    "[[layers]]\nkind = \"dense\"\nunits = 0\n[optimizer]\nkind = \"adam\"\nlearning_rate = "
    "0.1\n[training]\nepochs = 40\n";

std::string refused(const std::vector<std::string>& words) {
  const ProgramRun run = run_lariat(words);
  CHECK(run.status == 2);
  return run.err;
}

}  // namespace

TEST_CASE("cli: LIBSVM text is learned, measured and predicted, in memory and streamed") {
  if (!have_lariat()) return;
  const TemporaryFolder folder;
  const std::string recipe = folder / "r.toml", rows = folder / "rows", model = folder / "m";
  write_file(rows, libsvm_text(300));
  write_file(recipe, run_lariat({"recipe", "new", "libsvm"}).out);
  CHECK(run_lariat({"recipe", "check", recipe}).status == 0);
  std::string hash;
  for (const char* stream : {"false", "true"}) {
    write_file(recipe, std::string("[data]\nkind = \"libsvm\"\nvalidation = 10\nstream = ") + stream +
                           "\n[loss]\nkind = \"sigmoid_cross_entropy\"\n" + layer);
    const ProgramRun run =
        run_lariat({"train", recipe, "--data", rows, "--out", model, "--json", folder / "j"});
    INFO(run.err);
    REQUIRE(run.status == 0);
    const json figures = json::parse(read_file(folder / "j"));
    CHECK(figures["classes"] == json({"-1", "1"}));
    CHECK(figures["accuracy"] > 0.9);
    if (!hash.empty()) CHECK(figures["state_hash"] == hash);
    hash = figures["state_hash"];
  }
  // New rows may lack columns and classes, and all are measured where that is asked for.
  write_file(folder / "new", "1 2:1 5:1\n1 5:0.5\n");
  const ProgramRun measured = run_lariat({"evaluate", model, "--data", folder / "new", "--split", "all"});
  INFO(measured.err);
  CHECK(contains(measured.out, "examples     2\n"));
  CHECK(contains(measured.out, "\nsaid  -1  1\n"));
  CHECK(run_lariat({"predict", model, folder / "new"}).out.starts_with("row,prediction,1\n0,1,"));
  write_file(folder / "wide", "1 2:1 12:1\n");
  CHECK(contains(
      refused({"predict", model, folder / "wide"}),
      "wide: line 1: has the index 12, but there are 9 columns, as data.columns says or else the rows to "
      "train on have; set data.columns before the training to as many as there are"));
  write_file(folder / "other", "3 2:1\n");
  CHECK(contains(refused({"evaluate", model, "--data", folder / "other", "--split", "all"}),
                 "the model knows the classes -1, 1, but the data have 3"));
  write_file(recipe,
             std::string("[data]\nkind = \"libsvm\"\n[loss]\nkind = \"mean_squared_error\"\n") + layer);
  const ProgramRun numbers = run_lariat({"train", recipe, "--data", rows});
  CHECK(numbers.status == 0);
  CHECK(contains(numbers.out, "mean_squared_error"));
  write_file(recipe, std::string("[data]\nkind = \"csv\"\n[loss]\nkind = \"mean_squared_error\"\n") + layer);
  CHECK(contains(refused({"train", recipe, "--data", rows}),
                 "rows: is LIBSVM text and no table of columns; take [data] kind = libsvm, or lariat solve"));
  CHECK(contains(refused({"recipe", "new", "svmlight"}), "It is called 'libsvm' here."));
  // A model has weights for each column.
  write_file(recipe, std::string("[data]\nkind = \"libsvm\"\n") + layer);
  write_file(folder / "far", "1 1:1 2:2\n-1 1:1 100000000:0.5\n");
  CHECK(contains(refused({"train", recipe, "--data", folder / "far"}),
                 "far: line 2: has the index 100000000, and a model has weights for each of so many columns; "
                 "see that it is right, and set data.columns = 100000000 where it is"));
  std::string many;
  for (int row = 0; row < 2000; ++row) many += "1 1:1 30000000:0.5\n";
  write_file(folder / "many", many);
  CHECK(contains(refused({"train", recipe, "--data", folder / "many", "--set", "data.columns=30000000"}),
                 "many: 2000 rows of 30000000 columns with all their zeros take 240.0 GB; set data.stream = "
                 "true, which keeps them as they are in the file"));
  write_file(folder / "packed", "\x1f\x8b\x08");
  CHECK(contains(refused({"train", recipe, "--data", folder / "packed"}),
                 "packed: is packed by gzip, and no text; unpack it first: gunzip FILE"));
}

TEST_CASE("cli: rows that a model was not trained on are measured as a whole") {
  if (!have_lariat()) return;
  const TemporaryFolder folder;
  const auto table = [](int rows, int from) {
    std::string text = "a,b,z\n";
    for (int i = from; i < from + rows; ++i)
      text += fmt::format("{},{},{}\n", i * 7 % 11, i * 5 % 13, i * 7 % 11 > 5 ? "yes" : "no");
    return text;
  };
  const std::string recipe = folder / "r.toml", model = folder / "m";
  std::filesystem::create_directory(folder / "t");
  write_file(folder / "t/train.csv", table(200, 0));
  write_file(folder / "t/test.csv", table(40, 500));
  write_file(recipe, std::string("[data]\nkind = \"csv\"\ntarget = [\"z\"]\nvalidation = 25\n[loss]\nkind = "
                                 "\"sigmoid_cross_entropy\"\n") +
                         layer);
  // The rows to validate on are a share of those to train on where no file holds them.
  const ProgramRun run =
      run_lariat({"train", recipe, "--data", folder / "t", "--out", model, "--json", folder / "j"});
  INFO(run.err);
  REQUIRE(run.status == 0);
  const json figures = json::parse(read_file(folder / "j"));
  const int trained = figures["train_examples"];
  CHECK(trained > 120);
  CHECK(trained < 180);
  CHECK(contains(run.out, fmt::format(" on {} validation examples", 200 - trained)));
  CHECK(contains(run.out, " on 40 test examples"));
  write_file(folder / "new.csv", table(30, 900));
  const ProgramRun all = run_lariat({"evaluate", model, "--data", folder / "new.csv", "--split", "all"});
  INFO(all.err);
  CHECK(contains(all.out, "examples     30\n"));
  // Classes have their own names.
  CHECK(contains(all.out, "\nsaid  no  yes\n"));
  CHECK(contains(refused({"evaluate", model, "--data", folder / "t", "--split", "all"}),
                 "--split all is for one file of rows; take train, validation or test"));
  CHECK(contains(refused({"evaluate", model, "--data", folder / "new.csv", "--split", "al"}),
                 "--split al: must be train, validation, test or all. Did you mean 'all'?"));
  CHECK(
      contains(refused({"train", recipe, "--data", folder / "t", "--set", "training.time_multiple=4"}),
               "[training] time_multiple = 4: has no effect on examples without a time axis; leave it out"));
}

TEST_CASE("cli: a table of few rows is learned as far as it goes, and what is left over is said") {
  if (!have_lariat()) return;
  const TemporaryFolder folder;
  const std::string recipe = folder / "r.toml", rows = folder / "t.csv";
  write_file(
      recipe,
      std::string("[data]\nkind = \"csv\"\ntarget = [\"y\"]\n[loss]\nkind = \"mean_squared_error\"\n") +
          layer);
  write_file(rows, "a,y\n1,2\n");
  const ProgramRun one = run_lariat({"train", recipe, "--data", rows, "--out", folder / "m", "--quiet"});
  INFO(one.err);
  CHECK(one.status == 0);
  CHECK(contains(one.err, "no example is left for the test, of as few as there are; change data.testing"));
  CHECK(run_lariat({"predict", folder / "m", rows}).status == 0);
  CHECK(contains(refused({"train", recipe, "--data", rows, "--set", "data.validation=20"}),
                 "no example is left to validate on, of as few as there are; change data.validation"));
  write_file(rows, "a,y\n1,\n");
  CHECK(contains(refused({"train", recipe, "--data", rows}),
                 "no example is left to train on; the first that was "));
  write_file(rows, "1,2\n3,4\n");
  CHECK(contains(refused({"train", recipe, "--data", rows}),
                 "t.csv: has no column 'y'; the first line must name the columns, but begins with '1'"));
  write_file(rows, "a,y\n1,2\n2,3\n3,4\n");
  CHECK(contains(refused({"train", recipe, "--data", rows, "--freeze-zeros"}),
                 "freeze_zeros: has no effect, for no weight is zero at first, and none has a penalty"));
}

TEST_CASE("cli: of several outputs each learns the column of its layer's name") {
  if (!have_lariat()) return;
  const TemporaryFolder folder;
  const std::string recipe = folder / "r.toml", table = folder / "t.csv";
  std::string rows = "a,b,sum,sign\n";
  for (int i = 0; i < 120; ++i) {
    const int a = i * 7 % 11 - 5, b = i * 5 % 13 - 6;
    rows += fmt::format("{},{},{},{}\n", a, b, (a + b) / 10.0, a > 0 ? "plus" : "minus");
  }
  write_file(table, rows);
  const std::string text =
      "[data]\nkind = \"csv\"\n[[layers]]\nkind = \"dense\"\nname = \"h\"\nunits = 8\n[[layers]]\nkind = "
      "\"dense\"\n"
      "name = \"sum\"\ninput = [\"h\"]\nunits = 0\n[[layers]]\nkind = \"dense\"\nname = \"sign\"\ninput = "
      "[\"h\"]\n"
      "units = 0\n[[outputs]]\nlayer = \"sum\"\nloss = \"mean_squared_error\"\n[[outputs]]\nlayer = "
      "\"sign\"\n"
      "loss = \"softmax_cross_entropy\"\n[optimizer]\nkind = \"adam\"\nlearning_rate = 0.05\n";
  write_file(recipe, text);
  const ProgramRun run = run_lariat(
      {"train", recipe, "--data", table, "--out", folder / "m", "--report", folder / "r.html", "--quiet"});
  INFO(run.err);
  REQUIRE(run.status == 0);
  // What is furthest from the truth is so by all outputs.
  const std::string page = read_file(folder / "r.html");
  CHECK((contains(page, "; sign plus (") || contains(page, "; sign minus (")));
  CHECK((contains(page, "; sign plus<") || contains(page, "; sign minus<")));
  const ProgramRun search = run_lariat({"search", recipe, "--data", table, "--over", "training.epochs=1,2",
                                        "--set", "search.folds=2", "--quiet"});
  INFO(search.err);
  CHECK(search.status == 0);
  write_file(folder / "new.csv", "a,b\n4,1\n");
  CHECK(contains(run_lariat({"predict", folder / "m", folder / "new.csv"}).out, "plus"));
  CHECK(contains(refused({"train", recipe, "--data", table, "--set", "layers.1.name=total", "--set",
                          "outputs.0.layer=total"}),
                 "has no column 'total'. Known: a, b, sum, sign."));
}

TEST_CASE("cli: how probable one of two is is learned from numbers between 0 and 1") {
  if (!have_lariat()) return;
  const TemporaryFolder folder;
  std::vector<float> x, y;
  for (int i = 0; i < 200; ++i) {
    x.push_back(static_cast<float>(i % 41) / 10 - 2);
    y.push_back(1 / (1 + std::exp(-2 * x.back())));
  }
  const std::string data = folder / "d", recipe = folder / "r.toml", model = folder / "m";
  std::filesystem::create_directories(data);
  write_file(data + "/X.npy", npy_of("<f4", "(200, 1)", x));
  write_file(data + "/y.npy", npy_of("<f4", "(200,)", y));
  write_file(recipe,
             std::string("[data]\nkind = \"numpy\"\n[loss]\nkind = \"sigmoid_cross_entropy\"\n") + layer);
  const ProgramRun run =
      run_lariat({"train", recipe, "--data", data, "--out", model, "--json", folder / "j"});
  INFO(run.err);
  REQUIRE(run.status == 0);
  CHECK(json::parse(read_file(folder / "j"))["task"] == "binary");
  CHECK(run_lariat({"predict", model, data + "/X.npy", "--json", folder / "p"}).status == 0);
  const json predictions = json::parse(read_file(folder / "p"))["predictions"];
  for (const size_t row : {0, 20, 40})
    CHECK(std::abs(predictions[row]["values"][0].get<double>() - double(y[row])) < 0.1);
  CHECK(run_lariat({"evaluate", model, "--data", data}).status == 0);
  CHECK(contains(refused({"train", recipe, "--data", data, "--set", "loss.kind=softmax_cross_entropy"}),
                 "the label of row 0 is 0.01798"));
}

}  // namespace lariat::cli_new_user_test
