#include "frontends/sequential/fit_loop.hpp"

#include <fmt/format.h>

#include <chrono>

#include "frontends/data/batches.hpp"
#include "frontends/sequential/network.hpp"
#include "graph/error.hpp"

namespace lariat {

namespace {

data::BatchOptions batch_options(const FitOptions& options) {
  data::BatchOptions result;
  result.batch_size = options.batch_size;
  result.seed = options.seed;
  result.bucket = options.bucket;
  result.bucket_batches = options.bucket_batches;
  result.time_multiple = options.time_multiple;
  return result;
}

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

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

}  // namespace

int64_t steps_per_epoch(const data::Dataset& dataset, const FitOptions& options) {
  return static_cast<int64_t>(data::Batches(dataset, batch_options(options)).size());
}

FitResult run_fit(const FitModel& model, TrainingData& data, const FitOptions& options, FitState state) {
  FitResult result{options.earlier, false, std::move(state)};
  FitState& at = result.state;
  const auto stopped = [&] { return options.stop != nullptr && options.stop->load(); };
  while (at.epoch < options.epochs && !result.stopped) {
    const double earlier_seconds = at.seconds;
    const auto start = std::chrono::steady_clock::now();
    const auto epoch = static_cast<uint32_t>(at.epoch);
    const data::Dataset& dataset = data.at(epoch);
    model.check(dataset);
    const data::Batches batches(dataset, batch_options(options), epoch);
    const auto steps = static_cast<int64_t>(batches.size());
    if (at.step > steps)
      throw UserError(fmt::format(
          "the state to go on from is at step {} of an epoch of {}; give the same data", at.step, steps));
    while (at.step < steps && !result.stopped) {
      const data::Batch batch = batches[static_cast<size_t>(at.step)];
      const StepResult step = model.trainer.step(feeds_of(batch, model.sequences));
      add(at, step, batch.indices.size());
      ++at.step;
      if (options.on_step) options.on_step({at.epoch + 1, options.epochs, at.step, steps, step});
      result.stopped = stopped() && at.step < steps;
    }
    check_state(model.trainer);
    at.seconds = earlier_seconds + seconds_since(start);
    if (!result.stopped) {
      EpochReport report = report_of(model, at);
      model.finish(report);
      result.epochs.push_back(std::move(report));
      at = {.epoch = at.epoch + 1, .first_step = at.first_step, .total_steps = at.total_steps};
      result.stopped = stopped() && at.epoch < options.epochs;
      if (options.on_checkpoint) options.on_checkpoint(at, result.epochs);
      if (options.on_epoch_end) options.on_epoch_end(result.epochs.back());
    } else if (options.on_checkpoint) {
      options.on_checkpoint(at, result.epochs);
    }
  }
  return result;
}

}  // namespace lariat
