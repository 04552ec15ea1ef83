#include "frontends/speech/features.hpp"

#include <fmt/format.h>

#include <chrono>
#include <filesystem>

#include "frontends/cli/arguments.hpp"
#include "frontends/cli/command_records.hpp"
#include "frontends/cli/console.hpp"
#include "frontends/cli/outputs.hpp"
#include "frontends/speech/feature_files.hpp"
#include "graph/base/error.hpp"
#include "graph/base/json.hpp"
#include "graph/io/atomic_file.hpp"

namespace lariat::cli {

using namespace speech;

namespace {

enum class Format { csv, npy };
const Strings format_names{"csv", "npy"};

// A pipe has no name that would tell.
Format format_of(const std::string& file) {
  const std::string ending = std::filesystem::path(file).extension().string();
  if (ending == ".csv") return Format::csv;
  if (ending == ".npy") return Format::npy;
  if (is_written_in_place(file)) return Format::csv;
  throw UsageError(fmt::format("lariat features: --out {}: the name must end in .csv or .npy", file));
}

void add_feature_options(Arguments& arguments, FeatureOptions& options) {
  for (const auto& option : feature_option_table().options()) {
    arguments.option(
        data::flag_of(option.name),
        option.type == "boolean"  ? "true|false"
        : option.type == "choice" ? "NAME"
                                  : "N",
        [&options, &option](const std::string& text) { option.set(options, text); },
        fmt::format("{} ({}; default {})", option.doc, option.range, option.default_value));
  }
}

}  // namespace

static void features(const Strings& words) {
  Arguments arguments("lariat features",
                      "Turns an audio file into features, one row a frame. Names and defaults are Kaldi's.",
                      "lariat features 7_jackson_32.wav --kind mfcc --num-ceps 13 --out mfcc.csv");
  std::string audio_name, out, json_name;
  std::optional<int64_t> seed, threads;
  std::optional<Format> asked_format;
  FeatureOptions options;
  arguments.input_word("FILE", audio_name, "WAV, FLAC, AIFF or SPHERE");
  arguments.output("--out", "FILE", out, "where the features go: .csv, or .npy for NumPy");
  arguments.option(
      "--format", "NAME",
      [&](const std::string& text) {
        const data::OptionDescription description{"--format", {}, "choice", data::range_of(format_names), {}};
        asked_format = static_cast<Format>(data::parse_choice(description, text, format_names));
      },
      "csv or npy, whatever the file is called");
  arguments.seed(seed);
  arguments.threads(threads);
  arguments.json(json_name);
  add_feature_options(arguments, options);
  if (!arguments.read(words)) return;
  if (out.empty())
    throw UsageError("lariat features: --out FILE.csv or FILE.npy is missing. See lariat features --help");
  const Format format = asked_format ? *asked_format : format_of(out);
  if (options.cmvn == Cmvn::global)
    throw UsageError(
        "lariat features: cmvn = global: one file has no statistics of a training set; give --cmvn "
        "utterance");
  if (seed) options.dither_seed = *seed;
  check_outputs({out, json_name}, {audio_name});
  const JsonFile json(json_name);
  const ThreadLimit limit(threads);

  const auto start = std::chrono::steady_clock::now();
  Strings notices;
  const Audio audio = read_audio(audio_name, options.sample_frequency, &notices);
  for (const std::string& notice : notices) report(notice);
  const FeatureExtractor extractor(options, audio.sample_rate);
  const FeatureMatrix matrix = extractor.extract(audio);
  format == Format::csv ? write_csv(out, matrix) : write_npy(out, matrix);
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  print(fmt::format("{}: {} frames of {} values, from {} at {} Hz\n", out, matrix.frames, matrix.dimensions,
                    duration(static_cast<double>(audio.samples.size()) / audio.sample_rate),
                    audio.sample_rate));
  json.write({{"file", audio_name},
              {"out", out},
              {"frames", matrix.frames},
              {"dimensions", matrix.dimensions},
              {"sample_rate", audio.sample_rate},
              {"samples", audio.samples.size()},
              {"notices", notices},
              {"options", parse_json(feature_option_table().to_json(extractor.options()))},
              {"seconds", seconds},
              {"seed", options.dither_seed},
              {"threads", limit.threads()}});
}

Command command_records::features() {
  return {"features", "turn an audio file into features, by Kaldi's options", cli::features,
          CommandGroup::uses};
}

}  // namespace lariat::cli
