#include "autodiff/training/trainer.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <iostream>
#include <numeric>
#include <ostream>

#include "autodiff/trained_parameters.hpp"
#include "autodiff/training/divergence.hpp"
#include "autodiff/training/joint_step.hpp"
#include "autodiff/training/kept_weights.hpp"
#include "autodiff/training/sharded_step.hpp"
#include "autodiff/training/training_step.hpp"
#include "graph/base/error.hpp"
#include "graph/passes/to_inference.hpp"
#include "graph/program/program.hpp"
#include "ops/ops.hpp"

namespace lariat {

namespace {

// Sources that options name are taken from the trainer's own graph: the user's may be gone when they are next
// needed.
void rebind(TrainerOptions& options, Graph& own) {
  const auto bind = [&](Value& value) {
    if (const Value found = own.find_source(value.name())) value = found;
  };
  for (Value& parameter : options.parameters) bind(parameter);
  for (auto& [input, schedule] : options.scheduled) bind(input);
  for (auto& [input, value] : options.full_strength) bind(input);
}

}  // namespace

struct Trainer::Implementation {
  // A scalar input of the loss that follows a schedule.
  struct Scheduled {
    std::string name;
    DType dtype;
    Schedule schedule;
  };

  Optimizer optimizer;
  TrainerOptions options;
  LossAnalysis analysis;
  std::unique_ptr<Graph> joined;
  // The user's graph, which may be gone, and a copy with the same ids.
  Value loss;
  std::weak_ptr<const void> users_graph;
  std::unique_ptr<Graph> written;
  std::vector<Scheduled> scheduled;
  std::unique_ptr<Graph> graph, rewritten;  // the step as it is written, and as rewrites have it, if any
  std::unique_ptr<JointStep> joint;         // where the optimizer moves all parameters together
  std::unique_ptr<Program> program;
  std::unique_ptr<KeptWeights> kept;     // where zeros may be left out
  std::unique_ptr<ShardedStep> sharded;  // where the batch is cut into micro-shards
  // Parts of a step before the last, where there were some.
  std::unique_ptr<Graph> part_graph;
  std::unique_ptr<Program> part;
  Feeds nothing_earlier;
  std::shared_ptr<Executor> executor;
  Store store;
  std::map<std::vector<std::pair<int32_t, int32_t>>, std::unique_ptr<Program>> evaluations;
  std::unique_ptr<Certifier> certifier;
  std::optional<CollapseWatch> watch;
  std::optional<int64_t> first_step;  // that was taken here

  void copy_written() {
    written = std::make_unique<Graph>();
    copy_graph(loss.graph(), *written);
  }

  // A value of the user's graph in the copy. Nodes may have been added since that was made.
  Value in_copy(Value value) {
    if (!value) throw UserError("an empty Value was given to a trainer; build the value first");
    if (&value.graph() != &loss.graph())
      throw UserError("a value to evaluate belongs to another graph than the loss that is trained");
    if (value.node() >= written->size() && !users_graph.expired()) copy_written();
    if (value.node() >= written->size())
      throw UserError("a value to evaluate was added to a graph that is gone; keep the graph");
    return {written.get(), value.node(), value.output()};
  }

  // Names of sources do not change.
  std::string name_of(Value value) {
    return value && &value.graph() == &loss.graph() && users_graph.expired() ? in_copy(value).name()
                                                                             : value.name();
  }

  Feeds named(std::initializer_list<std::pair<Value, Tensor>> feeds) {
    Feeds result;
    for (const auto& [value, tensor] : feeds) feed_once(result, name_of(value), tensor);
    return result;
  }

  Certifier& certifying() {
    if (!certifier) {
      const Value copied = in_copy(loss);
      certifier = std::make_unique<Certifier>(copied, trained_parameters(copied, options.parameters));
    }
    return *certifier;
  }

