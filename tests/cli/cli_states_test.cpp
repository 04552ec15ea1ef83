// A recipe whose decoder begins where its encoder ended, from arrays; every command takes its model.
#include <fmt/format.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "tests/support/files.hpp"
#include "tests/support/npy.hpp"
#include "tests/support/program.hpp"
#include "tests/support/testing.hpp"

namespace lariat::cli_states_test {

using namespace lariat::testing;
using nlohmann::json;

namespace {

const char* const recipe = R"([data]
kind = "numpy"
testing = 20
[loss]
kind = "mean_squared_error"
[[layers]]
name = "start"
kind = "last_step"
input = ["first"]
[[layers]]
name = "encoder"
kind = "gru"
units = 6
input = ["heard"]
initial_state = ["first"]
[[layers]]
name = "decoder"
kind = "gru"
units = 6
input = ["asked"]
initial_state = ["encoder.hidden"]
[[layers]]
kind = "concat"
input = ["decoder.hidden", "start"]
[[layers]]
kind = "dense"
units = 1
[optimizer]
learning_rate = 0.02
[training]
epochs = 30
batch_size = 16
)";

// What is heard, in eight frames, is to be said: half its sum. "first" is one vector for each row.
std::string write_arrays(const TemporaryFolder& folder) {
  const std::string data = folder / "arrays";
  std::filesystem::create_directory(data);
  std::vector<float> heard, asked, first, y;
  for (int i = 0; i < 200; ++i) {
    float sum = 0;
    for (int t = 0; t < 8; ++t) {
      heard.push_back(static_cast<float>((i * 37 + t * 61) % 17) / 8 - 1);
      asked.push_back(static_cast<float>((i * 11 + t * 7) % 5) / 2 - 1);
      sum += heard.back();
    }
    for (int u = 0; u < 6; ++u) first.push_back(static_cast<float>((i + 3 * u) % 7) / 7 - 0.5F);
    y.push_back(sum / 2);
  }
  write_file(data + "/heard.npy", npy_of("<f4", "(200, 8, 1)", heard));
  write_file(data + "/asked.npy", npy_of("<f4", "(200, 8, 1)", asked));
  write_file(data + "/first.npy", npy_of("<f4", "(200, 6)", first));
  write_file(data + "/y.npy", npy_of("<f4", "(200,)", y));
  return data;
}

}  // namespace

TEST_CASE("cli: states that go on from layer to layer are trained, saved, compacted and exported") {
  if (!have_lariat()) return;
  const TemporaryFolder folder;
  const std::string data = write_arrays(folder), toml = folder / "r.toml", model = folder / "m.safetensors";
  write_file(toml, recipe);
  const auto run = [](const std::vector<std::string>& words) {
    const ProgramRun result = run_lariat(words);
    REQUIRE_MESSAGE(result.status == 0, result.err);
    return result.out;
  };
  const auto train = [&](const std::string& out, const char* threads, std::vector<std::string> more = {}) {
    more.insert(more.begin(), {"train", toml, "--data", data, "--quiet", "--threads", threads, "--out", out,
                               "--json", folder / "t.json"});
    run(more);
    return json::parse(read_file(folder / "t.json"));
  };
  const json figures = train(model, "1");
  CHECK(figures["test"]["r2"] > 0.8);
  CHECK(train(folder / "two", "2", {"--no-report"})["state_hash"] == figures["state_hash"]);
  CHECK(train(folder / "streamed", "2", {"--no-report", "--set", "data.stream=true"})["state_hash"] ==
        figures["state_hash"]);
  run({"evaluate", model, "--data", data, "--json", folder / "e.json"});
  CHECK(json::parse(read_file(folder / "e.json"))["metrics"]["r2"] == figures["test"]["r2"]);
  CHECK(contains(run({"inspect", model}), "encoder"));
  CHECK(
      contains(run({"compact", model, "--out", folder / "small", "--check", data}), "every bit is the same"));

  run({"export", model, "--to", "c", "--out", folder / "c", "--frames", "8", "--data", data});
  const ProgramRun built =
      run_lariat({"-c", "cd '" + (folder / "c") + "' && cc -std=c99 m.c m_test.c -lm && ./a.out"},
                 {.program = "/bin/sh"});
  CHECK_MESSAGE(contains(built.out, "answers are the host's"), built.err);
  const ProgramRun streaming =
      run_lariat({"export", model, "--to", "c", "--out", folder / "d", "--streaming"});
  CHECK(streaming.status == 2);
  CHECK(contains(streaming.err, "export it with --frames N instead of --streaming"));

  // Wrong in a recipe: one line that names the layer.
  const ProgramRun wrong =
      run_lariat({"train", toml, "--data", data, "--set", "layers.1.units=5", "--set", "layers.2.units=5"});
  CHECK(wrong.status == 2);
  CHECK(wrong.err ==
        "lariat: layer encoder: initial_state = first: has 6 values, but its state hidden has 5; give both "
        "layers as many units, or put a dense layer of 5 units between them\n");
  // What the recipe alone says is seen before there are any data.
  std::string text = recipe;
  text.replace(text.find("units = 6"), 9, "units = 5");
  write_file(toml, text);
  const ProgramRun checked = run_lariat({"recipe", "check", toml});
  CHECK(checked.status == 2);
  CHECK(checked.err ==
        "lariat: " + toml +
            ":16: [layers.2] initial_state = encoder.hidden: has 5 values, but its state hidden has 6; give "
            "both layers as many units, or put a dense layer of 6 units between them\n");
  CHECK(run_lariat({"train", toml, "--data", data}).err == checked.err);
}

