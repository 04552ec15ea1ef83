// Models that are no stack, from the shell: branches of a table's columns, shared layers, several outputs.
#include <nlohmann/json.hpp>

#include "tests/support/files.hpp"
#include "tests/support/program.hpp"
#include "tests/support/testing.hpp"

namespace lariat::cli_models_test {

using namespace lariat::testing;
using nlohmann::json;

namespace {

// sum = 2·a - b + (1 where the colour is red), size = whether that is above 0.
std::string table_text() {
  std::string text = "a,b,colour,sum,size\n";
  for (int i = 0; i < 240; ++i) {
    const int a = i * 7 % 11 - 5, b = i * 5 % 13 - 6;
    const bool red = i % 3 == 0;
    const int sum = 2 * a - b + (red ? 1 : 0);
    text += std::to_string(a) + "," + std::to_string(b) + "," + (red ? "red" : "green") + "," +
            std::to_string(sum) + "," + (sum > 0 ? "large" : "small") + "\n";
  }
  return text;
}

const char* const recipe = R"([data]
kind = "csv"
features = ["a", "b", "colour"]
testing = 20
[[layers]]
name = "numbers"
kind = "concat"
input = ["a", "b"]
[[layers]]
name = "seen"
kind = "dense"
units = 8
activation = "tanh"
[[layers]]
name = "both"
kind = "concat"
input = ["seen", "colour", "numbers"]
[[layers]]
name = "sum"
kind = "dense"
units = 0
[[layers]]
name = "size"
kind = "dense"
units = 0
input = ["both"]
[[outputs]]
layer = "sum"
target = ["sum"]
loss = "huber delta=2"
[[outputs]]
layer = "size"
target = ["size"]
loss = "softmax_cross_entropy"
metrics = ["accuracy"]
weight = 0.5
[penalty]
kernels = "l2=1e-5"
[optimizer]
kind = "adam"
learning_rate = 0.03
[training]
epochs = 40
)";

}  // namespace

TEST_CASE("models: a recipe of branches and two outputs is trained, inspected, evaluated and used") {
  if (!have_lariat()) return;
  const TemporaryFolder folder;
  write_file(folder / "data.csv", table_text());
  write_file(folder / "r.toml", recipe);
  const std::string model = folder / "m.safetensors";
  const ProgramRun check = run_lariat({"recipe", "check", folder / "r.toml"});
  CAPTURE(check.err);
  CHECK(check.status == 0);
  CHECK(contains(check.out, "csv of 5 layers, huber, softmax_cross_entropy"));
  const ProgramRun trained =
      run_lariat({"train", folder / "r.toml", "--data", folder / "data.csv", "--out", model, "--quiet",
                  "--threads", "1", "--seed", "1", "--report", folder / "r.html"});
  CAPTURE(trained.err);
  REQUIRE(trained.status == 0);
  // Every output has its pictures.
  const std::string page = read_file(folder / "r.html");
  CHECK(contains(page, "<h2>sum: what was found against what it is</h2>"));
  CHECK(contains(page, "<h2>What was confused with what</h2></section>") == false);
  CHECK(contains(page, "<h2>What was confused with what</h2><h3>size</h3>"));
  CHECK(contains(page, "<h2>Class by class</h2><h3>size</h3>"));
  CHECK(contains(trained.out, "sum/r2"));
  CHECK(contains(trained.out, "size/accuracy"));
  // As the accuracy of one output.
  const size_t accuracy = trained.out.find("size/accuracy ");
  REQUIRE(accuracy != std::string::npos);
  CHECK(trained.out.substr(accuracy, trained.out.find(',', accuracy) - accuracy).ends_with("%"));
  const ProgramRun evaluated =
      run_lariat({"evaluate", model, "--data", folder / "data.csv", "--json", folder / "e.json"});
  CAPTURE(evaluated.err);
  REQUIRE(evaluated.status == 0);
  const json figures = json::parse(read_file(folder / "e.json")), metrics = figures["metrics"];
  CHECK(figures["outputs"]["size"]["accuracy"] == metrics["size/accuracy"]);
  CHECK(figures["outputs"]["size"]["confusion"].size() == 2);
  CHECK(figures["outputs"]["sum"]["confusion"].empty());
  CHECK(metrics["sum/r2"].get<double>() > 0.9);
  CHECK(metrics["size/accuracy"].get<double>() > 0.9);
  CHECK(contains(evaluated.out, "large"));

  const ProgramRun inspected = run_lariat({"inspect", model});
  CHECK(inspected.status == 0);
  CHECK(contains(inspected.out, "input=seen, colour, numbers"));
  CHECK(contains(inspected.out, "[batch, 12]"));
  // Where each column is among the numbers that go in.
  CHECK_MESSAGE(contains(inspected.out, "colour  2 to "), inspected.out);
  REQUIRE(run_lariat({"inspect", model, "--json", folder / "i.json"}).status == 0);
  int64_t first = 0;
  const json all = json::parse(read_file(folder / "i.json"));
  for (const json& input : all["inputs"]) {
    CHECK(input["first"] == first);
    first += input["count"].get<int64_t>();
  }
  CHECK(first > 2);

  write_file(folder / "new.csv", "a,b,colour\n4,-3,green\n-5,5,red\n");
  const ProgramRun predicted =
      run_lariat({"predict", model, folder / "new.csv", "--json", folder / "p.json"});
  CAPTURE(predicted.err);
  REQUIRE(predicted.status == 0);
  CHECK(predicted.out.starts_with("row,sum,size,size/large,size/small\n0,"));
  const json predictions = json::parse(read_file(folder / "p.json"))["predictions"];
  CHECK(predictions[0]["outputs"]["size"]["label"] == "large");
  CHECK(predictions[1]["outputs"]["size"]["label"] == "small");

  // Goes on from a checkpoint to the same bits; another network is another recipe.
  const ProgramRun other = run_lariat({"train", folder / "r.toml", "--data", folder / "data.csv", "--out",
                                       folder / "o.safetensors", "--quiet", "--seed", "1", "--resume",
                                       model + ".checkpoint", "--set", "layers.seen.units=9"});
  CHECK(other.status == 2);
  CHECK(contains(other.err, "was written by another recipe: layers.1.units is 8 there and 9 here"));
  const ProgramRun unknown = run_lariat(
      {"train", folder / "r.toml", "--data", folder / "data.csv", "--set", "layers.both.input=seen, color"});
  CHECK(unknown.status == 2);
  CHECK(contains(unknown.err,
                 "input = color: there is no layer and no column of that name. Did you mean 'colour'?"));
}

}  // namespace lariat::cli_models_test
