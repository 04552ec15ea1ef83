#pragma once

#include <map>
#include <span>
#include <string>
#include <vector>

#include "autodiff/penalty/penalty.hpp"

namespace lariat {

/// Why a penalty's argument does not show parameters element by element.
struct NotAView {
  std::string code, reason, advice;
};

/// What the graph's nodes depend on, as far as penalties care.
struct Dependence {
  std::vector<bool> on_data, on_random, on_parameters;
  /// By a path that gradients take: on any parameter, and on a trained one.
  std::vector<bool> attached, on_trained;
  /// On a trained parameter, by a path without stop_gradient: comparisons let no gradient through, but what
  /// they give still changes with the parameter.
  std::vector<bool> varying;
};
Dependence dependence(Value loss, const std::vector<Value>& trained);

/// sum + more: kinks at the same place become one.
void add_to(ScalarTerm& sum, const ScalarTerm& more);

/// Carries a term on the elements of `argument` back to the parameters it shows: selections by their vjp, so
/// that what overlaps adds up, and factors and shifts into slopes and kinks. By parameter's node. Throws
/// NotAView.
std::map<int32_t, ScalarTerm> carry_to_parameters(Value argument, const ScalarTerm& term,
                                                  const Dependence& depends,
                                                  const std::vector<Value>& trained);

/// The nodes of the parameters that `argument` shows by selections, factors and shifts. Throws NotAView.
std::vector<int32_t> shown_parameters(Value argument, const Dependence& depends,
                                      const std::vector<Value>& trained);

/// For each element of `argument`, a number that is the same for the same element of the same parameter; 0
/// where it shows none.
std::vector<int64_t> shown_elements(Value argument, std::span<const int32_t> parameters);

/// argument = factor·(the elements it shows) + shift, as constants where they are.
class AffineView {
 public:
  AffineView(Value argument, std::vector<Value> parameters);

  const Value argument;
  const std::vector<Value> parameters;
  Value factor, shift;
  /// Whether the factor is not 1 everywhere, and the shift not 0.
  bool scaled = false, shifted = false;

  /// The argument at other values of the parameters, by name.
  Value at(const std::map<std::string, Value>& values) const;
  /// factor·values; parameters without a value count as 0.
  Value linear_part(const std::map<std::string, Value>& values) const;
  /// x/factor and x/factor², 0 where the factor is.
  Value over_factor(Value x) const;
  Value over_squared_factor(Value x) const;
  /// The adjoint of the view: factor·x summed over the places where each element of a parameter is shown.
  std::vector<Value> adjoint(Value x) const;
  /// Sends `of_argument` back through the view: factor·(its elements) at the elements of the parameters that
  /// are shown, and what `values` has at the others.
  void put_back(Value of_argument, std::map<std::string, Value>& values) const;

 private:
  Value over(Value x, Value divisor) const;
  bool may_be_zero_ = false;
};

/// Whether what is added to the elements a value shows stays, or counts as 0.
enum class Shifts { kept, dropped };
/// `value` with other values for some nodes it depends on (of the same types).
Value substitute(Value value, const std::map<int32_t, Value>& replaced, Shifts shifts = Shifts::kept);

/// The value as a tensor where it depends on constants only.
std::optional<Tensor> constant_value(Value value);
/// The value as a constant, a scalar where all elements are equal, if it depends on constants only; else the
/// value.
Value settled(Value value);
/// The number that all elements of a constant are.
std::optional<double> uniform_value(Value value);
/// A number, or a number times a scalar input that the host schedules.
struct Coefficient {
  double number = 0;
  std::string input;
};
/// What all elements of `value` are, where it is such a coefficient.
std::optional<Coefficient> coefficient_of(Value value);

}  // namespace lariat
