#include "frontends/sequential/trainer_setup.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "graph/base/error.hpp"
#include "graph/ir/op_def.hpp"
#include "ops/ops.hpp"
#include "ops/plugin/loader.hpp"

namespace lariat {

namespace {

// What a fit of `steps` steps does with its penalties by its own step.
struct PenaltySchedule {
  std::optional<int64_t> settle_from;
  Schedule strength;  // empty: always 1
};

PenaltySchedule penalty_schedule(const FitOptions& options, int64_t steps) {
  const auto check_share = [](const char* name, double value) {
    if (!(value >= 0 && value <= 1))
      throw UserError(fmt::format("{} = {}: must be a number from 0 to 1", name, value));
  };
  check_share("settle_from", options.settle_from);
  check_share("penalty_ramp", options.penalty_ramp);
  check_share("after_settling", options.after_settling);
  if (options.after_settling != 1 && options.settle_from == 1)
    throw UserError(
        fmt::format("after_settling = {}: has no effect with settle_from = 1; set settle_from too, such as "
                    "0.5",
                    options.after_settling));
  const auto steps_of = [&](double share) { return std::llround(share * static_cast<double>(steps)); };
  PenaltySchedule schedule;
  const double settle_from = options.freeze_zeros ? 0 : options.settle_from;
  if (settle_from < 1) schedule.settle_from = steps_of(settle_from);
  const int64_t ramp = steps_of(options.penalty_ramp);
  const int64_t settled = schedule.settle_from.value_or(std::numeric_limits<int64_t>::max());
  const double after = options.after_settling;
  if (ramp > 0 || (schedule.settle_from && after != 1))
    schedule.strength = [=](int64_t step) {
      const double grown = ramp > 0 ? std::min(1.0, double(step + 1) / double(ramp)) : 1.0;
      return step < settled ? grown : grown * after;
    };
  return schedule;
}

}  // namespace

void check_ranges(const FitOptions& options) {
  const auto need = [](const char* name, int64_t value, int64_t lowest) {
    if (value < lowest)
      throw UserError(fmt::format("{} = {}: must be an integer from {}", name, value, lowest));
  };
  need("epochs", options.epochs, 1);
  need("stop_when_settled", options.stop_when_settled, 0);
  need("checkpoint_epochs", options.checkpoint_epochs, 0);
  need("checkpoint_steps", options.checkpoint_steps, 0);
  for (const auto& [name, value] : {std::pair("stop_when_stationary", options.stop_when_stationary),
                                    std::pair("checkpoint_minutes", options.checkpoint_minutes)})
    if (!(value >= 0)) throw UserError(fmt::format("{} = {}: must be a number from 0", name, value));
  for (const ParameterGroup& group : options.groups)
    if (!group.learning_rate && !group.weight_decay)
      throw UserError(
          fmt::format("the parameter group '{}': has no effect without a learning_rate or a "
                      "weight_decay; set one",
                      group.pattern));
}

void check_effects(const Network& network, const FitOptions& options, const Store& weights) {
  const bool penalised = !network.penalties.values.empty() || !network.penalties.unknown_op.empty();
  const auto need = [](bool there, const std::string& option, const char* what) {
    if (!there)
      throw UserError(
          fmt::format("{}: has no effect, for no weight has a penalty{}; give a layer one, such as "
                      "kernel_penalty = \"l1=1e-4\"",
                      option, what));
  };
  constexpr const char* zeros = " that makes zeros";
  const bool makes_zeros = !network.penalised().empty();
  if (options.settle_from < 1) need(makes_zeros, fmt::format("settle_from = {}", options.settle_from), zeros);
  if (options.stop_when_settled > 0)
    need(makes_zeros, fmt::format("stop_when_settled = {}", options.stop_when_settled), zeros);
  if (options.penalty_ramp > 0) need(penalised, fmt::format("penalty_ramp = {}", options.penalty_ramp), "");
  const auto begins_with_zeros = [&](const std::string& name) {
    const Tensor* tensor = weights.find(name);
    return tensor != nullptr && sparsity(*tensor).zeros > 0;
  };
  if (const std::vector<std::string> kept = network.with_zeros();
      options.freeze_zeros && !makes_zeros && std::none_of(kept.begin(), kept.end(), begins_with_zeros))
    throw UserError(
        "freeze_zeros: has no effect, for no weight is zero at first, and none has a penalty that makes "
        "zeros; "
        "begin with a model that was trained sparse, as lariat train --start has it");
  if (!options.rewrite) need(penalised, "rewrite = false", "");
}

std::vector<std::string> useless_without_rewrite(const FitOptions& options) {
  std::vector<std::string> warnings;
  const auto add = [&](const std::string& option) {
    warnings.push_back(option + ": has no effect on zeros, for no weight becomes zero with rewrite = false");
  };
  if (options.rewrite) return {};
  if (options.settle_from < 1) add(fmt::format("settle_from = {}", options.settle_from));
  if (options.stop_when_settled > 0) add(fmt::format("stop_when_settled = {}", options.stop_when_settled));
  return warnings;
}

TrainerSetup trainer_setup(Network& network, const FitOptions& options, const FitState& state,
                           const std::shared_ptr<const FitCallbacks>& callbacks, const Optimizer& optimizer) {
  const auto from_first = [first = state.first_step](const Schedule& schedule) -> Schedule {
    return [=](int64_t step) { return schedule(step - first); };
  };
  if (const std::string& op = network.penalties.unknown_op; !op.empty())
    throw UserError(
        fmt::format("the model's penalty '{}' is needed for training, and is no op that is known; {}", op,
                    how_to_load_plugins));
  TrainerSetup setup{network.loss, {}, {}};
  TrainerOptions& trainer = setup.options;
  trainer.seed = options.seed;
  trainer.threads = options.threads;
  trainer.clip_norm = options.clip_norm;
  trainer.clip_value = options.clip_value;
  trainer.rewrite = options.rewrite;
  if (!network.penalties.frozen.empty()) {
    Graph& graph = *network.graph;
    for (int32_t id = 0; id < graph.size(); ++id)
      if (const Node& node = graph.node(id);
          node.op->traits.source == SourceKind::parameter && !network.penalties.frozen.contains(node.name))
        trainer.parameters.push_back(graph.find_source(node.name));
    if (trainer.parameters.empty())
      throw UserError(
          "every layer has trainable = false, so there is nothing to train; let one of them move");
  }
  if (options.on_warning) trainer.warn = options.on_warning;
  trainer.tell = options.on_note;
  trainer.stop = options.stop;
  trainer.check_finite = options.check_finite;
  // What a layer says of itself goes before what a pattern says of it.
  for (const auto& [name, steps] : network.penalties.groups) {
    ParameterGroup group{name};
    if (steps.learning_rate_factor != 1)
      group.learning_rate = steps.learning_rate_factor * optimizer.learning_rate;
    if (steps.weight_decay != 0) group.weight_decay = steps.weight_decay;
    trainer.groups.push_back(group);
  }
  trainer.groups.insert(trainer.groups.end(), options.groups.begin(), options.groups.end());
  trainer.accumulates = options.accumulate > 1;
  trainer.micro_shards = int64_t{options.micro_shards} * options.accumulate;
  trainer.ranks = options.ranks;
  if (options.schedule) {
    const Schedule factors = options.schedule(state.total_steps);
    if (!factors) throw UserError("the schedule gives no factors; return one, such as schedule::constant()");
    trainer.schedule = from_first(factors);
  }
  trainer.schedule = [callbacks, by_step = trainer.schedule](int64_t step) {
    return by_step(step) * callbacks->rate_factor();
  };
  PenaltySchedule penalties = penalty_schedule(options, state.total_steps);
  if (callbacks->scales_penalties())
    penalties.strength = [callbacks, by_step = penalties.strength](int64_t step) {
      return (by_step ? by_step(step) : 1) * callbacks->penalty_factor();
    };
  if (callbacks->reweights() && !penalties.strength) penalties.strength = schedule::constant();
  if (options.freeze_zeros) trainer.frozen_zeros = network.with_zeros();
  if (penalties.settle_from) trainer.settle_from = state.first_step + *penalties.settle_from;
  if (penalties.strength && !network.penalties.values.empty()) {
    setup.loss = scheduled_loss(network, callbacks->reweights());
    setup.strength = from_first(penalties.strength);
    trainer.scheduled = {{network.strength, setup.strength}};
    trainer.full_strength = {{network.strength, 1}};
  }
  // The trainer wants scalars: Σ w·m / n of each metric m, then Σ w / n where there are weights w.
  for (const auto& [name, value, weight] : network.example_metrics)
    trainer.metrics.emplace_back(name, mean(weight ? value * weight : value));
  for (const auto& [name, value, weight] : network.example_metrics)
    if (weight) trainer.metrics.emplace_back("weight of " + name, mean(weight));
  return setup;
}

}  // namespace lariat