  // The feeds with the loss's scheduled scalars.
  Feeds with_scheduled(const Feeds& feeds, int64_t step) const {
    Feeds all = feeds;
    for (const auto& [name, dtype, schedule] : scheduled) {
      const double value = schedule(step);
      if (!std::isfinite(value))
        throw UserError(
            fmt::format("the schedule of '{}' gives {} at step {}; it must give numbers", name, value, step));
      all.emplace(name, Tensor::scalar(value, dtype));
    }
    return all;
  }

  // The same with what a step takes besides.
  Feeds step_feeds(const Feeds& feeds, int64_t step) const {
    refuse_own_feeds(feeds, options);
    Feeds all = with_scheduled(feeds, step);
    const double factor = options.schedule(step), rate = optimizer.learning_rate * factor;
    if (!(rate >= 0 && std::isfinite(rate)))
      throw UserError(
          fmt::format("the learning rate is {} at step {}, where the schedule gives {} times {}; it must be "
                      "a number of 0 "
                      "or more",
                      rate, step, factor, optimizer.learning_rate));
    if (!joint) all.emplace(learning_rate_input, Tensor::scalar(rate, f64));
    if (graph->source_id(settle_input) >= 0)
      all.emplace(settle_input, Tensor::scalar(step >= *options.settle_from ? 1 : 0, f64));
    return in_parts(all, 1, {});
  }

  // With a part's share and what came before it, where steps may be in parts.
  Feeds in_parts(Feeds feeds, double share, const Feeds& earlier) const {
    if (sharded) feeds.insert_or_assign(share_input, Tensor::scalar(share, f64));
    if (!options.accumulates) return feeds;
    feeds.insert_or_assign(share_input, Tensor::scalar(share, f64));
    for (const auto& [name, zeros] : earlier.empty() ? nothing_earlier : earlier)
      feeds.insert_or_assign(name, zeros);
    return feeds;
  }

  // Parts before the last: the gradients up to there, and loss, penalty and metrics added up.
  Feeds earlier_parts(std::span<const Feeds> parts, std::span<const double> shares, StepResult& sum);

  // What a rehearsal is fed at each of its steps: the largest learning rate that was taken so far, or the
  // optimizer's own, and penalties at full strength.
  Feeds rehearsal_feeds(const Feeds& feeds) const {
    const auto now = static_cast<int64_t>(store.get("step").item());
    Feeds all = feeds;
    for (const auto& [input, value] : options.full_strength)
      all.emplace(input.name(), Tensor::scalar(value, input.dtype()));
    all = with_scheduled(all, now);
    double factor = 0;
    constexpr int64_t looks = 64;
    for (int64_t i = 0; first_step && i < looks; ++i)
      factor = std::max(factor, options.schedule(*first_step + (now - *first_step) * i / looks));
    if (factor == 0) factor = 1;
    all.emplace(learning_rate_input, Tensor::scalar(optimizer.learning_rate * factor, f64));
    return all;
  }

  Rehearsal rehearsal() {
    const auto step = [this] {
      auto inference = std::make_unique<Graph>();
      to_inference(*joined, *inference);
      TrainerOptions plain = options;
      plain.settle_from.reset();
      plain.metrics.clear();
      plain.accumulates = false;
      plain.micro_shards = 0;
      LossAnalysis again;
      return training_step(inference->find_output("loss"), optimizer, plain, again, true);
    };
    return {step,         [this](const Feeds& feeds) { return rehearsal_feeds(feeds); },
            options.seed, executor.get(),
            options.stop, options.frozen_zeros};
  }

  bool has_settled(int64_t step) const { return options.settle_from && step >= *options.settle_from; }

  // The program that takes a step, and the store as it needs it.
  Program& program_of(int64_t step) {
    if (!kept || (options.frozen_zeros.empty() && !has_settled(step))) return *program;
    std::vector<std::string> before, now;
    for (const KeptCount& one : kept->counts()) before.push_back(one.parameter);
    Program* const of_kept = kept->prepare(store, step, has_settled(step), options.settle_from.value_or(0));
    int64_t left = 0, count = 0;
    for (const KeptCount& one : kept->counts()) {
      now.push_back(one.parameter);
      left += one.kept, count += one.count;
    }
    if (options.tell && now != before && !now.empty())
      options.tell(fmt::format("from step {} on, zeros are left out: {} of {} weights are computed of {}",
                               step + 1, left, count, fmt::join(now, ", ")));
    return of_kept ? *of_kept : *program;
  }

