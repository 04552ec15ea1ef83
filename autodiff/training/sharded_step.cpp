#include "autodiff/training/sharded_step.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "graph/base/error.hpp"
#include "graph/ranks/mpi_transport.hpp"

namespace lariat {

namespace {

// The state that random ops draw from is at a number of its own for each micro-shard of each step.
int32_t* random_counter(Store& store) {
  const Tensor* random = store.find(random_state_name);
  return random == nullptr ? nullptr : random->view().as<int32_t>() + 2;
}

}  // namespace

void add_results(StepResult& sum, const Graph& graph, const std::vector<Tensor>& results, double share,
                 Feeds* gradients) {
  size_t next = 0, metric = 0;
  for (const Output& output : graph.outputs()) {
    if (output.is_update) continue;
    const Tensor& result = results[next++];
    if (output.name.starts_with("trainer/")) {
      if (gradients != nullptr) gradients->insert_or_assign(output.name, result);
    } else if (output.name == "loss") {
      sum.loss += share * result.item();
    } else if (output.name == "penalty") {
      sum.penalty += share * result.item();
    } else {
      if (metric == sum.metrics.size()) sum.metrics.push_back(0);
      sum.metrics[metric++] += share * result.item();
    }
  }
}

void check_ranks(const TrainerOptions& options, const Optimizer& optimizer) {
  if (!options.ranks) return refuse_alone("the training");
  if (options.micro_shards == 0 && options.ranks->size() > 1 && !optimizer.joint)
    throw UserError(
        fmt::format("{} ranks are to train together; set micro_shards, such as 8, for what each computes",
                    options.ranks->size()));
}

ShardedStep::ShardedStep(const TrainerOptions& options)
    : options_(options), ranks_(options.ranks), sum_(options.ranks, options.micro_shards) {}

std::vector<size_t> ShardedStep::own_parts(std::span<const double> shares) {
  std::vector<bool> present(static_cast<size_t>(options_.micro_shards));
  if (shares.size() > present.size())
    throw UserError(
        fmt::format("a step was given {} micro-shards; with micro_shards = {} it takes so many at most",
                    shares.size(), present.size()));
  std::transform(shares.begin(), shares.end(), present.begin(), [](double share) { return share > 0; });
  const auto first = std::find(present.begin(), present.end(), true);
  if (first == present.end()) throw UserError("all micro-shards of a step have share 0; give one examples");
  sum_.begin(present);
  std::vector<size_t> own;
  for (const int64_t shard : sum_.own_shards()) own.push_back(static_cast<size_t>(shard));
  if (own.empty()) own.push_back(static_cast<size_t>(first - present.begin()));
  return own;
}

StepResult ShardedStep::run(std::span<const Feeds> parts, std::span<const double> shares, Program& last,
                            Value written, Store& store, Executor& executor) {
  try {
    return run_own(parts, shares, last, written, store, executor);
  } catch (const UserError&) {
    // It is not the node's that waited.
    if (ranks_ && !ranks_->why_over().empty()) throw UserError(ranks_->why_over());
    throw;
  }
}

StepResult ShardedStep::run_own(std::span<const Feeds> parts, std::span<const double> shares, Program& last,
                                Value written, Store& store, Executor& executor) {
  const auto ends = [](TreeSum* sum) { sum->end(); };
  const std::unique_ptr<TreeSum, decltype(ends)> adding(&sum_, ends);
  const std::vector<size_t> own = own_parts(shares);
  if (own.size() > 1 && !part_)
    part_ = std::make_unique<Program>(*rewritten_step(part_of_step(written, options_, &sum_), options_),
                                      PassOptions{.last = {}, .without = options_.without_passes});
  int32_t* const counter = random_counter(store);
  const int32_t first = counter == nullptr ? 0 : *counter;
  std::vector<std::vector<double>> numbers;
  for (size_t i = 0; i < own.size(); ++i) {
    const double share = shares[own[i]];
    Feeds feeds = parts[i];
    feeds.insert_or_assign(share_input, Tensor::scalar(share, f64));
    const bool is_last = i + 1 == own.size(), counts = !sum_.own_shards().empty();
    if (!is_last) {
      feeds.erase(learning_rate_input);
      feeds.erase(settle_input);
    }
    if (counter != nullptr) *counter = first + static_cast<int32_t>(own[i]);
    sum_.at_shard(counts ? std::optional(static_cast<int64_t>(own[i])) : std::nullopt);
    Program& program = is_last ? last : *part_;
    StepResult result;
    add_results(result, program.graph(), program.run(feeds, store, executor), 1);
    if (!is_last && !std::isfinite(result.loss) && std::isfinite(result.penalty))
      throw JobError(fmt::format("the loss is {}", result.loss));
    // The gradient's penalty is times its share.
    std::vector<double> row{share * result.loss, result.penalty,
                            ranks_ && ranks_->told_to_stop() ? 1.0 : 0.0};
    for (const double metric : result.metrics) row.push_back(share * metric);
    if (counts || numbers.empty()) numbers.push_back(std::move(row));
  }
  const size_t width = numbers.front().size();
  if (sum_.own_shards().empty()) numbers.clear();
  const std::vector<double> total = sum_.sum(numbers, width);
  if (counter != nullptr) *counter = first + static_cast<int32_t>(options_.micro_shards);
  if (ranks_ && total[2] > 0) ranks_->agree_to_stop();
  return {.loss = total[0], .smooth = 0, .penalty = total[1], .metrics = {total.begin() + 3, total.end()}};
}

}  // namespace lariat
