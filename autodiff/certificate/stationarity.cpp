#include "autodiff/certificate/stationarity.hpp"

#include <limits>
#include <optional>

#include "autodiff/penalty/affine_view.hpp"
#include "autodiff/penalty/penalty_view.hpp"
#include "ops/ops.hpp"

namespace lariat {

namespace {

constexpr double infinity = std::numeric_limits<double>::infinity();

// Where w is above or below a place by more than rounding. A prox puts weights at 0 exactly; elsewhere it may
// round as the largest of them do. An empty place is 0.
struct Side {
  Value above, below;
  Side(Value w, Value place, double tolerance) {
    if (!place) {
      above = greater(w, 0), below = less(w, 0);
      return;
    }
    // An element without a place, such as a bound of another, has it at infinity.
    const Value size = where(equal(abs(place), infinity), 0, maximum(abs(place), norm_inf(w)));
    const Value rounding = tolerance * where(equal(place, 0), 0, size);
    above = greater(w - place, rounding);
    below = greater(place - w, rounding);
  }
};

struct Nearest {
  Value sum;
  /// Whether w is outside the bounds, where there is no subgradient; empty without bounds.
  Value outside;
};

// g + ∂ of all kinks and bounds at w is an interval [low, high]; its element nearest to 0 is
// max(low, 0) + min(high, 0).
Nearest nearest_to_zero(Value w, Value gradient, const std::vector<const ScalarTerm*>& terms,
                        double tolerance) {
  Value low = gradient, high = gradient, outside;
  for (const ScalarTerm* term : terms) {
    for (const ScalarTerm::Kink& kink : term->kinks) {
      const Side side(w, kink.at, tolerance);
      const Value below = kink.below ? kink.below : -kink.above;
      low = low + where(side.above, kink.above, below);
      high = high + where(side.below, below, kink.above);
    }
  }
  // Bounds of arguments that round are kept at some distance; see round_bounds_inward().
  constexpr double wide = 16;
  const auto bound = [&](Value limit, bool is_upper) {
    const Side side(w, limit, wide * tolerance);
    Value& end = is_upper ? high : low;
    end = where(is_upper ? side.below : side.above, end, is_upper ? infinity : -infinity);
    const Value out = is_upper ? side.above : side.below;
    outside = outside ? maximum(outside, out) : out;
  };
  for (const ScalarTerm* term : terms) {
    if (term->low) bound(term->low, false);
    if (term->high) bound(term->high, true);
  }
  return {maximum(low, 0) + minimum(high, 0), outside};
}

// 0 where an element is held, else the value.
Value without_held(const std::map<std::string, Value>& held, const std::string& parameter, Value value) {
  const auto found = held.find(parameter);
  return found == held.end() ? value : where(found->second, 0, value);
}

// ‖A‖² at most: the largest sum over a row times that over a column, or the largest of AAᵀ where it is
// diagonal.
Value steepest_of(const AffineView& view) {
  Value steepest = view.argument.graph().constant(0.0, view.argument.dtype());
  for (Value column : view.adjoint(sign(view.factor) * ones_like(view.argument)))
    steepest = maximum(steepest, norm_inf(column));
  return settled(steepest * norm_inf(view.factor));
}
Value steepest_of(const CombinedView& combined) {
  CombinedView::Values one;
  for (Value parameter : combined.view.parameters) one[parameter.name()] = ones_like(parameter);
  return settled(norm_inf(combined.steps(one)));
}

// The element of gradient + ∂φ of least norm. Elements of the argument that rounding alone sets apart from 0
// are 0. Where more than elements may be, as singular values are, the op knows what rounding makes of its
// dtype: of parameters in f32 it is asked in f32.
Value residual_of(const PenaltyTerm& term, Value argument, Value gradient, double tolerance) {
  const Attributes attributes = term.node.graph().node(term.node.node()).attributes;
  if (!term.penalty->scalar) {
    const DType dtype = term.penalty->scalar_metric && tolerance > 0x1p-40 ? f32 : argument.dtype();
    return cast(term.penalty->residual(cast(argument, dtype), cast(gradient, dtype), cast(term.weight, dtype),
                                       attributes),
                argument.dtype());
  }
  const ScalarTerm own = term.on_argument();
  return nearest_to_zero(argument, gradient, {&own}, 0).sum;
}

}  // namespace

SubgradientSweep subgradient_sweep(const SweepInputs& inputs, const std::vector<PenaltyTerm>& terms) {
  SubgradientSweep sweep;
  sweep.sums = inputs.sums;
  std::map<std::string, std::vector<const ScalarTerm*>> scalars;  // by parameter
  for (const PenaltyTerm& term : terms)
    if (term.scalar && term.scalar->bends()) scalars[term.parameters.front()].push_back(&*term.scalar);
  for (const auto& [name, own] : scalars) {
    const auto summed = sweep.sums.find(name);
    if (summed == sweep.sums.end()) continue;
    Value& sum = summed->second;
    const Value before = inputs.input(sum.type()), rest = sum - before;
    const Nearest nearest = nearest_to_zero(sum.graph().find_source(name), rest, own, inputs.tolerance);
    sum = nearest.sum;
    if (nearest.outside) sweep.outside[name] = norm_inf(nearest.outside);
    sweep.blocks.push_back({before, sum - rest});
  }
  for (const PenaltyTerm& term : terms) {
    if (term.scalar) continue;
    const std::vector<Value> parameters = term.parameter_values();
    std::map<std::string, Value> counted;
    for (const std::string& name : term.parameters)
      counted[name] = without_held(inputs.held, name, sweep.sums.at(name));
    std::optional<CombinedView> combined;
    if (term.combines) combined.emplace(term.argument, parameters);
    const AffineView view(term.argument, parameters);
    const Value steepest = combined ? steepest_of(*combined) : steepest_of(view);
    const Value before = inputs.input(term.argument.type()), argument = inputs.input(term.argument.type());
    // P(y) = y + residual(−y) is the projection on the subdifferential.
    const Value toward = before - view.linear_part(counted) / maximum(steepest, 1e-300);
    const Value next = toward + residual_of(term, argument, -toward, inputs.tolerance);
    const std::vector<Value> change = view.adjoint(next - before);
    for (size_t i = 0; i < parameters.size(); ++i) {
      Value& sum = sweep.sums.at(parameters[i].name());
      sum = sum + change[i];
    }
    std::map<std::string, Value> values;
    for (Value parameter : parameters) values[parameter.name()] = parameter;
    const Value magnitude =
        combined ? combined->magnitude(values) : abs(view.linear_part(values)) + abs(view.shift);
    sweep.blocks.push_back({before, next, argument, term.argument, magnitude * ones_like(term.argument)});
  }
  for (auto& [name, sum] : sweep.sums) sum = without_held(inputs.held, name, sum);
  return sweep;
}

std::map<std::string, Value> gradients_of_squares(const std::vector<PenaltyTerm>& terms) {
  std::map<std::string, Value> result;
  for (const PenaltyTerm& term : terms) {
    if (!term.scalar || !term.scalar->quadratic) continue;
    const std::string& name = term.parameters.front();
    const Value parameter = term.node.graph().find_source(name),
                part = 2 * term.scalar->quadratic * parameter;
    Value& sum = result[name];
    sum = sum ? sum + part : part;
  }
  return result;
}

}  // namespace lariat
