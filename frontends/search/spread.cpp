#include "frontends/search/spread.hpp"

#include <fmt/format.h>

#include "frontends/sequential/fit_ranks.hpp"
#include "graph/base/error.hpp"
#include "graph/base/json.hpp"

namespace lariat::search {

namespace {

// Of numbers as text every bit is kept.
std::string text_of(const TrialScore& score) {
  return Json{{"score", fmt::format("{:a}", score.score)}, {"zeros", score.zeros}, {"seconds", score.seconds}}
      .dump();
}

TrialScore score_of(const std::string& text) {
  const Json json = parse_json(text);
  return {std::strtod(json.at("score").get<std::string>().c_str(), nullptr),
          json.at("zeros").get<double>(),
          json.at("seconds").get<double>(),
          {}};
}

}  // namespace

std::string data_of(const Recipe& recipe, const TrialContext& context) {
  RunOptions options;
  options.data = context.data;
  options.threads = context.threads;
  options.test = false;
  const TrainingRun run(recipe, options);
  std::string data = fingerprint_of(*run.examples(data::Split::train));
  if (const data::Dataset* validation = run.examples(data::Split::validation))
    data += ", to validate on " + fingerprint_of(*validation);
  return data;
}

void agree_on_data(Ranks& ranks, const std::string& data) { ranks.agree({{"other data", data}}); }

bool train_on_ranks(Ranks& ranks, const std::vector<OpenTraining>& trainings, const TrialContext& context,
                    const std::function<void(const OpenTraining&, const TrialScore&)>& done) {
  const auto size = static_cast<size_t>(ranks.size()), rank = static_cast<size_t>(ranks.rank());
  std::string open;
  for (const OpenTraining& training : trainings)
    open += fmt::format("trial {}, {}\n", training.trial, training.note);
  ranks.agree({{"another journal, with other trainings to do,", open}});
  for (size_t first = 0; first < trainings.size(); first += size) {
    std::string own;
    if (first + rank < trainings.size()) {
      const OpenTraining& training = trainings[first + rank];
      ranks.at(fmt::format("trial {}, {}", training.trial, training.note));
      try {
        const std::optional<TrialScore> score = run_trial(training.task, context);
        own = score ? text_of(*score) : "stopped";
      } catch (const JobError&) {
        own = "failed";
      }
    }
    const std::vector<std::string> all = ranks.gather(own, "the other trials");
    for (size_t i = 0; i < size && first + i < trainings.size(); ++i) {
      if (all[i] == "stopped") return false;
      if (all[i] != "failed") done(trainings[first + i], score_of(all[i]));
    }
  }
  return true;
}

}  // namespace lariat::search
