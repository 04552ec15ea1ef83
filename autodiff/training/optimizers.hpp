#pragma once

#include <functional>

#include "graph/ir/value.hpp"

namespace lariat {

/// What an optimizer sees of one parameter: values in the training graph.
class UpdateContext {
 public:
  UpdateContext(Graph& graph, Value parameter, Value gradient, Value learning_rate, Value count,
                bool scalar_metric)
      : parameter(parameter),
        gradient(gradient),
        learning_rate(learning_rate),
        count(count),
        graph_(graph),
        scalar_metric_(scalar_metric) {}

  const Value parameter, gradient;
  /// Scalars of the parameter's dtype: the step's learning rate, and the number of this step, from 1.
  const Value learning_rate, count;

  /// The slot `name` of this parameter: a state of its shape, zero at first.
  Value slot(const std::string& name);
  /// A slot for what the metric is made of: a scalar where a prox needs one step for all elements.
  Value metric_slot(const std::string& name);
  /// g² element by element; or its mean, where a prox needs one step for all elements.
  Value squared_gradient() const;
  void set_slot(const std::string& name, Value next);
  /// The same with another learning rate.
  UpdateContext with_learning_rate(Value rate) const {
    return {graph_, parameter, gradient, rate, count, scalar_metric_};
  }

 private:
  Value slot(const std::string& name, const Extents& extents);
  Graph& graph_;
  const bool scalar_metric_;
};

/// How parameters move. `propose` builds the point v that the optimizer would go to by the smooth gradient
/// alone, and the step size 1/d of each element, d being the diagonal metric that produced v: a prox must use
/// the same metric.
struct Optimizer {
  std::string name;
  double learning_rate = 0.01;
  /// The metric in the report's words.
  std::string metric;
  std::function<ProxPoint(UpdateContext&)> propose;
};

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

}  // namespace lariat
