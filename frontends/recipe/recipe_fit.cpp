#include <fmt/format.h>

#include "frontends/recipe/recipe.hpp"
#include "frontends/sequential/callbacks/callbacks.hpp"

// What a recipe says of a fit.

namespace lariat {

std::vector<Callback> Recipe::callbacks() const {
  std::vector<Callback> callbacks;
  if (const ScheduleKind& kind = schedule_kind_of(table("schedule")); kind.callback)
    callbacks.push_back(kind.callback(table("schedule")));
  if (const double target = proximal().target_zeros; target > 0) {
    callbacks.push_back(TargetZeros{.target = target});
    callbacks.back().place = "[proximal] target_zeros: ";
  }
  const std::vector<Spec>& specs = list("callbacks");
  for (size_t i = 0; i < specs.size(); ++i) {
    callbacks.push_back(make_callback(specs[i]));
    callbacks.back().place = fmt::format("[callbacks.{}] {}: ", i, specs[i].kind);
  }
  return callbacks;
}

FitOptions Recipe::fit() const {
  const TrainingOptions from = training();
  const ProximalOptions penalties = proximal();
  FitOptions fit;
  fit.epochs = static_cast<int>(from.epochs);
  fit.batch_size = static_cast<int>(from.batch_size);
  fit.seed = static_cast<uint64_t>(from.seed);
  fit.accumulate = static_cast<int>(from.accumulate);
  fit.micro_shards = static_cast<int>(from.micro_shards);
  fit.schedule = [spec = table("schedule")](int64_t steps) {
    Schedule schedule;
    at_place("[schedule] ", [&] { schedule = schedule_kind_of(spec).make(spec, steps); });
    return schedule;
  };
  fit.callbacks = callbacks();
  for (const Spec& spec : list("groups")) fit.groups.push_back(parameter_group(spec));
  fit.clip_norm = from.clip_norm;
  fit.clip_value = from.clip_value;
  fit.rewrite = penalties.rewrite;
  fit.settle_from = penalties.settle_from;
  fit.freeze_zeros = penalties.freeze_zeros;
  fit.penalty_ramp = penalties.ramp;
  fit.after_settling = penalties.after_settling;
  fit.bucket = from.bucket;
  fit.window = data().window;
  fit.bucket_batches = static_cast<int>(from.bucket_batches);
  fit.time_multiple = static_cast<int>(from.time_multiple);
  fit.stop_when_stationary = from.stop_when_stationary;
  fit.stop_when_settled = static_cast<int>(from.stop_when_settled);
  fit.checkpoint_epochs = from.checkpoint_epochs;
  fit.checkpoint_steps = from.checkpoint_steps;
  fit.checkpoint_minutes = from.checkpoint_minutes;
  return fit;
}

}  // namespace lariat
