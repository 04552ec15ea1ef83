#include <filesystem>
#include <nlohmann/json.hpp>

#include "frontends/sequential/model_file.hpp"
#include "graph/io/store.hpp"
#include "tests/support/npy.hpp"
#include "tests/support/testing.hpp"
#include "tests/support/tones.hpp"
#include "tests/support/toy_runs.hpp"

namespace lariat::cli_compact_test {

using namespace lariat::testing;
using nlohmann::json;

namespace {

// The trained model, of which nothing reads units 1, 4, 5 and 9 of 12, and nothing comes into unit 7.
std::string with_useless_units(const TemporaryFolder& folder) {
  Store store = Store::load(trained().model);
  const auto clear = [&](const std::string& name, int64_t rows, auto&& which) {
    const Tensor tensor = store.get(name);
    const int64_t columns = tensor.count() / rows;
    for (int64_t i = 0; i < tensor.count(); ++i)
      if (which(i / columns, i % columns)) tensor.data<float>()[i] = 0;
  };
  const auto unread = [](int64_t row, int64_t) { return row == 1 || row == 4 || row == 5 || row == 9; };
  clear("dense_1/kernel", 12, unread);
  clear("lstm_1/recurrent_kernel", 12, unread);
  const auto into_7 = [](int64_t, int64_t column) { return column % 12 == 7; };
  clear("lstm_1/kernel", 16, into_7);
  clear("lstm_1/recurrent_kernel", 12, into_7);
  clear("lstm_1/bias", 1, into_7);
  const std::string file = folder / "useless.safetensors";
  save_model(store, file);
  return file;
}

json read_json_file(const std::string& file) { return json::parse(read_file(file)); }

}  // namespace

TEST_CASE("cli: compact takes useless units out, and every command takes the smaller model") {
  if (!have_lariat()) return;
  const Trained& made = trained();
  const TemporaryFolder folder;
  const std::string file = with_useless_units(folder), small = folder / "small.safetensors";
  const ProgramRun run = run_lariat({"compact", file, "--out", small, "--check", made.tones, "--json",
                                     folder / "c.json", "--threads", "1"});
  INFO(run.err);
  REQUIRE(run.status == 0);
  CHECK(
      contains(run.out, "4 units that nothing reads, 1 that are always 0, 0 that are always another number"));
  CHECK(contains(run.out, "only terms of 0 are left out of sums, which may be added up in another order\n"));
  CHECK(contains(run.out, "same labels"));
  const json figures = read_json_file(folder / "c.json");
  CHECK(figures["unread"] == 4);
  CHECK(figures["always_zero"] == 1);
  CHECK(figures["only_zeros"] == true);
  // It is called exact where every bit is the same.
  CHECK(figures["exact"] == (figures["check"]["largest_difference"] == 0.0));
  CHECK(contains(run.out, "exact, every bit is the same; same labels") == figures["exact"]);
  CHECK(figures["check"]["other_labels"] == 0);
  CHECK(figures["check"]["examples"] == 20);
  CHECK(figures["check"]["largest_difference"].get<double>() < 1e-5);
  CHECK(figures["bytes_after"] == std::filesystem::file_size(small));
  CHECK(figures["bytes_after"] < figures["bytes_before"]);
  const json& lstm = figures["layers"][0];
  CHECK(lstm["name"] == "lstm_1");
  CHECK(lstm["before"]["weights"] == 16 * 48 + 12 * 48 + 48);
  CHECK(lstm["after"]["weights"] == 16 * 28 + 7 * 28 + 28);
  CHECK(lstm["after"]["multiply_adds"].get<double>() < 0.6 * lstm["before"]["multiply_adds"].get<double>());
  CHECK(lstm["after"]["seconds"].get<double>() > 0);
  CHECK(figures["seconds_after"].get<double>() > 0);

  const auto evaluated = [&](const std::string& model) {
    const ProgramRun evaluation =
        run_lariat({"evaluate", model, "--data", made.tones, "--json", folder / "e.json"});
    INFO(evaluation.err);
    REQUIRE(evaluation.status == 0);
    return read_json_file(folder / "e.json");
  };
  const json before = evaluated(file), after = evaluated(small);
  CHECK(after["confusion"] == before["confusion"]);
  CHECK(after["loss"].get<double>() == doctest::Approx(before["loss"].get<double>()).epsilon(1e-5));
  CHECK(run_lariat({"recognize", small, made.tones + "/1_ann_0.wav"}).status == 0);
  const ProgramRun shown = run_lariat({"inspect", small});
  CHECK(contains(shown.out, "units=7"));
  // Its recipe makes the same layers.
  CHECK(contains(Store::load(small).metadata().at("recipe"), "\"units\":7"));
  // A second time there is nothing to do; rounding is checked too.
  const ProgramRun again = run_lariat({"compact", small, "--out", folder / "again", "--weights", "int8",
                                       "--check", made.tones + "/1_ann_0.wav", "--json", folder / "c.json"});
  INFO(again.err);
  REQUIRE(again.status == 0);
  CHECK(contains(again.out, "no unit is useless: nothing was taken out"));
  CHECK(contains(again.out, ": exact, every bit is the same; same labels\n"));
  const json second = read_json_file(folder / "c.json");
  CHECK(second["exact"] == true);
  CHECK(second["check"]["rounded"]["examples"] == 1);
  CHECK(second["check"]["rounded"]["exact"] == false);
  CHECK(contains(again.out, " of the largest number; "));
  CHECK(std::filesystem::file_size(folder / "again") < std::filesystem::file_size(small));
}

TEST_CASE("cli: a compacted model is trained on by its own recipe, with the zeros that it has") {
  if (!have_lariat()) return;
  const Trained& made = trained();
  const TemporaryFolder folder;
  const std::string small = folder / "small.safetensors", more = folder / "more.safetensors";
  REQUIRE(run_lariat({"compact", with_useless_units(folder), "--out", small}).status == 0);
  const ProgramRun run =
      run_lariat({"train", small, "--start", small, "--freeze-zeros", "--data", made.tones, "--quiet",
                  "--set", "training.epochs=1", "--set", "layers.0.kernel_penalty=none", "--out", more});
  INFO(run.err);
  REQUIRE(run.status == 0);
  const Store before = Store::load(small), after = Store::load(more);
  const Tensor from = before.get("lstm_1/kernel"), to = after.get("lstm_1/kernel");
  int64_t zeros = 0, moved = 0;
  for (int64_t i = 0; i < from.count(); ++i) {
    if (from.at(i) == 0) CHECK(to.at(i) == 0);
    zeros += from.at(i) == 0 ? 1 : 0;
    moved += from.at(i) != to.at(i) ? 1 : 0;
  }
  CHECK(zeros > 10);
  CHECK(moved > 100);
  CHECK(contains(after.metadata().at("recipe"), "\"freeze_zeros\":true"));
  const auto refused = [&](std::vector<std::string> arguments, const std::string& message) {
    arguments.insert(arguments.end(), {"--data", made.tones, "--quiet"});
    const ProgramRun refusal = run_lariat(arguments);
    CHECK(refusal.status == 2);
    CHECK(refusal.err == message + "\n");
  };
  refused({"train", made.recipe, "--start", small},
          "lariat: '" + small +
              "' has no tensor 'dense_1/kernel' of type f32[12, 10], but f32[7, 10]; give the recipe that it "
              "was trained "
              "by, or the model itself in its place");
  refused({"train", made.recipe, "--start", made.recipe},
          "lariat: cannot load '" + made.recipe +
              "': it is not a safetensors file (it begins with the bytes 23 20 74 6f); name a file that "
              "Lariat saved");
  refused({"train", made.recipe, "--start", made.model, "--resume", made.model + ".checkpoint"},
          "lariat train: --start and --resume: a run that goes on has its weights; leave one out");
}

TEST_CASE("cli: compact refuses data of another shape, and writes nothing then") {
  if (!have_lariat()) return;
  const TemporaryFolder folder;
  const std::string file = with_useless_units(folder), out = folder / "out";
  const auto refused = [&](std::vector<std::string> arguments, const std::string& part) {
    arguments.insert(arguments.begin(), {"compact", file});
    const ProgramRun run = run_lariat(arguments);
    CHECK(run.status == 2);
    CHECK_MESSAGE(contains(run.err, part), run.err);
    CHECK(std::count(run.err.begin(), run.err.end(), '\n') == 1);
    CHECK_FALSE(std::filesystem::exists(out));
  };
  refused({}, "lariat compact: --out is missing: name the file to write\n");
  refused({"--out", out, "--check", folder / "none.wav"}, (folder / "none.wav") + ": there is no such file");
  refused({"--out", file}, file);
  // A model of images on rows of another width.
  const std::string images = write_images(folder);
  write_file(folder / "images.toml", image_recipe);
  const std::string model = folder / "images.safetensors";
  REQUIRE(run_lariat({"train", folder / "images.toml", "--data", images, "--quiet", "--set",
                      "training.epochs=1", "--out", model})
              .status == 0);
  write_file(folder / "x.npy", npy_of<float>("<f4", "(1, 3)", {0, 0, 0}));
  const ProgramRun run = run_lariat({"compact", model, "--out", out, "--check", folder / "x.npy"});
  CHECK(run.status == 2);
  CHECK(run.err ==
        "lariat: --check " + (folder / "x.npy") +
            ": the model takes 16 values per example, but the data have 3; compute them with the model's "
            "options\n");
  CHECK_FALSE(std::filesystem::exists(out));
  CHECK(run_lariat({"compact", model, "--out", out, "--check", images}).status == 0);
}

}  // namespace lariat::cli_compact_test
