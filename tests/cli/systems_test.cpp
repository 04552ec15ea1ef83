// The systems of docs/system_*.md: their programs and recipes on small data, and their pages.
#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <sstream>

#include "tests/support/files.hpp"
#include "tests/support/npy.hpp"
#include "tests/support/program.hpp"
#include "tests/support/testing.hpp"
#include "tests/support/toy_runs.hpp"

namespace lariat::systems_test {

using namespace lariat::testing;
using nlohmann::json;

namespace {

namespace fs = std::filesystem;

// An example's program, which writes into the folder that it runs in.
ProgramRun run_example(const std::string& name, const std::string& arguments, const TemporaryFolder& folder) {
  return run_lariat({"-c", "cd '" + folder.path().string() + "' && '" LARIAT_BUILD_ROOT "/examples/" + name +
                               "' " + arguments},
                    {.program = "/bin/sh"});
}

bool have_example(const std::string& name) {
  if (fs::exists(LARIAT_BUILD_ROOT "/examples/" + name)) return true;
  skip("the examples are not built");
  return false;
}

std::string example(const std::string& name) { return std::string(LARIAT_SOURCE_ROOT) + "/examples/" + name; }

// A folder of images of 10 × 2 of ten classes, in which the row of the label is bright.
std::string write_ten_classes(const TemporaryFolder& folder) {
  const auto write = [&](const std::string& name, int count) {
    std::string images("\0\0\x08\x03\0\0\0\0\0\0\0\x0a\0\0\0\x02", 16), labels("\0\0\x08\x01\0\0\0\0", 8);
    images[7] = labels[7] = static_cast<char>(count);
    for (int i = 0; i < count; ++i) {
      labels += static_cast<char>(i % 10);
      for (int pixel = 0; pixel < 20; ++pixel)
        images += static_cast<char>((pixel / 2 == i % 10 ? 100 : 0) + i * (pixel + 3) % 50);
    }
    write_file(folder / (name + "-images-idx3-ubyte"), images);
    write_file(folder / (name + "-labels-idx1-ubyte"), labels);
  };
  write("train", 200);
  write("t10k", 40);
  return folder.path().string();
}

// Trains a recipe of the examples with changes, and says what came of it.
json trained(const std::string& recipe, const std::string& data, const std::vector<std::string>& settings,
             const TemporaryFolder& folder) {
  std::vector<std::string> words{"train",
                                 example(recipe),
                                 "--data",
                                 data,
                                 "--quiet",
                                 "--threads",
                                 "1",
                                 "--out",
                                 folder / "model.safetensors",
                                 "--json",
                                 folder / "figures.json"};
  for (const std::string& setting : settings) words.insert(words.end(), {"--set", setting});
  const ProgramRun run = run_lariat(words);
  CAPTURE(run.err);
  REQUIRE(run.status == 0);
  return json::parse(read_file(folder / "figures.json"));
}

// The lines of a program that are neither empty nor comments.
std::vector<std::string> code_lines(const std::string& text, const std::string& comment) {
  std::vector<std::string> result;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);)
    if (const size_t begin = line.find_first_not_of(' ');
        begin != line.npos && line.compare(begin, comment.size(), comment) != 0)
      result.push_back(line);
  return result;
}

// The first block of that language in a page.
std::string block_of(const std::string& page, const std::string& language) {
  const size_t begin = page.find("```" + language + "\n");
  if (begin == page.npos) return {};
  const size_t text = page.find('\n', begin) + 1;
  return page.substr(text, page.find("\n```", text) + 1 - text);
}

std::string squeezed(std::string text) {
  std::erase_if(text, [](char c) { return c == ' ' || c == '\n'; });
  return text;
}

// The lines of Keras and those of ours of a page that sets them side by side, "| `theirs` | `ours` |"; either
// may be missing in a row.
std::pair<std::vector<std::string>, std::vector<std::string>> rows_of(const std::string& page) {
  std::vector<std::string> theirs, ours;
  std::istringstream lines(page);
  for (std::string line; std::getline(lines, line);) {
    if (!line.starts_with("| `") || line.find("` |") == line.npos) continue;
    const size_t between = line.find("` | ");
    theirs.push_back(line.substr(3, between - 3));
    if (const std::string right = line.substr(between + 4); right.starts_with('`'))
      ours.push_back(right.substr(1, right.find('`', 1) - 1));
  }
  return {theirs, ours};
}

}  // namespace

