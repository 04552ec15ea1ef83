#include "autodiff/stationarity.hpp"

#include <limits>

#include "autodiff/penalty_view.hpp"
#include "ops/ops.hpp"

namespace lariat {

namespace {

constexpr double infinity = std::numeric_limits<double>::infinity();

bool bends(const ScalarTerm& term) { return !term.kinks.empty() || term.low || term.high; }

// g + ∂ of all kinks and bounds at w is an interval [low, high]; its element nearest to 0 is
// max(low, 0) + min(high, 0). Outside the bounds there is none.
Value nearest_to_zero(Value w, Value gradient, const std::vector<const ScalarTerm*>& terms) {
  Value low = gradient, high = gradient, outside;
  for (const ScalarTerm* term : terms) {
    for (const ScalarTerm::Kink& kink : term->kinks) {
      const Operand at = kink.at ? Operand(kink.at) : Operand(0);
      const Value below = kink.below ? kink.below : -kink.above;
      low = low + where(greater(w, at), kink.above, below);
      high = high + where(less(w, at), below, kink.above);
    }
  }
  const auto leave = [&](Value out) { outside = outside ? maximum(outside, out) : out; };
  for (const ScalarTerm* term : terms) {
    if (term->low) low = where(less_equal(w, term->low), -infinity, low), leave(less(w, term->low));
    if (term->high) high = where(greater_equal(w, term->high), infinity, high), leave(greater(w, term->high));
  }
  const Value nearest = maximum(low, 0) + minimum(high, 0);
  return outside ? where(outside, infinity, nearest) : nearest;
}

// 0 where an element is held, else the value.
Value without_kept(const std::map<std::string, Value>& kept, const std::string& parameter, Value value) {
  const auto found = kept.find(parameter);
  return found == kept.end() || !found->second ? value : where(found->second, 0, value);
}

}  // namespace

SubgradientSweep subgradient_sweep(std::map<std::string, Value> sums, const std::vector<PenaltyTerm>& terms,
                                   const std::map<std::string, Value>& kept,
                                   const std::function<Value(const TensorType&)>& input) {
  SubgradientSweep sweep;
  for (auto& [name, sum] : sums) {
    std::vector<const ScalarTerm*> own;
    for (const PenaltyTerm& term : terms)
      if (term.scalar && bends(*term.scalar) && term.is_of(name)) own.push_back(&*term.scalar);
    if (own.empty()) continue;
    const Value before = input(sum.type()), rest = sum - before;
    sum = nearest_to_zero(sum.graph().find_source(name), rest, own);
    sweep.blocks.push_back({before, sum - rest});
  }
  for (const PenaltyTerm& term : terms) {
    if (term.scalar) continue;
    Graph& graph = term.node.graph();
    std::vector<Value> parameters;
    std::map<std::string, Value> counted;
    for (const std::string& name : term.parameters) {
      parameters.push_back(graph.find_source(name));
      counted[name] = without_kept(kept, name, sums.at(name));
    }
    const AffineView view(term.argument, parameters);
    // ‖A‖² is at most its largest sum over a row times that over a column.
    Value steepest = graph.constant(0.0, term.argument.dtype());
    for (Value column : view.adjoint(sign(view.factor) * ones_like(term.argument)))
      steepest = maximum(steepest, reduce_max(abs(column)));
    steepest = settled(steepest * reduce_max(abs(view.factor)));
    const Value before = input(term.argument.type());
    // P(y) = y + residual(−y) is the projection on the subdifferential.
    const Value toward = before - view.linear_part(counted) / maximum(steepest, 1e-300);
    const Attributes attributes = graph.node(term.node.node()).attributes;
    const Value next = toward + term.penalty->residual(term.argument, -toward, term.weight, attributes);
    const std::vector<Value> change = view.adjoint(next - before);
    for (size_t i = 0; i < parameters.size(); ++i) {
      Value& sum = sums.at(parameters[i].name());
      sum = sum + change[i];
    }
    sweep.blocks.push_back({before, next});
  }
  for (auto& [name, sum] : sums) sum = without_kept(kept, name, sum);
  sweep.sums = std::move(sums);
  return sweep;
}

std::map<std::string, Value> gradients_of_squares(const std::vector<PenaltyTerm>& terms) {
  std::map<std::string, Value> result;
  for (const PenaltyTerm& term : terms) {
    if (!term.scalar || !term.scalar->quadratic) continue;
    const std::string& name = term.parameters.front();
    const Value parameter = term.node.graph().find_source(name),
                part = 2 * term.scalar->quadratic * parameter;
    result[name] = result.contains(name) ? result.at(name) + part : part;
  }
  return result;
}

Value allows_zero(Value parameter, const std::vector<PenaltyTerm>& terms) {
  Value result;
  const auto demand = [&](Value holds) { result = result ? result * holds : holds; };
  for (const PenaltyTerm& term : terms) {
    if (!term.scalar || !term.is_of(parameter.name())) continue;
    if (term.scalar->low) demand(less_equal(term.scalar->low, 0));
    if (term.scalar->high) demand(greater_equal(term.scalar->high, 0));
  }
  return result;
}

Value held_zeros(Value parameter, Value on, const std::vector<PenaltyTerm>& terms) {
  const Value zeros = cast(on, parameter.dtype()) * equal(parameter, 0),
              allowed = allows_zero(parameter, terms);
  return allowed ? zeros * allowed : zeros;
}

}  // namespace lariat
