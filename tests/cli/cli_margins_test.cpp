// What a model that learns margins says of rows: the side that they are on, as its evaluation counts it.
#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <sstream>

#include "tests/support/files.hpp"
#include "tests/support/program.hpp"
#include "tests/support/testing.hpp"
#include "tests/support/tones.hpp"

namespace lariat::cli_margins_test {

using namespace lariat::testing;
using nlohmann::json;

namespace {

constexpr int rows = 120;

const std::string rest =
    "[[layers]]\nname = \"first\"\nkind = \"dense\"\nunits = 0\n[optimizer]\nkind = \"adam\"\nlearning_rate "
    "= 0.05\n"
    "[training]\nepochs = 5\n";

struct Told {
  std::vector<std::string> header;
  std::vector<std::vector<std::string>> cells;
  json predictions, evaluation;
};

std::vector<std::string> cells_of(const std::string& line) {
  std::vector<std::string> cells{""};
  bool quoted = false;
  for (const char c : line) {
    if (c == '"')
      quoted = !quoted;
    else if (c == ',' && !quoted)
      cells.emplace_back();
    else
      cells.back() += c;
  }
  return cells;
}

// A model of that recipe, on rows of two numbers, a class, two labels and a size.
Told told(const std::string& recipe) {
  const TemporaryFolder folder;
  std::string text = "a,b,class,wet,warm,size\n";
  for (int i = 0; i < rows; ++i) {
    const int a = i * 37 % 41 - 20, b = i * 17 % 31 - 15;
    text +=
        fmt::format("{},{},{},{},{},{}\n", a, b, a > b ? "yes" : "no", a > 0 ? 1 : 0, b > 3 ? 1 : 0, a + b);
  }
  write_file(folder / "d.csv", text);
  write_file(folder / "r.toml", recipe);
  const auto run = [&](std::vector<std::string> words) {
    const ProgramRun done = run_lariat(words);
    REQUIRE_MESSAGE(done.status == 0, done.err);
    return done.out;
  };
  run({"train", folder / "r.toml", "--data", folder / "d.csv", "--out", folder / "m", "--no-report"});
  std::istringstream out(run({"predict", folder / "m", folder / "d.csv", "--json", folder / "p.json"}));
  run({"evaluate", folder / "m", "--data", folder / "d.csv", "--split", "train", "--json",
       folder / "e.json"});
  Told result;
  for (std::string line; std::getline(out, line);)
    (result.header.empty() ? result.header : result.cells.emplace_back()) = cells_of(line);
  REQUIRE(result.cells.size() == rows);
  result.predictions = json::parse(read_file(folder / "p.json"))["predictions"];
  result.evaluation = json::parse(read_file(folder / "e.json"));
  return result;
}

}  // namespace

TEST_CASE("cli: of two classes a margin tells which one it is by its sign") {
  if (!have_lariat()) return;
  const Told hinge = told(
      "[data]\nkind = \"csv\"\ntarget = [\"class\"]\nfeatures = [\"a\", \"b\"]\ntesting = 0\n[loss]\nkind = "
      "\"hinge\"\n" +
      rest);
  CHECK(hinge.header == std::vector<std::string>{"row", "prediction", "yes"});
  int right = 0;
  for (size_t i = 0; i < rows; ++i) {
    const std::string said = std::stod(hinge.cells[i][2]) > 0 ? "yes" : "no";
    CHECK(hinge.cells[i][1] == said);
    CHECK(hinge.predictions[i]["label"] == said);
    CHECK_FALSE(hinge.predictions[i].contains("probability"));
    const int a = int(i) * 37 % 41 - 20, b = int(i) * 17 % 31 - 15;
    right += (a > b) == (said == "yes") ? 1 : 0;
  }
  CHECK(right > rows / 2);
  CHECK(right < rows);
  CHECK(hinge.evaluation["accuracy"].get<double>() == doctest::Approx(double(right) / rows).epsilon(1e-6));
}

TEST_CASE("cli: of several labels and of several outputs margins tell which ones are true") {
  if (!have_lariat()) return;
  const Told labels = told(
      "[data]\nkind = \"csv\"\ntarget = [\"wet\", \"warm\"]\nfeatures = [\"a\", \"b\"]\ntesting = "
      "0\n[loss]\nkind = \"hinge\"\n" +
      rest);
  CHECK(labels.header == std::vector<std::string>{"row", "prediction", "wet", "warm"});
  size_t of_none = 0, of_both = 0;
  for (size_t i = 0; i < rows; ++i) {
    const bool wet = std::stod(labels.cells[i][2]) > 0, warm = std::stod(labels.cells[i][3]) > 0;
    const std::string said = std::string(wet ? "wet" : "") + (wet && warm ? ", " : "") + (warm ? "warm" : "");
    CHECK(labels.cells[i][1] == said);
    CHECK(labels.predictions[i]["label"] == said);
    of_none += said.empty() ? 1 : 0, of_both += wet && warm ? 1 : 0;
  }
  CHECK(of_none > 0);
  CHECK(of_both > 0);

  const Told several = told(R"([data]
kind = "csv"
features = ["a", "b"]
testing = 0
[[outputs]]
layer = "first"
loss = "mean_squared_error"
target = ["size"]
[[outputs]]
layer = "side"
loss = "hinge"
target = ["class"]
[[layers]]
name = "both"
kind = "concat"
input = "a, b"
[[layers]]
name = "side"
kind = "dense"
units = 0
input = "both"
[[layers]]
name = "first"
kind = "dense"
units = 0
input = "both"
[optimizer]
kind = "adam"
[training]
epochs = 5
)");
  REQUIRE(several.header == std::vector<std::string>{"row", "first/size", "side", "side/yes"});
  for (size_t i = 0; i < rows; ++i) {
    const std::string said = std::stod(several.cells[i][3]) > 0 ? "yes" : "no";
    CHECK(several.cells[i][2] == said);
    CHECK(several.predictions[i]["outputs"]["side"]["label"] == said);
    CHECK_FALSE(several.predictions[i]["outputs"]["first"].contains("label"));
  }
}

TEST_CASE("cli: recordings are recognised by margins too, without a probability") {
  if (!have_lariat()) return;
  const Trained& made = trained();
  const TemporaryFolder folder;
  const ProgramRun run =
      run_lariat({"train", made.recipe, "--data", made.tones, "--set", "data.positive=3", "--set",
                  "loss.kind=hinge", "--set", "training.epochs=1", "--no-report", "--out", folder / "m"});
  REQUIRE_MESSAGE(run.status == 0, run.err);
  const std::string clip = made.tones + "/3_ann_0.wav";
  const ProgramRun heard = run_lariat({"recognize", folder / "m", clip, "--json", folder / "r.json"});
  const json said = json::parse(read_file(folder / "r.json"))["files"][0];
  CHECK(heard.out == clip + "  " + said["label"].get<std::string>() + "\n");
  CHECK((said["label"] == "3" || said["label"] == "not 3"));
  CHECK(said["probability"].is_null());
}

}  // namespace lariat::cli_margins_test
