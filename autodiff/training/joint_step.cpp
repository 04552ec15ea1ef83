#include "autodiff/training/joint_step.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "autodiff/penalty/loss_parts.hpp"
#include "autodiff/penalty/penalty_view.hpp"
#include "autodiff/penalty/proximal.hpp"
#include "autodiff/trained_parameters.hpp"
#include "autodiff/training/joint_method.hpp"
#include "graph/base/error.hpp"
#include "ops/ops.hpp"

namespace lariat {

namespace {

const std::string gradient_output = "trainer/gradient/", l1_output = "trainer/l1/";

void check_joint_options(const Optimizer& optimizer, const TrainerOptions& options, const Graph& written) {
  const auto refuse = [&](const std::string& what) {
    throw UserError(
        fmt::format("{} takes its steps by a line search, with which {}; leave it out, or take another "
                    "optimizer",
                    optimizer.name, what));
  };
  if (options.clip_norm > 0 || options.clip_value > 0) refuse("clipped gradients do not go");
  if (options.settle_from) refuse("settle_from has no effect: its zeros stay where they are best");
  if (options.accumulates) refuse("batches in parts do not go");
  if (options.micro_shards > 0) refuse("micro-shards do not go");
  if (!options.groups.empty()) refuse("parameter groups do not go");
  for (const Output& output : written.outputs())
    if (output.is_update)
      refuse(fmt::format("the state '{}' that each step moves on does not go", output.name));
}

// λ of a term that is Σ λ|w|, and twice the factor of w² beside it.
struct PlainTerm {
  Value l1, curvature;
};
PlainTerm plain_term(const Optimizer& optimizer, const PenaltyTerm& term) {
  PlainTerm plain;
  bool fits = term.scalar.has_value() && !term.scalar->low && !term.scalar->high;
  for (size_t i = 0; fits && i < term.scalar->kinks.size(); ++i) {
    const ScalarTerm::Kink& kink = term.scalar->kinks[i];
    fits = !kink.below && (!kink.at || uniform_value(kink.at) == 0.0);
    plain.l1 = plain.l1 ? plain.l1 + kink.above : kink.above;
  }
  if (!fits)
    throw UserError(
        fmt::format("{} does not go with the penalty {} of '{}': OWL-QN is for λ|w| and smooth terms; take "
                    "adam or another",
                    optimizer.name, term.text.empty() ? node_of(term.node).op->name : term.text,
                    term.parameters.front()));
  if (term.scalar->quadratic) plain.curvature = 2 * term.scalar->quadratic;
  return plain;
}

std::vector<double> numbers_of(const Tensor& tensor) {
  std::vector<double> numbers(static_cast<size_t>(tensor.count()));
  for (int64_t i = 0; i < tensor.count(); ++i) numbers[static_cast<size_t>(i)] = tensor.at(i);
  return numbers;
}

}  // namespace

JointStep::JointStep(Value written, const Optimizer& optimizer, const TrainerOptions& options,
                     LossAnalysis& analysis)
    : method_(optimizer.joint) {
  check_joint_options(optimizer, options, written.graph());
  GraphCopy copy(written.graph(), graph_);
  for (int32_t id = 0; id < written.graph().size(); ++id) copy.copy(id);
  const Value reported = copy(written);
  graph_.output("loss", reported);
  const std::vector<Value> parameters = trained_parameters(reported, options.parameters);
  for (const Value parameter : parameters) parameters_.push_back(parameter.name());
  LossParts split(reported, parameters);
  if (options.rewrite) {
    split = LossParts(written, graph_, parameters_);
    analysis.report = make_report(split.split, optimizer.metric);
    analysis.made_zero = parameters_made_zero(parameters, split.split.terms);
  } else {
    analysis.report.note = "the proximal rewrite is switched off: penalties keep their subgradients";
  }
  analysis.parts.forward_end = graph_.size();
  const auto [gradients, penalty] = split.gradients(&analysis.parts.gradient_of);
  analysis.parts.backward_end = graph_.size();
  if (penalty) graph_.output("penalty", penalty);
  for (const Output& output : written.graph().outputs())
    if (output.name != "loss") graph_.output(output.name, copy(output.value));
  std::map<std::string, std::vector<const PenaltyTerm*>> terms;  // by parameter
  for (const PenaltyTerm& term : split.split.terms)
    for (const std::string& name : term.parameters) terms[name].push_back(&term);
  for (size_t i = 0; i < parameters.size(); ++i) {
    Value gradient = gradients[i], l1;
    for (const PenaltyTerm* term : terms[parameters_[i]]) {
      const PlainTerm plain = plain_term(optimizer, *term);
      if (plain.curvature) gradient = gradient + plain.curvature * parameters[i];
      if (plain.l1) l1 = l1 ? l1 + plain.l1 : plain.l1;
    }
    graph_.output(gradient_output + parameters_[i], gradient);
    if (l1) graph_.output(l1_output + parameters_[i], l1);
  }
  graph_.state("step", {}, init::zeros(), i32);
}

void JointStep::prepare(Store& store) const {
  int64_t elements = 0;
  for (const std::string& name : parameters_) elements += store.get(name).count();
  if (store.find("step") == nullptr) store.set("step", Tensor::scalar(0, i32));
  method_->prepare(store, elements);
}

StepResult JointStep::run(const Feeds& feeds, Program& program, Store& store, Executor& executor,
                          double learning_rate) const {
  StepResult first;
  bool is_first = true;
  JointMethod::Problem problem{{}, {}, {}, {}, store, learning_rate};
  for (const std::string& name : parameters_) {
    problem.weights.push_back(store.get(name));
    problem.gradients.emplace_back();
    problem.l1.emplace_back(static_cast<size_t>(store.get(name).count()), 0.0);
  }
  problem.evaluate = [&] {
    const std::vector<Tensor> results = program.run(feeds, store, executor);
    StepResult here;
    size_t next = 0;
    const auto place_of = [&](const std::string& name) {
      return static_cast<size_t>(std::find(parameters_.begin(), parameters_.end(), name) -
                                 parameters_.begin());
    };
    for (const Output& output : graph_.outputs()) {
      const Tensor& result = results[next++];
      if (output.name.starts_with(gradient_output)) {
        problem.gradients[place_of(output.name.substr(gradient_output.size()))] = numbers_of(result);
      } else if (output.name.starts_with(l1_output)) {
        // One number for all elements, or one for each.
        std::vector<double>& l1 = problem.l1[place_of(output.name.substr(l1_output.size()))];
        for (size_t i = 0; i < l1.size(); ++i)
          l1[i] = result.at(result.count() == 1 ? 0 : static_cast<int64_t>(i));
      } else if (output.name == "loss") {
        here.loss = result.item();
      } else if (output.name == "penalty") {
        here.penalty = result.item();
      } else {
        here.metrics.push_back(result.item());
      }
    }
    here.smooth = here.loss - here.penalty;
    if (is_first) first = here;
    is_first = false;
    return here.loss;
  };
  method_->step(problem);
  if (!std::isfinite(first.loss)) throw JobError(fmt::format("the loss is {}", first.loss));
  store.get("step").data<int32_t>()[0] += 1;
  if (const Tensor* random = store.find(random_state_name)) random->data<int32_t>()[2] += 1;
  return first;
}

}  // namespace lariat