TEST_CASE("cli: a training and a search write their report beside the model, and replace no other file") {
  if (!have_lariat()) return;
  const TemporaryFolder folder;
  const std::string data = write_arrays(folder), toml = folder / "r.toml", model = folder / "m",
                    page = model + ".report.html";
  write_file(toml, recipe);
  const auto train = [&](std::vector<std::string> more) {
    more.insert(more.begin(), {"train", toml, "--data", data, "--quiet", "--set", "training.epochs=1"});
    return run_lariat(more);
  };
  ProgramRun run = train({"--out", model});
  CHECK(run.status == 0);
  CHECK(contains(run.out, page));
  const std::string first = read_file(page);
  CHECK(contains(first, "<meta name=\"generator\" content=\"lariat\">"));
  // Its own it replaces.
  CHECK(train({"--out", model, "--set", "training.epochs=2"}).status == 0);
  CHECK(read_file(page) != first);

  write_file(page, "<!DOCTYPE html> notes of mine");
  run = train({"--out", model});
  CHECK(run.status == 0);
  CHECK(run.err == "lariat: '" + page +
                       "' is there and is no report that lariat wrote, so it stays and none is written; give "
                       "--report another name\n");
  CHECK(read_file(page) == "<!DOCTYPE html> notes of mine");
  std::filesystem::remove(page);
  std::filesystem::create_directory(page);
  CHECK(train({"--out", model}).status == 0);
  std::filesystem::remove(page);

  // Nor any other where it is asked for by name.
  write_file(folder / "mine.html", "mine");
  run = train({"--out", folder / "other", "--report", folder / "mine.html"});
  CHECK(run.status == 2);
  const std::string kept =
      "lariat: '" + (folder / "mine.html") +
      "' is there and is no report that lariat wrote, so it stays; give --report another "
      "name\n";
  CHECK(run.err == kept);
  CHECK_FALSE(std::filesystem::exists(folder / "other"));
  write_file(folder / "rows", "3 1:1\n5 1:2\n9 1:3\n");
  const std::vector<std::string> path{"path",    "--data", folder / "rows", "--loss",   "squared",
                                      "--quiet", "--out",  folder / "w",    "--report", folder / "mine.html"};
  CHECK(run_lariat(path).err == kept);
  CHECK_FALSE(std::filesystem::exists(folder / "w"));
  CHECK(run_lariat({"compare", model, model, "--report", folder / "mine.html"}).err == kept);
  CHECK(read_file(folder / "mine.html") == "mine");
  // An empty one, as of mktemp, holds nothing.
  write_file(folder / "mine.html", "");
  CHECK(run_lariat(path).status == 0);
  CHECK(contains(read_file(folder / "mine.html"), "content=\"lariat\""));

  // Elsewhere, or nowhere.
  CHECK(train({"--out", model, "--report", folder / "r.html"}).status == 0);
  CHECK(contains(read_file(folder / "r.html"), "content=\"lariat\""));
  CHECK(train({"--out", model, "--no-report"}).status == 0);
  CHECK(train({}).status == 0);
  CHECK(train({"--out", "/dev/null"}).status == 0);
  CHECK(!std::filesystem::exists("/dev/null.report.html"));
  CHECK(train({"--out", "-"}).status == 0);
  CHECK(!std::filesystem::exists("-.report.html"));
  CHECK(!std::filesystem::exists(page));
  run = train({"--out", model, "--report", folder / "r.html", "--no-report"});
  CHECK(run.status == 2);
  CHECK(run.err ==
        "lariat train: --report " + (folder / "r.html") + " and --no-report: leave one of them out\n");

  std::vector<std::string> search{"search",
                                  toml,
                                  "--data",
                                  data,
                                  "--quiet",
                                  "--set",
                                  "training.epochs=1",
                                  "--over",
                                  "layers.1.learning_rate_factor=1,2",
                                  "--folds",
                                  "2",
                                  "--out",
                                  folder / "s"};
  run = run_lariat(search);
  CHECK_MESSAGE(run.status == 0, run.err);
  CHECK(contains(read_file(folder / "s.report.html"), "Search of"));
}

}  // namespace lariat::cli_states_test
