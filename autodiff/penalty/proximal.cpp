#include "autodiff/penalty/proximal.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "autodiff/penalty/affine_view.hpp"
#include "autodiff/penalty/combination.hpp"
#include "autodiff/penalty/kink_sums.hpp"
#include "autodiff/penalty/penalty_view.hpp"
#include "ops/ops.hpp"

namespace lariat {

namespace {

// argmin_w q·w² + (w − v)²/(2s) = v/(1 + 2qs), and the sum is (w − that)²/(2s/(1 + 2qs)) but for a constant:
// the prox of any further term with that point and step is the prox of the sum.
ProxPoint shrink(ProxPoint at, Value quadratic) {
  const Value shrinkage = 1 + 2 * quadratic * at.step;
  return {at.point / shrinkage, at.step / shrinkage};
}

// Kinks at one place are one kink.
std::vector<ScalarTerm::Kink> merged(const std::vector<ScalarTerm::Kink>& kinks) {
  std::vector<ScalarTerm::Kink> result;
  // Positions in the result, by number or by value.
  std::map<double, size_t> at_number;
  std::map<std::pair<int32_t, int32_t>, size_t> at_value;
  for (ScalarTerm::Kink kink : kinks) {
    const std::optional<double> number = kink.at ? uniform_value(kink.at) : 0.0;
    if (number == 0.0) kink.at = {};
    const size_t known =
        number && !std::isnan(*number)
            ? at_number.try_emplace(*number, result.size()).first->second
            : at_value.try_emplace({kink.at.node(), kink.at.output()}, result.size()).first->second;
    if (known == result.size()) {
      result.push_back(kink);
    } else {
      add_to(result[known], kink);
    }
  }
  return result;
}

Value bend(ProxPoint at, const std::vector<ScalarTerm::Kink>& kinks) {
  const std::vector<ScalarTerm::Kink> all = merged(kinks);
  if (all.empty()) return at.point;
  if (all.size() == 1 && !all[0].below) {
    // argmin_w a·|w − c| + (w − v)²/(2s) = c + S(v − c, a·s)
    if (!all[0].at) return abs_prox(at.point, at.step, all[0].above);
    return all[0].at + abs_prox(at.point - all[0].at, at.step, all[0].above);
  }
  std::vector<Operand> operands{at.point, at.step};
  for (const ScalarTerm::Kink& kink : all) {
    operands.push_back(kink.at ? Operand(kink.at) : Operand(0));
    operands.push_back(kink.below ? kink.below : -kink.above);
    operands.push_back(kink.above);
  }
  return kink_prox(operands);
}

// The kinks and bounds that scalar terms put on the elements a view shows, where they are there: those at a
// of φ(w) are at c·a + s for an argument c·w + s, and slopes are divided by c.
using ScalarTerms = std::map<std::string, std::vector<const ScalarTerm*>>;  // by parameter
std::vector<Value> seen_kinks(const AffineView& view, ScalarTerms& terms) {
  Graph& graph = view.argument.graph();
  const DType dtype = view.argument.dtype();
  const auto number = [&](double value) { return graph.constant(value, dtype); };
  using Numbers = std::map<std::string, Value>;
  Numbers low, high;
  std::map<std::string, std::vector<ScalarTerm::Kink>> kinks;
  size_t most = 1;
  for (Value parameter : view.parameters) {
    const std::string& name = parameter.name();
    low[name] = number(-std::numeric_limits<double>::infinity());
    high[name] = number(std::numeric_limits<double>::infinity());
    std::vector<ScalarTerm::Kink> own;
    for (const ScalarTerm* term : terms[name]) {
      own.insert(own.end(), term->kinks.begin(), term->kinks.end());
      if (term->low) low[name] = maximum(low[name], term->low);
      if (term->high) high[name] = minimum(high[name], term->high);
    }
    kinks[name] = merged(own);
    most = std::max(most, kinks[name].size());
  }
  const auto seen = [&](Value value) { return settled(value); };
  const auto slopes = [&](const Numbers& own) { return view.over_squared_factor(view.linear_part(own)); };
  std::vector<Value> result;
  const auto add_in_order = [&](Value one, Value other) {
    result.push_back(seen(minimum(one, other)));
    result.push_back(seen(maximum(one, other)));
  };
  // What is not seen has no bounds there: 0 times an infinite one would be NaN.
  constexpr double infinity = std::numeric_limits<double>::infinity();
  const Value one = view.at(low), other = view.at(high);
  result.push_back(seen(view.where_seen(minimum(one, other), -infinity)));
  result.push_back(seen(view.where_seen(maximum(one, other), infinity)));
  for (size_t k = 0; k < most; ++k) {
    Numbers at, below, above;
    for (const auto& [name, list] : kinks) {
      const ScalarTerm::Kink kink = k < list.size() ? list[k] : ScalarTerm::Kink{{}, number(0), number(0)};
      at[name] = kink.at ? kink.at : number(0);
      below[name] = kink.below ? kink.below : -kink.above;
      above[name] = kink.above;
    }
    result.push_back(seen(view.at(at)));
    add_in_order(slopes(below), slopes(above));
  }
  return result;
}

// A structured term maps its argument, which shows the parameters: the proposals seen through the same view,
// and back. For an argument c·w + s, steps are multiplied by c², and w = (result − s)/c.
ProxPoint seen(const PenaltyTerm& term, const AffineView& view, const ProxPoints& points) {
  std::map<std::string, Value> point, step;
  for (const std::string& name : term.parameters) {
    point[name] = points.at(name).point;
    step[name] = points.at(name).step;
  }
  if (!term.penalty->scalar_metric) {
    const Value steps = view.linear_part(step);
    return {view.at(point), view.scaled ? steps * view.factor : steps};
  }
  const Value steps = step.begin()->second;
  return {view.at(point), view.scaled ? steps * square(view.factor) : steps};
}

Value within_bounds(Value point, const std::vector<const ScalarTerm*>& terms) {
  for (const ScalarTerm* term : terms) {
    if (term->low) point = maximum(point, term->low);
    if (term->high) point = minimum(point, term->high);
  }
  return point;
}

// argmin_w of a function of single elements, within its bounds.
Value prox_of(const ScalarTerm& term, ProxPoint at) {
  if (term.quadratic) at = shrink(at, term.quadratic);
  return within_bounds(bend(at, term.kinks), {&term});
}

void apply_combined(const PenaltyTerm& term, const std::vector<Value>& parameters, ProxPoints& points) {
  const CombinedView combined(term.argument, parameters);
  CombinedView::Values point, step;
  for (const std::string& name : term.parameters)
    point[name] = points.at(name).point, step[name] = points.at(name).step;
  const ProxPoint at{combined.view.at(point), combined.steps(step)};
  const Node node = term.node.graph().node(term.node.node());
  combined.put_back(term.penalty->scalar ? prox_of(term.on_argument(), at)
                                         : term.penalty->prox(at, term.weight, node.attributes),
                    step, point);
  for (const std::string& name : term.parameters) points.at(name).point = point.at(name);
}

// Puts the prox of a structured term at `from` into `points`: with what kinks it takes in, or by itself.
void apply(const PenaltyTerm& term, const ProxPoints& from, ProxPoints& points, ScalarTerms& scalar_terms) {
  const Attributes attributes = term.node.graph().node(term.node.node()).attributes;
  const std::vector<Value> parameters = term.parameter_values();
  if (term.combines) return apply_combined(term, parameters, points);
  if (is_same(term.argument, parameters.front()) && !term.takes_kinks) {
    ProxPoint& at = points.at(term.parameters.front());
    at.point = term.penalty->prox(at, term.weight, attributes);
    return;
  }
  const AffineView view(term.argument, parameters);
  const ProxPoint at = seen(term, view, from);
  Value mapped = term.takes_kinks ? term.penalty->prox_beside_kinks(
                                        at, term.weight, seen_kinks(view, scalar_terms), attributes)
                                  : term.penalty->prox(at, term.weight, attributes);
  if (view.shifted) mapped = mapped - view.shift;
  std::map<std::string, Value> values;
  for (const std::string& name : term.parameters) values[name] = points.at(name).point;
  view.put_back(view.over_squared_factor(mapped), values);
  // A negative factor makes -0 of 0.
  for (const std::string& name : term.parameters) {
    const Value value = values.at(name);
    points.at(name).point = view.scaled ? where(equal(value, 0), 0, value) : value;
  }
}

}  // namespace

std::map<std::string, Value> proximal_updates(const ProxPoints& proposals,
                                              const std::vector<PenaltyTerm>& terms) {
  ProxPoints points = proposals;
  ScalarTerms scalar_terms;
  for (const PenaltyTerm& term : terms)
    for (const std::string& name : term.parameters)
      if (term.scalar) scalar_terms[name].push_back(&*term.scalar);
  for (auto& [name, at] : points)
    for (const ScalarTerm* term : scalar_terms[name])
      if (term->quadratic) at = shrink(at, term->quadratic);
  const auto apply_all = [&](Combination combination) {
    for (const PenaltyTerm* term : in_order(terms, combination)) apply(*term, points, points, scalar_terms);
  };
  apply_all(Combination::first);
  const ProxPoints before_kinks = points;
  for (auto& [name, at] : points) {
    std::vector<ScalarTerm::Kink> kinks;
    for (const ScalarTerm* term : scalar_terms[name])
      kinks.insert(kinks.end(), term->kinks.begin(), term->kinks.end());
    at.point = bend(at, kinks);
    // On one number, the prox of a convex term within bounds is its prox, clipped.
    at.point = within_bounds(at.point, scalar_terms[name]);
  }
  for (const PenaltyTerm& term : terms) {
    if (!term.takes_kinks) continue;
    apply(term, before_kinks, points, scalar_terms);
    // The way back from the argument may round to outside.
    for (const std::string& name : term.parameters)
      points.at(name).point = within_bounds(points.at(name).point, scalar_terms[name]);
  }
  apply_all(Combination::last);
  apply_all(Combination::alone);
  std::map<std::string, Value> updates;
  for (const auto& [name, at] : points) updates[name] = at.point;
  return updates;
}

RewriteReport make_report(const PenaltySplit& split, const std::string& metric) {
  RewriteReport report;
  report.refused = split.refusals;
  report.smooth = split.smooth;
  std::map<std::string, std::vector<std::string>> used;
  std::map<std::string, size_t> places;
  const auto of_one_step = parameters_of_one_step(split.terms);
  for (const PenaltyTerm& term : split.terms) {
    if (term.text.empty()) continue;
    std::string names = term.parameters.front();
    for (size_t i = 1; i < term.parameters.size(); ++i) names += ", " + term.parameters[i];
    const auto [place, fresh] = places.emplace(names, report.rewritten.size());
    if (fresh) {
      const bool one_step = std::any_of(term.parameters.begin(), term.parameters.end(),
                                        [&](const auto& name) { return of_one_step.contains(name); });
      report.rewritten.push_back({names, {}, {}, {}, metric + (one_step ? ", one step for all" : "")});
    }
    RewriteReport::Entry* const entry = &report.rewritten[place->second];
    entry->terms.push_back(term.text);
    entry->coefficients.push_back(term.coefficient);
    std::vector<std::string>& operators = used[names];
    if (std::find(operators.begin(), operators.end(), term.penalty->operator_name) == operators.end()) {
      entry->operator_name += (operators.empty() ? "" : ", ") + term.penalty->operator_name;
      operators.push_back(term.penalty->operator_name);
    }
  }
  std::stable_sort(
      report.rewritten.begin(), report.rewritten.end(),
      [](const RewriteReport::Entry& a, const RewriteReport::Entry& b) { return a.parameter < b.parameter; });
  return report;
}

}  // namespace lariat
