// What `lariat recipe check` says of recipes that cannot be trained: the line that `lariat train` says, with
// the data and, where the recipe alone says it, without.
#include <fmt/format.h>

#include <filesystem>

#include "tests/support/files.hpp"
#include "tests/support/npy.hpp"
#include "tests/support/program.hpp"
#include "tests/support/testing.hpp"

namespace lariat::cli_recipe_check_test {

using namespace lariat::testing;

namespace {

// Layers behind what the data are, with the line that the wrong one begins at; whether it is seen without
// them.
struct WrongRecipe {
  const char* what;
  const char* data;
  std::string tables, layers;
  const char* message;
  bool without_data = true;
};

std::string layer(const std::string& kind, const std::string& options = "") {
  std::string text = "[[layers]]\nkind = \"" + kind + "\"\n";
  for (const std::string& option : {options})
    for (size_t begin = 0; begin < option.size();) {
      const size_t end = std::min(option.find(';', begin), option.size());
      text += option.substr(begin, end - begin) + "\n";
      begin = end + 1;
    }
  return text;
}

const std::string numbers = "[loss]\nkind = \"mean_squared_error\"\n";
const std::string csv_data = "[data]\nkind = \"csv\"\ntarget = [\"y\"]\nfeatures = [\"a\", \"b\", \"c\"]\n";
const std::string heard_data = "[data]\nkind = \"numpy\"\n";

// 3 numbers a row, or sequences of 6 frames of 2 values with a class for each.
void write_data(const TemporaryFolder& folder) {
  std::string table = "a,b,c,y,kind\n";
  for (int i = 0; i < 40; ++i)
    table += fmt::format("{},{},{},{},{}\n", i % 5, i % 7 - 3, 0.5 * (i % 3), i % 4, i % 2 == 0 ? "u" : "v");
  write_file(folder / "csv", table);
  std::vector<float> x, y;
  for (int i = 0; i < 40 * 6 * 2; ++i) x.push_back(0.25F * static_cast<float>(i % 9) - 1);
  for (int i = 0; i < 40; ++i) y.push_back(static_cast<float>(i % 3));
  std::filesystem::create_directories(folder / "numpy");
  write_file(folder / "numpy/X.npy", npy_of("<f4", "(40, 6, 2)", x));
  write_file(folder / "numpy/y.npy", npy_of("<f4", "(40,)", y));
}

// What a recipe has no use for, and what is said of it.
struct Useless {
  std::string tables, layers, message;
};

std::vector<WrongRecipe> wrong_recipes() {
  const std::string dense = layer("dense", "units = 0");
  const auto named = [](const std::string& name) { return ";name = \"" + name + "\""; };
  const auto input = [](const std::string& list) { return ";input = [" + list + "]"; };
  const std::string two = layer("dense", "units = 4" + named("p") + input("\"features\"")) +
                          layer("dense", "units = 5" + named("q") + input("\"features\""));
  const std::string encoder = layer("lstm", "units = 6" + named("e") + input("\"features\""));
  return {
      {"sum of other widths", "csv", numbers, two + layer("add", input("\"p\", \"q\"").substr(1)) + dense,
       "layer add_1: "},
      {"product of other widths", "csv", numbers,
       two + layer("multiply", input("\"p\", \"q\"").substr(1)) + dense, "layer multiply_1: "},
      {"concat of a sequence and a vector", "numpy", "",
       encoder + layer("concat", input("\"e\", \"features\"").substr(1)) + dense, "layer concat_1: "},
      {"concat of pictures and values", "csv", numbers,
       layer("dense", "units = 12" + named("p")) + layer("image", "height = 3;width = 4" + named("i")) +
           layer("concat", input("\"i\", \"p\"").substr(1)) + layer("flatten") + dense,
       "layer concat_1: "},
      {"state of another width through a norm", "numpy", "",
       encoder + layer("layer_norm", "input = [\"e.hidden\"]" + named("n")) +
           layer("gru", "units = 7" + input("\"features\"") + ";initial_state = [\"n\"]") + dense,
       "initial_state = n: has 6 values, but its state hidden has 7"},
      {"state of another width through a concat", "numpy", "",
       encoder + layer("concat", "input = [\"e.hidden\", \"e.cell\"]" + named("n")) +
           layer("simple_rnn", "units = 6" + input("\"features\"") + ";initial_state = [\"n\"]") + dense,
       "initial_state = n: has 12 values, but its state hidden has 6"},
      {"a recurrent layer behind one that gives its last frame", "numpy", "",
       encoder + layer("layer_norm") + layer("gru", "units = 3") + dense, "give e return_sequences = true"},
      {"a recurrent layer behind rows", "csv", numbers,
       layer("batch_norm") + layer("lstm", "units = 3") + dense,
       "layer lstm_1: takes sequences [batch, time, channels]; got"},
      {"a kernel larger than the picture", "csv", numbers,
       layer("dense", "units = 12") + layer("image", "height = 3;width = 4") +
           layer("conv2d", "filters = 2;kernel_height = 5;kernel_width = 2;padding = \"valid\"") +
           layer("flatten") + dense,
       "the window spans 5 rows, but there are 3 with padding"},
      {"time_distributed over rows", "csv", numbers,
       layer("time_distributed", "layers = [\"dense units=3\"]") + dense, "layer time_distributed_1: "},
      {"a shape of another size", "csv", numbers,
       layer("dense", "units = 10") + layer("reshape", "shape = [3, 4]") + layer("flatten") + dense,
       "layer reshape_1: shape = 3, 4 is of 12 values, but"},
      {"a shape of a sequence", "numpy", "",
       layer("lstm", "units = 3;return_sequences = true") + layer("reshape", "shape = [6, 3]") + dense,
       "sequences have no fixed length to reshape"},
      {"pixels that the values are not", "csv", numbers,
       layer("dense", "units = 10") + layer("image", "height = 3;width = 4") + layer("flatten") + dense,
       "layer image_1: 10 values are no image of 3 by 4 pixels"},
      {"outputs that the numbers are not", "csv", numbers, layer("dense", "units = 2"),
       "the model ends in 'dense' with [batch, 2], but"},
      {"outputs that yes or no are not", "csv", "[loss]\nkind = \"sigmoid_cross_entropy\"\n",
       layer("dense", "units = 3"), "one output tells two classes apart"},
      {"an output for each frame, of one class for all", "numpy", "",
       layer("lstm", "units = 3;return_sequences = true") + dense, "a value for every frame", false},
      {"outputs that the classes are not", "numpy", "", encoder + layer("dense", "units = 5"),
       "but the data have 3 classes", false},
      {"groups of channels that there are not", "numpy", "",
       layer("conv1d", "filters = 5;kernel = 2") + layer("conv1d", "filters = 4;kernel = 2;groups = 4") +
           layer("last_step") + dense,
       "layer conv1d_2: "},
      {"axes that there are not", "csv", numbers,
       layer("dense", "units = 4") + layer("permute", "axes = [2, 1]") + dense, "layer permute_1: "},
      {"weights that are shared over other widths", "csv", numbers,
       two + layer("dense", "shares = \"p\"" + input("\"q\"") + named("r")) +
           layer("concat", input("\"p\", \"r\"").substr(1)) + dense,
       "layer r: shares 'p/kernel'", false},
      {"one output of several", "csv",
       "[[outputs]]\nlayer = \"p\"\ntarget = [\"y\"]\nloss = \"mean_squared_error\"\n[[outputs]]\nlayer = "
       "\"q\"\ntarget = [\"a\"]\nloss = \"mean_squared_error\"\n",
       layer("dense", "units = 1" + named("p") + input("\"features\"")) +
           layer("dense", "units = 2" + named("q") + input("\"features\"")),
       "output q: the model ends in 'dense' with [batch, 2]"},
      {"weights of other classes", "numpy",
       "[loss]\nkind = \"softmax_cross_entropy\"\nclass_weights = [1, 2]\n",
       encoder + layer("dense", "units = 3"), "class_weights are 2 numbers, but there are 3 classes"},
  };
}

}  // namespace

TEST_CASE("cli: a check of a recipe says what a training would, with the line, before there are data") {
  if (!have_lariat()) return;
  const TemporaryFolder folder;
  write_data(folder);
  const std::string file = folder / "r.toml";
  size_t seen = 0;
  for (const WrongRecipe& wrong : wrong_recipes()) {
    CAPTURE(wrong.what);
    const bool csv = wrong.data == std::string("csv");
    std::string text = (csv ? csv_data : heard_data) + wrong.tables + wrong.layers;
    if (const std::string one = "target = [\"y\"]\nfeatures = [\"a\", \"b\", \"c\"]\n";
        std::string(wrong.what) == "one output of several")
      text.replace(text.find(one), one.size(), "features = [\"b\", \"c\"]\n");
    if (std::string(wrong.what).find("yes or no") != std::string::npos)
      text.replace(text.find("[\"y\"]"), 5, "[\"kind\"]");
    write_file(file, text);
    const std::string data = folder / wrong.data;
    const ProgramRun trained = run_lariat({"train", file, "--data", data, "--quiet"}),
                     checked = run_lariat({"recipe", "check", file, "--data", data}),
                     alone = run_lariat({"recipe", "check", file});
    CHECK(trained.status == 2);
    CHECK_MESSAGE(contains(trained.err, wrong.message), trained.err);
    CHECK(trained.err.starts_with("lariat: " + file + ":"));
    CHECK_FALSE(trained.err.starts_with("lariat: " + file + ": "));
    CHECK(checked.status == 2);
    CHECK(checked.err == trained.err);
    CHECK(alone.status == (wrong.without_data ? 2 : 0));
    // How many values a frame has is known by the data alone.
    std::string expected = trained.err;
    if (const size_t known = expected.find("time, 2]"); known != expected.npos)
      expected.replace(known, 8, "time, ?]");
    if (wrong.without_data) CHECK(alone.err == expected);
    seen += wrong.without_data ? 1 : 0;
    // The line of the layer, or of the table, that the message is about.
    const std::string begin = "lariat: " + file + ":";
    const int line = std::stoi(trained.err.substr(begin.size()));
    std::vector<std::string> lines{""};
    for (const char c : text) c == '\n' ? lines.emplace_back() : lines.back() += c;
    REQUIRE(line <= static_cast<int>(lines.size()));
    CHECK(lines[static_cast<size_t>(line) - 1].starts_with("["));
  }
  CHECK(seen >= 15);
  // How many values a row has is known by its data alone: what is refused for any is told without the number.
  write_file(file, "[data]\nkind = \"libsvm\"\n" + layer("dropout", "rate = 0.1") +
                       layer("lstm", "units = 3") + layer("dense", "units = 0"));
  CHECK(run_lariat({"recipe", "check", file}).err ==
        "lariat: " + file +
            ":6: layer lstm_1: takes sequences [batch, time, channels]; got [batch, ?]; these have no "
            "time axis: take dense, "
            "or data with one, such as arrays [examples, frames, values]\n");
  // A column may be categories, of as many values as a layer takes of it.
  write_file(file, csv_data + numbers + layer("reshape", "shape = [2, 2];input = [\"b\"];name = \"r\"") +
                       layer("flatten") + layer("dense", "units = 0"));
  CHECK(run_lariat({"recipe", "check", file}).status == 0);
  CHECK(contains(run_lariat({"recipe", "check", file, "--data", folder / "csv"}).err,
                 file + ":7: layer r: shape = 2, 2 is of 4 values, but [batch, 1] has 1"));
  // What a number of them would fit is not.
  for (const std::string& fit : {layer("image", "height = 3;width = 4"), layer("reshape", "shape = [7, 11]"),
                                 layer("dropout", "rate = 0.1") + layer("reshape", "shape = [7, 11]")}) {
    write_file(file, "[data]\nkind = \"libsvm\"\n" + fit + layer("flatten") + layer("dense", "units = 0"));
    CHECK(run_lariat({"recipe", "check", file}).status == 0);
  }
}

TEST_CASE("cli: a check of a recipe looks at the data that are there, and at no others") {
  if (!have_lariat()) return;
  const TemporaryFolder folder;
  write_data(folder);
  const std::string file = folder / "r.toml", data = folder / "csv";
  const std::string right = csv_data + numbers + layer("dense", "units = 4") + layer("dense", "units = 0");
  const auto check = [&](const std::string& text, const std::vector<std::string>& more = {}) {
    write_file(file, text);
    std::vector<std::string> words{"recipe", "check", file};
    words.insert(words.end(), more.begin(), more.end());
    return run_lariat(words);
  };
  const std::string in_order = file + ": is in order: csv of 2 layers, mean_squared_error";
  CHECK(check(right).out == in_order + "\n");
  const ProgramRun with = check(right, {"--data", data});
  CHECK(with.out.starts_with(in_order + ", and "));
  CHECK(with.out.ends_with(" examples of '" + data + "' fit it\n"));
  std::string there = right;
  there.replace(there.find("kind"), 4, "path = \"" + data + "\"\nkind");
  CHECK(check(there).out == with.out);
  std::string away = there;
  away.replace(away.find(data), data.size(), folder / "nowhere");
  CHECK(check(away).out == in_order + "\n");
  CHECK(contains(check(right, {"--data", folder / "nowhere"}).err, "nowhere"));
  // A column that is not there, and settings in place of the file's.
  std::string other = there;
  other.replace(other.find("\"c\"]"), 4, "\"d\"]");
  CHECK(contains(check(other).err, "has no column 'd'"));
  CHECK(
      check(right, {"--set", "layers.1.units=3"}).err ==
      "lariat: the model ends in 'dense' with [batch, 3], but the data have 1 number to learn; end it with a "
      "dense "
      "layer of 1 unit\n");
  for (const char* kind :
       {"csv", "numpy", "libsvm", "idx", "images", "folders", "list", "digits", "demo", "symbols"}) {
    CAPTURE(kind);
    CHECK(check(run_lariat({"recipe", "new", kind}).out).status == 0);
  }
}

TEST_CASE(
    "cli: a check of a recipe refuses what its training would have no use for, with the data and without") {
  if (!have_lariat()) return;
  const TemporaryFolder folder;
  write_data(folder);
  const std::string file = folder / "r.toml", data = folder / "csv";
  const std::string plain = layer("dense", "units = 4") + layer("dense", "units = 0"),
                    sparse = layer("dense", "units = 4;kernel_penalty = \"l1=1e-3\"") +
                             layer("dense", "units = 0"),
                    ridge = layer("dense", "units = 4;kernel_penalty = \"l2=1e-3\"") +
                            layer("dense", "units = 0");
  const auto callback = [](const std::string& kind, const std::string& more = "") {
    return "[[callbacks]]\nkind = \"" + kind + "\"\n" + more;
  };
  const std::string early = callback("early_stopping", "monitor = \"val_loss\"\n");
  for (
      const Useless& useless : std::vector<Useless>{
          {early, plain,
           "early_stopping: monitor = val_loss: an epoch has no such figure. Did you mean "
           "'validation_loss'?"},
          {callback("early_stopping", "monitor = \"val_mse\"\n"), plain,
           "Did you mean 'validation_mean_squared_error'?"},
          {callback("plateau", "monitor = \"lss\"\n"), plain,
           "plateau: monitor = lss: an epoch has no such figure"},
          {callback("best_checkpoint", "zeros = 0.5\nfile = \"best.safetensors\"\n"), plain,
           "best_checkpoint: no weight has a penalty that makes zeros"},
          {callback("target_zeros", "target = 0.9\n"), ridge,
           "target_zeros: no weight has a penalty that makes zeros"},
          {"[proximal]\ntarget_zeros = 0.9\n", plain,
           "target_zeros: no weight has a penalty that makes zeros"},
          {"[proximal]\ntarget_zeros = 0.9\n" + callback("target_zeros"), sparse,
           "target_zeros: another target_zeros moves the strength of penalties already; leave one of the two "
           "out"},
          {"[proximal]\ntarget_zeros = 0.9\nrewrite = false\n", sparse,
           "[proximal] target_zeros = 0.9: no weight becomes zero with rewrite = false; leave one of the two "
           "out"},
          {callback("target_zeros", "target = 0.5\n") + "[proximal]\nrewrite = false\n", sparse,
           "target_zeros: no weight becomes zero with rewrite = false; leave one of the two out"},
          {callback("reweight"), ridge, "reweight: no weight has an L1 penalty"},
          {callback("penalty_by_validation"), plain,
           "penalty_by_validation: no weight has a penalty that makes zeros"},
          {"[penalty]\nexcept = [\"dense_2\"]\n", plain,
           "[penalty] except = dense_2: has no effect without kernels or biases"},
          {"",
           layer("dense", "units = 4;trainable = false;learning_rate_factor = 0.1") +
               layer("dense", "units = 0"),
           "[layers.0] learning_rate_factor = 0.1: has no effect with trainable = false"},
          {"", layer("dense", "units = 4;trainable = false;weight_decay = 0.1") + layer("dense", "units = 0"),
           "[layers.0] weight_decay = 0.1: has no effect with trainable = false"},
      }) {
    CAPTURE(useless.message);
    write_file(file, csv_data + "validation = 20\n" + numbers + useless.tables + useless.layers);
    const ProgramRun trained = run_lariat({"train", file, "--data", data, "--quiet", "--out", folder / "m"});
    CHECK(trained.status == 2);
    CHECK_MESSAGE(contains(trained.err, useless.message), trained.err);
    CHECK(run_lariat({"recipe", "check", file, "--data", data}).err == trained.err);
    CHECK(run_lariat({"recipe", "check", file}).err == trained.err);
    CHECK_FALSE(std::filesystem::exists(folder / "m"));
  }
  // One switch for a comparison is enough, and what is left without an effect is said.
  write_file(file, csv_data + numbers +
                       "[proximal]\nrewrite = false\nsettle_from = 0.5\n[training]\nstop_when_settled = 2\n" +
                       sparse);
  const ProgramRun off = run_lariat({"recipe", "check", file});
  CHECK(off.status == 0);
  CHECK(off.err ==
        "lariat: settle_from = 0.5: has no effect on zeros, for no weight becomes zero with rewrite = false\n"
        "lariat: stop_when_settled = 2: has no effect on zeros, for no weight becomes zero with rewrite = "
        "false\n");
  // Whether there are rows to validate on is known where a recipe sets none apart and its kind has no files
  // of them.
  const std::string watched = callback("early_stopping", "monitor = \"validation_loss\"\n");
  const auto alone = [&](const std::string& text) {
    write_file(file, text);
    return run_lariat({"recipe", "check", file});
  };
  CHECK(alone(csv_data + numbers + watched + plain).status == 0);
  CHECK(contains(run_lariat({"recipe", "check", file, "--data", data}).err, "there are no validation data"));
  const std::string pictures = layer("flatten") + layer("dense", "units = 10");
  CHECK(alone("[data]\nkind = \"idx\"\nvalidation = 100\n" + watched + pictures).status == 0);
  CHECK(contains(alone("[data]\nkind = \"idx\"\n" + watched + pictures).err, "there are no validation data"));
  // A metric of a class whose name nobody knows yet.
  CHECK(alone("[data]\nkind = \"idx\"\nvalidation = 100\n[metrics]\nkinds = [\"recall\"]\n" +
              callback("early_stopping", "monitor = \"validation_recall/seven\"\n") + pictures)
            .status == 0);
}

TEST_CASE(
    "cli: keys of a recipe that change nothing are told of, with the data and without, and are no fault") {
  if (!have_lariat()) return;
  const TemporaryFolder folder;
  write_data(folder);
  const std::string file = folder / "r.toml", data = folder / "csv";
  const std::string own = "kernel_penalty = \"l1=1e-3\"", dense = layer("dense", "units = 0");
  for (const Useless& useless : std::vector<Useless>{
           {"[penalty]\nkernels = \"l2=1e-3\"\n", layer("dense", "units = 0;" + own),
            "[penalty] kernels = l2=0.001: has no effect, for no layer is left to it; each has its own, has "
            "no kernels, "
            "or is in `except`"},
           {"[penalty]\nbiases = \"l2=1e-3\"\n", layer("dense", "units = 0;use_bias = false"),
            "[penalty] biases = l2=0.001: has no effect, for no layer is left to it"},
           {"", layer("dense", "units = 4;trainable = false;" + own) + dense,
            "[layers.0] kernel_penalty = l1=0.001: moves no weight, for the layer has trainable = false"},
           {"[optimizer]\nkind = \"sgd\"\nlearning_rate = 0\n", dense,
            "[optimizer] learning_rate = 0: no weight moves, but those of [[groups]] with a rate of their "
            "own"},
           {"[penalty]\nkernels = \"l2=1e-3\"\n", layer("dense", "units = 4;" + own) + dense, ""}}) {
    CAPTURE(useless.message);
    write_file(file, csv_data + numbers + useless.tables + useless.layers);
    for (const std::vector<std::string>& words :
         {std::vector<std::string>{"recipe", "check", file},
          {"recipe", "check", file, "--data", data},
          {"train", file, "--data", data, "--out", folder / "m.st", "--set", "training.epochs=1"}}) {
      const ProgramRun run = run_lariat(words);
      CAPTURE(run.err);
      CHECK(run.status == 0);
      if (useless.message.empty())
        CHECK_FALSE(contains(run.err, "has no effect"));
      else
        CHECK(contains(run.err, "lariat: " + useless.message));
    }
  }
}

TEST_CASE("cli: a check of a recipe looks at its search") {
  if (!have_lariat()) return;
  const TemporaryFolder folder;
  write_data(folder);
  const std::string file = folder / "r.toml", data = folder / "csv";
  const auto check = [&](const std::string& search) {
    write_file(file, csv_data + numbers + layer("dense", "units = 4;kernel_penalty = \"l1=1e-3\"") +
                         layer("dense", "units = 0") + "[search]\n" + search);
    const ProgramRun alone = run_lariat({"recipe", "check", file}),
                     with_data = run_lariat({"recipe", "check", file, "--data", data});
    CHECK(alone.err == with_data.err);
    return alone;
  };
  const std::string over = "over = [\"layers.0.units=2,4\"]\n";
  CHECK(check(over + "folds = 3\n").status == 0);
  const auto refused = [&](const std::string& search) {
    const ProgramRun run = check(search);
    CHECK(run.status == 2);
    return run.err;
  };
  CHECK(contains(refused("over = [\"layers.0.unit=2,4\"]\n"), "unit"));
  CHECK(contains(refused("over = [\"layers.7.units=2,4\"]\n"), "layers.7"));
  CHECK(contains(refused("over = [\"layers.0.units=2,x\"]\n"), "units = x: must be an integer"));
  CHECK(contains(refused(over + "folds = 1\n"),
                 "folds = 1: must be 0, for the validation split, or an integer from 2"));
  CHECK(contains(refused(over + "score = \"mean_absolut_error\"\n"), "Did you mean 'mean_absolute_error'?"));
  CHECK(contains(refused(over + "folds = 0\nchoose = \"sparsest\"\n"), "choose = sparsest: needs folds"));
  // Whether there is a validation split to score on is said before a trial is trained.
  CHECK(check(over + "folds = 0\n").status == 0);
  const ProgramRun searched = run_lariat({"search", file, "--data", data, "--out", folder / "m"});
  CHECK(searched.status == 2);
  CHECK(contains(searched.err, "folds = 0: scores on the recipe's validation data, but it sets none apart"));
}

}  // namespace lariat::cli_recipe_check_test
