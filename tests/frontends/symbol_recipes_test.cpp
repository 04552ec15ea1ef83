// Sequences of symbols by recipes: recordings joined or with transcripts, arrays, folds, streams,
// checkpoints.
#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>

#include "frontends/recipe/run.hpp"
#include "frontends/recipe/saved_model.hpp"
#include "frontends/recipe/worst_examples.hpp"
#include "frontends/search/search.hpp"
#include "frontends/search/trial.hpp"
#include "frontends/speech/digits.hpp"
#include "graph/base/error.hpp"
#include "tests/support/npy.hpp"
#include "tests/support/testing.hpp"
#include "tests/support/toy_runs.hpp"

namespace lariat::symbol_recipes_test {

namespace fs = std::filesystem;
using namespace lariat::testing;
using Strings = std::vector<std::string>;

namespace {

constexpr const char* model_text = R"([features]
num_mel_bins = 20
cmvn = "global"
[loss]
kind = "ctc"
[[layers]]
kind = "conv1d"
filters = 32
kernel = 7
stride = 2
activation = "relu"
kernel_penalty = "l1=1e-4"
[[layers]]
kind = "dense"
units = 0
[optimizer]
learning_rate = 0.01
[training]
epochs = 50
batch_size = 16
clip_norm = 5
seed = 5
)";

Recipe with_data(const std::string& data) {
  return Recipe::parse("[data]\n" + data + model_text, "recipe.toml");
}

Recipe joined_digits(const std::string& more = "") {
  return with_data("kind = \"digits\"\njoin = 3\nvalidation = 2\n" + more);
}

std::string refused(const std::string& text) {
  return message_of<UserError>([&] { Recipe::parse(text, "recipe.toml"); });
}

// A table of recordings: NAME.wav of the folder, and what is said in each.
void write_table(const std::string& file, const std::vector<std::pair<std::string, std::string>>& rows) {
  std::string text = "file,label,who\n";
  for (const auto& [name, label] : rows)
    text += fmt::format("{}.wav,{},{}\n", name, label, name.substr(2, 3));
  write_file(file, text);
}

const Strings words{"zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"};

// Recordings of two digits each, in a folder that write_digits made, with their words in train.csv and
// test.csv.
void write_pairs(const std::string& folder, int count) {
  std::vector<std::pair<std::string, std::string>> train, test;
  for (int first = 0; first < 10; ++first)
    for (int i = 0; i < count; ++i) {
      const int second = (first + 3 + 2 * i) % 10;
      const std::string name = fmt::format("p_{}_{}_{}", first, second, i);
      speech::Audio audio = noisy_tone(first, static_cast<uint64_t>(100 * first + i));
      const speech::Audio next = noisy_tone(second, static_cast<uint64_t>(1000 + 100 * first + i));
      audio.samples.insert(audio.samples.end(), next.samples.begin(), next.samples.end());
      speech::write_wav((fs::path(folder) / (name + ".wav")).string(), audio);
      (i == 0 ? test : train)
          .emplace_back(name, words[static_cast<size_t>(first)] + " " + words[static_cast<size_t>(second)]);
    }
  write_table((fs::path(folder) / "train.csv").string(), train);
  write_table((fs::path(folder) / "test.csv").string(), test);
}

}  // namespace

