#include "frontends/sequential/fit_loop.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <limits>

#include "frontends/sequential/network.hpp"
#include "graph/base/clock.hpp"
#include "graph/base/error.hpp"
#include "graph/base/json.hpp"
#include "graph/ir/op_def.hpp"
#include "graph/ranks/ranks.hpp"

namespace lariat {

namespace {

// Adds a step to the epoch's sums; what is left in `result` is its own means.
void add(const FitModel& model, FitState& state, StepResult& result, size_t count) {
  const auto examples = static_cast<double>(count);
  state.examples += static_cast<int64_t>(count);
  state.loss += examples * result.loss;
  state.penalty += examples * result.penalty;
  const size_t metrics = model.metrics.size();
  std::vector<double> weights(metrics, 1);
  for (size_t i = 0; i < model.weighted_metrics.size(); ++i)
    weights[model.weighted_metrics[i]] = result.metrics[metrics + i];
  state.metrics.resize(metrics);
  state.metric_weights.resize(metrics);
  result.metrics.resize(metrics);
  for (size_t i = 0; i < metrics; ++i) {
    state.metrics[i] += examples * result.metrics[i];
    state.metric_weights[i] += examples * weights[i];
    if (weights[i] > 0) result.metrics[i] /= weights[i];
  }
}

EpochReport report_of(const FitModel& model, const FitState& state) {
  const auto examples = static_cast<double>(state.examples);
  EpochReport report;
  report.epoch = state.epoch + 1;
  report.loss = state.loss / examples;
  report.penalty = state.penalty / examples;
  report.smooth = report.loss - report.penalty;
  for (size_t i = 0; i < model.metrics.size(); ++i) {
    report.metrics.emplace_back(model.metrics[i], state.metrics[i] / state.metric_weights[i]);
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
  if (options.accumulate < 1)
    throw UserError(fmt::format("accumulate = {}: must be an integer from 1", options.accumulate));
  const int64_t size = int64_t{options.batch_size} * options.accumulate;
  if (size > std::numeric_limits<int>::max())
    throw UserError(fmt::format("accumulate = {} times batch_size = {} is more than {} examples; give less",
                                options.accumulate, options.batch_size, std::numeric_limits<int>::max()));
  if (const auto count = static_cast<int64_t>(dataset.examples.size());
      options.accumulate > 1 && options.batch_size > 0 && size - options.batch_size >= count && count > 0)
    throw UserError(fmt::format(
        "accumulate = {}: an epoch has {} batches of batch_size = {}, fewer than a step would take; give "
        "at most {}",
        options.accumulate, (count + options.batch_size - 1) / options.batch_size, options.batch_size,
        (count + options.batch_size - 1) / options.batch_size));
  batches.batch_size = static_cast<int>(size);
  batches.seed = options.seed;
  batches.shuffle = options.shuffle;
  batches.window = options.window;
  batches.bucket = options.bucket;
  batches.bucket_batches = options.bucket_batches;
  batches.time_multiple = options.time_multiple;
  return data::Batches(dataset, batches, epoch);
}

StepResult step_on(Trainer& trainer, const Graph& graph, const data::Batches& batches, size_t step,
                   const FitOptions& options, size_t& examples) {
  if (options.micro_shards > 0) {
    examples = batches.examples(step);
    const size_t count = examples,
                 shards = static_cast<size_t>(options.micro_shards) * static_cast<size_t>(options.accumulate);
    const auto begin = [=](size_t shard) { return (shard * count + shards - 1) / shards; };
    std::vector<double> shares;
    for (size_t i = 0; i < shards; ++i)
      shares.push_back(static_cast<double>(begin(i + 1) - begin(i)) / static_cast<double>(count));
    const FeedsList parts(
        shards, [&](size_t i) { return feeds_of(batches.part(step, begin(i), begin(i + 1)), graph); });
    return trainer.step(parts, shares);
  }
  if (options.accumulate == 1) {
    const data::Batch batch = batches[step];
    examples = batch.indices.size();
    return trainer.step(feeds_of(batch, graph));
  }
  examples = batches.examples(step);
  const auto size = static_cast<size_t>(options.batch_size);
  std::vector<double> shares;
  for (size_t begin = 0; begin < examples; begin += size)
    shares.push_back(static_cast<double>(std::min(size, examples - begin)) / static_cast<double>(examples));
  const FeedsList parts(shares.size(), [&](size_t i) {
    return feeds_of(batches.part(step, i * size, std::min(examples, (i + 1) * size)), graph);
  });
  return trainer.step(parts, shares);
}

namespace {

// The share of the time that checkpoints after epochs may take.
constexpr double most_saving = 0.05;

}  // namespace

FitResult run_fit(const FitModel& model, TrainingData& data, const FitOptions& options, FitState state) {
  FitResult result{options.earlier, false, "", std::move(state)};
  FitState& at = result.state;
  const auto why_end = [&] {
    const std::string why = early_end(result.epochs, options);
    return why.empty() ? model.callbacks.why_end() : why;
  };
  // Of several ranks all stop after the same step.
  const auto stopped = [&] {
    return options.ranks ? options.ranks->stop_agreed() : options.stop != nullptr && options.stop->load();
  };
  at.support = first_support(model, at);
  if (!at.metrics.empty() && at.metrics.size() != model.metrics.size())
    throw UserError(
        fmt::format("the state to go on from has {} metrics, but the model {}; start the training again",
                    at.metrics.size(), model.metrics.size()));
  model.callbacks.begin(model.view(
      result.epochs,
      static_cast<int64_t>(training_batches(data.at(static_cast<uint32_t>(at.epoch)), options).size())));
  if (at.epoch < options.epochs) result.ended = why_end();
  int64_t unsaved_steps = 0;
  auto last_saved = std::chrono::steady_clock::now();
  // How long the last checkpoint took.
  std::optional<double> saving;
  const auto checkpoint = [&] {
    at.callbacks = model.callbacks.states();
    const auto start = std::chrono::steady_clock::now();
    if (options.on_checkpoint) options.on_checkpoint(at, result.epochs);
    saving = seconds_since(start);
    unsaved_steps = 0;
    last_saved = std::chrono::steady_clock::now();
  };
  const auto checkpoint_due = [&] {
    return (options.checkpoint_steps > 0 && unsaved_steps >= options.checkpoint_steps) ||
           (options.checkpoint_minutes > 0 && seconds_since(last_saved) >= 60 * options.checkpoint_minutes);
  };
  // Between two epochs.
  const auto epoch_due = [&] {
    const bool last = at.epoch >= options.epochs || result.stopped || !result.ended.empty();
    if (last || checkpoint_due()) return true;
    if (options.checkpoint_epochs > 0) return at.epoch % options.checkpoint_epochs == 0;
    return !saving || seconds_since(last_saved) >= (1 / most_saving - 1) * *saving;
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
      size_t examples = 0;
      StepResult step =
          step_on(model.trainer, model.graph, batches, static_cast<size_t>(at.step), options, examples);
      add(model, at, step, examples);
      ++at.step;
      const StepReport report{at.epoch + 1, options.epochs, at.step, steps, step};
      model.callbacks.after_step(report);
      if (options.on_step) options.on_step(report);
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
      model.callbacks.after_epoch(result.epochs.back());
      at = {.epoch = at.epoch + 1,
            .first_step = at.first_step,
            .total_steps = at.total_steps,
            .support = std::move(support)};
      if (at.epoch < options.epochs) result.ended = why_end();
      result.stopped = stopped() && at.epoch < options.epochs && result.ended.empty();
      if (epoch_due()) checkpoint();
      if (options.on_epoch_end) options.on_epoch_end(result.epochs.back());
    } else {
      checkpoint();
    }
  }
  if (!result.stopped) model.callbacks.end();
  model.trainer.look_for_zeros();
  return result;
}

FitCallbacks::FitCallbacks(const std::vector<Callback>& callbacks) {
  for (const Callback& callback : callbacks) {
    if (!callback.start)
      throw UserError(
          fmt::format("the callback '{}' has no function that starts it; give it one", callback.name));
    names_.push_back(callback.name);
    places_.push_back(callback.place.empty() ? callback.name + ": " : callback.place);
    runs_.push_back(callback.start());
    if (callback.scales_penalties &&
        std::find(names_.begin(), names_.end() - 1, callback.name) != names_.end() - 1)
      throw UserError(
          fmt::format("{}another {} moves the strength of penalties already; leave one of the two out",
                      places_.back(), callback.name));
    scales_penalties_ = scales_penalties_ || callback.scales_penalties;
    reweights_ = reweights_ || callback.reweights;
  }
}

void FitCallbacks::restore(const std::vector<std::string>& states) {
  if (states.size() != runs_.size())
    throw UserError(
        fmt::format("the state to go on from has {} callbacks, but the fit {}; give the same callbacks, "
                    "or start the training again",
                    states.size(), runs_.size()));
  for (size_t i = 0; i < runs_.size(); ++i) {
    if (states[i].empty()) continue;
    try {
      runs_[i]->restore(states[i]);
    } catch (const Json::exception&) {
      throw UserError(
          fmt::format("{}the state to go on from is of another callback, or damaged; start the training "
                      "again",
                      places_[i]));
    }
  }
}

void FitCallbacks::check(const FitView& view) {
  views_.clear();
  for (size_t i = 0; i < runs_.size(); ++i) {
    views_.push_back(view);
    views_.back().place = places_[i];
    views_.back().kept = fmt::format("{}{}_{}/", kept_by_callbacks, i, names_[i]);
  }
  for (size_t i = 0; i < runs_.size(); ++i) runs_[i]->check(views_[i]);
}

void FitCallbacks::begin(const FitView& view) {
  check(view);
  for (size_t i = 0; i < runs_.size(); ++i) runs_[i]->begin(views_[i]);
}

void FitCallbacks::after_step(const StepReport& report) {
  for (size_t i = 0; i < runs_.size(); ++i) runs_[i]->after_step(views_[i], report);
}

void FitCallbacks::after_epoch(const EpochReport& report) {
  for (size_t i = 0; i < runs_.size(); ++i) runs_[i]->after_epoch(views_[i], report);
}

void FitCallbacks::end() {
  for (size_t i = 0; i < runs_.size(); ++i) runs_[i]->end(views_[i]);
}

std::vector<std::string> FitCallbacks::states() const {
  std::vector<std::string> states;
  for (const auto& run : runs_) states.push_back(run->state());
  return states;
}

std::string FitCallbacks::why_end() const {
  for (const auto& run : runs_)
    if (std::string why = run->why_end(); !why.empty()) return why;
  return {};
}

double FitCallbacks::rate_factor() const {
  double factor = 1;
  for (const auto& run : runs_) factor *= run->rate_factor();
  return factor;
}

double FitCallbacks::penalty_factor() const {
  double factor = 1;
  for (const auto& run : runs_) factor *= run->penalty_factor();
  return factor;
}

FitView fit_view(const FitOptions& options, const Network& network, Store& store,
                 const std::vector<EpochReport>& epochs) {
  FitView view{{}, {}, store, epochs};
  view.penalised = network.penalised();
  const Graph& graph = *network.graph;
  for (const Output& output : graph.outputs())
    if (output.is_update && graph.node(output.value.node).op->traits.inference_input >= 0)
      view.statistics.push_back(output.name);
  view.validates = options.validation.has_value();
  view.rewrites = options.rewrite;
  view.out = options.out;
  view.warn = options.on_warning ? options.on_warning : print_warning;
  view.save = options.save;
  view.figures = {"loss", "smooth", "penalty", "zeros", "learning_rate", "penalty_strength"};
  if (!view.penalised.empty()) view.figures.push_back("support_changes");
  for (const ExampleMetric& metric : network.example_metrics) view.figures.push_back(metric.name);
  if (view.validates) {
    view.figures.push_back("validation_loss");
    for (const Head& head : network.heads)
      for (const Metric& metric : head.metrics)
        view.figures.push_back("validation_" + (head.name.empty() ? "" : head.name + "/") + metric.name);
  }
  if (options.certificate || options.stop_when_stationary > 0) {
    view.figures.push_back("prox_residual");
    view.figures.push_back("distance");
  }
  return view;
}

}  // namespace lariat
