#include "frontends/sequential/fit_loop.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>

#include "frontends/sequential/network.hpp"
#include "graph/base/clock.hpp"
#include "graph/base/error.hpp"

namespace lariat {

namespace {

void add(FitState& state, const StepResult& result, size_t count) {
  const auto examples = static_cast<double>(count);
  state.examples += static_cast<int64_t>(count);
  state.loss += examples * result.loss;
  state.penalty += examples * result.penalty;
  state.metrics.resize(result.metrics.size());
  for (size_t i = 0; i < result.metrics.size(); ++i) state.metrics[i] += examples * result.metrics[i];
}

EpochReport report_of(const FitModel& model, const FitState& state) {
  const auto examples = static_cast<double>(state.examples);
  EpochReport report;
  report.epoch = state.epoch + 1;
  report.loss = state.loss / examples;
  report.penalty = state.penalty / examples;
  report.smooth = report.loss - report.penalty;
  for (size_t i = 0; i < model.metrics.size(); ++i) {
    report.metrics.emplace_back(model.metrics[i], state.metrics[i] / examples);
    if (model.metrics[i] == "accuracy") report.accuracy = report.metrics.back().second;
  }
  report.learning_rate = model.learning_rate(model.trainer.steps() - 1);
  report.penalty_strength = model.penalty_strength(model.trainer.steps() - 1);
  report.seconds = state.seconds;
  return report;
}

// The loss of a step is that of the weights before it: what the last one did shows in the state alone.
void check_state(Trainer& trainer) {
  for (const auto& [name, tensor] : trainer.store())
    if (!is_finite(tensor))
      throw JobError(fmt::format(
          "diverged: {} is not finite after step {}; lower the learning rate or clip the gradient", name,
          trainer.steps()));
}

// The support when the epoch began: that of the weights, or what was kept of it.
Support first_support(const FitModel& model, const FitState& at) {
  const Support now = model.support();
  if (at.step == 0 || at.support.empty()) return now;
  Support kept = at.support;
  if ((kept.size() + 3) / 4 != (now.size() + 3) / 4)
    throw UserError(
        fmt::format("the state to go on from has the support of {} weights, but {} are penalised; start the "
                    "training again",
                    kept.size(), now.size()));
  kept.resize(now.size());
  return kept;
}

void certify(const FitModel& model, const data::Dataset& dataset, const FitOptions& options,
             EpochReport& report) {
  if (!options.certificate && options.stop_when_stationary == 0) return;
  const Certificate certificate = model.certify(options.certificate ? options.certificate->get() : dataset);
  report.prox_residual = certificate.prox_residual();
  report.distance = certificate.distance();
}

}  // namespace

std::string early_end(const std::vector<EpochReport>& epochs, const FitOptions& options) {
  if (epochs.empty()) return {};
  const EpochReport& last = epochs.back();
  if (options.stop_when_stationary > 0 && last.prox_residual &&
      *last.prox_residual <= options.stop_when_stationary)
    return fmt::format("the prox residual is {:.3g} after epoch {}, at most {:.3g}", *last.prox_residual,
                       last.epoch, options.stop_when_stationary);
  const auto needed = static_cast<size_t>(options.stop_when_settled);
  const bool settled =
      needed > 0 && epochs.size() >= needed &&
      std::all_of(epochs.end() - static_cast<std::ptrdiff_t>(needed), epochs.end(),
                  [](const EpochReport& e) { return e.penalised.zeros > 0 && e.support_changes == 0.0; });
  return settled ? fmt::format("no weight became zero or ceased to be in {} epoch{}, up to epoch {}", needed,
                               needed == 1 ? "" : "s", last.epoch)
                 : "";
}

data::Batches training_batches(const data::Dataset& dataset, const FitOptions& options, uint32_t epoch) {
  data::BatchOptions batches;
  batches.batch_size = options.batch_size;
  batches.seed = options.seed;
  batches.shuffle = options.shuffle;
  batches.bucket = options.bucket;
  batches.bucket_batches = options.bucket_batches;
  batches.time_multiple = options.time_multiple;
  return data::Batches(dataset, batches, epoch);
}

FitResult run_fit(const FitModel& model, TrainingData& data, const FitOptions& options, FitState state) {
  FitResult result{options.earlier, false, "", std::move(state)};
  FitState& at = result.state;
  if (at.epoch < options.epochs) result.ended = early_end(result.epochs, options);
  const auto stopped = [&] { return options.stop != nullptr && options.stop->load(); };
  at.support = first_support(model, at);
  if (!at.metrics.empty() && at.metrics.size() != model.metrics.size())
    throw UserError(
        fmt::format("the state to go on from has {} metrics, but the model {}; start the training again",
                    at.metrics.size(), model.metrics.size()));
  int64_t unsaved_steps = 0;
  auto last_saved = std::chrono::steady_clock::now();
  const auto checkpoint = [&] {
    if (options.on_checkpoint) options.on_checkpoint(at, result.epochs);
    unsaved_steps = 0;
    last_saved = std::chrono::steady_clock::now();
  };
  const auto checkpoint_due = [&] {
    return (options.checkpoint_steps > 0 && unsaved_steps >= options.checkpoint_steps) ||
           (options.checkpoint_minutes > 0 && seconds_since(last_saved) >= 60 * options.checkpoint_minutes);
  };
  while (at.epoch < options.epochs && !result.stopped && result.ended.empty()) {
    const double earlier_seconds = at.seconds;
    const auto start = std::chrono::steady_clock::now();
    const auto epoch = static_cast<uint32_t>(at.epoch);
    const data::Dataset& dataset = data.at(epoch);
    model.check(dataset);
    if (at.step == 0) model.begin_epoch();
    const data::Batches batches = training_batches(dataset, options, epoch);
    const auto steps = static_cast<int64_t>(batches.size());
    if (at.step > steps)
      throw UserError(fmt::format(
          "the state to go on from is at step {} of an epoch of {}; give the same data", at.step, steps));
    while (at.step < steps && !result.stopped) {
      const data::Batch batch = batches[static_cast<size_t>(at.step)];
      const StepResult step = model.trainer.step(feeds_of(batch, model.graph));
      add(at, step, batch.indices.size());
      ++at.step;
      if (options.on_step) options.on_step({at.epoch + 1, options.epochs, at.step, steps, step});
      ++unsaved_steps;
      result.stopped = stopped() && at.step < steps;
      if (!result.stopped && at.step < steps && checkpoint_due()) {
        check_state(model.trainer);
        at.seconds = earlier_seconds + seconds_since(start);
        checkpoint();
      }
    }
    check_state(model.trainer);
    at.seconds = earlier_seconds + seconds_since(start);
    if (!result.stopped) {
      EpochReport report = report_of(model, at);
      Support support = model.support();
      if (!support.empty()) report.support_changes = share_changed(at.support, support);
      certify(model, dataset, options, report);
      model.finish(report);
      result.epochs.push_back(std::move(report));
      at = {.epoch = at.epoch + 1,
            .first_step = at.first_step,
            .total_steps = at.total_steps,
            .support = std::move(support)};
      if (at.epoch < options.epochs) result.ended = early_end(result.epochs, options);
      result.stopped = stopped() && at.epoch < options.epochs && result.ended.empty();
      checkpoint();
      if (options.on_epoch_end) options.on_epoch_end(result.epochs.back());
    } else {
      checkpoint();
    }
  }
  model.trainer.look_for_zeros();
  return result;
}

}  // namespace lariat
