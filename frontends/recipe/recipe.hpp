#pragma once

#include <map>

#include "frontends/recipe/tables.hpp"
#include "frontends/sequential/fit.hpp"
#include "frontends/sequential/network.hpp"
#include "frontends/sequential/wiring.hpp"
#include "frontends/speech/analysis/feature_options.hpp"
#include "frontends/speech/augment.hpp"

namespace lariat {

/// Everything that makes a training run: data, features, layers, loss, optimizer. Written as TOML:
///
///     [data]
///     kind = "digits"
///     [[layers]]
///     kind = "lstm"
///     units = 64
///     kernel_penalty = "l1=1e-4"
///
/// Tables and keys that are left out have their defaults; recipe_tables() and layer_kinds() list them.
class Recipe {
 public:
  /// Throws UserError with file, line, key and range for what is not as it should be.
  static Recipe load(const std::string& file);
  /// The text of such a file.
  static std::string read(const std::string& file);
  /// `name` stands for the file in messages.
  static Recipe parse(std::string_view toml, const std::string& name);
  /// What to_json wrote.
  static Recipe from_json(std::string_view json);
  /// Every key with its value, as one JSON object.
  std::string to_json() const;

  /// Sets "optimizer.learning_rate", "layers.0.units", "callbacks.0.patience" (counted from 0), … A new kind
  /// keeps what was set of keys that both kinds have.
  void set(std::string_view key, std::string_view value);
  /// Sets keys in their order, kinds first. What must go together is checked after the last one.
  void set(const std::vector<std::pair<std::string, std::string>>& settings);
  /// Sets data.held_out. Throws UserError where data of that kind know no speakers.
  void hold_out(const std::vector<std::string>& speakers);
  /// The value of such a key as text.
  std::string get(std::string_view key) const;
  /// "optimizer.learning_rate is 0.01 there and 0.001 here", or "" where both say the same; the data's path
  /// and how often a checkpoint is written do not count.
  std::string first_difference(const Recipe& there) const;

  const Spec& table(std::string_view name) const;
  /// With the penalties that [penalty] adds.
  std::vector<LayerSpec> layers() const;
  /// The tables of recipe_lists().
  const std::vector<Spec>& list(std::string_view name) const;
  /// What is learned: what [[outputs]] say, or [loss] and [metrics] of the last layer.
  std::vector<ModelOutput> outputs() const;
  /// The columns of tables that are learned: those of [data], or else of [[outputs]].
  std::vector<std::string> targets() const;

  DataOptions data() const { return data_options(table("data")); }
  speech::FeatureOptions features() const;
  speech::AugmentOptions augment() const;
  /// How recordings are heard besides, as [prediction] says: each without anything random.
  std::vector<speech::AugmentOptions> views() const;
  /// As in EvaluateOptions.
  int64_t beam() const { return prediction_fields().read(table("prediction")).beam; }
  /// Whether any key of [augment] is other than its default.
  bool augments() const;
  Loss loss() const { return make_loss(table("loss")); }
  /// Those that [metrics] names; none: the task's own.
  std::vector<Metric> metrics() const;
  Optimizer optimizer() const { return make_optimizer(table("optimizer")); }
  Schedule schedule(int64_t steps) const {
    return schedule_kind_of(table("schedule")).make(table("schedule"), steps);
  }
  /// That of [schedule] where it is one, that of [proximal] where it wants zeros, then [[callbacks]].
  std::vector<Callback> callbacks() const;
  TrainingOptions training() const { return training_fields().read(table("training")); }
  ProximalOptions proximal() const { return proximal_fields().read(table("proximal")); }
  /// What a fit takes from [training], [schedule] and [proximal].
  FitOptions fit() const;

 private:
  friend class TomlReader;
  Recipe();
  void set_unchecked(std::string_view key, std::string_view value);
  /// Throws UserError where keys do not go together. `place` stands before the messages, or, where there is
  /// one, the line of a layer.
  void check(std::string_view place) const;
  void check_outputs(std::string_view place) const;
  void check_symbols(std::string_view place) const;
  void check_wiring(std::string_view place) const;
  /// The layer that a key means by number or name.
  size_t layer_at(const std::string& layer) const;

  std::map<std::string, Spec, std::less<>> tables_;
  std::vector<LayerSpec> layers_;
  std::map<std::string, std::vector<Spec>, std::less<>> lists_;
};

}  // namespace lariat
