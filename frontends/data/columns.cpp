#include "frontends/data/columns.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <optional>
#include <set>

#include "frontends/data/option_table.hpp"
#include "frontends/data/utf8.hpp"
#include "graph/base/error.hpp"
#include "graph/base/json.hpp"

namespace lariat::data {

int64_t Columns::dimensions() const {
  int64_t sum = 0;
  for (const Feature& feature : features) sum += feature.width();
  return sum;
}

namespace {

constexpr size_t most_categories = 1000;

size_t column_named(const TextTable& table, const std::string& name) {
  const auto found = std::find(table.names.begin(), table.names.end(), name);
  if (found == table.names.end())
    throw UserError(
        fmt::format("{}: has no column '{}'.{}", table.file, name, did_you_mean(name, table.names)));
  return static_cast<size_t>(found - table.names.begin());
}

std::optional<double> number_in(std::string_view field) {
  double value = 0;
  if (field.starts_with('+')) field.remove_prefix(1);
  const char* end = field.data() + field.size();
  const auto [rest, error] = std::from_chars(field.data(), end, value);
  return error == std::errc{} && rest == end && std::isfinite(value) ? std::optional(value) : std::nullopt;
}

double number_at(const TextTable& table, size_t row, size_t column) {
  const std::string& field = table.rows[row][column];
  const std::optional<double> value = number_in(field);
  if (!value)
    throw UserError(fmt::format("{}: column '{}' is '{}', which is no finite number", table.place(row),
                                table.names[column], shortened(field)));
  return *value;
}

// The different values of a column, in order: as numbers where all are.
std::vector<std::string> values_in(const TextTable& table, size_t column) {
  std::set<std::string> set;
  for (size_t row = 0; row < table.rows.size(); ++row) {
    const std::string& field = table.rows[row][column];
    if (is_missing(field)) continue;
    if (!is_utf8(field))
      throw UserError(fmt::format("{}: column '{}' is '{}', which is not UTF-8, in which models are saved",
                                  table.place(row), table.names[column], shortened(field)));
    set.insert(field);
  }
  std::vector<std::string> values(set.begin(), set.end());
  if (std::all_of(values.begin(), values.end(),
                  [](const std::string& v) { return number_in(v).has_value(); }))
    std::stable_sort(values.begin(), values.end(), [](const std::string& a, const std::string& b) {
      return *number_in(a) < *number_in(b);
    });
  return values;
}

Columns::Feature category_of(const TextTable& table, size_t column) {
  Columns::Feature feature{table.names[column], 0, 0, 1, values_in(table, column), true};
  const size_t values = feature.values.size();
  if (values > most_categories || (values > 20 && 2 * values > table.rows.size()))
    throw UserError(fmt::format(
        "{}: column '{}' is no number and has {} different values in {} rows, such as '{}'; leave it "
        "out of features",
        table.file, feature.name, values, table.rows.size(), shortened(feature.values.front())));
  return feature;
}

Columns::Feature feature_of(const TextTable& table, size_t column, bool category, bool standardize) {
  const auto is_number = [&](const auto& row) { return is_missing(row[column]) || number_in(row[column]); };
  if (category || !std::all_of(table.rows.begin(), table.rows.end(), is_number))
    return category_of(table, column);
  Columns::Feature feature{table.names[column]};
  double sum = 0, squares = 0, count = 0;
  for (const auto& row : table.rows)
    if (const auto value = number_in(row[column])) sum += *value, ++count;
  feature.mean = count > 0 ? sum / count : 0;
  for (const auto& row : table.rows)
    if (const auto value = number_in(row[column]))
      squares += (*value - feature.mean) * (*value - feature.mean);
  const double deviation = count > 0 ? std::sqrt(squares / count) : 0;
  if (standardize) feature.centre = feature.mean;
  if (standardize && deviation > 1e-12 * std::abs(feature.mean)) feature.scale = 1 / deviation;
  return feature;
}

}  // namespace

Columns columns_of(const TextTable& table, const ColumnOptions& options) {
  if (options.targets.empty())
    throw UserError(fmt::format("{}: which column is to be learned? Name it as target: {}", table.file,
                                fmt::join(table.names, ", ")));
  Columns columns{{}, options.targets, {}, options.weight};
  std::set<std::string> taken(options.targets.begin(), options.targets.end());
  for (const std::string& name : options.targets) column_named(table, name);
  if (!options.weight.empty()) {
    column_named(table, options.weight);
    taken.insert(options.weight);
  }
  for (const std::string& name : options.categories) column_named(table, name);
  std::vector<std::string> names = options.features;
  if (names.empty())
    std::copy_if(table.names.begin(), table.names.end(), std::back_inserter(names),
                 [&](const std::string& name) { return !taken.contains(name); });
  for (const std::string& name : names) {
    if (taken.contains(name))
      throw UserError(fmt::format("{}: the column '{}' is a target or a weight, and cannot be a feature",
                                  table.file, name));
    const bool category =
        std::find(options.categories.begin(), options.categories.end(), name) != options.categories.end();
    columns.features.push_back(feature_of(table, column_named(table, name), category, options.standardize));
  }
  if (columns.dimensions() == 0)
    throw UserError(fmt::format("{}: has no features; it needs columns beside its targets", table.file));
  if (options.classes && options.targets.size() == 1)
    columns.classes = category_of(table, column_named(table, options.targets[0])).values;
  if (!options.class_targets.empty())
    for (const std::string& name : options.targets) {
      const bool is_class = std::find(options.class_targets.begin(), options.class_targets.end(), name) !=
                            options.class_targets.end();
      columns.target_classes.push_back(is_class ? category_of(table, column_named(table, name)).values
                                                : std::vector<std::string>());
    }
  return columns;
}

Columns with_numbers_of(Columns columns, const TextTable& rows, bool standardize) {
  for (Columns::Feature& feature : columns.features)
    if (!feature.is_category)
      feature = feature_of(rows, column_named(rows, feature.name), false, standardize);
  return columns;
}

namespace {

size_t value_at(const TextTable& table, size_t row, size_t column, const std::vector<std::string>& known) {
  const std::string& field = table.rows[row][column];
  const auto found = std::find(known.begin(), known.end(), field);
  if (found == known.end())
    throw UserError(fmt::format("{}: column '{}' is '{}', which training never saw.{}", table.place(row),
                                table.names[column], shortened(field), did_you_mean(field, known)));
  return static_cast<size_t>(found - known.begin());
}

void add_feature(const TextTable& table, size_t row, size_t column, const Columns::Feature& feature,
                 std::vector<float>& values) {
  const bool missing = is_missing(table.rows[row][column]);
  if (feature.is_category) {
    const size_t first = values.size();
    values.resize(first + feature.values.size());
    if (!missing) values[first + value_at(table, row, column, feature.values)] = 1;
  } else {
    const double value = missing ? feature.mean : number_at(table, row, column);
    values.push_back(static_cast<float>((value - feature.centre) * feature.scale));
  }
}

}  // namespace

Dataset dataset_of(const TextTable& table, const Columns& columns, bool labelled) {
  Dataset dataset;
  dataset.sequences = false;
  dataset.classes = columns.classes;
  std::vector<size_t> features, targets;
  for (const Columns::Feature& feature : columns.features)
    features.push_back(column_named(table, feature.name));
  if (labelled)
    for (const std::string& name : columns.targets) targets.push_back(column_named(table, name));
  const bool as_classes = !columns.classes.empty();
  if (labelled && !as_classes)
    dataset.targets = {static_cast<int64_t>(targets.size()), false, columns.targets, columns.target_classes};
  for (const Columns::Feature& feature : columns.features)
    dataset.columns.push_back({feature.name, feature.width()});
  for (size_t row = 0; row < table.rows.size(); ++row) {
    const auto target_missing = [&](size_t column) { return is_missing(table.rows[row][column]); };
    if (const auto gap = std::find_if(targets.begin(), targets.end(), target_missing); gap != targets.end()) {
      dataset.skipped.push_back(fmt::format("{}: has no '{}'", table.place(row), table.names[*gap]));
      continue;
    }
    Example example{table.place(row), 0, 1, columns.dimensions(), {}};
    for (size_t i = 0; i < features.size(); ++i)
      add_feature(table, row, features[i], columns.features[i], example.values);
    if (labelled && as_classes)
      example.label = static_cast<int>(value_at(table, row, targets[0], columns.classes));
    if (labelled && !as_classes)
      for (size_t i = 0; i < targets.size(); ++i) {
        const bool is_class = i < columns.target_classes.size() && !columns.target_classes[i].empty();
        example.targets.push_back(
            is_class ? static_cast<float>(value_at(table, row, targets[i], columns.target_classes[i]))
                     : static_cast<float>(number_at(table, row, targets[i])));
      }
    if (labelled && !columns.weight.empty())
      example.weight = static_cast<float>(number_at(table, row, column_named(table, columns.weight)));
    dataset.examples.push_back(std::move(example));
  }
  return dataset;
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
    return columns;
  } catch (const Json::exception&) {
    throw UserError("the columns that a model was trained on are damaged; save it again");
  }
}

}  // namespace lariat::data
