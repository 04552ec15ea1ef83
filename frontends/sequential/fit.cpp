#include "frontends/sequential/fit.hpp"

#include <nlohmann/json.hpp>

#include "graph/error.hpp"

namespace lariat {

using nlohmann::ordered_json;

namespace {

ordered_json parse(std::string_view json) {
  ordered_json value = ordered_json::parse(json, nullptr, false);
  if (!value.is_object()) throw UserError("the checkpoint's progress is not a JSON object; it is damaged");
  return value;
}

// Runs `read`, which asks for members that a damaged file may lack.
template <class Read>
auto read_members(Read&& read) {
  try {
    return read();
  } catch (const nlohmann::json::exception&) {
    throw UserError("the checkpoint's progress lacks a member or has one of another type; it is damaged");
  }
}

ordered_json sparsity_json(const Sparsity& sparsity) {
  return {{"zeros", sparsity.zeros}, {"count", sparsity.count}};
}
Sparsity sparsity_of(const ordered_json& value) {
  return {value.at("zeros").get<int64_t>(), value.at("count").get<int64_t>()};
}

std::optional<double> optional_of(const ordered_json& object, const char* name) {
  return object.contains(name) ? std::optional(object.at(name).get<double>()) : std::nullopt;
}

}  // namespace

std::string to_json(const EpochReport& report) {
  ordered_json metrics = ordered_json::object();
  for (const auto& [name, value] : report.metrics) metrics[name] = value;
  ordered_json object{{"epoch", report.epoch},
                      {"loss", report.loss},
                      {"smooth", report.smooth},
                      {"penalty", report.penalty},
                      {"metrics", metrics},
                      {"penalised", sparsity_json(report.penalised)},
                      {"weights", sparsity_json(report.weights)},
                      {"seconds", report.seconds},
                      {"learning_rate", report.learning_rate}};
  if (report.accuracy) object["accuracy"] = *report.accuracy;
  if (report.validation_loss) object["validation_loss"] = *report.validation_loss;
  if (report.validation_accuracy) object["validation_accuracy"] = *report.validation_accuracy;
  return object.dump();
}

EpochReport epoch_report_from_json(std::string_view json) {
  const ordered_json object = parse(json);
  return read_members([&] {
    EpochReport report;
    report.epoch = object.at("epoch").get<int64_t>();
    report.loss = object.at("loss").get<double>();
    report.smooth = object.at("smooth").get<double>();
    report.penalty = object.at("penalty").get<double>();
    for (const auto& [name, value] : object.at("metrics").items())
      report.metrics.emplace_back(name, value.get<double>());
    report.accuracy = optional_of(object, "accuracy");
    report.validation_loss = optional_of(object, "validation_loss");
    report.validation_accuracy = optional_of(object, "validation_accuracy");
    report.penalised = sparsity_of(object.at("penalised"));
    report.weights = sparsity_of(object.at("weights"));
    report.seconds = object.at("seconds").get<double>();
    report.learning_rate = object.at("learning_rate").get<double>();
    return report;
  });
}

std::string to_json(const FitState& state) {
  return ordered_json{{"epoch", state.epoch},           {"step", state.step},
                      {"first_step", state.first_step}, {"total_steps", state.total_steps},
                      {"examples", state.examples},     {"loss", state.loss},
                      {"penalty", state.penalty},       {"seconds", state.seconds},
                      {"metrics", state.metrics}}
      .dump();
}

FitState fit_state_from_json(std::string_view json) {
  const ordered_json object = parse(json);
  return read_members([&] {
    FitState state;
    state.epoch = object.at("epoch").get<int64_t>();
    state.step = object.at("step").get<int64_t>();
    state.first_step = object.at("first_step").get<int64_t>();
    state.total_steps = object.at("total_steps").get<int64_t>();
    state.examples = object.at("examples").get<int64_t>();
    state.loss = object.at("loss").get<double>();
    state.penalty = object.at("penalty").get<double>();
    state.seconds = object.at("seconds").get<double>();
    state.metrics = object.at("metrics").get<std::vector<double>>();
    return state;
  });
}

const data::Dataset& TrainingData::at(uint32_t epoch) {
  if (fixed_ != nullptr) return *fixed_;
  if (latest_epoch_ != epoch) latest_ = function_(epoch);
  latest_epoch_ = epoch;
  return latest_;
}

}  // namespace lariat
