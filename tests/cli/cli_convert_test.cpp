#include <filesystem>
#include <nlohmann/json.hpp>

#include "frontends/sequential/model_file.hpp"
#include "graph/io/store.hpp"
#include "tests/support/testing.hpp"
#include "tests/support/tones.hpp"

namespace lariat::cli_convert_test {

using namespace lariat::testing;
using nlohmann::json;

namespace {

json evaluated(const std::string& model, const TemporaryFolder& folder) {
  const ProgramRun run =
      run_lariat({"evaluate", model, "--data", trained().tones, "--json", folder / "evaluated.json"});
  INFO(run.err);
  REQUIRE(run.status == 0);
  return json::parse(read_file(folder / "evaluated.json"));
}

}  // namespace

TEST_CASE("cli: convert writes plain models, and such of shorter numbers, which every command takes") {
  if (!have_lariat()) return;
  const Trained& made = trained();
  const TemporaryFolder folder;
  const std::string plain = folder / "plain", small = folder / "small", again = folder / "again";
  const auto convert = [&](const std::string& from, const std::string& to, std::vector<std::string> more) {
    std::vector<std::string> arguments{"convert", from, "--out", to, "--json", folder / "c.json"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    const ProgramRun run = run_lariat(arguments);
    INFO(run.err);
    REQUIRE(run.status == 0);
    CHECK(contains(run.out, "lstm_1/kernel"));
    return json::parse(read_file(folder / "c.json"));
  };
  const json as_is = evaluated(made.model, folder);
  const json to_plain = convert(made.model, plain, {"--dense"});
  CHECK(to_plain["bytes_after"] == std::filesystem::file_size(plain));
  CHECK(evaluated(plain, folder)["state_hash"] == as_is["state_hash"]);
  CHECK_FALSE(contains(read_file(plain), "U8"));

  const json to_small = convert(plain, small, {"--weights", "int8"});
  CHECK(std::filesystem::file_size(small) < std::filesystem::file_size(made.model));
  for (const json& tensor : to_small["tensors"]) {
    const bool parameter = !tensor["name"].get<std::string>().starts_with("cmvn");
    if (tensor["name"] == "lstm_1/recurrent_kernel") {
      CHECK(tensor["stored_as"] == "coded int8");
      CHECK(tensor["bytes_after"].get<double>() < 0.35 * tensor["bytes_before"].get<double>());
    }
    CHECK((tensor["largest_change"].get<double>() > 0) <= parameter);
  }
  CHECK(std::abs(evaluated(small, folder)["accuracy"].get<double>() - as_is["accuracy"].get<double>()) <
        0.11);
  // Once more changes nothing, also by way of plain tensors.
  convert(small, again, {"--dense"});
  CHECK(Store::load(again).hash() == Store::load(small).hash());
  convert(again, folder / "third", {"--weights", "int8"});
  CHECK(read_file(folder / "third") == read_file(small));
  const ProgramRun shown = run_lariat({"inspect", small, "--json", folder / "i.json"});
  REQUIRE(shown.status == 0);
  CHECK(contains(shown.out, "coded int8"));
  const json inspected = json::parse(read_file(folder / "i.json"));
  for (const json& tensor : inspected["tensors"])
    if (tensor["name"] == "lstm_1/bias") CHECK(tensor["stored_as"] == "coded f16");
  // A training that is asked for it measures and saves the rounded model.
  const ProgramRun run =
      run_lariat({"train", made.recipe, "--data", made.tones, "--quiet", "--set", "training.epochs=1",
                  "--weights", "int8", "--out", folder / "t", "--json", folder / "t.json"});
  INFO(run.err);
  REQUIRE(run.status == 0);
  const json figures = json::parse(read_file(folder / "t.json")), measured = evaluated(folder / "t", folder);
  CHECK(figures["state_hash"] == measured["state_hash"]);
  CHECK(std::filesystem::file_size(folder / "t") < std::filesystem::file_size(made.model));
}

TEST_CASE("cli: a program that knows only the description reads coded models") {
  if (!have_lariat()) return;
  if (run_lariat({"-c", "import zlib"}, {.program = "/usr/bin/python3"}).status != 0)
    return skip("python3 is missing; ./run test installs it");
  const TemporaryFolder folder;
  for (const char* form : {"f32", "f16", "int8"}) {
    const std::string coded = folder / "coded", plain = folder / "plain";
    REQUIRE(run_lariat({"convert", trained().model, "--weights", form, "--out", coded}).status == 0);
    const ProgramRun run = run_lariat({LARIAT_SOURCE_ROOT "/examples/read_coded.py", coded, plain},
                                      {.program = "/usr/bin/python3"});
    INFO(run.err);
    REQUIRE(run.status == 0);
    CHECK_FALSE(contains(read_file(plain), "U8"));
    CHECK(Store::load(plain).hash() == Store::load(coded).hash());
    CHECK(evaluated(plain, folder)["state_hash"] == evaluated(coded, folder)["state_hash"]);
  }
}

TEST_CASE("cli: convert refuses what is no model, and forms that there are not") {
  if (!have_lariat()) return;
  const Trained& made = trained();
  const TemporaryFolder folder;
  const std::string out = folder / "out";
  const auto refused = [&](std::vector<std::string> arguments, const std::string& message) {
    arguments.insert(arguments.begin(), "convert");
    const ProgramRun run = run_lariat(arguments);
    CHECK(run.status == 2);
    CHECK(run.err == message + "\n");
    CHECK_FALSE(std::filesystem::exists(out));
  };
  refused({made.model}, "lariat convert: --out is missing: name the file to write");
  refused({made.model, "--out", out, "--weights", "f8"},
          "lariat convert: --weights f8: must be f32, f16 or int8. Did you mean 'f32'?");
  refused(
      {made.model + ".checkpoint", "--out", out},
      "lariat: '" + made.model +
          ".checkpoint' is a checkpoint, not a Lariat model; finish its training, or give the model file");
  Store store = Store::load(made.model);
  store.get("lstm_1/kernel").data<float>()[5] = std::numeric_limits<float>::quiet_NaN();
  seal(store, model_format);
  const std::string bad = folder / "bad";
  store.save(bad);
  refused({bad, "--out", out, "--weights", "f16"},
          "lariat: '" + bad + "': tensor 'lstm_1/kernel' holds NaN or infinity; train the model again");
}

}  // namespace lariat::cli_convert_test
