// Bad input: each gets one clear line and status 2, and nothing that is there is changed.
#include <cstring>

#include "frontends/sequential/layer.hpp"
#include "frontends/sequential/model_file.hpp"
#include "frontends/speech/audio.hpp"
#include "graph/io/store.hpp"
#include "tests/support/files.hpp"
#include "tests/support/program.hpp"
#include "tests/support/testing.hpp"
#include "tests/support/tones.hpp"

namespace lariat::cli_bad_input_test {

using namespace lariat::testing;
using lariat::Store;
using lariat::Tensor;

namespace {

// The last line of standard error: a run may have notices before it fails.
std::string last_line(const std::string& text) {
  if (text.empty()) return {};
  const size_t end = text.size() - 1, start = text.rfind('\n', end - 1);
  return text.substr(start == std::string::npos ? 0 : start + 1,
                     end - (start == std::string::npos ? 0 : start + 1));
}

void check_refused(const std::vector<std::string>& arguments, const std::string& message,
                   const ProgramOptions& options = {}) {
  const ProgramRun run = run_lariat(arguments, options);
  CHECK(run.status == 2);
  CHECK(last_line(run.err) == "lariat: " + message);
}

std::string replaced(std::string text, const std::string& from, const std::string& to) {
  const size_t at = text.find(from);
  REQUIRE(at != std::string::npos);
  return text.replace(at, from.size(), to);
}

}  // namespace

TEST_CASE("cli: a data folder that is missing, empty or of something else") {
  if (!have_lariat()) return;
  const Trained& made = trained();
  const TemporaryFolder folder;
  std::filesystem::create_directory(folder / "empty");
  check_refused({"train", made.recipe, "--data", folder / "none"},
                "'" + (folder / "none") + "': there is no such folder; check the path");
  check_refused({"train", made.recipe, "--data", folder / "empty"},
                "'" + (folder / "empty") +
                    "' holds no digit_speaker_index.wav, such as 7_jackson_32.wav; give the folder that "
                    "holds the recordings");
  check_refused({"train", made.recipe},
                "there are no data; give their folder, or set path in the recipe's [data]");
  check_refused({"train", made.recipe, "--data", made.tones, "--held-out", "carl"},
                "data.held_out: '" + made.tones + "' has no speaker 'carl'; it has ann, bob");
  check_refused({"evaluate", made.model, "--data", folder / "none"},
                "'" + (folder / "none") + "': there is no such folder; check the path");
}

TEST_CASE("cli: recordings that cannot be used are named and skipped; others are converted with a notice") {
  if (!have_lariat()) return;
  const Trained& made = trained();
  const TemporaryFolder folder;
  const std::string tones = folder / "tones";
  write_tones(tones);
  const std::string wav = read_file(tones + "/1_ann_5.wav");
  write_file(tones + "/1_ann_5.wav", "this is no audio at all, but text of some length");
  write_file(tones + "/2_ann_5.wav", "");
  write_file(tones + "/3_ann_5.wav", wav.substr(0, wav.size() / 2));
  // The header of a 32-bit float file, and a NaN among its samples.
  std::string floats = wav.substr(0, 44) + std::string(4800, '\0');
  const auto put = [&](size_t at, auto value) { std::memcpy(floats.data() + at, &value, sizeof value); };
  put(20, uint16_t{3}), put(28, uint32_t{32000}), put(32, uint16_t{4}), put(34, uint16_t{32});
  put(4, uint32_t{36 + 4800}), put(40, uint32_t{4800}),
      put(44 + 4 * 7, std::numeric_limits<float>::quiet_NaN());
  write_file(tones + "/4_ann_5.wav", floats);
  std::string stereo = wav;
  std::memcpy(stereo.data() + 22, "\x02\x00", 2), std::memcpy(stereo.data() + 32, "\x04\x00", 2);
  write_file(tones + "/5_ann_5.wav", stereo);
  lariat::speech::write_wav(tones + "/6_ann_5.wav", tone(6, 0, 5, 16000));
  lariat::speech::Audio brief = tone(7);
  brief.samples.resize(100);
  lariat::speech::write_wav(tones + "/7_ann_5.wav", brief);

  const ProgramRun run = run_lariat({"train", made.recipe, "--data", tones, "--quiet"});
  CHECK(run.status == 0);
  const auto has = [&](const std::string& text) {
    CHECK_MESSAGE(run.err.find(text) != std::string::npos, (text + "\n" + run.err));
  };
  has("lariat: 5 examples were skipped:\n");
  has("  " + tones + "/1_ann_5.wav: cannot be read as audio (");
  has("  " + tones + "/2_ann_5.wav: the file is empty; record it again or leave it out\n");
  has("  " + tones + "/3_ann_5.wav: damaged: ");
  has("  " + tones + "/4_ann_5.wav: sample 7 is nan; repair the file or leave it out\n");
  has("  " + tones + "/7_ann_5.wav: ");
  has("lariat: " + tones + "/5_ann_5.wav: mixed 2 channels down to one\n");
  has("lariat: " + tones + "/6_ann_5.wav: resampled from 16000 Hz to 8000 Hz\n");

  // Also where the run fails, which they may be the reason of.
  const ProgramRun resumed =
      run_lariat({"train", made.recipe, "--data", tones, "--quiet", "--resume", made.model + ".checkpoint"});
  CHECK(resumed.status == 2);
  CHECK(resumed.err.find("lariat: 5 examples were skipped:\n") != std::string::npos);
  CHECK(last_line(resumed.err).find(".checkpoint' was trained on ") != std::string::npos);

  // The same files one at a time, where there is nothing else to go on with.
  check_refused({"recognize", made.model, tones + "/2_ann_5.wav"},
                tones + "/2_ann_5.wav: the file is empty; record it again or leave it out");
  check_refused({"recognize", made.model, tones + "/4_ann_5.wav"},
                tones + "/4_ann_5.wav: sample 7 is nan; repair the file or leave it out");
  check_refused({"recognize", made.model, tones}, tones + ": is a folder; name an audio file in it");
  check_refused({"features", tones + "/2_ann_5.wav", "--out", folder / "f.csv"},
                tones + "/2_ann_5.wav: the file is empty; record it again or leave it out");
  const ProgramRun heard =
      run_lariat({"recognize", made.model, tones + "/5_ann_5.wav", tones + "/6_ann_5.wav"});
  CHECK(heard.status == 0);
  CHECK(heard.err == "lariat: " + tones + "/5_ann_5.wav: mixed 2 channels down to one\nlariat: " + tones +
                         "/6_ann_5.wav: resampled from 16000 Hz to 8000 Hz\n");

  // Nothing is left.
  const std::string ruined = folder / "ruined";
  std::filesystem::create_directory(ruined);
  for (const char* name : {"/1_ann_0.wav", "/1_ann_5.wav"}) write_file(ruined + name, "");
  check_refused({"train", made.recipe, "--data", ruined},
                "none of 1 clips can be used; the first: " + ruined +
                    "/1_ann_5.wav: the file is empty; record it again or leave it out");
}

TEST_CASE("cli: a recipe with an unknown key, a wrong type or a value out of range") {
  if (!have_lariat()) return;
  const Trained& made = trained();
  const TemporaryFolder folder;
  const std::string recipe = folder / "bad.toml";
  const auto refused = [&](const std::string& from, const std::string& to, const std::string& message) {
    write_file(recipe, replaced(tones_recipe, from, to));
    check_refused({"train", recipe, "--data", made.tones}, recipe + message);
  };
  refused("learning_rate", "learning_rat",
          ":20: [optimizer] has no key 'learning_rat'. Did you mean 'learning_rate'?");
  refused("[optimizer]", "[optimiser]", ":18: a recipe has no table 'optimiser'. Did you mean 'optimizer'?");
  refused("epochs = 2", "epochs = \"two\"",
          ":23: [training] epochs = \"two\": must be an integer from 1 to 1000000");
  refused("epochs = 2", "epochs = 0", ":23: [training] epochs = 0: must be an integer from 1 to 1000000");
  refused("units = 12", "units = 1.5", ":11: [layers.0] units = 1.5: must be an integer from 1 to 65536");
  std::string kinds;
  for (const LayerKind& kind : layer_kinds()) kinds += (kinds.empty() ? "" : ", ") + kind.spec.name;
  refused("\"lstm\"", "\"lstn\"",
          ":10: [layers.0] kind = lstn: must be one of " + kinds + ". Did you mean 'lstm'?");
  refused("l1=2e-3", "l1=-1",
          ":12: [layers.0] kernel_penalty = l1=-1: must be none, or l1, l2, group_rows, group_columns, "
          "group_inputs, group_blocks, "
          "log_sum, mcp, count and ops that are penalties with numbers from 0, such as l1=1e-4,l2=1e-5, "
          "log_sum=1e-3:0.01, group_blocks=1e-3:8x1 or norm2=1e-3:axes=1");
  refused("epochs = 2", "epochs = ",
          ":23: is not valid TOML: Error while parsing key-value pair: expected value, saw '\\n'");
  check_refused({"train", folder / "none.toml"},
                "'" + (folder / "none.toml") + "': there is no such recipe; check the path");
  check_refused({"train", made.recipe, "--set", "training.epoch=3"},
                "[training] has no key 'epoch'. Did you mean 'epochs'?");
  check_refused({"train", made.recipe, "--set", "training.epochs=three"},
                "[training] epochs = three: must be an integer from 1 to 1000000");
  const ProgramRun malformed = run_lariat({"train", made.recipe, "--set", "epochs"});
  CHECK(malformed.status == 2);
  CHECK(malformed.err == "lariat train: --set epochs: write key=value, such as --set training.epochs=5\n");
  // Layers that do not fit together.
  write_file(recipe, replaced(tones_recipe, "units = 0", "units = 7"));
  check_refused({"train", recipe, "--data", made.tones},
                recipe +
                    ":14: the model ends in 'dense' with [batch, 7], but the data have 10 classes; end it "
                    "with a dense layer of "
                    "10 units");
}

TEST_CASE("cli: a model file that is missing, truncated, foreign or of other shapes") {
  if (!have_lariat()) return;
  const Trained& made = trained();
  const TemporaryFolder folder;
  const std::string bad = folder / "bad.safetensors", whole = read_file(made.model);
  const auto refused = [&](const std::string& message) {
    check_refused({"inspect", bad}, message);
    check_refused({"recognize", bad, made.tones + "/1_ann_0.wav"}, message);
    check_refused({"evaluate", bad, "--data", made.tones}, message);
  };
  refused("cannot load '" + bad + "': there is no such file");
  write_file(bad, "");
  refused("cannot load '" + bad + "': it is empty; save the model again");
  write_file(bad, "RIFF and then some");
  refused("cannot load '" + bad +
          "': it is not a safetensors file (it begins with the bytes 52 49 46 46); name a file that Lariat "
          "saved");
  write_file(bad, whole.substr(0, 100));
  CHECK(run_lariat({"inspect", bad}).err.find("it is truncated: the header takes ") != std::string::npos);
  write_file(bad, whole.substr(0, whole.size() - 8));
  CHECK(run_lariat({"inspect", bad}).status == 2);
  Store foreign;
  foreign.set("weight", Tensor(lariat::f32, {2, 2}));
  foreign.save(bad);
  refused("'" + bad + "' is not a Lariat model; give a file that lariat train or Sequential::save wrote");
  Store reshaped = Store::load(made.model);
  reshaped.set("dense_1/kernel", Tensor(lariat::f32, {12, 9}));
  lariat::seal(reshaped, lariat::model_format);
  reshaped.save(bad);
  refused(
      "'" + bad +
      "': tensor 'dense_1/kernel' is f32[12, 9], but its layers make it f32[12, 10]; save the model again");
  check_refused(
      {"inspect", made.model + ".checkpoint"},
      "'" + made.model +
          ".checkpoint' is a checkpoint, not a Lariat model; finish its training, or give the model file");
  check_refused(
      {"train", made.recipe, "--data", made.tones, "--resume", made.model},
      "'" + made.model + "' is not a Lariat checkpoint; give a file that an unfinished lariat train wrote");
}

TEST_CASE("cli: outputs that cannot be written are refused before the work, and what is there stays") {
  if (!have_lariat()) return;
  const Trained& made = trained();
  const TemporaryFolder folder;
  const std::string nowhere = folder / "no/such/place";
  const std::string message =
      "cannot write '" + nowhere +
      "': No such file or directory; create its folder first or choose another place with --out";
  for (const char* option : {"--out", "--json", "--profile", "--report"}) {
    const ProgramRun run = run_lariat({"train", made.recipe, "--data", made.tones, option, nowhere});
    CHECK(run.status == 2);
    CHECK(run.err == "lariat: " + message + "\n");
    CHECK(run.out.empty());
  }
  check_refused({"features", made.tones + "/1_ann_0.wav", "--out", nowhere + ".csv"},
                replaced(message, nowhere, nowhere + ".csv"));
  check_refused({"graph", made.recipe, "--dot", nowhere}, message);
  check_refused({"evaluate", made.model, "--data", made.tones, "--json", nowhere}, message);
  check_refused({"gradcheck", "sigmoid", "--json", nowhere}, message);
  check_refused(
      {"train", made.recipe, "--data", made.tones, "--out", folder.path().string()},
      "cannot write '" + folder.path().string() + "': Is a directory; choose another place with --out");

  // A run that fails leaves the earlier model as it was.
  write_file(folder / "m", "precious");
  check_refused({"train", made.recipe, "--data", folder / "none", "--out", folder / "m"},
                "'" + (folder / "none") + "': there is no such folder; check the path");
  CHECK(read_file(folder / "m") == "precious");
}

TEST_CASE("cli: outputs that would replace what is read, or each other, are refused") {
  if (!have_lariat()) return;
  const Trained& made = trained();
  const TemporaryFolder folder;
  const std::string model = folder / "m", checkpoint = model + ".checkpoint",
                    clip = made.tones + "/0_ann_5.wav", sound = read_file(clip);
  write_file(checkpoint, tones_recipe);
  const std::string overwritten = "' is an input, and would be overwritten; choose another name";
  check_refused({"train", checkpoint, "--data", made.tones, "--out", model}, "'" + checkpoint + overwritten);
  CHECK(read_file(checkpoint) == tones_recipe);
  check_refused({"train", made.recipe, "--data", made.tones, "--out", model, "--json", checkpoint},
                "'" + checkpoint + "' is asked for twice; give each output its own name");
  std::filesystem::remove(checkpoint);
  std::filesystem::create_directory(checkpoint);
  check_refused({"train", made.recipe, "--data", made.tones, "--out", model},
                "cannot write '" + checkpoint + "': Is a directory; choose another place with --out");
  const std::string data = "'" + clip + "' is one of the data, and would be overwritten; choose another name";
  for (const char* option : {"--out", "--json", "--report", "--profile"})
    check_refused({"train", made.recipe, "--data", made.tones, option, clip}, data);
  check_refused({"evaluate", made.model, "--data", made.tones, "--json", clip}, data);
  check_refused({"graph", made.recipe, "--data", made.tones, "--dot", clip}, data);
  const bool untouched = read_file(clip) == sound;
  CHECK(untouched);
}

TEST_CASE("cli: a full disk ends the run with its reason, and what was saved before stays") {
  if (!have_lariat()) return;
  const Trained& made = trained();
  const TemporaryFolder folder;
  write_file(folder / "m", "precious");
  ProgramOptions options;
  options.largest_file = 2000;
  check_refused({"train", made.recipe, "--data", made.tones, "--out", folder / "m", "--quiet"},
                "cannot write '" + (folder / "m") +
                    ".checkpoint': File too large; free some space or choose another place with --out",
                options);
  CHECK(read_file(folder / "m") == "precious");
  // No temporary file is left behind.
  CHECK(std::distance(std::filesystem::directory_iterator(folder.path()), {}) == 1);
  const ProgramRun full = run_lariat({"evaluate", made.model, "--data", made.tones, "--json", "/dev/full"});
  CHECK(full.status == 2);
  CHECK(full.err ==
        "lariat: cannot write '/dev/full': No space left on device; free some space or choose another place "
        "with --out\n");
}

}  // namespace lariat::cli_bad_input_test