TEST_CASE("systems: each page shows its program, which is no longer than Keras's") {
  size_t pages = 0;
  for (const auto& entry : fs::directory_iterator(std::string(LARIAT_SOURCE_ROOT) + "/docs")) {
    const std::string name = entry.path().stem().string();
    if (!name.starts_with("system_") || entry.path().extension() != ".md") continue;
    CAPTURE(name);
    const std::string page = read_file(entry.path().string()), source = example(name + ".cpp");
    if (!fs::exists(source)) continue;
    ++pages;
    const std::string text = read_file(source);
    CHECK(text.size() > 0);
    CHECK(std::count(text.begin(), text.end(), '\n') < 60);
    if (block_of(page, "c++").empty()) {
      const auto [theirs, beside] = rows_of(page);
      CHECK(!beside.empty());
      CHECK(beside.size() <= theirs.size());
      for (const std::string& line : beside)
        CHECK_MESSAGE(squeezed(text).find(squeezed(line)) != text.npos, line);
      continue;
    }
    const auto ours = code_lines(text, "//"), shown = code_lines(block_of(page, "c++"), "//");
    CHECK(shown == ours);
    CHECK(ours.size() <= code_lines(block_of(page, "python"), "#").size());
  }
  CHECK(pages >= 4);
}

TEST_CASE("systems: L1 in practice, as a program and as a recipe") {
  const TemporaryFolder folder;
  const std::string images = write_ten_classes(folder);
  if (!have_example("system_5_mnist") || !have_lariat()) return;
  const ProgramRun run = run_example("system_5_mnist", "'" + images + "'", folder);
  CHECK(run.status == 0);
  for (const char* part :
       {"accuracy ", "precision ", "recall ", "f1 ", "dense_2/kernel: ", "the first test image: "})
    CHECK(contains(run.out, part));
  CHECK(fs::exists(folder / "mnist.safetensors"));
  const ProgramRun none = run_example("system_5_mnist", "", folder);
  CHECK(none.status == 2);
  CHECK(none.err == "give the folder of MNIST's four files, and perhaps lambda\n");

  const json figures = trained("system_5_mnist.toml", images, {"training.epochs=2"}, folder);
  CHECK(figures["task"] == "classes");
  // Nothing is left with 0.01, and a line says so with another coefficient.
  const json starved = trained("system_5_mnist.toml", images,
                               {"training.epochs=40", "proximal.settle_from=1", "proximal.after_settling=1",
                                "layers.0.kernel_penalty=l1=0.1", "layers.1.kernel_penalty=l1=0.1"},
                               folder);
  CHECK(starved["zero_fraction"] == 1.0);
  const std::string notices = starved["notices"].dump();
  CHECK(contains(notices, "L201: all of 'dense_1/kernel', 'dense_2/kernel' are zero"));
  CHECK(contains(notices, "in place of 0.1 more than zeros was left"));
}

TEST_CASE("systems: an LSTM whose states go on, by a recipe, with a report of what its zeros are worth") {
  if (!have_lariat()) return;
  const TemporaryFolder folder;
  constexpr int pieces = 32, frames = 3, bins = 128, notes = 64;
  std::vector<float> x, y;
  for (int frame = 0; frame < pieces * frames; ++frame) {
    const int note = frame * 7 % notes;
    for (int bin = 1; bin <= bins; ++bin) x.push_back(bin % (note + 1) == 0 ? 1.0F : 0.1F);
    for (int i = 0; i < notes; ++i) y.push_back(i == note ? 1.0F : 0.0F);
  }
  const auto shape = [&](int last) { return fmt::format("({}, {}, {})", pieces, frames, last); };
  const std::string archive =
      zip({{"X.npy", npy_of("<f4", shape(bins), x)}, {"y.npy", npy_of("<f4", shape(notes), y)}}, false);
  for (const char* name : {"/train.npz", "/test.npz"}) write_file(folder.text() + name, archive);
  std::vector<std::string> settings{"training.epochs=2", "layers.0.units=24", "layers.1.units=24"};
  for (const char* key : {"0.kernel", "0.recurrent", "1.kernel", "1.recurrent", "2.kernel"})
    settings.push_back(fmt::format("layers.{}_penalty=l1=1e-3", key));
  const json figures = trained("system_2_lstm.toml", folder.text(), settings, folder);
  CHECK(figures["zero_fraction"] > 0.05);
  const std::string model = folder / "model.safetensors", report = read_file(model + ".report.html");
  CHECK(contains(report, "On one thread a sequence of 100 frames takes "));
  const ProgramRun compacted = run_lariat({"compact", model, "--out", folder / "small.safetensors"});
  CAPTURE(compacted.err);
  CHECK(compacted.status == 0);
  CHECK(contains(compacted.out, "lstm_2"));
}

