#include "frontends/recipe/start_scales.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "frontends/recipe/saved_model.hpp"
#include "graph/base/error.hpp"
#include "graph/base/json.hpp"

namespace lariat {

StartScales StartScales::of(const Store& store, const std::string& file) {
  SavedModel saved = SavedModel::of(store, file);
  StartScales scales{file};
  const std::vector<Head>& heads = saved.model().network().heads;
  scales.learns_numbers =
      std::any_of(heads.begin(), heads.end(), [](const Head& head) { return head.task->name == "numbers"; });
  scales.targets = saved.model().shape().target_scales;
  scales.columns = saved.columns();
  if (saved.is_audio()) {
    scales.features = speech::feature_option_table().to_json(saved.features());
    scales.statistics = saved.front_end().statistics;
  }
  return scales;
}

std::optional<data::Columns> StartScales::kept(const data::Columns& found) const {
  if (!columns || columns->features.size() != found.features.size()) return std::nullopt;
  bool differs = false;
  for (size_t i = 0; i < found.features.size(); ++i) {
    const data::Columns::Feature &here = found.features[i], &there = columns->features[i];
    const auto known = [&](const std::string& value) {
      return std::find(there.values.begin(), there.values.end(), value) != there.values.end();
    };
    if (here.name != there.name || here.is_category != there.is_category ||
        !std::all_of(here.values.begin(), here.values.end(), known))
      return std::nullopt;
    differs = differs || here.values != there.values || here.mean != there.mean ||
              here.centre != there.centre || here.scale != there.scale;
  }
  if (!differs) return std::nullopt;
  data::Columns result = found;
  result.features = columns->features;
  return result;
}

bool StartScales::keep(const speech::FeatureOptions& options, data::CmvnStatistics& found) const {
  if (!statistics || features != speech::feature_option_table().to_json(options) ||
      (statistics->mean == found.mean && statistics->inverse_std == found.inverse_std))
    return false;
  found = *statistics;
  return true;
}

bool StartScales::keep(const Recipe& recipe, data::Dataset& train) const {
  if (!learns_numbers || !lariat::learns_numbers(recipe)) return false;
  if (targets.empty() != train.target_scales.empty())
    throw UserError(fmt::format(
        "'{}' learned its targets {}, and its weights mean these; set standardize_targets = {} in [data]",
        model, targets.empty() ? "as they are" : "standardised", !targets.empty()));
  if (targets.size() != train.target_scales.size() || targets == train.target_scales) return false;
  train.target_scales = targets;
  return true;
}

std::string StartScales::to_json() const {
  Json scales = Json::array();
  for (const data::TargetScale& scale : targets) scales.push_back({scale.mean, scale.deviation});
  Json object{
      {"model", model}, {"learns_numbers", learns_numbers}, {"targets", scales}, {"features", features}};
  if (columns) object["columns"] = parse_json(data::to_json(*columns));
  if (statistics) object["statistics"] = {statistics->mean, statistics->inverse_std};
  return object.dump();
}

StartScales StartScales::from_json(const std::string& json) {
  try {
    const Json object = parse_json(json);
    StartScales scales{object.at("model").get<std::string>(), object.at("learns_numbers").get<bool>()};
    for (const Json& scale : object.at("targets"))
      scales.targets.push_back({scale.at(0).get<float>(), scale.at(1).get<float>()});
    scales.features = object.at("features").get<std::string>();
    if (object.contains("columns")) scales.columns = data::columns_from_json(object.at("columns").dump());
    if (object.contains("statistics"))
      scales.statistics = {object.at("statistics").at(0).get<std::vector<float>>(),
                           object.at("statistics").at(1).get<std::vector<float>>()};
    return scales;
  } catch (const Json::exception&) {
    throw UserError("the scales that the run began with are damaged; start the training again");
  }
}

}  // namespace lariat
