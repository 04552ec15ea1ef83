#pragma once

#include "autodiff/training/optimizers.hpp"
#include "autodiff/training/schedule.hpp"
#include "frontends/sequential/layer.hpp"
#include "frontends/sequential/loss.hpp"
#include "frontends/sequential/metric.hpp"
#include "frontends/sequential/spec.hpp"

namespace lariat {

/// One kind of something that is made from options.
template <class Made, class... Context>
struct Choice {
  SpecKind spec;
  std::function<Made(const Spec&, Context...)> make;
};

const std::vector<Choice<Optimizer>>& optimizer_choices();
/// Made for a number of steps in all.
const std::vector<Choice<Schedule, int64_t>>& schedule_choices();

/// What `spec` describes; its kind is one of `choices`.
template <class Made, class... Context>
Made make(const std::vector<Choice<Made, Context...>>& choices, const Spec& spec, Context... context) {
  for (const auto& choice : choices)
    if (choice.spec.name == spec.kind) return choice.make(spec, context...);
  return {};
}

/// [data]: where examples come from. The key `validation` is a count or a percentage, as the kind has it.
struct DataOptions {
  std::string path;
  int64_t validation_count = 0;
  double validation_percentage = 0, testing = 10;
  std::vector<std::string> held_out, labels;
  /// Of rows of a table.
  std::vector<std::string> target, features, categories;
  std::string weight;
  bool standardize = true;
  /// The one class that is told from all others; "": each class is one.
  std::string positive;

  bool validates() const { return validation_count > 0 || validation_percentage > 0; }
};
/// Whether the kind of a [data] table is of recordings, which [features] and [augment] are for.
bool is_audio(const Spec& spec);
/// The options of a [data] table; those that its kind lacks keep their defaults.
DataOptions data_options(const Spec& spec);

/// [training]
struct TrainingOptions {
  int64_t epochs = 20, batch_size = 32;
  double clip_norm = 0, clip_value = 0;
  int64_t seed = 0;
  bool bucket = true;
  int64_t bucket_batches = 16, time_multiple = 8;
  double stop_when_stationary = 0;
  int64_t stop_when_settled = 0;
  int64_t checkpoint_steps = 0;
  double checkpoint_minutes = 0;
  int64_t checkpoint_keep = 1;
};
const Fields<TrainingOptions>& training_fields();

/// [metrics]: kinds with their options, such as "f1 average=micro".
struct MetricsOptions {
  std::vector<std::string> kinds;
};
const Fields<MetricsOptions>& metrics_fields();

/// [penalty]
const Fields<GeneralPenalty>& penalty_fields();

/// A layer of the kind `block`: it stands for the layers [[blocks.NAME]].
struct BlockOptions {
  std::string block, name;
  std::vector<std::string> input;
  std::string shares;
};
const Fields<BlockOptions>& block_fields();
/// The same as the one kind that there is, `block`.
const SpecKinds& block_spec_kinds();

/// [[outputs]]: what each of several layers learns.
struct OutputOptions {
  std::string layer;
  std::vector<std::string> target;
  std::string loss = "softmax_cross_entropy";
  std::vector<std::string> metrics;
  double weight = 1;
};
const Fields<OutputOptions>& output_fields();
/// The same as the one kind that there is.
const SpecKinds& output_spec_kinds();

/// [proximal]
struct ProximalOptions {
  bool rewrite = true;
  double settle_from = 1, ramp = 0, after_settling = 1;
};
const Fields<ProximalOptions>& proximal_fields();

/// A table of a recipe: its name and the kinds to choose from. All but [data] may be left out.
struct RecipeTable {
  std::string name, doc;
  SpecKinds kinds;
};
/// Every table but [[layers]], in the order of the documentation.
const std::vector<RecipeTable>& recipe_tables();

}  // namespace lariat