TEST_CASE("symbol recipes: recordings of a speaker are joined, each the first of one") {
  const TemporaryFolder folder;
  const std::string digits = write_digits(folder, 6);
  speech::ClipList list = speech::list_digits(digits, data::Split::test);
  for (auto& entry : list.entries) entry.symbols = {entry.label + 1};
  const speech::ClipList joined = speech::joined(list, 3), again = speech::joined(list, 3);
  REQUIRE(joined.entries.size() == 100);
  std::map<std::string, int> heard;
  for (size_t i = 0; i < joined.entries.size(); ++i) {
    const auto& entry = joined.entries[i];
    CHECK(entry.file == list.entries[i].file);
    CHECK(entry.followed.size() == i % 3);
    CHECK(entry.symbols.size() == 1 + i % 3);
    CHECK(entry.followed == again.entries[i].followed);
    for (size_t j = 0; j < entry.followed.size(); ++j) {
      const std::string name = fs::path(entry.followed[j]).filename().string();
      CHECK(name.substr(2, 3) == entry.speaker);
      CHECK(name[0] - '0' + 1 == entry.symbols[j + 1]);
      ++heard[name];
    }
  }
  CHECK(heard.size() > 40);
  CHECK(message_of<UserError>([&] { speech::joined(list, 0); }) == "join = 0: must be an integer from 1");
  // Samples follow each other.
  list.entries = {joined.entries[2]};
  const speech::ClipSet clips = speech::load_clips(list);
  size_t samples = speech::read_audio(joined.entries[2].file, 8000).samples.size();
  for (const std::string& file : joined.entries[2].followed)
    samples += speech::read_audio(file, 8000).samples.size();
  CHECK(clips.clips.at(0).audio.samples.size() == samples);
  CHECK(contains(clips.clips.at(0).audio.source, ".wav + "));
}

TEST_CASE("symbol recipes: joined digits are learned, streamed or not, and the run goes on after a stop") {
  const TemporaryFolder folder;
  const std::string digits = write_digits(folder, 11);
  RunOptions options{.data = digits, .out = folder / "m.safetensors", .threads = 2};
  TrainingRun run(joined_digits(), options);
  CHECK(run.train_examples() == 80);
  CHECK(run.validation_examples() == 40);
  const RunResult result = run.run();
  CHECK(result.task == "symbols");
  CHECK(result.classes.size() == 10);
  REQUIRE(result.test);
  CHECK(result.test->metrics[0].first == "symbol_error_rate");
  CHECK(result.test->metrics[0].second < 0.2);
  CHECK(result.test->symbol_errors.symbols == 199);
  CHECK(result.test->confusion_names.size() == 11);
  CHECK(result.penalised.zeros > 0);
  const auto json = nlohmann::json::parse(result.json());
  CHECK(json["accuracy"].is_null());
  CHECK(json["test"]["symbol_error_rate"] == result.test->metrics[0].second);
  CHECK(json["test"]["symbol_errors"]["symbols"] == 199);
  const std::vector<WorstExample> worst = worst_examples(run.model(), *run.examples(data::Split::test), 5);
  for (const WorstExample& example : worst) {
    CHECK(example.truth != example.said);
    CHECK(example.distance >= 1);
  }

  SavedModel model = SavedModel::load(result.model);
  const data::Dataset test = model.load_data(digits);
  CHECK(model.evaluate(test).metrics == result.test->metrics);
  const Prediction one = model.recognize({digits + "/7_ann_1.wav"}).front();
  CHECK(one.symbols == Strings{"7"});
  CHECK(one.label == "7");
  CHECK(one.probability > 0.2);

  // In memory or not, stopped or not: the same bits.
  RunOptions quiet{.data = digits, .threads = 1, .test = false, .certify = false};
  Recipe shorter = joined_digits();
  shorter.set("training.epochs", "4");
  const std::string hash = TrainingRun(shorter, quiet).run().training_state_hash;
  Recipe streamed = shorter;
  streamed.set("data.stream", "true");
  CHECK(TrainingRun(streamed, quiet).run().training_state_hash == hash);
  std::atomic<bool> stop = false;
  quiet.out = folder / "stopped.safetensors";
  quiet.stop = &stop;
  int64_t epochs = 0;
  quiet.on_epoch_end = [&](const EpochReport&) { stop = ++epochs == 2; };
  const RunResult stopped = TrainingRun(shorter, quiet).run();
  CHECK(stopped.stopped);
  quiet.stop = nullptr;
  quiet.on_epoch_end = {};
  TrainingRun rest(shorter, quiet);
  rest.resume(stopped.checkpoint);
  CHECK(rest.run().training_state_hash == hash);
  // Augmentation by epoch, and views in prediction.
  Recipe augmented = shorter;
  augmented.set({{"augment.gain_min", "-3"}, {"prediction.vtln_warps", "0.95"}, {"prediction.beam", "4"}});
  quiet.out = folder / "augmented.safetensors";
  quiet.test = true;
  const RunResult heard = TrainingRun(augmented, quiet).run();
  CHECK(SavedModel::load(heard.model).evaluate(SavedModel::load(heard.model).load_data(digits)).metrics ==
        heard.test->metrics);
  Recipe speeds = shorter;
  speeds.set("prediction.speeds", "0.9");
  CHECK(contains(message_of<UserError>([&] { TrainingRun(speeds, quiet).run(); }),
                 "but the model answers for each frame; take views that keep them, so no speeds"));
}

