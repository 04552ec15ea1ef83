#include "frontends/sequential/fit.hpp"

#include <fmt/format.h>

#include <limits>

#include "graph/base/error.hpp"
#include "graph/base/json.hpp"

namespace lariat {

namespace {

Json parse(std::string_view json) {
  Json value = parse_json(json);
  if (!value.is_object()) throw UserError("the checkpoint's progress is not a JSON object; it is damaged");
  return value;
}

// Runs `read`, which asks for members that a damaged file may lack.
template <class Read>
auto read_members(Read&& read) {
  try {
    return read();
  } catch (const Json::exception&) {
    throw UserError("the checkpoint's progress lacks a member or has one of another type; it is damaged");
  }
}

Json sparsity_json(const Sparsity& sparsity) {
  return {{"zeros", sparsity.zeros}, {"count", sparsity.count}};
}
// JSON has no NaN and no infinity, and writes null for them.
double number_of(const Json& value) {
  return value.is_null() ? std::numeric_limits<double>::quiet_NaN() : value.get<double>();
}

Json metrics_json(const MetricValues& metrics) {
  Json object = Json::object();
  for (const auto& [name, value] : metrics) object[name] = finite_or_null(value);
  return object;
}
MetricValues metrics_of(const Json& object) {
  MetricValues metrics;
  for (const auto& [name, value] : object.items()) metrics.emplace_back(name, number_of(value));
  return metrics;
}

std::optional<double> optional_of(const Json& object, const char* name) {
  return object.contains(name) ? std::optional(number_of(object.at(name))) : std::nullopt;
}

int64_t count_of(const Json& object, const char* name) {
  const Json& value = object.at(name);
  if (!value.is_number_integer() || value.get<int64_t>() < 0)
    throw UserError(
        fmt::format("the checkpoint's progress has {} = {}: must be an integer from 0; it is damaged", name,
                    value.dump()));
  return value.get<int64_t>();
}

Sparsity sparsity_of(const Json& value) { return {count_of(value, "zeros"), count_of(value, "count")}; }

}  // namespace

std::string to_json(const MetricValues& metrics) { return metrics_json(metrics).dump(); }

std::string to_json(const EpochReport& report) {
  Json object{{"epoch", report.epoch},
              {"loss", report.loss},
              {"smooth", report.smooth},
              {"penalty", report.penalty},
              {"metrics", metrics_json(report.metrics)},
              {"penalised", sparsity_json(report.penalised)},
              {"weights", sparsity_json(report.weights)},
              {"seconds", report.seconds},
              {"learning_rate", report.learning_rate},
              {"penalty_strength", report.penalty_strength}};
  const auto add = [&](const char* name, const std::optional<double>& value) {
    if (value) object[name] = *value;
  };
  add("accuracy", report.accuracy);
  add("validation_loss", report.validation_loss);
  add("validation_accuracy", report.validation_accuracy);
  if (!report.validation_metrics.empty())
    object["validation_metrics"] = metrics_json(report.validation_metrics);
  add("support_changes", report.support_changes);
  add("prox_residual", report.prox_residual);
  add("distance", report.distance);
  return object.dump();
}

EpochReport epoch_report_from_json(std::string_view json) {
  const Json object = parse(json);
  return read_members([&] {
    EpochReport report;
    report.epoch = count_of(object, "epoch");
    report.loss = number_of(object.at("loss"));
    report.smooth = number_of(object.at("smooth"));
    report.penalty = number_of(object.at("penalty"));
    report.metrics = metrics_of(object.at("metrics"));
    if (object.contains("validation_metrics"))
      report.validation_metrics = metrics_of(object.at("validation_metrics"));
    report.accuracy = optional_of(object, "accuracy");
    report.validation_loss = optional_of(object, "validation_loss");
    report.validation_accuracy = optional_of(object, "validation_accuracy");
    report.penalised = sparsity_of(object.at("penalised"));
    report.weights = sparsity_of(object.at("weights"));
    report.seconds = number_of(object.at("seconds"));
    report.learning_rate = number_of(object.at("learning_rate"));
    report.penalty_strength = optional_of(object, "penalty_strength").value_or(1);
    report.support_changes = optional_of(object, "support_changes");
    report.prox_residual = optional_of(object, "prox_residual");
    report.distance = optional_of(object, "distance");
    return report;
  });
}

std::string to_json(const FitState& state) {
  Json object{{"epoch", state.epoch},           {"step", state.step},
              {"first_step", state.first_step}, {"total_steps", state.total_steps},
              {"examples", state.examples},     {"loss", state.loss},
              {"penalty", state.penalty},       {"seconds", state.seconds},
              {"metrics", state.metrics}};
  if (!state.metric_weights.empty()) object["metric_weights"] = state.metric_weights;
  if (state.step > 0) object["support"] = hexadecimal(state.support);
  if (!state.callbacks.empty()) object["callbacks"] = state.callbacks;
  return object.dump();
}

FitState fit_state_from_json(std::string_view json) {
  const Json object = parse(json);
  return read_members([&] {
    FitState state;
    state.epoch = count_of(object, "epoch");
    state.step = count_of(object, "step");
    state.first_step = count_of(object, "first_step");
    state.total_steps = count_of(object, "total_steps");
    state.examples = count_of(object, "examples");
    state.loss = number_of(object.at("loss"));
    state.penalty = number_of(object.at("penalty"));
    state.seconds = number_of(object.at("seconds"));
    for (const Json& value : object.at("metrics")) state.metrics.push_back(number_of(value));
    // Without them every example counts alike.
    state.metric_weights.assign(state.metrics.size(), static_cast<double>(state.examples));
    if (object.contains("metric_weights")) {
      state.metric_weights.clear();
      for (const Json& value : object.at("metric_weights")) state.metric_weights.push_back(number_of(value));
    }
    if (object.contains("support")) {
      const std::optional<Support> support = parse_support(object.at("support").get<std::string>());
      if (!support)
        throw UserError("the checkpoint's progress has a support that is not hexadecimal; it is damaged");
      state.support = *support;
    }
    if (object.contains("callbacks"))
      for (const Json& callback : object.at("callbacks"))
        state.callbacks.push_back(callback.get<std::string>());
    if (state.total_steps == 0 || (state.step == 0) != (state.examples == 0) ||
        state.metric_weights.size() != state.metrics.size())
      throw UserError("the checkpoint's progress contradicts itself; it is damaged");
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
