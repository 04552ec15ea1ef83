// Sequences of symbols at the command line, from a recipe that the program wrote to what it says of new data.
#include <fmt/format.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "tests/support/npy.hpp"
#include "tests/support/program.hpp"
#include "tests/support/testing.hpp"
#include "tests/support/toy_runs.hpp"

namespace lariat::cli_symbols_test {

using namespace lariat::testing;
using nlohmann::json;
namespace fs = std::filesystem;

namespace {

ProgramRun succeeded(const std::vector<std::string>& words) {
  ProgramRun run = run_lariat(words);
  CAPTURE(run.err);
  CAPTURE(run.out);
  CHECK(run.status == 0);
  return run;
}

}  // namespace

TEST_CASE("cli symbols: a recipe of the program's own learns what is said, and everything is said of it") {
  if (!have_lariat()) return;
  const TemporaryFolder folder;
  const std::string digits = write_digits(folder, 6), recipe = folder / "words.toml",
                    model = folder / "m.safetensors", figures = folder / "f.json", report = folder / "r.html";
  std::string table = "file,label\n";
  for (int digit = 0; digit < 10; ++digit)
    for (const char* who : {"ann", "bob"})
      for (int i = 0; i < 6; ++i) table += fmt::format("{0}_{1}_{2}.wav,d{0}\n", digit, who, i);
  write_file(digits + "/list.csv", table);
  const std::string text = succeeded({"recipe", "new", "symbols"}).out;
  write_file(recipe, text);
  CHECK(contains(succeeded({"recipe", "check", recipe}).out, "is in order: list of 3 layers, ctc"));
  const ProgramRun trained = succeeded({"train",    recipe,
                                        "--data",   digits + "/list.csv",
                                        "--out",    model,
                                        "--json",   figures,
                                        "--report", report,
                                        "--set",    "data.join=2",
                                        "--set",    "training.epochs=6",
                                        "--set",    "layers.0.filters=16",
                                        "--set",    "layers.1.units=12",
                                        "--set",    "features.num_mel_bins=20",
                                        "--set",    "optimizer.learning_rate=0.01"});
  CHECK(contains(trained.out, "symbol_error_rate"));
  CHECK(contains(trained.out, "sequence_accuracy"));
  const json run = json::parse(read_file(figures));
  CHECK(run["task"] == "symbols");
  CHECK(run["classes"].size() == 10);
  const std::string page = read_file(report);
  for (const char* part :
       {"<h2>Figures</h2>", "<h2>Wrong symbols: ", "Wrong symbols and right sequences by epoch",
        "symbol_error_rate", "Class by class", "What was confused with what",
        "In the last row are symbols that were inserted"})
    CHECK(contains(page, part));

  // Recordings that were joined can be heard in their order.
  size_t examples = 0;
  for (size_t at = page.find("<div class=\"example\">"); at != page.npos; ++examples) {
    const size_t next = page.find("<div class=\"example\">", at + 1);
    const std::string example = page.substr(at, next == page.npos ? next : next - at);
    const auto times = [&](const std::string& part) {
      size_t count = 0;
      for (size_t place = example.find(part); place != example.npos; place = example.find(part, place + 1))
        ++count;
      return count;
    };
    CHECK(times("<audio ") == 1 + times(".wav + "));
    at = next;
  }
  CHECK(examples > 0);
  const ProgramRun measured =
      succeeded({"evaluate", model, "--data", digits + "/list.csv", "--json", folder / "e.json"});
  CHECK(contains(measured.out, " substituted, "));
  CHECK(contains(measured.out, "(none)"));
  const json evaluation = json::parse(read_file(folder / "e.json"));
  CHECK(evaluation["metrics"]["symbol_error_rate"] == run["test"]["symbol_error_rate"]);
  CHECK(evaluation["symbol_errors"]["symbols"] == run["test"]["symbol_errors"]["symbols"]);
  CHECK(evaluation["confusion_names"].back() == "(none)");

  const ProgramRun heard = succeeded(
      {"recognize", model, digits + "/3_ann_1.wav", digits + "/8_bob_2.wav", "--json", folder / "h.json"});
  const json said = json::parse(read_file(folder / "h.json"));
  REQUIRE(said["files"].size() == 2);
  for (const json& file : said["files"]) {
    std::string words;
    for (const std::string word : file["symbols"]) words += (words.empty() ? "" : " ") + word;
    CHECK(file["label"] == words);
    CHECK(contains(heard.out, words));
  }
  CHECK(contains(succeeded({"inspect", model}).out, "conv1d_1/kernel"));
  succeeded({"compact", model, "--out", folder / "small.safetensors"});
  CHECK(json::parse([&] {
          succeeded({"evaluate", folder / "small.safetensors", "--data", digits + "/list.csv", "--json",
                     folder / "s.json"});
          return read_file(folder / "s.json");
        }())["metrics"]["symbol_error_rate"] == evaluation["metrics"]["symbol_error_rate"]);
  CHECK(contains(succeeded({"compare", model, figures}).out, "test symbol_error_rate"));
  const ProgramRun exported =
      run_lariat({"export", model, "--to", "c", "--out", folder / "c", "--frames", "50"});
  CHECK(exported.status == 2);
  CHECK(contains(exported.err,
                 "the model finds sequences of symbols, for which C has no form; export one of classes"));
  const ProgramRun beam =
      succeeded({"train", recipe, "--data", digits + "/list.csv", "--set", "prediction.beam=4", "--set",
                 "training.epochs=1", "--set", "layers.1.units=4"});
  CHECK(contains(beam.out, "symbol_error_rate"));
}

TEST_CASE("cli symbols: arrays are predicted in words") {
  if (!have_lariat()) return;
  const TemporaryFolder folder;
  constexpr int rows = 40, frames = 16;
  std::vector<float> x;
  std::vector<int32_t> y;
  for (int row = 0; row < rows; ++row) {
    const int first = 1 + row % 2, second = 1 + row / 2 % 2;
    for (int t = 0; t < frames; ++t)
      for (int channel = 1; channel <= 2; ++channel)
        x.push_back((t >= 1 && t < 6 && channel == first) || (t >= 9 && t < 14 && channel == second) ? 1.0F
                                                                                                     : 0.0F);
    y.insert(y.end(), {first, second});
  }
  fs::create_directory(folder / "data");
  write_file(folder / "data/X.npy", npy_of<float>("<f4", fmt::format("({}, {}, 2)", rows, frames), x));
  write_file(folder / "data/y.npy", npy_of<int32_t>("<i4", fmt::format("({}, 2)", rows), y));
  const std::string recipe = folder / "r.toml", model = folder / "m.safetensors";
  write_file(recipe, R"([data]
kind = "numpy"
symbols = ["left", "right"]
[loss]
kind = "ctc"
[[layers]]
kind = "conv1d"
filters = 12
kernel = 5
activation = "relu"
[[layers]]
kind = "dense"
units = 0
[optimizer]
learning_rate = 0.03
[training]
epochs = 40
[prediction]
beam = 3
)");
  succeeded({"train", recipe, "--data", folder / "data", "--out", model});
  const ProgramRun said = succeeded({"predict", model, folder / "data/X.npy", "--json", folder / "p.json"});
  CHECK(said.out.starts_with("row,prediction,probability\n0,left left,0."));
  CHECK(contains(said.out, "\n3,right right,0."));
  const json predictions = json::parse(read_file(folder / "p.json"));
  CHECK(predictions["task"] == "symbols");
  CHECK(predictions["predictions"][2]["symbols"] == json({"left", "right"}));
  CHECK(predictions["predictions"][2]["frames"] == frames);
  CHECK_FALSE(predictions["predictions"][2].contains("values"));
  const ProgramRun measured = succeeded({"evaluate", model, "--data", folder / "data"});
  CHECK(contains(measured.out, "0 of "));
  const ProgramRun wrong =
      run_lariat({"train", recipe, "--data", folder / "data", "--set", "loss.kind=focal"});
  CHECK(wrong.status == 2);
  CHECK(contains(wrong.err, "[data] symbols = left, right: has no effect with [loss] kind = focal"));
  const ProgramRun searched =
      succeeded({"search", recipe, "--data", folder / "data", "--set", "training.epochs=3", "--over",
                 "optimizer.learning_rate=0.01,0.03", "--folds", "2"});
  CHECK(contains(searched.out, "symbol_error_rate"));
}

}  // namespace lariat::cli_symbols_test
