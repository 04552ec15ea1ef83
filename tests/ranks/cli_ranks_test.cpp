// Training on several ranks through the program, by the MPIs that are there.
#include <fmt/format.h>

#include <chrono>
#include <cmath>
#include <csignal>
#include <nlohmann/json.hpp>
#include <random>
#include <set>
#include <sstream>

#include "tests/support/files.hpp"
#include "tests/support/ranks.hpp"
#include "tests/support/testing.hpp"
#include "tests/support/toy_runs.hpp"

namespace lariat::cli_ranks_test {

using namespace lariat::testing;
using nlohmann::json;

namespace {

const char* const network = R"([[layers]]
kind = "dense"
units = 16
kernel_penalty = "l1=2e-3"
[[layers]]
kind = "batch_norm"
[[layers]]
kind = "activation"
function = "relu"
[[layers]]
kind = "dropout"
rate = 0.2
)";

const char* const convolutions = R"([[layers]]
kind = "reshape"
shape = [4, 4, 1]
[[layers]]
kind = "conv2d"
filters = 6
kernel_height = 3
kernel_width = 3
activation = "relu"
kernel_penalty = "l1=2e-3"
[[layers]]
kind = "batch_norm"
[[layers]]
kind = "flatten"
[[layers]]
kind = "dropout"
rate = 0.2
)";

const char* const recurrent = R"([[layers]]
kind = "stack_frames"
frames = 3
[[layers]]
kind = "bidirectional_lstm"
units = 8
dropout = 0.1
kernel_penalty = "l1=2e-3"
recurrent_penalty = "l1=2e-3"
)";

// Images in a folder, or recordings where the layers are recurrent, and a recipe of these.
struct Job {
  TemporaryFolder folder;
  std::string data, recipe = folder / "recipe.toml";

  explicit Job(const std::string& layers = network, const std::string& training = "") {
    const bool hears = layers == recurrent;
    data = hears ? write_digits(folder, 8) : write_images(folder);
    write_file(recipe, (hears ? "[data]\nkind = \"digits\"\n[features]\nnum_mel_bins = 20\n"
                              : "[data]\nkind = \"idx\"\n") +
                           layers + R"([[layers]]
kind = "dense"
[optimizer]
kind = "adam"
learning_rate = 0.02
[proximal]
settle_from = 0.5
[training]
epochs = 4
batch_size = 16
clip_norm = 1
micro_shards = 8
checkpoint_steps = 3
)" + training);
  }

  std::vector<std::string> arguments(const std::string& name,
                                     const std::vector<std::string>& more = {}) const {
    std::vector<std::string> words{"train",  recipe,
                                   "--data", data,
                                   "--out",  folder / (name + ".safetensors"),
                                   "--json", folder / (name + ".json"),
                                   "--quiet"};
    const bool has_threads = std::find(more.begin(), more.end(), "--threads") != more.end();
    if (!has_threads) words.insert(words.end(), {"--threads", "1"});
    words.insert(words.end(), more.begin(), more.end());
    return words;
  }
  std::string checkpoint(const std::string& name) const {
    return folder / (name + ".safetensors.checkpoint");
  }
  std::string hash(const std::string& name) const {
    const json figures = json::parse(read_file(folder / (name + ".json")));
    return figures.at("state_hash").get<std::string>() + " " +
           figures.at("training_state_hash").get<std::string>();
  }
  std::string hash_alone() const {
    const ProgramRun run = run_lariat(arguments("alone"));
    INFO(run.err);
    REQUIRE(run.status == 0);
    return hash("alone");
  }
};

// The lines that begin with "lariat: ", among what a launcher says of its own.
std::vector<std::string> said(const ProgramRun& run) {
  std::istringstream stream(run.err);
  std::vector<std::string> lines;
  for (std::string line; std::getline(stream, line);)
    if (line.starts_with("lariat: ")) lines.push_back(line.substr(8));
  return lines;
}

double seconds_of(const std::function<void()>& body) {
  const auto begin = std::chrono::steady_clock::now();
  body();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

}  // namespace

TEST_CASE("ranks: the same state for every number of ranks and threads, by each MPI") {
  const std::vector<TestedMpi> mpis = tested_mpis();
  if (mpis.empty()) return;
  for (const char* layers : {network, convolutions, recurrent}) {
    if (layers != network && !is_nightly()) continue;
    const Job job(layers);
    const std::string expected = job.hash_alone();
    for (const TestedMpi& mpi : mpis)
      for (const int size : is_nightly() ? std::vector<int>{1, 2, 3, 4, 8} : std::vector<int>{3})
        for (const char* threads : {"1", "2"}) {
          if (!is_nightly() && threads == std::string("2")) continue;
          CAPTURE(mpi.launcher);
          CAPTURE(size);
          const ProgramRun run = run_on_ranks(mpi, size, job.arguments("ranks", {"--threads", threads}));
          INFO(run.err);
          CHECK(run.status == 0);
          CHECK(job.hash("ranks") == expected);
          if (size > 1) CHECK(contains(run.out, fmt::format("{} ranks (", size)));
          // One of them speaks.
          CHECK(run.out.find("What the rewrite did") == run.out.rfind("What the rewrite did"));
        }
  }
}

