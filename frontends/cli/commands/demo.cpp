#include <fmt/format.h>

#include <filesystem>

#include "embedded.hpp"
#include "frontends/cli/arguments.hpp"
#include "frontends/cli/command_records.hpp"
#include "frontends/cli/console.hpp"
#include "frontends/cli/outputs.hpp"
#include "frontends/cli/summary.hpp"
#include "frontends/cli/training_report.hpp"
#include "frontends/cli/watched_run.hpp"
#include "frontends/recipe/saved_model.hpp"
#include "frontends/speech/demo_corpus.hpp"
#include "graph/base/error.hpp"
#include "graph/base/json.hpp"

namespace lariat::cli {

namespace {

speech::DemoCorpus make_corpus(const std::string& folder, const speech::DemoCorpusOptions& options = {}) {
  CountedProgress progress("generating clips", false);
  const speech::DemoCorpus corpus = speech::generate_demo_corpus(
      folder, options, [&](size_t done, size_t total) { progress(done, total); });
  progress.finish();
  print(fmt::format("{}: {} clips of spoken digits, {} voices to train on, {} others to test on{}\n\n",
                    folder, grouped(static_cast<int64_t>(corpus.clips)), corpus.train_speakers.size(),
                    corpus.test_speakers.size(), corpus.generated ? "" : " (they were there already)"));
  flush_output();
  return corpus;
}

// Folders on the way to `path` that are not there yet; at its end those that were made and stayed empty are
// removed.
class NewFolders {
 public:
  explicit NewFolders(const std::filesystem::path& path) {
    std::error_code none;
    for (std::filesystem::path at = path; !at.empty() && !std::filesystem::exists(at, none);
         at = at.parent_path())
      missing_.push_back(at);
  }
  NewFolders(const NewFolders&) = delete;
  NewFolders& operator=(const NewFolders&) = delete;
  ~NewFolders() {
    std::error_code none;
    for (const std::filesystem::path& folder : missing_) std::filesystem::remove(folder, none);
  }

 private:
  std::vector<std::filesystem::path> missing_;  // the deepest first
};

ReportData demo_report(const RunResult& result, TrainingRun& run, const speech::DemoCorpus& corpus,
                       const std::string& example) {
  ReportData data = training_report(result, run, std::string(demo_recipe), true);
  data.title = "Spoken digits by a sparse LSTM";
  data.summary = fmt::format(
      "Trained on {} synthetic voices, tested on {} that it has not heard. The loss is written as in the "
      "textbook, "
      "cross-entropy + λ Σ|w|; a rewrite turned the penalty into a proximal update, so that weights became "
      "exactly zero. "
      "The speech is synthetic: a demonstration, no claim of accuracy. {}",
      corpus.train_speakers.size(), corpus.test_speakers.size(), example);
  for (ReportData::Figure& figure : data.figures)
    if (figure.label == "test accuracy") figure.label = "accuracy on unheard voices";
  return data;
}

}  // namespace

static void demo(const Strings& words) {
  Arguments arguments(
      "lariat demo",
      "Generates spoken digits, trains a sparse LSTM recogniser on them, recognises a file with it, and\n"
      "writes a report. With --voices it only generates voices, to train on beside recordings. Needs "
      "espeak-ng.",
      "lariat demo --out build/demo");
  std::string folder = "lariat-demo", json_name;
  std::optional<int64_t> seed, threads, voices;
  arguments.option("--out", "DIR", folder,
                   "the folder for corpus, model and report; lariat-demo where it is not given");
  arguments.integer("--voices", voices, 1, 252,
                    "only generate a clip of each digit by so many voices, into the folder, for [data] "
                    "synthetic; 252 at most");
  arguments.seed(seed);
  arguments.threads(threads);
  arguments.json(json_name);
  if (!arguments.read(words)) return;
  const std::filesystem::path path = folder;
  std::error_code failure;
  const NewFolders made(path);
  std::filesystem::create_directories(path, failure);
  if (failure)
    throw UserError(
        fmt::format("cannot create '{}': {}; choose another place with --out", folder, failure.message()));
  if (voices) {
    if (threads || !json_name.empty())
      throw UserError("--voices: nothing is trained; leave --threads and --json out");
    make_corpus(folder, {.train_voices = static_cast<int>(*voices),
                         .test_voices = 1,
                         .variations = 1,
                         .seed = static_cast<uint64_t>(seed.value_or(0))});
    return;
  }
  const std::string model_file = (path / "digits.safetensors").string(),
                    page = (path / "report.html").string();
  check_outputs({model_file, checkpoint_of(model_file), page, json_name});
  const JsonFile json(json_name);

  const ThreadLimit limit(threads);
  const speech::DemoCorpus corpus = make_corpus((path / "corpus").string());
  RunOptions options;
  options.data = (path / "corpus").string();
  options.out = model_file;
  if (seed) options.seed = static_cast<uint64_t>(*seed);
  options.threads = limit.threads();
  WatchedRun run(Recipe::parse(demo_recipe, "demo.toml"), options, false);
  const RunResult result = run.run();
  print("\nOn voices it has not heard:\n" + summary(result));

  // What lies on the disk is what recognises, not what is still in memory.
  const std::string clip =
      (path / "corpus" / fmt::format("7_{}_0.wav", corpus.test_speakers.front())).string();
  const Prediction heard = SavedModel::load(model_file).recognize({clip}).front();
  print(fmt::format("\n$ lariat recognize {} {}\n{}  {}  {}\n", model_file, clip, clip, heard.label,
                    percent(heard.probability)));
  write_report(page, demo_report(result, run.training(), corpus,
                                 fmt::format("Asked about {}, it says {} ({}).",
                                             std::filesystem::path(clip).filename().string(), heard.label,
                                             percent(heard.probability))));
  print(fmt::format("\nThe report: {}\n", page));

  Json figures_json = figures(result);
  figures_json["recognized"] = {{"file", clip}, {"label", heard.label}, {"probability", heard.probability}};
  figures_json["report"] = page;
  json.write(figures_json);
}

Command command_records::demo() {
  return {"demo", "generate spoken digits, train a sparse recogniser on them, use it", cli::demo,
          CommandGroup::beginning};
}

}  // namespace lariat::cli
