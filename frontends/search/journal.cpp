#include "frontends/search/journal.hpp"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cmath>
#include <filesystem>

#include "frontends/data/labelled_rows.hpp"
#include "graph/base/error.hpp"
#include "graph/io/atomic_file.hpp"

namespace lariat::search {

namespace {

// Optuna's JournalOperation.
enum Operation {
  create_study = 0,
  set_study_user_attribute = 2,
  create_trial = 4,
  set_trial_parameter = 5,
  set_trial_state = 6,
  set_trial_intermediate_value = 7,
  set_trial_user_attribute = 8,
  last_operation = 9
};

std::string time_text() {
  const auto time = std::chrono::time_point_cast<std::chrono::seconds>(std::chrono::system_clock::now());
  return fmt::format("{:%Y-%m-%dT%H:%M:%S}", fmt::localtime(std::chrono::system_clock::to_time_t(time)));
}

bool is_number(const std::string& text) {
  double value = 0;
  const auto [rest, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc{} && rest == text.data() + text.size();
}

Json value_json(const std::string& text) { return is_number(text) ? parse_json(text) : Json(text); }

// Optuna's distribution of a range, as it writes it.
Json distribution_of(const Range& range) {
  if (range.is_list()) {
    Json choices = Json::array();
    for (const std::string& value : range.values) choices.push_back(value_json(value));
    return {{"name", "CategoricalDistribution"}, {"attributes", {{"choices", choices}}}};
  }
  if (range.integer)
    return {{"name", "IntDistribution"},
            {"attributes",
             {{"log", range.logarithmic},
              {"step", 1},
              {"low", std::llround(range.low)},
              {"high", std::llround(range.high)}}}};
  return {{"name", "FloatDistribution"},
          {"attributes",
           {{"step", nullptr}, {"low", range.low}, {"high", range.high}, {"log", range.logarithmic}}}};
}

// The number that stands for a value: itself, or its place in a list.
double internal_value(const Range& range, const std::string& value) {
  if (!range.is_list()) return std::stod(value);
  return static_cast<double>(std::find(range.values.begin(), range.values.end(), value) -
                             range.values.begin());
}

std::string external_text(const Json& distribution, double value) {
  const Json& attributes = distribution.at("attributes");
  if (distribution.at("name") == "CategoricalDistribution") {
    const Json& choices = attributes.at("choices");
    if (!(value >= 0 && value < static_cast<double>(choices.size()))) return {};
    const Json& choice = choices.at(static_cast<size_t>(value));
    return choice.is_string() ? choice.get<std::string>() : choice.dump();
  }
  return fmt::format("{}", value);
}

}  // namespace

Journal::Journal(std::string file, const std::string& study, bool larger_is_better) : file_(std::move(file)) {
  append(create_study, {{"study_name", study}, {"directions", {larger_is_better ? 2 : 1}}});
  found_ = true;
}

Journal Journal::load(const std::string& file, const std::string& study) {
  Journal journal;
  journal.file_ = file;
  journal.text_ = data::read_whole_file(file);
  std::string_view rest = journal.text_;
  for (int64_t line = 1; !rest.empty(); ++line) {
    const size_t end = rest.find('\n');
    const auto refuse = [&] {
      throw UserError(fmt::format("{}:{}: is no line of a search's journal; name another file, or remove it",
                                  file, line));
    };
    if (end == rest.npos) refuse();
    try {
      const Json object = parse_json(rest.substr(0, end));
      if (!object.is_object()) refuse();
      journal.apply(object, study);
    } catch (const Json::exception&) {
      refuse();
    }
    rest.remove_prefix(end + 1);
  }
  if (!journal.found_)
    throw UserError(fmt::format("{}: holds no search; name another file, or remove it", file));
  return journal;
}

void Journal::apply(const Json& line, const std::string& study) {
  const int operation = line.at("op_code").get<int>();
  if (operation < 0 || operation > last_operation)
    throw UserError(fmt::format("{}: has an operation {}, which is none of Optuna's", file_, operation));
  if (operation == create_study) {
    if (line.at("study_name") == study) {
      found_ = true;
      study_ = studies_;
    }
    ++studies_;
  } else if (operation == set_study_user_attribute && line.at("study_id") == study_) {
    for (const auto& [name, value] : line.at("user_attr").items()) notes_[name] = value;
  } else if (operation == create_trial) {
    trials_.emplace_back();
  }
  if (operation < set_trial_parameter) return;
  const auto number = line.at("trial_id").get<size_t>();
  if (number >= trials_.size())
    throw UserError(
        fmt::format("{}: speaks of a trial {} that it does not begin; it is damaged", file_, number));
  Trial& trial = trials_[number];
  if (operation == set_trial_parameter) {
    const Json distribution = parse_json(line.at("distribution").get<std::string>());
    trial.values[line.at("param_name").get<std::string>()] =
        external_text(distribution, line.at("param_value_internal").get<double>());
  } else if (operation == set_trial_state) {
    trial.state = static_cast<TrialState>(line.at("state").get<int>());
    if (!line.at("values").is_null()) trial.score = line.at("values").at(0).get<double>();
  } else if (operation == set_trial_user_attribute) {
    for (const auto& [name, value] : line.at("user_attr").items()) trial.notes[name] = value;
  }
}

void Journal::append(int operation, Json fields) {
  Json line{{"op_code", operation}, {"worker_id", "lariat"}};
  for (const auto& [name, value] : fields.items()) line[name] = value;
  text_ += to_text(line) + "\n";
}

void Journal::note(const std::string& name, const Json& value) {
  append(set_study_user_attribute, {{"study_id", study_}, {"user_attr", {{name, value}}}});
  notes_[name] = value;
}

size_t Journal::add_trial(const std::vector<Range>& ranges, const std::vector<std::string>& values) {
  const size_t number = trials_.size();
  append(create_trial, {{"study_id", study_}, {"datetime_start", time_text()}});
  trials_.emplace_back();
  for (size_t i = 0; i < ranges.size(); ++i) {
    append(set_trial_parameter, {{"trial_id", number},
                                 {"param_name", ranges[i].name()},
                                 {"param_value_internal", internal_value(ranges[i], values[i])},
                                 {"distribution", distribution_of(ranges[i]).dump()}});
    trials_.back().values[ranges[i].name()] = values[i];
  }
  return number;
}

void Journal::note(size_t trial, const std::string& name, const Json& value) {
  append(set_trial_user_attribute, {{"trial_id", trial}, {"user_attr", {{name, value}}}});
  trials_[trial].notes[name] = value;
}

void Journal::report(size_t trial, int64_t epochs, double score) {
  append(set_trial_intermediate_value,
         {{"trial_id", trial}, {"step", epochs}, {"intermediate_value", score}});
}

void Journal::finish(size_t trial, TrialState state, double score) {
  const bool scored = state != TrialState::failed && std::isfinite(score);
  append(set_trial_state, {{"trial_id", trial},
                           {"state", static_cast<int>(state)},
                           {"values", scored ? Json::array({score}) : Json()},
                           {"datetime_complete", time_text()}});
  trials_[trial].state = state;
  trials_[trial].score = score;
}

void Journal::save() const {
  if (file_.empty()) return;
  AtomicFile file(file_);
  file.write(text_);
  file.commit();
}

void Journal::remove_without_results() const {
  const auto has_result = [](const Trial& trial) { return !trial.notes.empty(); };
  if (file_.empty() || std::any_of(trials_.begin(), trials_.end(), has_result)) return;
  std::error_code none;
  std::filesystem::remove(file_, none);
}

}  // namespace lariat::search
