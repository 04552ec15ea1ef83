#pragma once

#include <optional>

#include "frontends/recipe/recipe.hpp"
#include "graph/io/store.hpp"

namespace lariat {

/// How a model that a run begins with scales what it takes and what it learns: its weights mean numbers in
/// these scales, whatever the means and deviations of other data are.
struct StartScales {
  /// The file, for messages.
  std::string model;
  bool learns_numbers = false;
  /// Of its targets; none: it learns them as they are.
  std::vector<data::TargetScale> targets = {};
  /// Of the table that it takes.
  std::optional<data::Columns> columns = std::nullopt;
  /// The options of its features as JSON, and their statistics where cmvn = global.
  std::string features = {};
  std::optional<data::CmvnStatistics> statistics = std::nullopt;

  /// Throws UserError where `store`, which was read from that file, is no model.
  static StartScales of(const Store& store, const std::string& file);

  /// The columns of other data with the model's scales; nothing where they are not those that the model
  /// takes, or have these scales.
  std::optional<data::Columns> kept(const data::Columns& found) const;
  /// Puts the model's statistics in the place of those of other data, where features are the same. Whether
  /// that changes anything.
  bool keep(const speech::FeatureOptions& features, data::CmvnStatistics& found) const;
  /// The same of the scales of targets. Throws UserError where these are standardised and the model's are
  /// not, or the other way round.
  bool keep(const Recipe& recipe, data::Dataset& train) const;

  std::string to_json() const;
  /// Throws UserError for what to_json did not write.
  static StartScales from_json(const std::string& json);
};

}  // namespace lariat
