#pragma once

#include <atomic>

#include "autodiff/certificate/certificate.hpp"
#include "autodiff/penalty/rewrite_report.hpp"
#include "autodiff/training/optimizers.hpp"
#include "autodiff/training/schedule.hpp"
#include "graph/base/owned.hpp"
#include "graph/io/store.hpp"

namespace lariat {

class Executor;
class Plan;
class Ranks;

/// "lariat: …" as a line on standard error.
void print_warning(const std::string& warning);

/// Parameters with a step size and a decay of their own: those whose names match the pattern, in which *
/// stands for any text and ? for any character, and that no group before it has. What it does not say is as
/// the optimizer has it. A learning rate of 0 keeps them as they are. The schedule's factor is on all groups.
struct ParameterGroup {
  std::string pattern;
  std::optional<double> learning_rate = std::nullopt, weight_decay = std::nullopt;
};

/// A change to the training step's graph, between its writing and the passes: an effect such as a sum over
/// processes of one's own, a projection of a weight, a product by another kernel.
struct StepRewrite {
  std::string name;
  /// The step with the same outputs and updates, by name, type and order.
  std::function<std::unique_ptr<Graph>(const Graph& step)> run;
};

struct TrainerOptions {
  uint64_t seed = 0;
  /// 0: what the machine allows. Results are the same for every number.
  int threads = 0;
  /// Factor on the optimizer's learning rate by step.
  Schedule schedule = schedule::constant();
  /// The smooth gradients of all parameters together are scaled down to this Euclidean norm; 0: not.
  /// Pascanu et al. (2013), algorithm 1. A prox takes its step times the same factor.
  double clip_norm = 0;
  /// Each element of the smooth gradients is limited to ± this; 0: not. Where a prox needs one step for all
  /// elements of a parameter, its whole gradient is scaled down instead.
  double clip_value = 0;
  /// Whether penalties become proximal updates; off, they keep their subgradients.
  bool rewrite = true;
  /// The parameters to train; empty: all that the loss depends on.
  std::vector<Value> parameters = {};
  /// Scalar inputs of the loss that the trainer feeds by step: coefficients that follow a schedule.
  std::vector<std::pair<Value, Schedule>> scheduled = {};
  /// From this step on what rewritten penalties have made zero stays zero: weights with a kink at 0, which
  /// become zero too where they would change their sign, and groups as a whole, which become zero where they
  /// would leave the half-space they point into; see settling_zeros(). Proximal steps on noisy gradients
  /// alone never settle which weights are zero. After the orthant phase of Chen et al. (2020), "Orthant Based
  /// Proximal Stochastic Gradient Method for l1-Regularized Optimization".
  std::optional<int64_t> settle_from = std::nullopt;
  /// The names of parameters whose elements stay zero once they are, penalised or not, from the first step
  /// on: a model that was trained sparse is then trained on with the zeros that it has.
  std::vector<std::string> frozen_zeros = {};
  /// More values to report at each step, by name.
  std::vector<std::pair<std::string, Value>> metrics = {};
  std::vector<ParameterGroup> groups = {};
  /// Whether a step's batch may be given in parts.
  bool accumulates = false;
  /// A step's batch is given in up to so many micro-shards, whose gradients are added in one binary tree, the
  /// same whichever rank computed them; 0: it is not. States that the loss updates become the mean of what
  /// each micro-shard makes of them. The gradient of what stays zero counts as zero.
  int64_t micro_shards = 0;
  /// Those that compute each step together, every one with a trainer of its own; nullptr: this process alone.
  std::shared_ptr<Ranks> ranks = nullptr;
  /// Told, once for each, of parameters of which penalties have left nothing (L201): which ones, what they
  /// starve, and coefficients that would not, found by trials on copies with the first batches, of which up
  /// to 64 MB are kept for it. Empty: nobody looks.
  std::function<void(const std::string&)> warn = print_warning;
  /// What those trials take scheduled inputs to be, where that is not their value at the step: the full
  /// strength of a penalty that grows, say.
  std::vector<std::pair<Value, double>> full_strength = {};
  /// Ends those trials, which may take a minute or two, once it is true.
  const std::atomic<bool>* stop = nullptr;
  /// Whether a step looks at all gradients before it moves anything, which takes some time: one that fails
  /// then leaves the whole state as it was, and the report names the op that failed in every case.
  bool check_finite = false;
  /// Whether steps leave out zeros that stay (settle_from, frozen_zeros) where that pays: products with a
  /// matrix of few weights, its gradient and its update are computed for what is left of it, and the
  /// optimizer's states hold no more while steps are taken. The results are the same within rounding.
  bool leave_out_zeros = true;
  /// Told, between steps, from when on they leave out zeros, and of which parameters.
  std::function<void(const std::string&)> tell = {};
  /// Optimisation passes that are left out, by name; see graph/passes/pass_list.hpp.
  std::vector<std::string> without_passes = {};
  /// What is done to the step's graph, one after the other; to the graphs of parts before the last alike.
  std::vector<StepRewrite> step_rewrites = {};
  /// Runs the steps; several trainers may share it. nullptr: one of oneTBB with so many `threads`.
  std::shared_ptr<Executor> executor = nullptr;
};

struct StepResult {
  /// The loss as written; what is left of it without the rewritten penalties; those penalties.
  double loss = 0, smooth = 0, penalty = 0;
  /// The metrics, in the order of the options.
  std::vector<double> metrics;
};

/// How many weights of a parameter steps compute, of how many.
struct KeptCount {
  std::string parameter;
  int64_t kept = 0, count = 0;
};

/// Trains the parameters that a loss depends on: writes the training step as a graph (forward, backward,
/// optimizer, prox), and runs it. The state lives in a Store and nowhere else. One thread at a time may use a
/// trainer; its work runs on many.
class Trainer {
 public:
  /// Updates that the loss's graph has beside it are done at each step as well. The graph is not needed
  /// afterwards. Throws UserError where the loss or a metric is not a scalar, nothing is trained, or a step
  /// rewrite gives other outputs.
  Trainer(Value loss, const Optimizer& optimizer, TrainerOptions options = {});
  Trainer(Trainer&&) noexcept;
  ~Trainer();