TEST_CASE("symbol recipes: folds hold recordings out before they are joined, and a search scores by errors") {
  const TemporaryFolder folder;
  const std::string digits = write_digits(folder, 9);
  Recipe recipe = joined_digits();
  recipe.set({{"training.epochs", "2"}, {"data.validation", "0"}});
  TrainingRun run(recipe,
                  {.data = digits, .fold = data::FoldChoice{1, 4, 0}, .test = false, .certify = false});
  CHECK(run.train_examples() == 60);
  CHECK(run.validation_examples() == 20);
  const auto files_of = [](const data::Dataset& dataset) {
    Strings files;
    for (const data::Example& example : dataset.examples)
      for (size_t at = 0; at < example.source.size();) {
        const size_t end = std::min(example.source.find(" + ", at), example.source.size());
        files.push_back(fs::path(example.source.substr(at, end - at)).filename().string());
        at = end + 3;
      }
    return files;
  };
  const Strings trained = files_of(*run.examples(data::Split::train));
  for (const std::string& file : files_of(*run.examples(data::Split::validation)))
    CHECK(std::find(trained.begin(), trained.end(), file) == trained.end());
  CHECK(search::usual_score(recipe) == "symbol_error_rate");
  CHECK_FALSE(search::larger_is_better("symbol_error_rate"));
  CHECK(search::larger_is_better("sequence_accuracy"));
}

TEST_CASE("symbol recipes: what is said in recordings is words, or characters") {
  const TemporaryFolder folder;
  const std::string digits = write_digits(folder, 1);
  write_pairs(digits, 9);
  Recipe recipe = with_data("kind = \"list\"\nspeaker = \"who\"\n");
  const RunOptions options{.data = digits, .out = folder / "m.safetensors", .certify = false};
  TrainingRun run(recipe, options);
  const RunResult result = run.run();
  Strings sorted = words;
  std::sort(sorted.begin(), sorted.end());
  CHECK(result.classes == sorted);
  CHECK(result.test->metrics[0].second < 0.4);
  SavedModel model = SavedModel::load(result.model);
  const Prediction said = model.recognize({digits + "/p_2_5_0.wav"}).front();
  CHECK(said.label == fmt::format("{}", fmt::join(said.symbols, " ")));

  recipe.set("data.symbols", "characters");
  TrainingRun characters(recipe, options);
  const RunResult letters = characters.run();
  CHECK(letters.classes.front() == " ");
  CHECK(letters.classes.size() == 16);  // and e f g h i n o r s t u v w x z
  const data::Example& first = characters.examples(data::Split::test)->examples.front();
  CHECK(first.targets.size() == std::string("zero three").size());
  SavedModel spelled = SavedModel::load(letters.model);
  CHECK(spelled.model().shape().targets.between.empty());
  const Prediction spelling = spelled.recognize({digits + "/p_2_5_0.wav"}).front();
  CHECK(spelling.label == fmt::format("{}", fmt::join(spelling.symbols, "")));

  // Characters are those of UTF-8, nothing may be said, and a recording that is too short is left out.
  write_table(digits + "/train.csv",
              {{"p_0_3_0", "ä  öä"}, {"p_1_4_0", ""}, {"p_2_5_0", "ö ä"}, {"0_ann_0", "äääääääääääääääää"}});
  write_table(digits + "/test.csv", {{"p_3_6_0", "ö"}});
  recipe.set("training.epochs", "1");
  TrainingRun few(recipe, options);
  few.run();
  CHECK(few.model().shape().classes == Strings{" ", "ä", "ö"});
  CHECK(few.train_examples() == 3);
  REQUIRE(few.skipped().size() == 1);
  CHECK(contains(few.skipped()[0], "0_ann_0.wav: is of "));
  CHECK(contains(few.skipped()[0],
                 "but the model needs 65 for its 17 symbols and 16 blanks between equal ones"));
  CHECK(few.examples(data::Split::train)->examples[1].targets.empty());
  write_table(digits + "/test.csv", {{"p_3_6_0", "öx"}});
  CHECK(contains(message_of<UserError>([&] { TrainingRun(recipe, options).run(); }),
                 "is labelled 'öx', of which training never saw 'x'."));
}

