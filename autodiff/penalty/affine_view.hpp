#pragma once

#include <compare>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "autodiff/penalty/penalty.hpp"
#include "graph/ir/graph.hpp"

namespace lariat {

/// One element of a parameter; no parameter (-1) says none.
struct ShownElement {
  int32_t parameter = -1;
  int64_t index = 0;
  friend auto operator<=>(const ShownElement&, const ShownElement&) = default;
};
/// What each element of `argument` shows. Throws NotAView.
std::vector<ShownElement> shown_elements(Value argument);

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
  /// x, or `other` where the factor is 0.
  Value where_seen(Value x, double other) const;
  /// The adjoint of the view: factor·x summed over the places where each element of a parameter is shown.
  std::vector<Value> adjoint(Value x) const;
  /// Sends `of_argument` back through the view: factor·(its elements) at the elements of the parameters that
  /// are shown, and what `values` has at the others.
  void put_back(Value of_argument, std::map<std::string, Value>& values) const;

 private:
  Value over(Value x, Value divisor) const;
  bool may_be_zero_ = false;
};

/// An argument A·w + shift, A constant, where no element w of the parameters is in two elements of the
/// argument. A·S·Aᵀ is diagonal then for the diagonal S of any steps, and for every function f the prox of
/// f(A·w + shift) at v is
///   w = v − S·Aᵀ·(A·S·Aᵀ)⁻¹·(A·v + shift − u),
/// where u is the prox of f at A·v + shift, with A·S·Aᵀ as its steps (Combettes and Pesquet 2007, proposition
/// 11; Beck 2017, theorem 6.15).
class CombinedView {
 public:
  using Values = std::map<std::string, Value>;  // by parameter
  CombinedView(Value argument, std::vector<Value> parameters);

  /// Of which only `factor` and what is made with it count for nothing.
  const AffineView view;
  /// By parameter: each element's factor in the element of the argument that it is in, or 0.
  std::vector<Value> factors;

  /// A·S·Aᵀ.
  Value steps(const Values& own) const;
  /// |A|·|values| + |shift|.
  Value magnitude(const Values& values) const;
  /// Moves the points to where the argument is `of_argument`, by as little as can be in the metric 1/steps.
  void put_back(Value of_argument, const Values& steps, Values& points) const;

 private:
  std::vector<Value> pivots() const;  // by parameter: 1/factor² at one element of each row, else 0
};

/// Moves constant bounds on a parameter inward, by as few units in the last place as make the argument that
/// shows it, as it is computed, lie within what the penalty allows: else the loss would be infinite at its
/// bounds.
void round_bounds_inward(Value argument, Value parameter, const ScalarPenalty& allowed, ScalarTerm& term);

/// What elements of `argument` are in each of its elements, or nothing where one is in two, or the argument
/// is no sum of elements and constants.
std::optional<std::vector<std::vector<ShownElement>>> combined_elements(Value argument);
/// The nodes of the parameters that these are of.
std::vector<int32_t> combined_parameters(Value argument);

}  // namespace lariat
