#include "autodiff/training/optimizers.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "autodiff/training/optimizer_records.hpp"
#include "graph/base/error.hpp"
#include "ops/ops.hpp"

namespace lariat {

const std::vector<OptimizerKind>& optimizer_kinds() {
  static const std::vector<OptimizerKind> kinds = [] {
    std::vector<OptimizerKind> list = {
#define LARIAT_OPTIMIZER(name) optimizer_records::name(),
#include "optimizer_records.inc"
#undef LARIAT_OPTIMIZER
    };
    std::stable_partition(list.begin(), list.end(),
                          [](const OptimizerKind& kind) { return kind.name == "adam"; });
    return list;
  }();
  return kinds;
}

Optimizer make_optimizer(const std::string& name,
                         const std::vector<std::pair<std::string, double>>& options) {
  std::vector<std::string> known;
  for (const OptimizerKind& kind : optimizer_kinds()) {
    known.push_back(kind.name);
    if (kind.name != name) continue;
    std::vector<double> values;
    std::vector<std::string> names;
    for (const OptimizerOption& option : kind.options) {
      values.push_back(option.default_value);
      names.push_back(option.name);
    }
    for (const auto& [option, value] : options) {
      const auto found = std::find(names.begin(), names.end(), option);
      if (found == names.end())
        throw UserError(fmt::format("the optimizer '{}' has no option '{}'.{}", name, option,
                                    did_you_mean(option, names)));
      const OptimizerOption& its = kind.options[static_cast<size_t>(found - names.begin())];
      if (its.integer && value != std::floor(value))
        throw UserError(fmt::format("{}: {} is {}; it must be an integer", name, option, value));
      values[static_cast<size_t>(found - names.begin())] = value;
    }
    return kind.make(values);
  }
  throw UserError(fmt::format("there is no optimizer '{}'.{}", name, did_you_mean(name, known)));
}

Value UpdateContext::start(Value step) const {
  return weight_decay == 0 ? parameter : multiply_add(-(step * weight_decay), parameter, parameter);
}

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

namespace optimizer_parts {

namespace {
constexpr double unlimited = std::numeric_limits<double>::infinity();
}  // namespace

void check(const char* optimizer, const char* name, double value, double minimum, double below) {
  if (value >= minimum && value < below) return;
  throw UserError(fmt::format("{}: {} is {}; it must {}", optimizer, name, value,
                              below == unlimited ? fmt::format("be a number of {} or more", minimum)
                                                 : fmt::format("lie in [{}, {})", minimum, below)));
}

void check_rate(const char* optimizer, double learning_rate) {
  check(optimizer, "learning_rate", learning_rate, 0, unlimited);
}

void check_decay(const char* optimizer, double weight_decay) {
  check(optimizer, "weight_decay", weight_decay, 0, unlimited);
}

void check_epsilon(const char* optimizer, double epsilon) {
  if (!(epsilon > 0 && epsilon < unlimited))
    throw UserError(fmt::format("{}: epsilon is {}; it must be a number above 0", optimizer, epsilon));
}

double epsilon_for(const UpdateContext& c, const char* optimizer, double epsilon) {
  const double least =
      c.parameter.dtype() == f32 ? std::numeric_limits<float>::min() : std::numeric_limits<double>::min();
  if (epsilon < least)
    throw UserError(fmt::format("{}: epsilon is {}, too small for '{}', which is {}; use at least {:.2g}",
                                optimizer, epsilon, c.parameter.name(), text(c.parameter.type()), least));
  return epsilon;
}

Value bias_correction(double beta, Value count) {
  if (beta == 0) return ones_like(count);
  return -expm1(count * std::log(beta));
}

Value moving_average(double beta, Value average, Value next) {
  return multiply_add(beta, average, (1 - beta) * next);
}

Optimizer momentum_like(const char* name, double learning_rate, double momentum, bool look_ahead) {
  check_rate(name, learning_rate);
  check(name, "momentum", momentum, 0, 1);
  return {name, learning_rate, "SGD: learning_rate / (1 - momentum)", [=](UpdateContext& c) -> ProxPoint {
            const Value velocity = multiply_add(momentum, c.slot("velocity"), c.gradient);
            c.set_slot("velocity", velocity);
            const Value direction = look_ahead ? multiply_add(momentum, velocity, c.gradient) : velocity;
            return {multiply_add(-c.learning_rate, direction, c.start(c.learning_rate)),
                    c.learning_rate / (1 - momentum)};
          }};
}

void check_adam(const AdamConstants& constants, double learning_rate) {
  check_rate(constants.name, learning_rate);
  check(constants.name, "beta1", constants.beta1, 0, 1);
  check(constants.name, "beta2", constants.beta2, 0, 1);
  check_epsilon(constants.name, constants.epsilon);
}

AdamMeans adam_means(UpdateContext& c, const AdamConstants& constants, bool largest) {
  const Value mean = moving_average(constants.beta1, c.slot("mean"), c.gradient);
  Value square_mean = moving_average(constants.beta2, c.metric_slot("square_mean"), c.squared_gradient());
  c.set_slot("mean", mean);
  c.set_slot("square_mean", square_mean);
  if (largest) {
    square_mean = maximum(c.metric_slot("largest_square_mean"), square_mean);
    c.set_slot("largest_square_mean", square_mean);
  }
  const Value unbiased = square_mean * reciprocal(bias_correction(constants.beta2, c.count));
  return {mean, sqrt(unbiased) + epsilon_for(c, constants.name, constants.epsilon)};
}

ProxPoint adam_step(UpdateContext& c, const AdamConstants& constants, bool largest) {
  // η/(√(s/(1-β₂ᵗ)) + ε), and from the start −step·m/(1-β₁ᵗ); the scalars are inverted, not the tensors
  // divided.
  const AdamMeans means = adam_means(c, constants, largest);
  const Value step = c.learning_rate / means.root;
  return {multiply_add(step, means.mean * -reciprocal(bias_correction(constants.beta1, c.count)),
                       c.start(c.learning_rate)),
          step};
}

}  // namespace optimizer_parts

}  // namespace lariat