TEST_CASE("symbol recipes: arrays of sequences, in memory and streamed, with names or without") {
  const TemporaryFolder folder;
  constexpr int rows = 60, frames = 24, most = 2;
  std::vector<float> x;
  std::vector<int32_t> y, lengths;
  for (int row = 0; row < rows; ++row) {
    const int first = 1 + row % 3, second = row % 4 == 3 ? 0 : 1 + (row / 3 + row) % 3;
    for (int t = 0; t < frames; ++t)
      for (int channel = 1; channel <= 3; ++channel)
        x.push_back((t >= 2 && t < 8 && channel == first) || (t >= 12 && t < 18 && channel == second) ? 1.0F
                                                                                                      : 0.0F);
    y.insert(y.end(), {first, second});
    lengths.push_back(20 + row % 5);
  }
  write_file(folder / "X.npy", npy_of<float>("<f4", fmt::format("({}, {}, 3)", rows, frames), x));
  write_file(folder / "y.npy", npy_of<int32_t>("<i4", fmt::format("({}, {})", rows, most), y));
  write_file(folder / "lengths.npy", npy_of<int32_t>("<i4", fmt::format("({},)", rows), lengths));
  const std::string text = R"([data]
kind = "numpy"
validation = 20
[loss]
kind = "ctc"
[[layers]]
kind = "conv1d"
filters = 12
kernel = 5
activation = "relu"
[[layers]]
kind = "dense"
units = 0
[optimizer]
learning_rate = 0.02
[training]
epochs = 150
batch_size = 16
[[callbacks]]
kind = "early_stopping"
monitor = "validation_symbol_error_rate"
patience = 100
)";
  Recipe recipe = Recipe::parse(text, "recipe.toml");
  const RunOptions options{.data = folder.text(), .out = folder / "m.safetensors", .certify = false};
  const RunResult result = TrainingRun(recipe, options).run();
  CHECK(result.classes == Strings{"1", "2", "3"});
  CHECK(result.test->metrics == MetricValues{{"symbol_error_rate", 0}, {"sequence_accuracy", 1}});
  recipe.set("data.stream", "true");
  CHECK(TrainingRun(recipe, options).run().state_hash == result.state_hash);
  recipe.set("data.symbols", "la, le, li");
  const RunResult named = TrainingRun(recipe, options).run();
  CHECK(named.classes == Strings{"la", "le", "li"});
  SavedModel model = SavedModel::load(named.model);
  const data::Dataset all = model.load_data(folder.text(), data::Split::train);
  CHECK(all.classes == named.classes);
  CHECK(model.evaluate(all).metrics[0].second == 0);
  const Prediction first = model.predict(model.read_rows(folder / "X.npy")).front();
  CHECK(first.label == "la la");
  recipe.set("data.symbols", "la, le");
  CHECK(contains(message_of<UserError>([&] { TrainingRun(recipe, options).run(); }),
                 "y holds the symbol 3, but there are 2; name all in [data] symbols"));
  // Folds of arrays, whose examples may have no symbol at all.
  recipe.set({{"data.symbols", ""}, {"training.epochs", "1"}, {"callbacks.0.monitor", "loss"}});
  RunOptions fold = options;
  fold.fold = data::FoldChoice{0, 3, 0};
  CHECK(TrainingRun(recipe, fold).run().validation.has_value());
}

