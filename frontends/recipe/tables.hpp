#pragma once

#include "autodiff/training/optimizers.hpp"
#include "autodiff/training/trainer.hpp"
#include "frontends/data_kinds/data_kind.hpp"
#include "frontends/sequential/callback.hpp"
#include "frontends/sequential/layer.hpp"
#include "frontends/sequential/loss.hpp"
#include "frontends/sequential/metric.hpp"
#include "frontends/sequential/schedules/schedule_kind.hpp"
#include "frontends/spec/spec.hpp"

namespace lariat {

/// The kinds of optimizers as kinds of options, and the optimizer that a spec of one of them describes.
const SpecKinds& optimizer_spec_kinds();
Optimizer make_optimizer(const Spec& spec);

/// [training]
struct TrainingOptions {
  int64_t epochs = 20, batch_size = 32, accumulate = 1, micro_shards = 0;
  double clip_norm = 0, clip_value = 0;
  int64_t seed = 0;
  bool bucket = true;
  int64_t bucket_batches = 16, time_multiple = 8;
  double stop_when_stationary = 0;
  int64_t stop_when_settled = 0;
  int64_t checkpoint_epochs = 0, checkpoint_steps = 0;
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
  bool rewrite = true, freeze_zeros = false;
  double settle_from = 1, ramp = 0, after_settling = 1, target_zeros = 0;
};
const Fields<ProximalOptions>& proximal_fields();

/// Throws UserError for a key of [proximal] or [training] that has no effect with the penalties that there
/// are.
void check_effects(const ProximalOptions& proximal, const TrainingOptions& training,
                   const PenaltiesThere& penalties);

/// [prediction]: how else recordings are heard, and how symbols are found.
struct PredictionOptions {
  std::vector<double> vtln_warps, speeds;
  int64_t beam = 0;
};
const Fields<PredictionOptions>& prediction_fields();

/// [search]: what `lariat search` tries. See frontends/search.
enum class SearchMethod { grid, random, halving };
enum class SearchChoice { best, sparsest };
struct SearchTable {
  std::vector<std::string> over;
  SearchMethod method = SearchMethod::grid;
  int64_t trials = 0, folds = 5, factor = 3;
  std::string score;
  SearchChoice choose = SearchChoice::best;
  bool warm_start = false;
};
const Fields<SearchTable>& search_fields();

/// A [[groups]] table.
ParameterGroup parameter_group(const Spec& spec);

/// A table of a recipe: its name and the kinds to choose from. All but [data] may be left out.
struct RecipeTable {
  std::string name, doc;
  SpecKinds kinds;
};
/// Every table that there is one of, in the order of the documentation.
const std::vector<RecipeTable>& recipe_tables();
/// Those that there may be several of, [[callbacks]] and [[groups]]; [[layers]] is not among them.
const std::vector<RecipeTable>& recipe_lists();

}  // namespace lariat
