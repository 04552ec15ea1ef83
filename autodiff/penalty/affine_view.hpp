#pragma once

#include <compare>
#include <map>
#include <string>
#include <vector>

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
  /// The adjoint of the view: factor·x summed over the places where each element of a parameter is shown.
  std::vector<Value> adjoint(Value x) const;
  /// Sends `of_argument` back through the view: factor·(its elements) at the elements of the parameters that
  /// are shown, and what `values` has at the others.
  void put_back(Value of_argument, std::map<std::string, Value>& values) const;

 private:
  Value over(Value x, Value divisor) const;
  bool may_be_zero_ = false;
};

}  // namespace lariat
