// lariat export: what it writes and prints, and what it refuses, with nothing written.
#include <nlohmann/json.hpp>

#include <filesystem>

#include "tests/support/files.hpp"
#include "tests/support/program.hpp"
#include "tests/support/testing.hpp"
#include "tests/support/toy_runs.hpp"

namespace lariat::cli_export_test {

namespace fs = std::filesystem;
using namespace lariat::testing;

namespace {

std::string trained_model(const TemporaryFolder& folder, const std::string& data, const std::string& recipe) {
  write_file(folder / "net.toml", recipe);
  const ProgramRun run = run_lariat({"train", folder / "net.toml", "--data", data, "--quiet", "--threads",
                                     "1", "--set", "training.epochs=2", "--out", folder / "net.safetensors"});
  REQUIRE_MESSAGE(run.status == 0, run.err);
  return folder / "net.safetensors";
}

ProgramRun exported(const std::string& model, const std::vector<std::string>& more) {
  std::vector<std::string> words{"export", model};
  words.insert(words.end(), more.begin(), more.end());
  return run_lariat(words);
}

std::string shell_output(const std::string& line) {
  const ProgramRun run = run_lariat({"-c", line}, {.program = "/bin/sh"});
  return run.out + run.err;
}

}  // namespace

TEST_CASE("cli export: a model with examples of its data, built and run, and what is refused") {
  if (!have_lariat()) return;
  const TemporaryFolder folder;
  const std::string data = write_images(folder), model = trained_model(folder, data, image_recipe),
                    out = folder / "c";
  const ProgramRun run = exported(model, {"--to", "c", "--out", out, "--weights", "int8", "--data", data,
                                          "--vectors", "5", "--json", folder / "e.json"});
  CHECK_MESSAGE(run.status == 0, run.err);
  const nlohmann::json figures = nlohmann::json::parse(read_file(folder / "e.json"));
  CHECK(figures["vectors"] == 5);
  CHECK(figures["weights"] == "int8");
  CHECK(figures["input_bytes"] == 64);
  CHECK(figures["result_bytes"] == 16);
  CHECK(figures["comparison"]["examples"] == 40);
  CHECK(figures["comparison"]["same_answer"] >= 39);
  CHECK(contains(run.out, "of 40 test examples"));
  CHECK(shell_output("cd '" + out + "' && cc -std=c99 net.c net_test.c -lm && ./a.out") ==
        "net: 5 of 5 answers are the host's\n");

  const auto refused = [&](const std::vector<std::string>& more, const std::string& message) {
    const ProgramRun bad = exported(model, more);
    CHECK(bad.status == 2);
    CHECK(bad.err == message + "\n");
    CHECK(!fs::exists(folder / "d"));
  };
  const std::string d = folder / "d";
  refused({"--to", "cc", "--out", d}, "lariat: --to cc: there is no such language. Did you mean 'c'?");
  refused({"--out", d}, "lariat: --to is missing: say which language to write; there is c");
  refused({"--to", "c"}, "lariat: --out is missing: name the folder that the files go to");
  refused({"--to", "c", "--out", "-"}, "lariat: --out -: several files are written; name a folder");
  refused({"--to", "c", "--out", d, "--weights", "int9"},
          "lariat: --weights int9: there is no such form of weights. Did you mean 'int8'?");
  refused({"--to", "c", "--out", d, "--values", "logits"},
          "lariat: --values logits: there is no such kind of values. Known: predictions, outputs.");
  refused({"--to", "c", "--out", d, "--name", "a-b"}, "lariat: --name a-b: is no name in C; take a_b");
  refused({"--to", "c", "--out", d, "--frames", "3"},
          "lariat: --frames 3: the model takes examples without frames; leave it out");
  refused({"--to", "c", "--out", model}, "lariat: '" + model + "' is no folder; choose another name");
  refused({"--to", "c", "--out", folder.text()},
          "lariat: '" + folder.text() +
              "' holds other files, such as 'c'; choose an empty folder or another name");
  // Written again it takes the place of what was there.
  fs::remove(out + "/a.out");
  CHECK(exported(model, {"--to", "c", "--out", out}).status == 0);
  CHECK(contains(read_file(out + "/net.c"), "dense_product"));
}

TEST_CASE("cli export: an op of a plugin is refused by name") {
  if (!have_lariat()) return;
  const TemporaryFolder folder;
  const std::string data = write_images(folder), plugin = LARIAT_BUILD_ROOT "/examples/swish.so";
  write_file(folder / "net.toml",
             "[data]\nkind = \"idx\"\n[[layers]]\nkind = \"dense\"\nunits = 8\n"
             "[[layers]]\nkind = \"op\"\nop = \"swish\"\n[[layers]]\nkind = \"dense\"\n"
             "[optimizer]\nkind = \"adam\"\n[training]\nepochs = 1\nbatch_size = 16\n");
  const ProgramRun trained = run_lariat({"train", folder / "net.toml", "--data", data, "--quiet", "--plugin",
                                         plugin, "--out", folder / "net.safetensors"});
  REQUIRE_MESSAGE(trained.status == 0, trained.err);
  const ProgramRun run =
      exported(folder / "net.safetensors", {"--to", "c", "--out", folder / "c", "--plugin", plugin});
  CHECK(run.status == 2);
  CHECK_MESSAGE(contains(run.err, "lariat: [swish] 'op_1'"), run.err);
  CHECK_MESSAGE(
      contains(run.err, "is an op of a plugin, which has no form in C; take layers of built-in ops\n"),
      run.err);
  CHECK(!fs::exists(folder / "c"));
}

TEST_CASE("cli export: a recogniser with recordings of its data") {
  if (!have_lariat()) return;
  const TemporaryFolder folder;
  const std::string data = write_digits(folder, 6);
  const std::string model = trained_model(folder, data, speech_recipe);
  CHECK(contains(exported(model, {"--to", "c", "--out", folder / "c"}).err,
                 "give the most with --frames N, or take --streaming"));
  const ProgramRun run =
      exported(model, {"--to", "c", "--out", folder / "c", "--frames", "40", "--data", data});
  CHECK_MESSAGE(run.status == 0, run.err);
  CHECK(shell_output("cd '" + (folder / "c") + "' && cc -std=c99 net.c net_test.c -lm && ./a.out") ==
        "net: 4 of 4 answers are the host's\n");
  CHECK(exported(model, {"--to", "c", "--out", folder / "d", "--frames", "3", "--data", data}).err ==
        "lariat: --frames 3: all examples of the test are longer; allow more\n");
  CHECK(!fs::exists(folder / "d"));
}

}  // namespace lariat::cli_export_test
