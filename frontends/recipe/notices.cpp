#include "frontends/recipe/notices.hpp"

#include <fmt/format.h>

#include "frontends/recipe/recipe.hpp"

namespace lariat {

namespace {

std::string written(const Recipe& recipe, size_t layer, const std::string& option) {
  return recipe.get(fmt::format("layers.{}.{}", layer, option));
}

const std::string& no_penalty() {
  static const std::string text = to_text(WeightPenalty{});
  return text;
}

// [penalty] of kernels or biases where every layer has its own, or none that could have one.
void say_of_general_penalties(const Recipe& recipe, std::vector<std::string>& notices) {
  const std::vector<LayerSpec> layers = recipe.layers();
  for (const bool biases : {false, true}) {
    const char* key = biases ? "biases" : "kernels";
    const std::string& penalty = recipe.table("penalty").at(key);
    if (penalty == no_penalty()) continue;
    bool reaches = false;
    for (size_t i = 0; i < layers.size(); ++i)
      for (const auto& [option, value] : layers[i].options)
        if (option.ends_with("_penalty") && (option == "bias_penalty") == biases)
          reaches = reaches || (value != no_penalty() && written(recipe, i, option) == no_penalty());
    if (!reaches)
      notices.push_back(fmt::format(
          "[penalty] {} = {}: has no effect, for no layer is left to it; each has its own, has no {}, "
          "or is in `except`",
          key, penalty, key));
  }
}

void say_of_frozen_layers(const Recipe& recipe, std::vector<std::string>& notices) {
  const std::vector<LayerSpec> layers = recipe.layers();
  for (size_t i = 0; i < layers.size(); ++i) {
    if (place_of(layers[i]).trainable) continue;
    for (const auto& [option, value] : layers[i].options)
      if (option.ends_with("_penalty") && written(recipe, i, option) != no_penalty())
        notices.push_back(fmt::format(
            "[layers.{}] {} = {}: moves no weight, for the layer has trainable = false", i, option, value));
  }
}

// How the values of classes become one, where there is one thing to be learned.
void say_of_averages(const Recipe& recipe, std::vector<std::string>& notices) {
  if (!recipe.list("outputs").empty() || recipe.targets().size() > 1) return;
  DataShape one;
  one.targets.width = 1;
  const Loss loss = recipe.loss();
  if (!loss.task || loss.task(one) != "binary") return;
  for (const std::string& text : metrics_fields().read(recipe.table("metrics")).kinds) {
    const Spec metric = spec_from_text(metric_spec_kinds(), text, "[metrics]");
    const SpecOption* average = find_kind(metric_spec_kinds(), metric.kind, "[metrics]").find("average");
    if (average != nullptr && metric.at("average") != average->default_value)
      notices.push_back(fmt::format(
          "[metrics] kinds = {}: average has no effect where one thing is learned, true or not", text));
  }
}

}  // namespace

std::string said_of_shares(const Recipe& recipe) {
  for (const auto& [option, value] : recipe.table("data").options)
    if (option == "validation" || option == "testing")
      if (const double percent = std::stod(value); percent > 0 && percent < 1)
        return fmt::format("data.{} = {} is in percent; for a share of {} write {:.6g}", option, value, value,
                           100 * percent);
  return {};
}

std::vector<std::string> notices_of(const Recipe& recipe) {
  std::vector<std::string> notices;
  if (const std::string in_percent = said_of_shares(recipe); !in_percent.empty())
    notices.push_back(in_percent);
  say_of_general_penalties(recipe, notices);
  say_of_frozen_layers(recipe, notices);
  say_of_averages(recipe, notices);
  if (recipe.optimizer().learning_rate == 0)
    notices.push_back(
        "[optimizer] learning_rate = 0: no weight moves, but those of [[groups]] with a rate of their own");
  return notices;
}

}  // namespace lariat
