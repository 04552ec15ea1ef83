#include "autodiff/training/optimizers.hpp"

#include <fmt/format.h>

#include <cmath>
#include <limits>

#include "graph/base/error.hpp"
#include "ops/ops.hpp"

namespace lariat {

namespace {

constexpr double unlimited = std::numeric_limits<double>::infinity();

void check(const char* optimizer, const char* name, double value, double minimum, double below) {
  if (value >= minimum && value < below) return;
  throw UserError(fmt::format("{}: {} is {}; it must {}", optimizer, name, value,
                              below == unlimited ? fmt::format("be a number of {} or more", minimum)
                                                 : fmt::format("lie in [{}, {})", minimum, below)));
}

void check_epsilon(const char* optimizer, double epsilon) {
  if (!(epsilon > 0 && epsilon < unlimited))
    throw UserError(fmt::format("{}: epsilon is {}; it must be a number above 0", optimizer, epsilon));
}

// A gradient of zero divides by epsilon alone, in the parameter's dtype.
double epsilon_for(const UpdateContext& c, const char* optimizer, double epsilon) {
  const double least =
      c.parameter.dtype() == f32 ? std::numeric_limits<float>::min() : std::numeric_limits<double>::min();
  if (epsilon < least)
    throw UserError(fmt::format("{}: epsilon is {}, too small for '{}', which is {}; use at least {:.2g}",
                                optimizer, epsilon, c.parameter.name(), text(c.parameter.type()), least));
  return epsilon;
}

// 1 - βᵗ, without the cancellation that a float power would suffer for β near 1.
Value bias_correction(double beta, Value count) {
  if (beta == 0) return ones_like(count);
  return -expm1(count * std::log(beta));
}

// β·average + (1 − β)·next
Value moving_average(double beta, Value average, Value next) {
  return multiply_add(beta, average, (1 - beta) * next);
}

Optimizer momentum_like(const char* name, double learning_rate, double momentum, bool look_ahead) {
  check(name, "learning_rate", learning_rate, 0, unlimited);
  check(name, "momentum", momentum, 0, 1);
  return {name, learning_rate, "SGD: learning_rate / (1 - momentum)", [=](UpdateContext& c) -> ProxPoint {
            const Value velocity = multiply_add(momentum, c.slot("velocity"), c.gradient);
            c.set_slot("velocity", velocity);
            const Value direction = look_ahead ? multiply_add(momentum, velocity, c.gradient) : velocity;
            return {multiply_add(-c.learning_rate, direction, c.parameter), c.learning_rate / (1 - momentum)};
          }};
}

// The common part of Adam and AdamW: the step from `start`.
ProxPoint adam_step(UpdateContext& c, Value start, const char* name, double beta1, double beta2,
                    double epsilon) {
  const Value mean = moving_average(beta1, c.slot("mean"), c.gradient);
  const Value square_mean = moving_average(beta2, c.metric_slot("square_mean"), c.squared_gradient());
  c.set_slot("mean", mean);
  c.set_slot("square_mean", square_mean);
  // η/(√(s/(1-β₂ᵗ)) + ε), and from the start −step·m/(1-β₁ᵗ); the scalars are inverted, not the tensors
  // divided.
  const Value unbiased = square_mean * reciprocal(bias_correction(beta2, c.count));
  const Value step = c.learning_rate / (sqrt(unbiased) + epsilon_for(c, name, epsilon));
  return {multiply_add(step, mean * -reciprocal(bias_correction(beta1, c.count)), start), step};
}

void check_adam(const char* name, double learning_rate, double beta1, double beta2, double epsilon) {
  check(name, "learning_rate", learning_rate, 0, unlimited);
  check(name, "beta1", beta1, 0, 1);
  check(name, "beta2", beta2, 0, 1);
  check_epsilon(name, epsilon);
}

}  // namespace

Value UpdateContext::slot(const std::string& name, const Extents& extents) {
  const std::string full = "optimizer/" + parameter.name() + "/" + name;
  if (const Value known = graph_.find_source(full)) return known;
  return graph_.state(full, extents, init::zeros(), parameter.dtype());
}

Value UpdateContext::slot(const std::string& name) { return slot(name, evaluate(parameter.shape(), {})); }

Value UpdateContext::metric_slot(const std::string& name) {
  return scalar_metric_ ? slot(name, {}) : slot(name);
}

Value UpdateContext::squared_gradient() const {
  return scalar_metric_ ? mean(square(gradient)) : square(gradient);
}

void UpdateContext::set_slot(const std::string& name, Value next) {
  graph_.update("optimizer/" + parameter.name() + "/" + name, next);
}

Sgd::operator Optimizer() const {
  check("Sgd", "learning_rate", learning_rate, 0, unlimited);
  return {"Sgd", learning_rate, "SGD: learning_rate", [](UpdateContext& c) -> ProxPoint {
            return {multiply_add(-c.learning_rate, c.gradient, c.parameter), c.learning_rate};
          }};
}

Momentum::operator Optimizer() const { return momentum_like("Momentum", learning_rate, momentum, false); }
Nesterov::operator Optimizer() const { return momentum_like("Nesterov", learning_rate, momentum, true); }

AdaGrad::operator Optimizer() const {
  check("AdaGrad", "learning_rate", learning_rate, 0, unlimited);
  check_epsilon("AdaGrad", epsilon);
  return {"AdaGrad", learning_rate, "AdaGrad: learning_rate / (√s + ε)",
          [epsilon = epsilon](UpdateContext& c) -> ProxPoint {
            const Value square_sum = c.metric_slot("square_sum") + c.squared_gradient();
            c.set_slot("square_sum", square_sum);
            const Value step = c.learning_rate / (sqrt(square_sum) + epsilon_for(c, "AdaGrad", epsilon));
            return {multiply_add(-step, c.gradient, c.parameter), step};
          }};
}

RmsProp::operator Optimizer() const {
  check("RmsProp", "learning_rate", learning_rate, 0, unlimited);
  check("RmsProp", "decay", decay, 0, 1);
  check_epsilon("RmsProp", epsilon);
  return {"RmsProp", learning_rate, "RMSProp: learning_rate / (√s + ε)",
          [decay = decay, epsilon = epsilon](UpdateContext& c) -> ProxPoint {
            const Value square_mean =
                moving_average(decay, c.metric_slot("square_mean"), c.squared_gradient());
            c.set_slot("square_mean", square_mean);
            const Value step = c.learning_rate / (sqrt(square_mean) + epsilon_for(c, "RmsProp", epsilon));
            return {multiply_add(-step, c.gradient, c.parameter), step};
          }};
}

Adam::operator Optimizer() const {
  check_adam("Adam", learning_rate, beta1, beta2, epsilon);
  return {"Adam", learning_rate, "Adam: learning_rate / (√v̂ + ε)", [copy = *this](UpdateContext& c) {
            return adam_step(c, c.parameter, "Adam", copy.beta1, copy.beta2, copy.epsilon);
          }};
}

AdamW::operator Optimizer() const {
  check_adam("AdamW", learning_rate, beta1, beta2, epsilon);
  check("AdamW", "weight_decay", weight_decay, 0, unlimited);
  return {"AdamW", learning_rate, "AdamW: learning_rate / (√v̂ + ε)", [copy = *this](UpdateContext& c) {
            const Value decayed =
                multiply_add(-(c.learning_rate * copy.weight_decay), c.parameter, c.parameter);
            return adam_step(c, decayed, "AdamW", copy.beta1, copy.beta2, copy.epsilon);
          }};
}

}  // namespace lariat
