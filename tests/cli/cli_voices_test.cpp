// Voices that are made to train on beside recordings.
#include <filesystem>

#include "tests/support/files.hpp"
#include "tests/support/program.hpp"
#include "tests/support/testing.hpp"

namespace lariat::cli_voices_test {

using namespace lariat::testing;

TEST_CASE("cli: lariat demo --voices makes voices, which [data] synthetic trains on and nothing else uses") {
  if (!std::filesystem::exists("/usr/bin/espeak-ng")) return skip("espeak-ng is not installed");
  const TemporaryFolder folder;
  const auto made = [&](const char* name, const char* voices) {
    const ProgramRun run = run_lariat({"demo", "--voices", voices, "--out", folder / name});
    INFO(run.err);
    REQUIRE(run.status == 0);
  };
  made("recordings", "2");
  made("voices", "3");
  write_file(folder / "r.toml", R"([data]
kind = "digits"
[features]
kind = "fbank"
num_mel_bins = 8
[[layers]]
kind = "global_average_pool"
[[layers]]
kind = "dense"
units = 10
[loss]
kind = "softmax_cross_entropy"
[optimizer]
kind = "adam"
[training]
epochs = 1
batch_size = 8
)");
  const auto trained = [&](const std::vector<std::string>& more) {
    std::vector<std::string> words = {"train", folder / "r.toml",       "--data", folder / "recordings",
                                      "--out", folder / "m.safetensors"};
    words.insert(words.end(), more.begin(), more.end());
    return run_lariat(words);
  };
  // 10 clips of each voice; the test is the one that recordings have of their own.
  ProgramRun run = trained({});
  CHECK(contains(run.out, "on 10 test examples"));
  CHECK(contains(run.out, "20 training examples"));
  run = trained({"--set", "data.synthetic=" + folder / "voices"});
  INFO(run.err);
  CHECK(contains(run.out, "on 10 test examples"));
  CHECK(contains(run.out, "50 training examples"));
  run = trained({"--set", "data.synthetic=" + folder / "none"});
  CHECK(run.status == 2);
  CHECK(contains(run.err, folder / "none"));

  run = run_lariat({"demo", "--voices", "2", "--threads", "1", "--out", folder / "x"});
  CHECK(run.status == 2);
  CHECK(contains(run.err, "--voices: nothing is trained; leave --threads and --json out"));
  CHECK_FALSE(std::filesystem::exists(folder / "x"));
  CHECK(run_lariat({"demo", "--voices", "253", "--out", folder / "x"}).status == 2);
}

}  // namespace lariat::cli_voices_test
