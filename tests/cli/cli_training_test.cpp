// Training and everything that is done with what it leaves, through the program.
#include <nlohmann/json.hpp>
#include <sstream>

#include "frontends/speech/audio.hpp"
#include "graph/ir/graph.hpp"
#include "graph/ir/parse.hpp"
#include "graph/ir/print.hpp"
#include "tests/support/files.hpp"
#include "tests/support/program.hpp"
#include "tests/support/testing.hpp"
#include "tests/support/tones.hpp"

namespace lariat::cli_training_test {

using namespace lariat::testing;
using nlohmann::json;

namespace {

json read_json(const std::string& file) { return json::parse(read_file(file)); }

std::vector<std::string> lines_of(const std::string& text) {
  std::istringstream stream(text);
  std::vector<std::string> lines;
  for (std::string line; std::getline(stream, line);) lines.push_back(line);
  return lines;
}

}  // namespace

TEST_CASE(
    "cli: train prints the rewrite, a line an epoch and a summary, and writes figures, model and report") {
  if (!have_lariat()) return;
  const Trained& made = trained();
  INFO(made.run.err);
  REQUIRE(made.run.status == 0);
  CHECK(made.run.out.starts_with(
      "What the rewrite did:\nlstm_1/kernel: 0.002 * |lstm_1/kernel| -> soft threshold, metric "));
  CHECK(contains(made.run.out, "\naccuracy "));
  CHECK(contains(made.run.out, "\nexact zeros "));
  const std::vector<std::string> progress = lines_of(made.run.err);
  REQUIRE(progress.size() == 2);
  CHECK(progress[0].starts_with("epoch 1/2  loss "));
  CHECK(contains(progress[1], " + penalty "));
  CHECK(contains(progress[1], "  accuracy "));
  CHECK(contains(progress[1], "  exact zeros "));
  CHECK(contains(progress[1], "  support changes "));
  CHECK_FALSE(contains(progress[1], "  prox residual "));
  CHECK(contains(made.run.out, "\nsupport changes "));
  CHECK(contains(made.run.out, "\ncertificate      stationary to "));

  const json figures = read_json(made.folder / "train.json");
  for (const char* key :
       {"accuracy", "loss", "zero_fraction", "parameters", "nonzeros", "seconds", "seed", "threads",
        "state_hash", "history", "tensors", "rewrite", "test", "skipped", "model_bytes", "ended"})
    CHECK_MESSAGE(figures.contains(key), key);
  CHECK(figures["threads"] == 1);
  CHECK(figures["history"].size() == 2);
  CHECK(figures["history"][1]["support_changes"].get<double>() >= 0);
  CHECK_FALSE(figures["history"][1].contains("prox_residual"));
  CHECK(figures["certificate"]["prox_residual"].get<double>() > 0);
  CHECK(figures["certificate"]["parameters"].size() == 5);
  CHECK(figures["test"]["confusion"].size() == 10);
  CHECK(figures["model_bytes"].get<size_t>() == std::filesystem::file_size(made.model));
  const std::string page = read_file(made.folder / "report.html");
  for (const char* part :
       {"<!DOCTYPE html>", "<svg class=\"chart\"", "<svg class=\"confusion\"", "data:image/png;base64,",
        "soft threshold", "# tones", "How close to stationary", "support changes"})
    CHECK_MESSAGE(contains(page, part), part);
  // Self-contained: nothing is fetched.
  CHECK_FALSE(contains(page, "http"));
}

TEST_CASE("cli: a saved model gives the figures of its training again") {
  if (!have_lariat()) return;
  const Trained& made = trained();
  const TemporaryFolder folder;
  const ProgramRun run = run_lariat(
      {"evaluate", made.model, "--data", made.tones, "--json", folder / "e.json", "--threads", "2"});
  INFO(run.err);
  REQUIRE(run.status == 0);
  CHECK(run.out.starts_with("accuracy "));
  const json now = read_json(folder / "e.json"), then = read_json(made.folder / "train.json");
  for (const char* key :
       {"accuracy", "loss", "zero_fraction", "parameters", "nonzeros", "seed", "state_hash"})
    CHECK_MESSAGE(now[key] == then[key], key);
  for (const char* key : {"seconds", "threads", "state_hash", "confusion"})
    CHECK_MESSAGE(now.contains(key), key);
  const ProgramRun held_out =
      run_lariat({"evaluate", made.model, "--data", made.tones, "--held-out", "bob", "--json", "-"});
  CHECK(json::parse(held_out.out)["examples"] == 50);
}

TEST_CASE("cli: recognize names what it hears, and goes on after a bad file") {
  if (!have_lariat()) return;
  const Trained& made = trained();
  const TemporaryFolder folder;
  const std::string good = made.tones + "/3_ann_0.wav", bad = folder / "bad.wav";
  write_file(bad, "");
  const ProgramRun run = run_lariat({"recognize", made.model, bad, good, "--json", folder / "r.json"});
  CHECK(run.status == 2);
  CHECK(run.err == "lariat: " + bad +
                       ": the file is empty; record it again or leave it out\nlariat: 1 of the 2 files could "
                       "not be recognised\n");
  CHECK(lines_of(run.out).size() == 1);
  CHECK(run.out.starts_with(good + "  "));
  const json result = read_json(folder / "r.json");
  REQUIRE(result["files"].size() == 2);
  CHECK(result["files"][0]["file"] == bad);
  CHECK(result["files"][0]["label"].is_null());
  CHECK(result["files"][1]["label"].is_string());
  CHECK(result["files"][1]["probability"].get<double>() > 0);
  const std::string before = read_file(folder / "r.json");
  const ProgramRun none =
      run_lariat({"recognize", made.model, bad, folder / "missing.wav", "--json", folder / "r.json"});
  CHECK(read_file(folder / "r.json") == before);
  CHECK(none.status == 2);
  CHECK(none.err ==
        "lariat: " + bad +
            ": the file is empty; record it again or leave it out\nlariat: " + (folder / "missing.wav") +
            ": there is no such file; check the path\nlariat: none of the 2 files could be recognised\n");
}

TEST_CASE("cli: inspect shows layers, zeros and features") {
  if (!have_lariat()) return;
  const Trained& made = trained();
  const TemporaryFolder folder;
  const ProgramRun run = run_lariat({"inspect", made.model, "--json", folder / "i.json"});
  INFO(run.err);
  REQUIRE(run.status == 0);
  for (const char* part : {"lstm_1 ", "[batch, 12]", "lstm_1/kernel", "[16, 48]", "num_mel_bins", "cmvn"})
    CHECK_MESSAGE(contains(run.out, part), part);
  const json figures = read_json(folder / "i.json");
  CHECK(figures["bytes"].get<size_t>() == std::filesystem::file_size(made.model));
  CHECK(figures["features"]["num_mel_bins"] == 16);
  CHECK(figures["layers"].size() == 3);
  CHECK(figures["tensors"].size() == 5);
}

TEST_CASE("cli: graph shows the training step before and after passes") {
  if (!have_lariat()) return;
  const Trained& made = trained();
  const TemporaryFolder folder;
  const ProgramRun written = run_lariat({"graph", made.recipe, "--data", made.tones, "--after", "none"});
  REQUIRE(written.status == 0);
  CHECK(contains(written.out, "abs_prox"));
  CHECK(contains(written.out, "update lstm_1/kernel = "));
  lariat::Graph parsed, again;
  lariat::parse_graph(written.out, parsed);
  lariat::parse_graph(lariat::to_text(parsed), again);
  CHECK(lariat::to_text(again) == lariat::to_text(parsed));
  const ProgramRun fused = run_lariat({"graph", made.recipe, "--data", made.tones});
  CHECK(contains(fused.out, " = fused("));
  CHECK_FALSE(contains(written.out, " = fused("));
  // The step is that of the training: with what settles zeros, and the penalties' strength.
  CHECK_FALSE(contains(written.out, "penalty_strength"));
  const ProgramRun settled = run_lariat({"graph", made.recipe, "--data", made.tones, "--set",
                                         "proximal.ramp=0.1", "--set", "proximal.settle_from=0.5"});
  CHECK(contains(settled.out, "\"penalty_strength\""));
  CHECK(contains(settled.out, "\"trainer/settle\""));
  const ProgramRun dot = run_lariat({"graph", made.recipe, "--dot", folder / "g.dot"});
  CHECK(dot.status == 0);
  CHECK(dot.err ==
        "lariat: no data are given: taking 8000 Hz and 10 classes; name their folder with --data\n");
  CHECK(read_file(folder / "g.dot").starts_with("digraph"));
  CHECK(run_lariat({"graph", made.recipe, "--dot", "-"}).out == read_file(folder / "g.dot"));
  const ProgramRun unknown =
      run_lariat({"graph", made.recipe, "--data", folder / "none", "--after", "fuse_elementwis"});
  CHECK(unknown.status == 2);
  CHECK(contains(unknown.err, "there is no pass 'fuse_elementwis'. Did you mean 'fuse_elementwise'?\n"));
  CHECK(contains(run_lariat({"graph", "--passes"}).out, "\nfuse_elementwise "));
  const ProgramRun without =
      run_lariat({"graph", made.recipe, "--data", made.tones, "--without", "fuse_elementwise"});
  CHECK(without.status == 0);
  CHECK_FALSE(contains(without.out, " = fused("));
  CHECK(run_lariat({"graph", made.recipe, "--data", made.tones},
                   {.environment = {{"LARIAT_WITHOUT_PASSES", "fuse_elementwise"}}})
            .out == without.out);
  const ProgramRun wrong =
      run_lariat({"graph", made.recipe, "--data", folder / "none", "--without", "fuse_elementwis"});
  CHECK(wrong.status == 2);
  CHECK(contains(wrong.err, "there is no pass 'fuse_elementwis'. Did you mean 'fuse_elementwise'?\n"));
}

TEST_CASE("cli: a training that diverges names the op, the layer and what to do") {
  if (!have_lariat()) return;
  const Trained& made = trained();
  for (const bool careful : {false, true}) {
    std::vector<std::string> words{"train",     made.recipe,
                                   "--data",    made.tones,
                                   "--seed",    "1",
                                   "--no-test", "--quiet",
                                   "--set",     "optimizer.learning_rate=1000000",
                                   "--set",     "optimizer.kind=sgd",
                                   "--set",     "proximal.rewrite=false",
                                   "--set",     "layers.1.kernel_penalty=l2=1e34"};
    if (careful) words.push_back("--check-finite");
    const ProgramRun run = run_lariat(words);
    CAPTURE(run.err);
    CHECK(run.status == 1);
    CHECK(contains(run.err, "diverged at step "));
    CHECK(contains(run.err, " makes "));
    CHECK(contains(run.err, "; lower the learning rate"));
  }
}

TEST_CASE("cli: an interrupted training says how to go on, and ends with the same bits") {
  if (!have_lariat()) return;
  const Trained& made = trained();
  const TemporaryFolder folder;
  const std::string model = folder / "m.safetensors";
  const std::vector<std::string> base{"train",    made.recipe, "--data",
                                      made.tones, "--set",     "training.epochs=150"};
  const auto with = [&](std::vector<std::string> more) {
    more.insert(more.begin(), base.begin(), base.end());
    return more;
  };
  const ProgramRun whole = run_lariat(with({"--json", folder / "whole.json", "--threads", "1", "--quiet"}));
  REQUIRE(whole.status == 0);

  ProgramOptions options;
  options.interrupt_after = "epoch   2/150";
  const ProgramRun stopped = run_lariat(with({"--out", model, "--threads", "2"}), options);
  CHECK(stopped.status == 1);
  const std::string last = lines_of(stopped.err).back();
  CHECK(last.starts_with("lariat: stopped after "));
  const std::string advice = "lariat train " + made.recipe + " --data " + made.tones +
                             " --set training.epochs=150 --out " + model + " --threads 2 --resume " + model +
                             ".checkpoint";
  CHECK_MESSAGE(last.ends_with(" whole epochs; to go on: " + advice), last);
  CHECK_FALSE(std::filesystem::exists(model));

  const ProgramRun resumed = run_lariat(with({"--out", model, "--threads", "2", "--resume",
                                              model + ".checkpoint", "--json", folder / "resumed.json"}));
  INFO(resumed.err);
  REQUIRE(resumed.status == 0);
  const json a = read_json(folder / "whole.json"), b = read_json(folder / "resumed.json");
  CHECK(a["state_hash"] == b["state_hash"]);
  CHECK(a["training_state_hash"] == b["training_state_hash"]);
  CHECK(b["history"].size() == 150);
  CHECK(std::filesystem::exists(model));

  const ProgramRun other = run_lariat(with({"--set", "training.seed=5", "--resume", model + ".checkpoint"}));
  CHECK(other.status == 2);
  CHECK(contains(
      other.err,
      "'" + model +
          ".checkpoint' was written by another recipe: training.seed is 0 there and 5 here; give the "
          "same recipe and settings\n"));
}

TEST_CASE("cli: without the rewrite there are no exact zeros") {
  if (!have_lariat()) return;
  const Trained& made = trained();
  const ProgramRun run = run_lariat({"train", made.recipe, "--data", made.tones, "--set",
                                     "proximal.rewrite=false", "--json", "-", "--quiet"});
  REQUIRE(run.status == 0);
  CHECK(json::parse(run.out)["zero_fraction"].get<double>() < 0.01);
  CHECK(read_json(made.folder / "train.json")["zero_fraction"].get<double>() > 0.01);
}

TEST_CASE("cli: a penalty that leaves nothing is a warning, and a run that settles ends early") {
  if (!have_lariat()) return;
  const Trained& made = trained();
  const TemporaryFolder folder;
  const ProgramRun run = run_lariat(
      {"train", made.recipe, "--data", made.tones, "--set", "layers.0.kernel_penalty=l1=100", "--set",
       "training.stop_when_settled=2", "--set", "training.epochs=40", "--set", "proximal.ramp=0.05",
       "--certificate", "--report", folder / "r.html", "--json", folder / "r.json"});
  INFO(run.err);
  REQUIRE(run.status == 0);
  CHECK(contains(run.err, "lariat: L201: 'lstm_1/kernel' is stationary where all of it is zero: "));
  CHECK(contains(run.out, "lstm_1/kernel: 100 * penalty_strength * |lstm_1/kernel| -> soft threshold"));
  CHECK(contains(run.err, "  prox residual "));
  CHECK(contains(run.out, "\nended early "));
  const json figures = read_json(folder / "r.json");
  CHECK(figures["history"].size() < 40);
  CHECK(figures["ended"].get<std::string>().starts_with("no weight became zero or ceased to be in 2 epochs"));
  CHECK(figures["history"][0]["prox_residual"].get<double>() > 0);
  CHECK(figures["notices"][0].get<std::string>().starts_with("L201: "));
  CHECK(contains(read_file(folder / "r.html"), "L201: "));
}

TEST_CASE("cli: terms whose prox does not add up are named in one line") {
  if (!have_lariat()) return;
  const Trained& made = trained();
  const ProgramRun run =
      run_lariat({"train", made.recipe, "--data", made.tones, "--set",
                  "layers.0.kernel_penalty=l1=1e-3,log_sum=1e-3", "--set", "training.epochs=1", "--quiet"});
  INFO(run.err);
  REQUIRE(run.status == 0);
  CHECK(contains(run.out, "\nL108: "));
  const ProgramRun wrong = run_lariat(
      {"train", made.recipe, "--data", made.tones, "--set", "layers.1.kernel_penalty=log_sm=1e-3"});
  CHECK(wrong.status == 2);
  CHECK(contains(wrong.err,
                 "[layers.1] kernel_penalty = log_sm=1e-3: there is no penalty 'log_sm'. Did you mean "
                 "'log_sum'?\n"));
}

TEST_CASE("cli: on a terminal training draws a bar within its width") {
  if (!have_lariat()) return;
  const Trained& made = trained();
  ProgramOptions options;
  options.terminal_columns = 50;
  options.environment = {{"TERM", "xterm"}};
  const ProgramRun run = run_lariat({"train", made.recipe, "--data", made.tones}, options);
  CHECK(run.status == 0);
  CHECK(contains(run.err, "\repoch 1/2 ["));
  CHECK(contains(run.err, "\x1b[K"));
  size_t drawn = 0;
  for (size_t at = run.err.find("\repoch"); at != std::string::npos;
       at = run.err.find("\repoch", at + 1), ++drawn) {
    size_t columns = 0;
    for (const char c : run.err.substr(at + 1, run.err.find('\x1b', at) - at - 1))
      columns += (static_cast<unsigned char>(c) & 0xC0) != 0x80;
    CHECK(columns < 50);
  }
  CHECK(drawn > 0);
}

TEST_CASE("cli: --profile writes a trace that Perfetto opens") {
  if (!have_lariat()) return;
  const Trained& made = trained();
  const TemporaryFolder folder;
  const ProgramRun run =
      run_lariat({"train", made.recipe, "--data", made.tones, "--profile", folder / "trace.json", "--quiet"});
  CHECK(run.status == 0);
  CHECK(contains(run.out, " events of 5 steps; temporaries take "));
  CHECK(contains(run.out, "GFLOP/s"));
  const json trace = read_json(folder / "trace.json");
  REQUIRE(trace["traceEvents"].size() > 20);
  CHECK(trace["traceEvents"][0]["ph"] == "X");
}

}  // namespace lariat::cli_training_test
