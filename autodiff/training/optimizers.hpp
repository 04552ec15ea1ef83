#pragma once

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "graph/ir/value.hpp"

namespace lariat {

/// What an optimizer sees of one parameter: values in the training graph.
class UpdateContext {
 public:
  UpdateContext(Graph& graph, Value parameter, Value gradient, Value learning_rate, Value count,
                bool scalar_metric, double weight_decay = 0)
      : parameter(parameter),
        gradient(gradient),
        learning_rate(learning_rate),
        count(count),
        weight_decay(weight_decay),
        graph_(graph),
        scalar_metric_(scalar_metric) {}

  const Value parameter, gradient;
  /// Scalars of the parameter's dtype: the step's learning rate, and the number of this step, from 1.
  const Value learning_rate, count;
  /// The optimizer's, or that of the parameter's group.
  const double weight_decay;

  /// Where a step of this size starts: (1 - step·weight_decay)·w, decoupled from the gradient. Loshchilov and
  /// Hutter (2019), algorithm 2.
  Value start(Value step) const;
  /// The slot `name` of this parameter: a state of its shape, zero at first.
  Value slot(const std::string& name);
  /// A slot for what the metric is made of: a scalar where a prox needs one step for all elements.
  Value metric_slot(const std::string& name);
  /// g² element by element; or its mean, where a prox needs one step for all elements.
  Value squared_gradient() const;
  void set_slot(const std::string& name, Value next);

 private:
  Value slot(const std::string& name, const Extents& extents);
  Graph& graph_;
  const bool scalar_metric_;
};

class JointMethod;

/// How parameters move. `propose` builds the point v that the optimizer would go to by the smooth gradient
/// alone, and the step size 1/d of each element, d being the diagonal metric that produced v: a prox must use
/// the same metric.
struct Optimizer {
  std::string name;
  double learning_rate = 0.01;
  /// The metric in the report's words.
  std::string metric;
  std::function<ProxPoint(UpdateContext&)> propose;
  /// The rate at which weights decay beside the loss; see UpdateContext::start().
  double weight_decay = 0;
  /// Why no prox goes with its steps, for a message; empty: one does.
  std::string no_prox = {};
  /// In place of `propose`: a method that moves all parameters together.
  std::shared_ptr<const JointMethod> joint = nullptr;
  /// Whether the step of an element depends on others of its parameter.
  bool looks_at_whole_parameters = false;
};

/// A number of an optimizer that recipes set.
struct OptimizerOption {
  std::string name, doc;
  double default_value = 0, lowest = 0, highest = 0;
  bool integer = false;
};

/// A kind of optimizer as one record: autodiff/training/optimizers/NAME.cpp.
struct OptimizerKind {
  std::string name, doc;
  std::vector<OptimizerOption> options;
  /// From the values of all options, in their order. Throws UserError for one out of its range.
  std::function<Optimizer(const std::vector<double>& values)> make;
};
/// Every kind by name, adam, the default, first.
const std::vector<OptimizerKind>& optimizer_kinds();
/// A kind by its name, with some of its options: make_optimizer("lion", {{"learning_rate", 1e-4}}). Throws
/// UserError for a name that is none, with the nearest.
Optimizer make_optimizer(const std::string& kind,
                         const std::vector<std::pair<std::string, double>>& options = {});

/// v = w - η g.
struct Sgd {
  double learning_rate = 0.01;
  operator Optimizer() const;
};
/// u ← βu + g, v = w - η u. At a fixed point u = g/(1-β), so the step size of the metric is η/(1-β).
struct Momentum {
  double learning_rate = 0.01, momentum = 0.9;
  operator Optimizer() const;
};
/// u ← βu + g, v = w - η (g + βu). Nesterov (1983) in the form of Sutskever et al. (2013).
struct Nesterov {
  double learning_rate = 0.01, momentum = 0.9;
  operator Optimizer() const;
};
/// s ← s + g², v = w - η g/(√s + ε). Duchi, Hazan and Singer (2011), with their composite mirror descent
/// step.
struct AdaGrad {
  double learning_rate = 0.01, epsilon = 1e-10;
  operator Optimizer() const;
};
/// s ← ρs + (1-ρ)g², v = w - η g/(√s + ε). Tieleman and Hinton (2012).
struct RmsProp {
  double learning_rate = 1e-3, decay = 0.9, epsilon = 1e-7;
  operator Optimizer() const;
};
/// Kingma and Ba (2015), algorithm 1: v = w - η m̂/(√v̂ + ε).
struct Adam {
  double learning_rate = 1e-3, beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8;
  operator Optimizer() const;
};
/// Adam on (1 - η·weight_decay)·w. Loshchilov and Hutter (2019), algorithm 2.
struct AdamW {
  double learning_rate = 1e-3, beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8, weight_decay = 0.01;
  operator Optimizer() const;
};
/// Adam that looks ahead as Nesterov does: v = w - η (β₁m/(1-β₁ᵗ⁺¹) + (1-β₁)g/(1-β₁ᵗ))/(√v̂ + ε). Dozat
/// (2016), with one β₁ for all steps. Of a gradient that stays the same its first steps take a little more
/// than Adam's, and the metric counts that.
struct NAdam {
  double learning_rate = 1e-3, beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8;
  operator Optimizer() const;
};
/// Adam with the largest mean square so far. Reddi, Kale and Kumar (2018), algorithm 2, with Adam's
/// corrections of the first steps.
struct AmsGrad {
  double learning_rate = 1e-3, beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8;
  operator Optimizer() const;
};
/// Adam's direction r, of which a whole parameter takes steps of η·φ(‖w‖)/‖r‖, where φ counts a norm as
/// least_norm at least and 10 at most, and η where ‖w‖ or ‖r‖ is 0. You et al. (2020), algorithm 2 and
/// section 3. Without a least norm steps would shrink with the weights, and no penalty would make all of them
/// zero.
struct Lamb {
  double learning_rate = 1e-3, beta1 = 0.9, beta2 = 0.999, epsilon = 1e-6, weight_decay = 0.01,
         least_norm = 1e-3;
  operator Optimizer() const;
};
/// v = (1 - η·weight_decay)·w - η sign(β₁m + (1-β₁)g), m ← β₂m + (1-β₂)g. Chen et al. (2023), algorithm 2.
/// A sign does not say how large a gradient is, so that no metric weighs it against a penalty: a loss with
/// penalties that would be rewritten is refused.
struct Lion {
  double learning_rate = 1e-4, beta1 = 0.9, beta2 = 0.99, weight_decay = 0;
  operator Optimizer() const;
};
/// L-BFGS with a line search on the batch that a step is given: for full or large batches. Nocedal and Wright
/// (2006), algorithms 7.4 and 3.1; with a term Σ λ|w| OWL-QN, Andrew and Gao (2007), which has the same fixed
/// points as a prox of Σ λ|w|. Other rewritten terms are refused. A step tries the learning rate first.
struct Lbfgs {
  double learning_rate = 1;
  int64_t history = 10;
  operator Optimizer() const;
};

}  // namespace lariat