TEST_CASE("ranks: a trace shows gradients on their way, and changes nothing") {
  const std::vector<TestedMpi> mpis = tested_mpis();
  if (mpis.empty()) return;
  const Job job;
  const std::string expected = job.hash_alone();
  for (const TestedMpi& mpi : mpis) {
    CAPTURE(mpi.launcher);
    const std::string trace = job.folder / "trace.json";
    const ProgramRun run = run_on_ranks(
        mpi, 2, job.arguments("ranks", {"--profile", trace, "--set", "training.micro_shards=0"}));
    INFO(run.err);
    CHECK(run.status == 0);
    CHECK(job.hash("ranks") == expected);
    std::set<std::string> ops;
    const json written = json::parse(read_file(trace));
    for (const json& event : written.at("traceEvents")) ops.insert(event.at("name").get<std::string>());
    CHECK(ops.contains("give_gradients"));
    CHECK(ops.contains("all_reduce"));
    std::filesystem::remove(trace);
  }
}

TEST_CASE("ranks: killed at random, a run ends, and goes on with other ranks to the same bits") {
  const std::vector<TestedMpi> mpis = tested_mpis();
  if (mpis.empty()) return;
  const Job job(network, "seed = 2\n");
  const std::string expected = job.hash_alone();
  std::mt19937 random(7);
  for (int kill = 0; kill < (is_nightly() ? 200 : 2); ++kill) {
    const TestedMpi& mpi = mpis[static_cast<size_t>(kill) % mpis.size()];
    const int size = 2 + static_cast<int>(random() % 2),
              victim = static_cast<int>(random() % static_cast<unsigned>(size));
    const double after = 0.2 + 0.8 * static_cast<double>(random() % 1000) / 1000;
    CAPTURE(mpi.launcher);
    CAPTURE(after);
    std::filesystem::remove(job.checkpoint("killed"));
    std::filesystem::remove(job.folder / "killed.json");
    ProgramRun run;
    const double seconds = seconds_of([&] {
      run = run_on_ranks(
          mpi, size, job.arguments("killed"),
          fmt::format("if [ $R = {} ]; then (sleep {:.3f}; kill -KILL $$) >/dev/null 2>&1 </dev/null & fi",
                      victim, after));
    });
    CHECK(seconds < after + 10);
    if (run.status == 0) {
      CHECK(job.hash("killed") == expected);
      continue;
    }
    std::vector<std::string> more;
    if (std::filesystem::exists(job.checkpoint("killed"))) more = {"--resume", job.checkpoint("killed")};
    const ProgramRun again = run_on_ranks(mpi, 5 - size, job.arguments("killed", more));
    INFO(again.err);
    CHECK(again.status == 0);
    CHECK(job.hash("killed") == expected);
  }
}

TEST_CASE("ranks: one that stops is named within the time limit") {
  const std::vector<TestedMpi> mpis = tested_mpis();
  if (mpis.empty()) return;
  const Job job(network, "seed = 3\n");
  for (const TestedMpi& mpi : mpis) {
    CAPTURE(mpi.launcher);
    ProgramRun run;
    const double seconds = seconds_of([&] {
      run = run_on_ranks(mpi, 2, job.arguments("stopped", {"--checkpoint-steps", "1000"}),
                         "if [ $R = 1 ]; then (sleep 1.5; kill -STOP $$; sleep 7; kill -KILL $$) >/dev/null "
                         "2>&1 </dev/null & fi",
                         "--set training.epochs=1000000");
    });
    INFO(run.err);
    CHECK(seconds < 11.5);
    // A launcher may report the rank that it kills in place of the one that ended.
    CHECK((run.status == 2 || run.status == 128 + SIGKILL || run.status == SIGKILL));
    const std::vector<std::string> lines = said(run);
    REQUIRE(lines.size() == 1);
    CHECK(lines[0].starts_with("rank 1 has shown no sign of life for 2 s, at step "));
    CHECK(contains(lines[0], ", while rank 0 waited for the "));
  }
}

