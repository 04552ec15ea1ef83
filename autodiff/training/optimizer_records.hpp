#pragma once

#include <variant>

#include "autodiff/training/optimizers.hpp"

namespace lariat {

namespace optimizer_records {
#define LARIAT_OPTIMIZER(name) OptimizerKind name();
#include "optimizer_records.inc"
#undef LARIAT_OPTIMIZER
}  // namespace optimizer_records

/// What an optimizer's file says of it. O is its struct, which becomes an Optimizer.
template <class O>
struct OptimizerRecord {
  struct Option {
    const char* name;
    std::variant<double O::*, int64_t O::*> member;
    double lowest, highest;
    const char* doc;
  };
  std::string name, doc;
  std::vector<Option> options;

  OptimizerKind kind() const {
    OptimizerKind kind{name, doc, {}, {}};
    for (const Option& option : options)
      kind.options.push_back({option.name, option.doc, get(O{}, option), option.lowest, option.highest,
                              std::holds_alternative<int64_t O::*>(option.member)});
    kind.make = [options = options](const std::vector<double>& values) -> Optimizer {
      O made;
      for (size_t i = 0; i < options.size(); ++i)
        std::visit([&](auto member) { made.*member = values.at(i); }, options[i].member);
      return made;
    };
    return kind;
  }

 private:
  static double get(const O& from, const Option& option) {
    return std::visit([&](auto member) { return static_cast<double>(from.*member); }, option.member);
  }
};

/// What several optimizers share.
namespace optimizer_parts {
inline constexpr double most = 1e6, below_one = 0.999999;

/// Throws UserError "Adam: beta1 is 2; it must lie in [0, 1)"; below no limit "…; it must be a number of 0 or
/// more".
void check(const char* optimizer, const char* name, double value, double minimum, double below);
void check_rate(const char* optimizer, double learning_rate);
void check_decay(const char* optimizer, double weight_decay);
void check_epsilon(const char* optimizer, double epsilon);
/// ε in the parameter's dtype, by which a gradient of zero is divided. Throws UserError where it is 0 there.
double epsilon_for(const UpdateContext& c, const char* optimizer, double epsilon);

/// 1 - βᵗ, without the cancellation that a float power would suffer for β near 1.
Value bias_correction(double beta, Value count);
/// β·average + (1 - β)·next
Value moving_average(double beta, Value average, Value next);
Optimizer momentum_like(const char* name, double learning_rate, double momentum, bool look_ahead);

/// The constants of Adam and its relatives.
struct AdamConstants {
  const char* name;
  double beta1, beta2, epsilon;
};
void check_adam(const AdamConstants& constants, double learning_rate);
/// Moves the means m and s on: the new m, and √(s/(1-β₂ᵗ)) + ε, of the largest s so far where that is asked
/// for.
struct AdamMeans {
  Value mean, root;
};
AdamMeans adam_means(UpdateContext& c, const AdamConstants& constants, bool largest = false);
/// Kingma and Ba's step from where decay leaves the weights.
ProxPoint adam_step(UpdateContext& c, const AdamConstants& constants, bool largest = false);

template <class O>
std::vector<typename OptimizerRecord<O>::Option> rate_option() {
  return {{"learning_rate", &O::learning_rate, 0, most, "step size η"}};
}
template <class O>
std::vector<typename OptimizerRecord<O>::Option> adam_options() {
  auto options = rate_option<O>();
  options.push_back({"beta1", &O::beta1, 0, below_one, "decay of the mean gradient"});
  options.push_back({"beta2", &O::beta2, 0, below_one, "decay of the mean squared gradient"});
  options.push_back({"epsilon", &O::epsilon, 0, most, "added to its root"});
  return options;
}
template <class O>
std::vector<typename OptimizerRecord<O>::Option> with_decay(
    std::vector<typename OptimizerRecord<O>::Option> options) {
  options.push_back({"weight_decay", &O::weight_decay, 0, most,
                     "η times this share of the weights is taken off at each step"});
  return options;
}
}  // namespace optimizer_parts

}  // namespace lariat