TEST_CASE("systems: is it a seven, by a program and by three recipes") {
  const TemporaryFolder folder;
  const std::string digits = write_digits(folder, 7);
  if (!have_example("system_1_is_it_a_seven") || !have_lariat()) return;
  const std::string seven = digits + "/7_ann_0.wav";
  const ProgramRun run = run_example("system_1_is_it_a_seven", "'" + digits + "' '" + seven + "'", folder);
  CAPTURE(run.err);
  CHECK(run.status == 0);
  CHECK(contains(run.out, "accuracy "));
  CHECK(contains(run.out, seven + ": "));

  for (const char* recipe :
       {"system_1_is_it_a_seven.toml", "system_1_convolutions.toml", "system_1_recurrent.toml"}) {
    CAPTURE(recipe);
    const json figures = trained(recipe, digits, {"training.epochs=3"}, folder);
    CHECK(figures["task"] == "binary");
    CHECK(figures["classes"] == json({"not 7", "7"}));
  }
  const ProgramRun heard = run_lariat({"recognize", folder / "model.safetensors", seven});
  CHECK(heard.status == 0);
  const ProgramRun wrong = run_lariat(
      {"train", example("system_1_is_it_a_seven.toml"), "--data", digits, "--set", "data.positive=seven"});
  CHECK(wrong.status == 2);
  CHECK(contains(wrong.err, "positive = seven: must be one of 0, 1, 2, 3, 4, 5, 6, 7, 8, 9."));
  const ProgramRun numbers = run_lariat({"train", example("system_1_is_it_a_seven.toml"), "--data", digits,
                                         "--set", "loss.kind=mean_squared_error"});
  CHECK(numbers.status == 2);
  CHECK(contains(numbers.err, "[data] positive = 7: has no effect with [loss] kind = mean_squared_error"));
}

TEST_CASE("systems: L2 on all variables, lambda by validation") {
  const TemporaryFolder folder;
  const std::string digits = write_digits(folder, 11);
  if (!have_example("system_3_l2_speech") || !have_lariat()) return;
  const ProgramRun run = run_example("system_3_l2_speech", "'" + digits + "'", folder);
  CAPTURE(run.err);
  CHECK(run.status == 0);
  CHECK(contains(run.out, "lambda 0.001: "));
  CHECK(contains(run.out, "the best on the test: "));
  const json figures =
      trained("system_3_l2_speech.toml", digits, {"training.epochs=2", "penalty.kernels=l2=1e-2"}, folder);
  CHECK(figures["classes"].size() == 10);
}

TEST_CASE("systems: strings of digits, without a label for each frame") {
  const TemporaryFolder folder;
  const std::string digits = write_digits(folder, 7), seven = digits + "/7_ann_1.wav";
  if (!have_example("connected_digits") || !have_lariat()) return;
  const ProgramRun run = run_example("connected_digits", "'" + digits + "' '" + seven + "'", folder);
  CAPTURE(run.err);
  CHECK(run.status == 0);
  for (const char* part : {"symbol_error_rate ", "sequence_accuracy ", "exact zeros ", "7_ann_1.wav  "})
    CHECK(contains(run.out, part));
  CHECK(fs::exists(folder / "connected_digits.safetensors"));
  const json figures = trained("connected_digits.toml", digits, {"training.epochs=2"}, folder);
  CHECK(figures["task"] == "symbols");
  CHECK(figures["classes"].size() == 10);
}

TEST_CASE("systems: gradient descent from first principles, and as a recipe") {
  const TemporaryFolder folder;
  if (!have_example("system_4_descent") || !have_lariat()) return;
  const ProgramRun run = run_example("system_4_descent", "", folder);
  CAPTURE(run.err);
  CHECK(run.status == 0);
  CHECK(contains(run.out, "step 0: loss "));
  CHECK(contains(run.out, "step 900: loss "));
  const std::string picture = read_file(folder / "descent.svg");
  CHECK(picture.starts_with("<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"chart\""));
  for (const char* name : {"plain", "clipped", "cosine", "momentum", "RMSProp", "Adam"})
    CHECK(contains(picture, std::string(">") + name + "</text>"));
  // 400 plain steps of the recipe, and of the program, come from other first weights to one place.
  const json figures = trained("system_4_descent.toml", folder / "points.csv", {}, folder);
  const size_t at = run.out.find("step 900: loss ") + std::string("step 900: loss ").size();
  CHECK(figures["history"].back()["loss"].get<double>() ==
        doctest::Approx(std::stod(run.out.substr(at))).epsilon(2e-3));
}

}  // namespace lariat::systems_test