TEST_CASE("ranks: where they differ, or one cannot go on, all end with one line and status 2") {
  const std::vector<TestedMpi> mpis = tested_mpis();
  if (mpis.empty()) return;
  const Job job;
  const auto fails = [&](const TestedMpi& mpi, int size, const std::vector<std::string>& arguments,
                         const std::string& before = "", const std::string& more = "") {
    const ProgramRun run = run_on_ranks(mpi, size, arguments, before, more);
    INFO(run.err);
    CHECK(run.status == 2);
    const std::vector<std::string> lines = said(run);
    REQUIRE(lines.size() == 1);
    return lines[0];
  };
  const TestedMpi &first = mpis.front(), &last = mpis.back();
  CHECK(
      fails(first, 2, job.arguments("a"), "", "--seed $R") ==
      "rank 1 has another recipe than rank 0: training.seed is 1 there and 0 here; give every rank the same");
  const std::string other = job.folder / "images-other";
  std::filesystem::copy(job.data, other);
  std::string bytes = read_file(other + "/train-images-idx3-ubyte");
  bytes.back() = static_cast<char>(bytes.back() + 1);
  write_file(other + "/train-images-idx3-ubyte", bytes);
  CHECK(fails(last, 2, {"train", job.recipe, "--quiet", "--out", job.folder / "a.safetensors"},
              "[ $R = 1 ] && D=-other", "--data " + job.data + "$D")
            .starts_with("rank 1 has other data than rank 0: 120 examples (hash "));
  CHECK(fails(last, 3, job.arguments("a", {"--set", "training.micro_shards=2"})) ==
        "rank 0: micro_shards = 2: fewer than the 3 ranks; start at most 2 ranks, or cut batches into more "
        "micro-shards");
  CHECK(
      fails(first, 2, job.arguments("a", {"--set", "training.micro_shards=17"})) ==
      "rank 0: micro_shards = 17: a batch of batch_size = 16 cannot be cut into so many; give at most 16, or "
      "larger batches");
}

TEST_CASE("ranks: a full disk on rank 0 ends all, and leaves the last checkpoint whole") {
  const std::vector<TestedMpi> mpis = tested_mpis();
  if (mpis.empty()) return;
  const Job job(network, "seed = 6\n");
  const std::string expected = job.hash_alone();
  std::filesystem::create_directory(job.folder / "full");
  // At one of the calls that write the second checkpoint; what else there is below the folder may fail
  // unseen.
  for (int call = 14; call < 30; ++call) {
    CAPTURE(call);
    const ProgramRun run = run_on_ranks(
        mpis.front(), 2, job.arguments("full/a"),
        fmt::format("[ $R = 0 ] && export LD_PRELOAD=" LARIAT_BUILD_ROOT
                    "/tests/failing_io.so LARIAT_IO_AT={} LARIAT_IO_HOW=28 LARIAT_IO_SAID=/dev/null "
                    "LARIAT_IO_BELOW={}",
                    call, job.folder / "full"));
    if (run.status == 0) continue;
    INFO(run.err);
    CHECK(run.status == 2);
    const std::vector<std::string> lines = said(run);
    REQUIRE(lines.size() == 1);
    CHECK(lines[0].starts_with("rank 0, at step "));
    CHECK(contains(lines[0], "No space left on device"));
    const ProgramRun again =
        run_on_ranks(mpis.back(), 2, job.arguments("full/a", {"--resume", job.checkpoint("full/a")}));
    INFO(again.err);
    CHECK(again.status == 0);
    CHECK(job.hash("full/a") == expected);
    return;
  }
  FAIL("no call was one that writes a checkpoint");
}

