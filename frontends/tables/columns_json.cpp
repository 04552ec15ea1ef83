// What columns are, and what a model file has of them.
#include "frontends/tables/columns.hpp"
#include "graph/base/error.hpp"
#include "graph/base/json.hpp"

namespace lariat::data {

int64_t Columns::dimensions() const {
  int64_t sum = 0;
  for (const Feature& feature : features) sum += feature.width();
  return sum;
}

std::vector<std::string> Columns::numbers() const {
  std::vector<std::string> names;
  for (const Feature& feature : features)
    if (!feature.is_category) names.push_back(feature.name);
  if (classes.empty())
    for (size_t i = 0; i < targets.size(); ++i)
      if (i >= target_classes.size() || target_classes[i].empty()) names.push_back(targets[i]);
  if (!weight.empty()) names.push_back(weight);
  return names;
}

std::string to_json(const Columns& columns) {
  Json features = Json::array();
  for (const Columns::Feature& feature : columns.features)
    features.push_back(feature.is_category ? Json{{"name", feature.name}, {"values", feature.values}}
                                           : Json{{"name", feature.name},
                                                  {"mean", feature.mean},
                                                  {"centre", feature.centre},
                                                  {"scale", feature.scale}});
  Json object{{"features", features},
              {"targets", columns.targets},
              {"classes", columns.classes},
              {"weight", columns.weight}};
  if (!columns.target_classes.empty()) object["target_classes"] = columns.target_classes;
  if (!columns.label_targets.empty()) object["label_targets"] = columns.label_targets;
  for (const auto& [name, forms] : columns.number_forms)
    for (const NumberForm form : forms) object["number_forms"][name].push_back(name_of(form));
  return object.dump();
}

Columns columns_from_json(std::string_view json) {
  try {
    const Json object = parse_json(json);
    Columns columns;
    for (const Json& entry : object.at("features")) {
      Columns::Feature feature{entry.at("name").get<std::string>()};
      feature.is_category = entry.contains("values");
      if (feature.is_category) {
        feature.values = entry.at("values").get<std::vector<std::string>>();
      } else {
        feature.mean = entry.at("mean").get<double>();
        feature.centre = entry.at("centre").get<double>();
        feature.scale = entry.at("scale").get<double>();
      }
      columns.features.push_back(std::move(feature));
    }
    columns.targets = object.at("targets").get<std::vector<std::string>>();
    columns.classes = object.at("classes").get<std::vector<std::string>>();
    columns.weight = object.at("weight").get<std::string>();
    if (object.contains("target_classes"))
      columns.target_classes = object.at("target_classes").get<std::vector<std::vector<std::string>>>();
    if (object.contains("label_targets"))
      columns.label_targets = object.at("label_targets").get<std::vector<std::string>>();
    if (object.contains("number_forms"))
      for (const auto& [name, forms] : object.at("number_forms").items())
        for (const Json& form : forms)
          columns.number_forms[name].insert(number_form_named(form.get<std::string>()));
    return columns;
  } catch (const Json::exception&) {
    throw UserError("the columns that a model was trained on are damaged; save it again");
  }
}

}  // namespace lariat::data