  /// One step on one batch. Throws JobError where the loss is not finite, the state being as it was then, and
  /// where a weight's next value would not be: that weight stays, others may have moved unless the options
  /// say check_finite. The message names the op that made the first value that is not finite, with its name
  /// and line. A loss may be infinite where the weights are outside a rewritten bound, into which the step
  /// moves them.
  StepResult step(const Feeds& feeds);
  StepResult step(std::initializer_list<std::pair<Value, Tensor>> feeds);
  /// One step on a batch that is given in parts, which are computed one after the other: the gradient is Σ
  /// shareᵢ·∇(loss on part i), with which a loss that is a mean over examples has that of the whole batch
  /// where a part's share is that of its examples. Shares add up to 1, so that terms without data, penalties
  /// among them, count once; penalties act once, on the step. Needs the option `accumulates`, or
  /// `micro_shards`, with which a part of share 0 is none; each of several ranks asks for the parts that it
  /// computes.
  StepResult step(const FeedsList& parts, std::span<const double> shares);
  /// Values of the loss's graph at inference (dropout off) under the present state.
  std::vector<Tensor> evaluate(const std::vector<Value>& values, const Feeds& feeds);

  const RewriteReport& report() const;
  /// How close the present weights are to a stationary point on all data, given as batches, without dropout;
  /// see Certifier. Zeros that have settled are kept. Looks for zeros as look_for_zeros() does.
  Certificate certify(const FeedsList& batches, std::span<const double> weights = {});
  Certificate certify(const Feeds& feeds) { return certify(std::span(&feeds, 1)); }
  /// L201: a line for each parameter that its penalty keeps at zero once it is there, judged on these data,
  /// and one for what that starves. Scheduled inputs that are fed keep what was fed.
  std::vector<std::string> stationary_at_zero(const Feeds& feeds);
  /// Warns of parameters that are zero by now, for which step() would wait some steps more: at a training's
  /// end.
  void look_for_zeros();
  /// A copy of the present value of a parameter or state.
  Tensor value(Value parameter) const;
  Store& store();
  /// The parameters of which steps leave out zeros at present.
  const std::vector<KeptCount>& kept_weights() const;
  /// Steps done so far, by this trainer or the one whose state was loaded.
  int64_t steps() const;
  /// The training step as it will run, for pictures and tests.
  const Graph& graph() const;
  /// See graph/exec/plan.hpp and executor.hpp.
  const Plan& plan(const Feeds& feeds);
  Executor& executor();

 private:
  struct Implementation;
  Owned<Implementation, "trainer"> self_;
};

/// How many elements of `tensor` are exactly zero.
struct Sparsity {
  int64_t zeros = 0, count = 0;
  double fraction() const { return count == 0 ? 0 : static_cast<double>(zeros) / static_cast<double>(count); }
};
Sparsity sparsity(const Tensor& tensor);
/// "97.2% exact zeros".
std::ostream& operator<<(std::ostream& out, const Sparsity& sparsity);

}  // namespace lariat