TEST_CASE("ranks: a search and a path come to the same as by one process") {
  const std::vector<TestedMpi> mpis = tested_mpis();
  if (mpis.empty()) return;
  const Job job(network, "seed = 5\n");
  const std::vector<std::string> search{"search",  job.recipe,
                                        "--data",  job.data,
                                        "--over",  "optimizer.learning_rate=0.01,0.02,0.04",
                                        "--set",   "training.epochs=1",
                                        "--quiet", "--threads",
                                        "1"};
  const auto with = [](std::vector<std::string> words, const std::vector<std::string>& more) {
    words.insert(words.end(), more.begin(), more.end());
    return words;
  };
  const auto trials = [&](const std::string& name) {
    json figures = json::parse(read_file(job.folder / name));
    for (json& trial : figures.at("trials")) trial.erase("seconds");
    return figures.at("trials").dump();
  };
  const ProgramRun alone = run_lariat(with(search, {"--json", job.folder / "alone.json"}));
  INFO(alone.err);
  REQUIRE(alone.status == 0);
  const ProgramRun spread =
      run_on_ranks(mpis.front(), 2, with(search, {"--json", job.folder / "ranks.json"}));
  INFO(spread.err);
  CHECK(spread.status == 0);
  CHECK(trials("ranks.json") == trials("alone.json"));
  std::filesystem::copy(job.data, job.folder / "images-1");
  std::string bytes = read_file((job.folder / "images-1") + "/train-images-idx3-ubyte");
  bytes.back() = static_cast<char>(bytes.back() + 1);
  write_file((job.folder / "images-1") + "/train-images-idx3-ubyte", bytes);
  std::vector<std::string> elsewhere = search;
  elsewhere.erase(elsewhere.begin() + 2, elsewhere.begin() + 4);
  const ProgramRun differs =
      run_on_ranks(mpis.front(), 2, elsewhere, "[ $R = 1 ] && D=-1", "--data " + job.data + "$D");
  CHECK(differs.status == 2);
  CHECK(contains(differs.err, "rank 1 has other data than rank 0: "));

  std::string text;
  for (int i = 0; i < 60; ++i)
    text += fmt::format("{} 1:{:.3f} 2:{:.3f} 3:{:.3f}\n", i % 3 == 0 ? "+1" : "-1", std::sin(i),
                        std::cos(3 * i), i % 3 - 0.5 * std::sin(5 * i));
  write_file(job.folder / "rows.libsvm", text);
  const std::vector<std::string> path{
      "path", "--data", job.folder / "rows.libsvm", "--lambdas", "10", "--threads", "1", "--quiet"};
  const auto table = [&](const std::string& name) { return read_file(job.folder / name); };
  REQUIRE(run_lariat(with(path, {"--folds", "5", "--table", job.folder / "alone.csv"})).status == 0);
  const ProgramRun folds =
      run_on_ranks(mpis.back(), 3, with(path, {"--folds", "5", "--table", job.folder / "ranks.csv"}));
  INFO(folds.err);
  CHECK(folds.status == 0);
  CHECK(table("ranks.csv") == table("alone.csv"));
}

TEST_CASE("ranks: a program of one's own comes to the same hash by any number of ranks") {
  const std::vector<TestedMpi> mpis = tested_mpis();
  if (mpis.empty()) return;
  const std::string program = LARIAT_BUILD_ROOT "/examples/train_on_ranks";
  if (!std::filesystem::exists(program)) return skip("examples/train_on_ranks is not built");
  const ProgramRun alone = run_lariat({}, {.program = program});
  REQUIRE(alone.status == 0);
  CHECK(contains(alone.out, ", state "));
  for (const TestedMpi& mpi : mpis) {
    CAPTURE(mpi.launcher);
    const ProgramRun run =
        run_on_ranks(mpi, 3, {}, "export LARIAT_MODULES=" LARIAT_BUILD_ROOT "\nset -- " + program);
    INFO(run.err);
    CHECK(run.status == 0);
    CHECK(run.out == alone.out);
  }
}

TEST_CASE("ranks: the commands of docs/distributed.md do as it says") {
  const std::vector<TestedMpi> mpis = tested_mpis();
  if (mpis.empty()) return;
  const Job job(network, "seed = 4\n");
  const std::string rows = job.folder / "rows.libsvm";
  std::string text;
  for (int i = 0; i < 40; ++i)
    text += fmt::format("{} 1:{:.3f} 2:{:.3f} 3:{:.3f}\n", i % 3 == 0 ? "+1" : "-1", std::sin(i),
                        std::cos(3 * i), i % 3 - 0.5 * std::sin(5 * i));
  write_file(rows, text);
  std::istringstream page(read_file(LARIAT_SOURCE_ROOT "/docs/distributed.md"));
  int commands = 0;
  for (std::string line; std::getline(page, line);) {
    // Hosts of one's own and srun are not here.
    if (!line.starts_with("    ") || !contains(line, "lariat ") || contains(line, "--host") ||
        contains(line, "srun"))
      continue;
    std::istringstream words(line);
    std::vector<std::string> arguments;
    int size = 0;
    for (std::string word; words >> word;) {
      if (word == "mpirun" || word == "lariat") continue;
      if (word == "-n") {
        words >> size;
        continue;
      }
      if (word == "recipe.toml") word = job.recipe;
      if (word == "data") word = job.data;
      if (word == "rows.libsvm") word = rows;
      if (word.starts_with("model.safetensors") || word == "weights.safetensors") word = job.folder / word;
      arguments.push_back(word);
    }
    arguments.push_back("--quiet");
    const ProgramRun run = size == 0 ? run_lariat(arguments) : run_on_ranks(mpis.front(), size, arguments);
    CAPTURE(line);
    INFO(run.err);
    CHECK(run.status == 0);
    ++commands;
  }
  CHECK(commands == 6);
}

}  // namespace lariat::cli_ranks_test
