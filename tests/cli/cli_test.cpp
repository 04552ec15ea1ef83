// The program as a user meets it: usage, ops, features, gradcheck. Training has its own file, bad input too.
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <nlohmann/json.hpp>

#include "frontends/speech/audio.hpp"
#include "tests/support/files.hpp"
#include "tests/support/program.hpp"
#include "tests/support/testing.hpp"
#include "tests/support/tones.hpp"

namespace lariat::cli_test {

using namespace lariat::testing;
using nlohmann::json;

namespace {

void check_usage_error(const std::vector<std::string>& arguments, const std::string& message) {
  const ProgramRun run = run_lariat(arguments);
  CHECK(run.status == 2);
  CHECK(run.out.empty());
  CHECK(run.err == message + "\n");
}

}  // namespace

TEST_CASE("cli: wrong usage gets one line with the nearest word, and status 2") {
  if (!have_lariat()) return;
  const std::string all =
      "demo, recipe, compare, search, train, evaluate, features, predict, recognize, compact, convert, "
      "export, "
      "inspect, path, solve, gradcheck, graph, ops, plugin";
  check_usage_error({}, "lariat: name a command: " + all + ". See lariat --help");
  check_usage_error({"trian"}, "lariat: there is no command 'trian'. Did you mean 'train'?");
  check_usage_error({"xyzzy"}, "lariat: there is no command 'xyzzy'. Known: " + all + ".");
  check_usage_error({"train", "r.toml", "--sed", "3"},
                    "lariat train: there is no option '--sed'. Did you mean '--seed'?");
  check_usage_error({"train", "--wibble-wobble=1"},
                    "lariat train: there is no option '--wibble-wobble'. See lariat train --help");
  check_usage_error({"train", "r.toml", "-x"},
                    "lariat train: there is no option '-x'. See lariat train --help");
  check_usage_error({"train"}, "lariat train: RECIPE.toml is missing. See lariat train --help");
  check_usage_error({"train", "a.toml", "b.toml"},
                    "lariat train: 'b.toml' is one word too many. See lariat train --help");
  check_usage_error({"train", "r.toml", "--seed"},
                    "lariat train: '--seed' needs a value. See lariat train --help");
  check_usage_error({"train", "r.toml", "--out", "--seed", "1"},
                    "lariat train: '--out' needs a value; '--seed' is the next option");
  for (const std::string option : {"--out", "--json", "--held-out"})
    check_usage_error({"train", "r.toml", option, ""},
                      "lariat train: '" + option + "' needs a value that is not empty");
  for (const std::string option : {"--out", "--report", "--profile"})
    check_usage_error({"train", "r.toml", option, "-", "--json", "-"},
                      "lariat train: standard output is asked for twice; give each output its own name");
  check_usage_error({"xyz\n\x1b[31m\x7f"},
                    "lariat: there is no command 'xyz\\n\\x1b[31m\\x7f'. Known: " + all + ".");
  check_usage_error(
      {"train", "a.toml", std::string(300, 'x')},
      "lariat train: '" + std::string(200, 'x') + "…' is one word too many. See lariat train --help");
  check_usage_error({"train", "--", "a.toml", "--seed"},
                    "lariat train: there is no option '--seed'. Did you mean '--seed'?");
  check_usage_error({"train", "r.toml", "--seed", "1", "--seed", "2"},
                    "lariat train: '--seed' is given twice");
  check_usage_error({"train", "r.toml", "--seed", "1.5"},
                    "lariat train: --seed = 1.5: must be an integer from 0");
  check_usage_error({"train", "r.toml", "--threads", "0"},
                    "lariat train: --threads = 0: must be an integer from 1 to 1024");
  check_usage_error(
      {"evaluate", "m", "--split", "tset"},
      "lariat evaluate: --split tset: must be train, validation, test or all. Did you mean 'test'?");
  check_usage_error({"ops"}, "lariat ops: name a command: list, show. See lariat ops --help");
  check_usage_error({"ops", "lst"}, "lariat ops: there is no command 'lst'. Did you mean 'list'?");
  check_usage_error({"ops", "show", "matmull"}, "lariat: there is no op 'matmull'. Did you mean 'matmul'?");
  check_usage_error({"gradcheck", "sigmoyd"}, "lariat: there is no op 'sigmoyd'. Did you mean 'sigmoid'?");
}

TEST_CASE("cli: every command explains itself") {
  if (!have_lariat()) return;
  const ProgramRun top = run_lariat({"--help"});
  CHECK(top.status == 0);
  CHECK(top.err.empty());
  for (const std::string command :
       {"train", "evaluate", "recognize", "features", "inspect", "graph", "gradcheck", "demo"}) {
    INFO(command);
    CHECK(top.out.find("\n  " + command + " ") != std::string::npos);
    const ProgramRun help = run_lariat({command, "--help"});
    CHECK(help.status == 0);
    CHECK(help.out.starts_with("Usage: lariat " + command));
    CHECK(help.out.find("\nExample:\n  lariat " + command) != std::string::npos);
    CHECK(help.err.empty());
  }
  CHECK(run_lariat({"--version"}).out.starts_with("lariat 0."));
  CHECK(run_lariat({"ops", "--help"}).status == 0);
}

TEST_CASE("cli: results that cannot be written are an error") {
  if (!have_lariat()) return;
  const TemporaryFolder folder;
  write_file(folder / "full.sh", "exec \"$LARIAT_PROGRAM\" ops list > /dev/full\n");
  ProgramOptions options;
  options.program = "/bin/sh";
  const ProgramRun run = run_lariat({folder / "full.sh"}, options);
  CHECK(run.status == 2);
  CHECK(run.err == "lariat: cannot write standard output: No space left on device; send it somewhere else\n");
}

TEST_CASE("cli: a reader that goes away does no harm") {
  if (!have_lariat()) return;
  const TemporaryFolder folder;
  write_file(folder / "closed.sh", "{ \"$LARIAT_PROGRAM\" ops list; echo $? >&2; } | true\n");
  ProgramOptions options;
  options.program = "/bin/sh";
  CHECK(run_lariat({folder / "closed.sh"}, options).err == "0\n");
}

TEST_CASE("cli: ops list and ops show come from the records") {
  if (!have_lariat()) return;
  const ProgramRun list = run_lariat({"ops", "list"});
  CHECK(list.status == 0);
  CHECK(list.out.find("\nmatmul ") != std::string::npos);
  CHECK(list.out.find("\nlstm_cell ") != std::string::npos);
  const ProgramRun show = run_lariat({"ops", "show", "abs_penalty"});
  CHECK(show.status == 0);
  for (const char* part : {"abs_penalty(", "\nInputs\n", "\nSamples\n", "gradient", "penalty", "|x|",
                           "soft threshold", "dtypes"})
    CHECK_MESSAGE(show.out.find(part) != std::string::npos, part);
}

TEST_CASE("cli: gradcheck reports one line and one JSON entry an op") {
  if (!have_lariat()) return;
  const ProgramRun run = run_lariat({"gradcheck", "sigmoid", "matmul", "--json", "-"});
  CHECK(run.status == 0);
  const json result = json::parse(run.out);
  REQUIRE(result["ops"].size() == 2);
  CHECK(result["ops"][0]["op"] == "sigmoid");
  CHECK(result["ops"][0]["checks"].get<int>() > 0);
  CHECK(result["ops"][0]["checks"] >= result["ops"][0]["expected_checks"]);
  CHECK(result["ops"][0]["worst_error"].get<double>() < 1e-8);
  CHECK(result["ops"][1]["passed"] == true);
  CHECK(run_lariat({"gradcheck", "sigmoid"}).out.find("passed") != std::string::npos);
}

TEST_CASE("cli: features writes CSV and NumPy files, with Kaldi's names") {
  if (!have_lariat()) return;
  const TemporaryFolder folder;
  lariat::speech::write_wav(folder / "tone.wav", tone(3));
  const ProgramRun csv = run_lariat({"features", folder / "tone.wav", "--kind", "mfcc", "--num-ceps", "5",
                                     "--out", folder / "tone.csv", "--json", folder / "tone.json"});
  CHECK(csv.status == 0);
  CHECK(csv.err.empty());
  CHECK(csv.out == folder / "tone.csv" + ": 13 frames of 5 values, from 150 ms at 8000 Hz\n");
  const json figures = json::parse(read_file(folder / "tone.json"));
  CHECK(figures["frames"] == 13);
  CHECK(figures["options"]["num_mel_bins"] == 23);
  const ProgramRun npy = run_lariat({"features", folder / "tone.wav", "--out", folder / "tone.npy"});
  CHECK(npy.status == 0);
  CHECK(read_file(folder / "tone.npy").substr(1, 5) == "NUMPY");
  // An option takes another rate, and says that it did.
  const ProgramRun resampled = run_lariat(
      {"features", folder / "tone.wav", "--sample-frequency", "16000", "--out", folder / "other.csv"});
  CHECK(resampled.err == "lariat: " + (folder / "tone.wav") + ": resampled from 8000 Hz to 16000 Hz\n");

  check_usage_error({"features", folder / "tone.wav"},
                    "lariat features: --out FILE.csv or FILE.npy is missing. See lariat features --help");
  check_usage_error({"features", folder / "tone.wav", "--out", "x.txt"},
                    "lariat features: --out x.txt: the name must end in .csv or .npy");
  check_usage_error({"features", folder / "tone.wav", "--out", folder / "x.csv", "--num-mel-bin", "3"},
                    "lariat features: there is no option '--num-mel-bin'. Did you mean '--num-mel-bins'?");
  check_usage_error({"features", folder / "tone.wav", "--out", folder / "x.csv", "--window-type", "hanning2"},
                    "lariat features: window_type = hanning2: must be one of povey, hanning, hamming, "
                    "blackman, rectangular. "
                    "Did you mean 'hanning'?");
  CHECK_FALSE(std::filesystem::exists(folder / "x.csv"));
}

TEST_CASE("cli: features equals torchaudio's golden file") {
  if (!have_lariat()) return;
  const char* data = std::getenv("LARIAT_DATA");
  if (data == nullptr) return skip("LARIAT_DATA names no folder with the golden features");
  const TemporaryFolder folder;
  const json items = json::parse(read_file(std::string(data) + "/golden/manifest.json"))["items"];
  int compared = 0;
  for (const auto& item : items) {
    if (item["op"] != "mfcc" || compared == 2) continue;
    const ProgramRun run =
        run_lariat({"features", std::string(data) + "/" + item["wav"].get<std::string>(), "--kind", "mfcc",
                    "--energy-floor", "1", "--use-energy", item.value("use_energy", false) ? "true" : "false",
                    "--num-ceps", std::to_string(item["shape"][1].get<int>()), "--out", folder / "ours.csv"});
    REQUIRE(run.status == 0);
    const std::string ours = read_file(folder / "ours.csv"),
                      golden = read_file(std::string(data) + "/golden/" + item["file"].get<std::string>());
    const char *a = ours.data(), *a_end = a + ours.size(), *b = golden.data(), *b_end = b + golden.size();
    double worst = 0;
    int64_t values = 0;
    while (a < a_end && b < b_end) {
      double x = 0, y = 0;
      a = std::from_chars(a, a_end, x).ptr + 1;
      b = std::from_chars(b, b_end, y).ptr;
      // The golden files may end their lines as Windows does.
      while (b < b_end && (*b == ',' || *b == '\r' || *b == '\n')) ++b;
      worst = std::max(worst, std::abs(x - y));
      ++values;
    }
    CHECK(values == item["shape"][0].get<int64_t>() * item["shape"][1].get<int64_t>());
    CHECK(worst < 1e-3);
    ++compared;
  }
  CHECK(compared == 2);
}

}  // namespace lariat::cli_test
