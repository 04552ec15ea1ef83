#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <filesystem>

#include "frontends/cli/arguments.hpp"
#include "frontends/cli/command_records.hpp"
#include "frontends/cli/console.hpp"
#include "frontends/cli/outputs.hpp"
#include "frontends/cli/table.hpp"
#include "frontends/export/c_unit.hpp"
#include "frontends/export/export_c.hpp"
#include "frontends/export/export_files.hpp"
#include "graph/base/error.hpp"
#include "graph/base/json.hpp"

namespace lariat::cli {

namespace {

using to_c::CProgram;
using to_c::ExportOptions;
using to_c::HostModel;
using to_c::TestInput;

void check_choice(const std::string& flag, const std::string& value, const Strings& known, const char* what) {
  if (std::find(known.begin(), known.end(), value) == known.end())
    throw UserError(
        fmt::format("{} {}: there is no such {}.{}", flag, value, what, did_you_mean(value, known)));
}

// The first recordings of the test that fit.
std::vector<TestInput> recordings(const SavedModel& model, const std::string& folder,
                                  const ExportOptions& options) {
  const Corpus corpus(model.recipe(), folder);
  speech::ClipList list = corpus.list(data::Split::test);
  const speech::FeatureOptions& features = model.features();
  std::vector<TestInput> inputs;
  for (const speech::ClipList::Entry& entry : list.entries) {
    if (static_cast<int>(inputs.size()) == options.vectors) break;
    const speech::Audio audio = speech::read_audio(entry.file, features.sample_frequency);
    if (options.frames > 0 && model.front_end().extractor.frames_in(audio) > options.frames) continue;
    TestInput input;
    for (const float sample : audio.samples)
      input.samples.push_back(static_cast<int16_t>(std::clamp(std::round(sample), -32768.0F, 32767.0F)));
    inputs.push_back(std::move(input));
  }
  return inputs;
}

std::vector<TestInput> examples(const data::Dataset& dataset, const ExportOptions& options) {
  std::vector<TestInput> inputs;
  for (const data::Example& example : dataset.examples) {
    if (static_cast<int>(inputs.size()) == options.vectors) break;
    if (options.frames > 0 && example.frames > options.frames) continue;
    inputs.push_back({data::loaded(example).values, {}, example.frames});
  }
  return inputs;
}

// What the program's numbers are worth on data: how far they are from the model's, and how often each is
// right.
struct Comparison {
  int64_t examples = 0, agree = 0, right = 0, model_right = 0;
  double largest_difference = 0;
  bool labelled = false;
};

Comparison compare(SavedModel& model, const data::Dataset& dataset, const ExportOptions& options) {
  ExportOptions plain = options;
  plain.int8 = false;
  HostModel exported(model, options), original(model, plain);
  Comparison found;
  found.labelled = model.model().network().task->exclusive && dataset.targets.width == 0;
  const auto best = [](const std::vector<float>& x) {
    return std::max_element(x.begin(), x.end()) - x.begin();
  };
  for (const data::Example& stored : dataset.examples) {
    const data::Example example = data::loaded(stored);
    const std::vector<float> a = exported.run(example.values, example.frames),
                             b = original.run(example.values, example.frames);
    for (size_t i = 0; i < a.size(); ++i)
      found.largest_difference = std::max(found.largest_difference, std::abs(double(a[i]) - double(b[i])));
    ++found.examples;
    found.agree += best(a) == best(b);
    found.right += found.labelled && best(a) == example.label;
    found.model_right += found.labelled && best(b) == example.label;
  }
  return found;
}

}  // namespace

static void export_model(const Strings& words) {
  Arguments arguments("lariat export",
                      "Writes a saved model as a C99 program of its own: a file, its header and a self-test.",
                      "lariat export mnist.safetensors --to c --out firmware --weights int8");
  std::string file, language, folder, name, data_folder, weights = "f32", values = "predictions", json_name;
  std::optional<int64_t> frames, vectors, seed, threads;
  ExportOptions options;
  arguments.input_word("MODEL", file, "what lariat train wrote");
  arguments.option("--to", "LANGUAGE", language, "c");
  arguments.option("--out", "DIR", folder,
                   "the folder of the files: a new or an empty one, or that of an export before");
  arguments.option("--name", "NAME", name, "what files and functions are called; else as MODEL is");
  arguments.option("--weights", "f32|int8", weights, "f32, or 8 bits with a scale for each channel");
  arguments.option("--values", "WHAT", values,
                   "predictions (the default), or outputs, those of the last layer");
  arguments.integer("--frames", frames, 1, 1 << 24, "the most frames of a sequence");
  arguments.flag("--streaming", options.streaming,
                 "frame by frame, in memory that does not grow with their number");
  arguments.option(
      "--data", "DIR", data_folder,
      "the folder of the data: the self-test runs examples of their test split, on all of which the "
      "program is compared with the model");
  arguments.integer("--vectors", vectors, 1, 1000, "examples in the self-test (4)");
  arguments.seed(seed);
  arguments.threads(threads);
  arguments.plugins();
  arguments.json(json_name);
  if (!arguments.read(words)) return;
  if (language.empty()) throw UserError("--to is missing: say which language to write; there is c");
  check_choice("--to", language, {"c"}, "language");
  check_choice("--weights", weights, {"f32", "int8"}, "form of weights");
  check_choice("--values", values, {"predictions", "outputs"}, "kind of values");
  if (folder.empty()) throw UserError("--out is missing: name the folder that the files go to");
  if (folder == "-") throw UserError("--out -: several files are written; name a folder");
  options.name = to_c::identifier(name.empty() ? std::filesystem::path(file).stem().string() : name);
  if (!name.empty() && options.name != name)
    throw UserError(fmt::format("--name {}: is no name in C; take {}", name, options.name));
  options.int8 = weights == "int8";
  options.frames = frames.value_or(0);
  options.predictions = values == "predictions";
  options.vectors = static_cast<int>(vectors.value_or(4));
  options.seed = static_cast<uint64_t>(seed.value_or(0));
  const Strings files{options.name + ".h", options.name + ".c", options.name + "_test.c"};
  check_outputs({json_name}, {file});
  to_c::check_folder(folder, files);
  const JsonFile json(json_name);
  const ThreadLimit limit(threads);

  SavedModel model = SavedModel::load(file);
  if (!data_folder.empty()) check_outputs({json_name}, model.recipe(), data_folder);
  if (model.is_audio() && !model.front_end().views.empty())
    report(
        fmt::format("[prediction] has the model's answers averaged over {} views of a recording; the program "
                    "in C hears it once, as it is",
                    model.front_end().views.size() + 1));
  std::vector<TestInput> inputs;
  std::optional<Comparison> comparison;
  if (!data_folder.empty()) {
    const data::Dataset dataset = model.load_data(data_folder);
    for (const std::string& notice : dataset.notices) report(notice);
    inputs = model.is_audio() ? recordings(model, data_folder, options) : examples(dataset, options);
    if (inputs.empty())
      throw UserError(
          fmt::format("--frames {}: all examples of the test are longer; allow more", options.frames));
    comparison = compare(model, dataset, options);
  }
  const CProgram program = to_c::export_c(model, options, std::move(inputs));
  to_c::write_files(folder, program.files);

  std::vector<Strings> rows{
      {"files", fmt::format("{}/{}.c, .h, {}_test.c", folder, options.name, options.name)},
      {"constants",
       fmt::format("{} bytes ({} weights); code comes on top", grouped(program.constant_bytes), weights)},
      {"memory", fmt::format("{} bytes", grouped(program.ram_bytes))}};
  if (program.input_bytes > 0)
    rows.push_back({"an input", fmt::format("{} bytes", grouped(program.input_bytes))});
  rows.push_back({"a result", fmt::format("{} bytes", grouped(program.result_bytes))});
  rows.push_back(
      {"self-test", fmt::format("{} example{}", program.vectors, program.vectors == 1 ? "" : "s")});
  if (comparison) {
    const auto share = [&](int64_t count) {
      return fmt::format("{:.2f}%", 100 * static_cast<double>(count) /
                                        static_cast<double>(std::max<int64_t>(1, comparison->examples)));
    };
    rows.push_back({"same answer", fmt::format("{} of {} test examples; largest difference {:.2g}",
                                               grouped(comparison->agree), grouped(comparison->examples),
                                               comparison->largest_difference)});
    if (comparison->labelled)
      rows.push_back({"accuracy", fmt::format("{}, the model's {}", share(comparison->right),
                                              share(comparison->model_right))});
  }
  print(columns(rows, 0));
  Json compared = nullptr;
  if (comparison) {
    compared = {{"examples", comparison->examples},
                {"same_answer", comparison->agree},
                {"largest_difference", comparison->largest_difference}};
    if (comparison->labelled) {
      compared["right"] = comparison->right;
      compared["model_right"] = comparison->model_right;
    }
  }
  json.write({{"files", files},
              {"folder", folder},
              {"name", options.name},
              {"weights", weights},
              {"streaming", options.streaming},
              {"frames", options.frames},
              {"constant_bytes", program.constant_bytes},
              {"ram_bytes", program.ram_bytes},
              {"input_bytes", program.input_bytes},
              {"result_bytes", program.result_bytes},
              {"vectors", program.vectors},
              {"seed", options.seed},
              {"threads", limit.threads()},
              {"comparison", compared}});
}

Command command_records::export_model() {
  return {"export", "write a saved model as a program in C", cli::export_model, CommandGroup::files};
}

}  // namespace lariat::cli