  // The counters of steps and of random numbers: what a step that is ended may have moved on already, and its
  // rerun needs as it was.
  Store counters() const {
    Store copy;
    for (const std::string_view name : {std::string_view("step"), random_state_name})
      if (const Tensor* tensor = store.find(name)) copy.set(std::string(name), tensor->clone());
    return copy;
  }

  std::string explained(const Feeds& feeds, bool whole_loss = false) {
    if (!joint) return explain_divergence(*graph, analysis.parts, feeds, store, whole_loss);
    // A line search looks at no operation: a step as others take it does.
    LossAnalysis again;
    const std::unique_ptr<Graph> step =
        training_step(this->joined->find_output("loss"), optimizer, options, again);
    Store full = store;
    initialize_store(*step, full, options.seed);
    Feeds all = feeds;
    all.emplace(learning_rate_input, Tensor::scalar(0, f64));
    return explain_divergence(*step, again.parts, all, full, whole_loss);
  }

  // What the checks within a step have found, in words.
  std::string diverged(std::span<const Feeds> parts, const Store& before, const std::string& seen) {
    for (const auto& [name, tensor] : before)
      std::memcpy(store.find(name)->view().data, tensor.view().data, tensor.bytes());
    const int64_t step = static_cast<int64_t>(store.get("step").item()) + 1;
    for (size_t i = 0; i < parts.size(); ++i) {
      const std::string what = explained(parts[i]);
      const std::string part = parts.size() == 1 ? "" : fmt::format("in part {} of {} ", i + 1, parts.size());
      if (!what.empty()) return fmt::format("diverged at step {}: {}{}", step, part, what);
    }
    if (seen == "the loss is inf")
      return fmt::format("diverged at step {}: {}, through {}", step, seen,
                         infinite_through(analysis.report));
    return fmt::format(
        "diverged at step {}: {}, which did not happen again with the weights that have not moved; train "
        "with "
        "check_finite (--check-finite) to see where",
        step, seen);
  }
};

void print_warning(const std::string& warning) { std::cerr << "lariat: " + warning + "\n"; }

Trainer::Trainer(Value loss, const Optimizer& optimizer, TrainerOptions options)
    : self_(std::make_unique<Implementation>()) {
  if (!loss) throw UserError("the loss is an empty Value; build the loss first");
  check_ranks(options, optimizer);
  check_given(loss, optimizer, options);
  refuse_reserved_names(loss.graph());
  self_->optimizer = optimizer;
  self_->options = std::move(options);
  self_->loss = loss;
  self_->users_graph = loss.graph().lifetime();
  self_->copy_written();
  for (const auto& [input, schedule] : self_->options.scheduled)
    self_->scheduled.push_back({input.name(), input.dtype(), schedule});
  self_->joined = joined_recurrences(loss, self_->options);
  rebind(self_->options, *self_->joined);
  const Value joined = self_->joined->find_output("loss");
  if (self_->options.micro_shards > 0 && !optimizer.joint) {
    self_->options.accumulates = false;
    self_->sharded = std::make_unique<ShardedStep>(self_->options);
  }
  if (optimizer.joint) {
    self_->joint = std::make_unique<JointStep>(joined, optimizer, self_->options, self_->analysis);
    self_->graph = std::make_unique<Graph>();
    copy_graph(self_->joint->graph(), *self_->graph);
  } else {
    self_->graph = training_step(joined, optimizer, self_->options, self_->analysis, false,
                                 self_->sharded ? &self_->sharded->sum() : nullptr);
  }
  if (!self_->options.step_rewrites.empty()) {
    auto copy = std::make_unique<Graph>();
    copy_graph(*self_->graph, *copy);
    self_->rewritten = rewritten_step(std::move(copy), self_->options);
  }
  const Graph& step = self_->rewritten ? *self_->rewritten : *self_->graph;
  const PassOptions passes{.last = {}, .without = self_->options.without_passes};
  self_->program = std::make_unique<Program>(step, passes);
  if (!self_->joint && self_->options.leave_out_zeros &&
      (self_->options.settle_from || !self_->options.frozen_zeros.empty()))
    self_->kept = std::make_unique<KeptWeights>(step, passes);
  self_->executor =
      self_->options.executor ? self_->options.executor : make_tbb_executor(self_->options.threads);
  initialize_store(step, self_->store, self_->options.seed);
  if (self_->joint) self_->joint->prepare(self_->store);
  if (self_->options.accumulates)
    for (const Value parameter : trained_parameters(joined, self_->options.parameters))
      self_->nothing_earlier.emplace(earlier_input(parameter.name()),
                                     Tensor(parameter.dtype(), self_->store.get(parameter.name()).extents()));
  self_->watch.emplace(self_->analysis.made_zero, self_->rehearsal(), self_->options.warn);
}

Trainer::Trainer(Trainer&&) noexcept = default;
Trainer::~Trainer() = default;

Feeds Trainer::Implementation::earlier_parts(std::span<const Feeds> parts, std::span<const double> shares,
                                             StepResult& sum) {
  if (!part && parts.size() > 1) {
    part_graph = rewritten_step(part_of_step(joined->find_output("loss"), options), options);
    part = std::make_unique<Program>(*part_graph, PassOptions{.last = {}, .without = options.without_passes});
  }
  Feeds earlier;
  for (size_t i = 0; i + 1 < parts.size(); ++i) {
    Feeds feeds = in_parts(parts[i], shares[i], earlier);
    std::erase_if(feeds, [](const auto& feed) {
      return feed.first == learning_rate_input || feed.first == settle_input;
    });
    const std::vector<Tensor> results = part->run(feeds, store, *executor);
    add_results(sum, *part_graph, results, shares[i], &earlier);
    if (!std::isfinite(sum.loss) && std::isfinite(sum.penalty))
      throw JobError(fmt::format("the loss is {}", sum.loss));
  }
  return earlier;
}

StepResult Trainer::step(const Feeds& feeds) {
  const double whole[] = {1};
  return step(FeedsList(std::span(&feeds, 1)), whole);
}

StepResult Trainer::step(const FeedsList& given, std::span<const double> shares) {
  Implementation& self = *self_;
  check_shares(given.size(), shares);
  if (given.size() > 1 && !self.options.accumulates && !self.sharded)
    throw UserError("a step was given in parts; make the trainer with accumulates = true");
  if (!self.first_step) self.first_step = steps();
  std::vector<size_t> own(given.size());
  std::iota(own.begin(), own.end(), size_t{0});
  if (self.sharded) own = self.sharded->own_parts(shares);
  if (self.options.ranks) self.options.ranks->at(fmt::format("step {}", steps() + 1));
  std::vector<Feeds> parts, batches;
  for (const size_t i : own) {
    batches.push_back(given[i]);
    parts.push_back(self.step_feeds(batches.back(), steps()));
  }
  const Store before = self.counters();
  StepResult result;
  try {
    if (self.joint) {
      const double rate = self.optimizer.learning_rate * self.options.schedule(steps());
      result = self.joint->run(parts.back(), *self.program, self.store, *self.executor, rate);
    } else if (self.sharded) {
      result = self.sharded->run(parts, shares, *self.program, self.joined->find_output("loss"), self.store,
                                 *self.executor);
    } else {
      const Feeds earlier = self.earlier_parts(parts, shares, result);
      const double share = shares.back();
      add_results(result, *self.graph,
                  self.program_of(steps()).run(self.in_parts(parts.back(), share, earlier), self.store,
                                               *self.executor),
                  share);
    }
  } catch (const JobError& error) {
    if (self.kept) self.kept->unpack(self.store);
    throw JobError(self.diverged(parts, before, error.what()));
  }
  result.smooth = result.loss - result.penalty;
  // Bounds that the first weights are outside of make both infinite; this step has moved them inside.
  const bool outside_bounds = result.loss == INFINITY && result.penalty == INFINITY;
  if (!std::isfinite(result.loss) && !outside_bounds) {
    std::string what = std::isnan(result.loss) ? self.explained(parts.back(), true) : "";
    if (what.empty()) what = undefined_through(result.loss, self.analysis.report);
    throw JobError(fmt::format("diverged at step {}: {}", steps(), what));
  }
  const int64_t done = steps() - 1;
  if (!self.sharded || self.sharded->speaks())
    self.watch->step_done(batches.back(), self.store,
                          self.optimizer.learning_rate * self.options.schedule(done) != 0,
                          self.has_settled(done));
  return result;
}

StepResult Trainer::step(std::initializer_list<std::pair<Value, Tensor>> feeds) {
  return step(self_->named(feeds));
}

std::vector<Tensor> Trainer::evaluate(const std::vector<Value>& values, const Feeds& feeds) {
  if (values.empty()) return {};
  std::vector<std::pair<int32_t, int32_t>> key;
  for (Value value : values) {
    self_->in_copy(value);
    key.emplace_back(value.node(), value.output());
  }
  auto& program = self_->evaluations[key];
  if (!program) {
    std::vector<Value> copies;
    for (Value value : values) copies.push_back(self_->in_copy(value));
    program = inference_program(*self_->written, copies);
  }
  return program->run(self_->with_scheduled(feeds, steps()), self_->store, *self_->executor);
}

Certificate Trainer::certify(const FeedsList& batches, std::span<const double> weights) {
  const FeedsList all(batches.size(),
                      [&](size_t index) { return self_->with_scheduled(batches[index], steps()); });
  const bool settled = self_->has_settled(steps());
  look_for_zeros();  // of a training that was short
  return self_->certifying().certify(all, self_->store, *self_->executor, weights, settled);
}

std::vector<std::string> Trainer::stationary_at_zero(const Feeds& feeds) {
  return self_->watch->stationary_at_zero(feeds, self_->store);
}

void Trainer::look_for_zeros() {
  if (!self_->sharded || self_->sharded->speaks()) self_->watch->look(self_->store);
}

const RewriteReport& Trainer::report() const { return self_->analysis.report; }
Tensor Trainer::value(Value parameter) const {
  const std::string name = self_->name_of(parameter);
  if (name.empty())
    throw UserError(fmt::format("{} is no parameter or state; evaluate() computes it", text(parameter)));
  if (self_->kept && name.starts_with("optimizer/")) self_->kept->unpack(self_->store);
  return self_->store.get(name).clone();
}
Store& Trainer::store() {
  if (self_->kept) self_->kept->unpack(self_->store);
  return self_->store;
}
const std::vector<KeptCount>& Trainer::kept_weights() const {
  static const std::vector<KeptCount> none;
  return self_->kept ? self_->kept->counts() : none;
}
int64_t Trainer::steps() const { return static_cast<int64_t>(self_->store.get("step").item()); }
const Graph& Trainer::graph() const { return self_->program->graph(); }
Executor& Trainer::executor() { return *self_->executor; }
const Plan& Trainer::plan(const Feeds& feeds) { return self_->program->plan(self_->step_feeds(feeds, 0)); }

Sparsity sparsity(const Tensor& tensor) {
  Sparsity result{0, tensor.count()};
  with_type(tensor.dtype(), [&](auto zero) {
    for (auto value : tensor.values<decltype(zero)>()) result.zeros += value == decltype(zero)(0);
  });
  return result;
}

std::ostream& operator<<(std::ostream& out, const Sparsity& sparsity) {
  return out << fmt::format("{:.1f}% exact zeros", 100 * sparsity.fraction());
}

}  // namespace lariat
