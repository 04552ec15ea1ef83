#include "autodiff/stationarity.hpp"

#include <limits>

#include "autodiff/combination.hpp"
#include "autodiff/penalty_view.hpp"
#include "ops/ops.hpp"

namespace lariat {

namespace {

constexpr double infinity = std::numeric_limits<double>::infinity();

// g + ∂ of all kinks and bounds at w is an interval [low, high]; its element nearest to 0 is
// max(low, 0) + min(high, 0).
Value nearest_to_zero(Value w, Value gradient, const std::vector<const ScalarTerm*>& terms) {
  Value low = gradient, high = gradient;
  for (const ScalarTerm* term : terms) {
    for (const ScalarTerm::Kink& kink : term->kinks) {
      const Operand at = kink.at ? Operand(kink.at) : Operand(0);
      const Value below = kink.below ? kink.below : -kink.above;
      low = low + where(greater(w, at), kink.above, below);
      high = high + where(less(w, at), below, kink.above);
    }
  }
  for (const ScalarTerm* term : terms) {
    if (term->low) low = where(less_equal(w, term->low), -infinity, low);
    if (term->high) high = where(greater_equal(w, term->high), infinity, high);
  }
  return maximum(low, 0) + minimum(high, 0);
}

}  // namespace

std::map<std::string, Value> least_subgradients(const std::map<std::string, Value>& gradients,
                                                const std::vector<PenaltyTerm>& terms) {
  std::map<std::string, Value> result = gradients;
  std::vector<std::string> unknown;
  for (const PenaltyTerm& term : terms)
    if (term.scalar && term.scalar->quadratic)
      for (const std::string& name : term.parameters) {
        Value& value = result.at(name);
        value = value + 2 * term.scalar->quadratic * value.graph().find_source(name);
      }
  const auto apply = [&](const PenaltyTerm& term) {
    Graph& graph = term.node.graph();
    std::vector<Value> parameters;
    for (const std::string& name : term.parameters) parameters.push_back(graph.find_source(name));
    const AffineView view(term.argument, parameters);
    // For an argument x = c·w + s:  ∂h/∂x = g/c, and what is found there comes back times c.
    Value gradient = view.linear_part(result);
    if (view.scaled) gradient = gradient / square(view.factor);
    const Attributes attributes = graph.node(term.node.node()).attributes;
    view.put_back(term.penalty->residual(term.argument, gradient, term.weight, attributes), result);
  };
  for (const PenaltyTerm* term : in_order(terms, Combination::first)) apply(*term);
  for (auto& [name, value] : result) {
    std::vector<const ScalarTerm*> own;
    bool bends = false, ordered = false;
    for (const PenaltyTerm& term : terms) {
      if (!term.is_of(name)) continue;
      if (term.scalar) own.push_back(&*term.scalar);
      bends |= term.scalar && (!term.scalar->kinks.empty() || term.scalar->low || term.scalar->high);
      ordered |= !term.scalar && term.penalty->combination == Combination::first;
    }
    if (bends && ordered) unknown.push_back(name);
    if (!own.empty()) value = nearest_to_zero(value.graph().find_source(name), value, own);
  }
  for (const PenaltyTerm* term : in_order(terms, Combination::last)) apply(*term);
  for (const PenaltyTerm* term : in_order(terms, Combination::alone)) apply(*term);
  for (const std::string& name : unknown) result.erase(name);
  return result;
}

}  // namespace lariat