TEST_CASE("symbol recipes: keys that do not go together are one line each") {
  const std::string layers = "[[layers]]\nkind = \"dense\"\nunits = 0\n";
  CHECK(refused("[data]\nkind = \"csv\"\n[loss]\nkind = \"ctc\"\n" + layers) ==
        "recipe.toml: [loss] kind = ctc: learns sequences of symbols, which data of [data] kind = csv do not "
        "have; "
        "take demo, digits, folders, list, numpy");
  CHECK(
      refused("[data]\nkind = \"digits\"\njoin = 3\n" + layers) ==
      "recipe.toml: [data] join = 3: has no effect with [loss] kind = softmax_cross_entropy, which learns no "
      "sequences of symbols; take ctc, or leave it out");
  CHECK(contains(refused("[data]\nkind = \"list\"\nsymbols = \"characters\"\n" + layers),
                 "[data] symbols = characters: has no effect with"));
  CHECK(contains(refused("[data]\nkind = \"numpy\"\nsymbols = [\"a\", \"b\"]\n" + layers),
                 "[data] symbols = a, b: has no effect with"));
  CHECK(contains(refused("[data]\nkind = \"digits\"\n[prediction]\nbeam = 8\n" + layers),
                 "[prediction] beam = 8: has no effect with"));
  CHECK(contains(
      refused("[data]\nkind = \"numpy\"\n[prediction]\nspeeds = [0.9]\n[loss]\nkind = \"ctc\"\n" + layers),
      "[prediction] speeds = 0.9: has no effect with [data] kind = numpy"));
  CHECK(contains(refused("[data]\nkind = \"digits\"\njoin = 0\n[loss]\nkind = \"ctc\"\n" + layers),
                 "join = 0: must be an integer from 1 to 1000"));
  CHECK(contains(
      refused("[data]\nkind = \"digits\"\n[[layers]]\nkind = \"dense\"\nname = \"a\"\n[[layers]]\nkind = "
              "\"dense\"\nname = \"b\"\ninput = [\"features\"]\n[[outputs]]\nlayer = \"a\"\nloss = "
              "\"ctc\"\n[[outputs]]\nlayer = \"b\"\n"),
      "[[outputs]] layer = a: its loss ctc learns the one sequence of symbols that an example has, but "
      "there are 2 outputs"));
  CHECK(contains(
      refused("[data]\nkind = \"digits\"\n[metrics]\nkinds = [\"wer\"]\n[loss]\nkind = \"ctc\"\n" + layers),
      "It is called 'symbol_error_rate' here."));
  CHECK(contains(refused("[data]\nkind = \"digits\"\n[loss]\nkind = \"ctc_loss\"\n" + layers), "'ctc'"));
  // In order: a beam with arrays.
  Recipe::parse("[data]\nkind = \"numpy\"\n[prediction]\nbeam = 8\n[loss]\nkind = \"ctc\"\n" + layers,
                "recipe.toml");
  const TemporaryFolder folder;
  const Recipe recipe = with_data("kind = \"digits\"\npositive = \"7\"\n");
  CHECK(contains(message_of<UserError>([&] { TrainingRun(recipe, {.data = write_digits(folder, 6)}); }),
                 "[data] positive = 7: has no effect with [loss] kind = ctc, which learns symbols"));
}

}  // namespace lariat::symbol_recipes_test
