#pragma once

#include <cmath>
#include <memory>
#include <span>
#include <vector>

#include "autodiff/penalty/penalty.hpp"

namespace lariat::convex {

struct Interval {
  double low, high;
};
struct Derivatives {
  double first, second;
};

/// A convex penalty h(w) = factor·Σ_j h_j(w_j) on the coordinates of all trained parameters together. What a
/// method asks of one coordinate is here and nowhere else, so another penalty is another subclass.
class SeparablePenalty {
 public:
  virtual ~SeparablePenalty() = default;

  /// Multiplies the whole penalty: the parameter of a regularisation path.
  double factor = 1;

  /// h_j(w).
  virtual double value(int64_t j, double w) const = 0;
  /// argmin_w h_j(w) + (w − v)²/(2·step).
  virtual double prox(int64_t j, double v, double step) const = 0;
  /// The distance of v to the subdifferential ∂h_j(w).
  virtual double distance(int64_t j, double w, double v) const = 0;
  /// The conjugate h_j*(v) = sup_w v·w − h_j(w) where it is finite.
  virtual double conjugate(int64_t j, double v) const = 0;
  /// Where h_j* is finite; it holds 0. Both ends are 0 where h_j is zero: then only v = 0 is allowed.
  virtual Interval conjugate_domain(int64_t j) const = 0;
  /// h_j' and h_j'' at a w where h_j is smooth.
  virtual Derivatives derivatives(int64_t j, double w) const = 0;
  /// The subdifferential ∂h_j(0): the slopes of f for which the coordinate stays at zero.
  virtual Interval kink(int64_t j) const = 0;
  /// The penalty as a function of v, where w_j = units_j·v_j and the units are powers of two: its values are
  /// the same numbers.
  virtual std::unique_ptr<SeparablePenalty> in_units(std::span<const double> units) const = 0;

  /// Whether the coordinate can be exactly zero.
  bool selects(int64_t j) const {
    const Interval slopes = kink(j);
    return slopes.low < slopes.high;
  }
  /// Whether h_j is zero.
  bool is_free(int64_t j) const {
    const Interval domain = conjugate_domain(j);
    return domain.low == 0 && domain.high == 0;
  }
  /// Σ_j h_j(w_j).
  double total(std::span<const double> w) const;
  /// max_j |w_j − prox_h(w_j − g_j)|, g being the smooth part's gradient: 0 at a solution only.
  double prox_residual(std::span<const double> w, std::span<const double> g) const;
};

/// The coordinates of several parameters one after the other.
struct Coordinates {
  std::vector<Value> parameters;
  std::vector<int64_t> starts;  ///< of each parameter, and the end
  int64_t count() const { return starts.back(); }
  /// The first coordinate of the parameter at `node`, or -1.
  int64_t start_of(int32_t node) const;
};
Coordinates coordinates_of(const std::vector<Value>& parameters);

/// Whether a term is a function of single weights that a SeparablePenalty can be.
bool has_separable_form(const PenaltyTerm& term);
/// The sum of `terms`, which have such a form and constant weights.
std::unique_ptr<SeparablePenalty> separable_penalty(const std::vector<PenaltyTerm>& terms,
                                                    const Coordinates& coordinates);

}  // namespace lariat::convex
