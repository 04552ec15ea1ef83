#include <fmt/format.h>

#include <chrono>
#include <cmath>

#include "frontends/cli/arguments.hpp"
#include "frontends/cli/command_records.hpp"
#include "frontends/cli/console.hpp"
#include "frontends/cli/outputs.hpp"
#include "frontends/recipe/saved_model.hpp"
#include "graph/base/error.hpp"
#include "graph/base/json.hpp"

namespace lariat::cli {

static void recognize(const Strings& words) {
  Arguments arguments("lariat recognize",
                      "Names what is said in audio files. The model knows how to read them.",
                      "lariat recognize digits.safetensors one.wav two.flac --json answers.json");
  std::string file, json_name;
  Strings audio;
  std::optional<int64_t> threads;
  arguments.input_word("MODEL", file, "what lariat train wrote");
  arguments.input_words("FILE", audio, "WAV, FLAC, AIFF or SPHERE");
  arguments.threads(threads);
  arguments.plugins();
  arguments.json(json_name);
  if (!arguments.read(words)) return;
  Strings inputs = audio;
  inputs.push_back(file);
  check_outputs({json_name}, inputs);
  const JsonFile json(json_name);
  const ThreadLimit limit(threads);

  SavedModel model = SavedModel::load(file);
  model.features();  // refuses a model that does not hear
  Json results = Json::array();
  size_t recognised = 0, width = 0;
  std::string failure;
  for (const std::string& name : audio) width = std::max(width, name.size());
  const auto start = std::chrono::steady_clock::now();
  for (const std::string& name : audio) {
    try {
      Strings notices;
      const Prediction prediction = model.recognize({name}, &notices).front();
      for (const std::string& notice : notices) report(notice);
      // How probable a margin is nobody knows.
      const bool known = std::isfinite(prediction.probability);
      print(fmt::format("{:<{}}  {}{}\n", name, width, prediction.label,
                        known ? "  " + percent(prediction.probability) : ""));
      results.push_back({{"file", name},
                         {"label", prediction.label},
                         {"probability", prediction.probability},
                         {"probabilities", prediction.probabilities},
                         {"notices", notices}});
      if (model.model().network().task->decode != nullptr)
        results.back()["symbols"] = prediction.symbols, results.back()["frames"] = prediction.frames;
      ++recognised;
    } catch (const UserError& error) {
      failure = error.what();
      if (audio.size() > 1) report(failure);
      results.push_back({{"file", name}, {"label", nullptr}, {"probability", nullptr}, {"error", failure}});
    }
  }
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  if (recognised == 0)
    throw UserError(
        audio.size() == 1 ? failure : fmt::format("none of the {} files could be recognised", audio.size()));
  json.write({{"files", results},
              {"recognised", recognised},
              {"classes", model.classes()},
              {"seconds", seconds},
              {"threads", limit.threads()}});
  if (recognised < audio.size())
    throw UserError(
        fmt::format("{} of the {} files could not be recognised", audio.size() - recognised, audio.size()));
}

Command command_records::recognize() {
  return {"recognize", "name what is said in audio files", cli::recognize, CommandGroup::uses};
}

}  // namespace lariat::cli
