#include "autodiff/combination.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>

#include "autodiff/penalty_view.hpp"
#include "graph/error.hpp"
#include "ops/axes.hpp"

namespace lariat {

namespace {

// Which group each element of a structured term belongs to, by the element's number; numbers are by
// parameter.
struct Groups {
  std::map<int64_t, int64_t> group_of;
  int64_t count = 0;
  bool repeats = false;
};

Groups groups_of(const PenaltyTerm& term) {
  const Graph& graph = term.node.graph();
  // Of all parameters of the graph, so that numbers of several terms can be compared.
  std::vector<int32_t> parameters;
  for (int32_t id = 0; id <= term.node.node(); ++id)
    if (graph.node(id).op->traits.source == SourceKind::parameter) parameters.push_back(id);
  const std::vector<int64_t> elements = shown_elements(term.argument, parameters);
  const Attributes& attributes = graph.node(term.node.node()).attributes;
  const Shape& shape = term.argument.shape();
  std::vector<int64_t> axes;
  if (const Attribute* found = attributes.find("axes")) axes = std::get<std::vector<int64_t>>(*found);
  const std::vector<bool> reduced = checked_axes(axes, shape);
  const Extents extents = evaluate(shape, {});
  Groups groups;
  for (size_t i = 0; i < elements.size(); ++i) {
    int64_t rest = static_cast<int64_t>(i), group = 0, scale = 1;
    for (size_t axis = extents.size(); axis-- > 0;) {
      if (!reduced[axis]) {
        group += rest % extents[axis] * scale;
        scale *= extents[axis];
      }
      rest /= extents[axis];
    }
    groups.count = std::max(groups.count, group + 1);
    if (elements[i] != 0) groups.repeats |= !groups.group_of.emplace(elements[i], group).second;
  }
  return groups;
}

enum class Relation { disjoint, nested, crossing };

// Whether every group of one lies within one group of the other.
bool lies_within(const Groups& inner, const Groups& outer) {
  std::map<int64_t, int64_t> parent;  // by inner group; -1: outside
  for (const auto& [element, group] : inner.group_of) {
    const auto found = outer.group_of.find(element);
    const int64_t in = found == outer.group_of.end() ? -1 : found->second;
    const auto [known, fresh] = parent.emplace(group, in);
    if (!fresh && known->second != in) return false;
  }
  return true;
}

Relation relation(const Groups& a, const Groups& b) {
  const bool meet = std::any_of(a.group_of.begin(), a.group_of.end(),
                                [&](const auto& entry) { return b.group_of.contains(entry.first); });
  if (!meet) return Relation::disjoint;
  return lies_within(a, b) || lies_within(b, a) ? Relation::nested : Relation::crossing;
}

bool is_number(Value value) { return !value || value.rank() == 0; }
bool is_zero(Value value) { return !value || uniform_value(value) == 0.0; }

// Why the scalar term cannot stand beside the structured one, or "".
std::string conflict(const ScalarTerm& scalar, const PenaltyTerm& structured, bool scalar_metric) {
  const bool only_square = scalar.kinks.empty() && !scalar.low && !scalar.high;
  if (scalar.quadratic && scalar_metric && !(is_number(scalar.quadratic)))
    return "a square term weighs its elements differently, and its prox needs one step for all of them";
  if (only_square) return "";
  const auto all_kinks = [&](const auto& holds) {
    return std::all_of(scalar.kinks.begin(), scalar.kinks.end(), holds);
  };
  switch (structured.penalty->combination) {
    case Combination::first:
      if (is_number(scalar.low) && is_number(scalar.high) && all_kinks([](const ScalarTerm::Kink& kink) {
            return is_number(kink.at) && is_number(kink.below) && is_number(kink.above);
          }))
        return "";
      return "another term weighs its elements differently, so that the prox of the sum is not known";
    case Combination::last:
      if (all_kinks([](const ScalarTerm::Kink& kink) { return is_zero(kink.at); }) &&
          (!scalar.low || is_zero(scalar.low)) && (!scalar.high || is_zero(scalar.high)))
        return "";
      return "another term on the same parameter has a kink or bound away from 0, so that the prox of the "
             "sum "
             "is not known";
    case Combination::alone:
      break;
  }
  return "another term with a kink is on the same parameter, and the prox of the sum is not known";
}

bool share(const PenaltyTerm& a, const PenaltyTerm& b) {
  return std::any_of(a.parameters.begin(), a.parameters.end(),
                     [&](const auto& name) { return b.is_of(name); });
}

// Why `term` cannot stand beside `other`, both structured, or "".
std::string conflict(const PenaltyTerm& term, const PenaltyTerm& other) {
  const Relation how = relation(groups_of(term), groups_of(other));
  if (how == Relation::disjoint) return "";
  const bool both_last =
      term.penalty->combination == Combination::last && other.penalty->combination == Combination::last;
  if (!both_last)
    return "another structured term is on the same elements, and the prox of the sum is not known";
  if (how == Relation::crossing) return "its groups overlap those of another term without lying within them";
  if (term.parameters.size() > 1 || other.parameters.size() > 1)
    return "its groups and those of another term are nested across several parameters, which have steps of "
           "their own";
  return "";
}

bool is_nested(const std::vector<PenaltyTerm>& terms, const PenaltyTerm& term) {
  return std::any_of(terms.begin(), terms.end(), [&](const PenaltyTerm& other) {
    return &other != &term && !other.scalar && share(term, other) &&
           term.penalty->combination == Combination::last &&
           other.penalty->combination == Combination::last &&
           relation(groups_of(term), groups_of(other)) == Relation::nested;
  });
}

// Whether the elements of a term's argument have the same step where those of each parameter have.
bool has_one_step(const PenaltyTerm& term) {
  if (term.parameters.size() > 1) return false;
  const Value parameter = term.node.graph().find_source(term.parameters.front());
  return uniform_value(AffineView(term.argument, {parameter}).factor).has_value();
}

}  // namespace

void refuse_inexact_sums(PenaltySplit& split) {
  std::vector<PenaltyTerm> kept;
  std::set<int32_t> refused;
  for (const PenaltyTerm& term : split.terms)
    if (term.scalar) kept.push_back(term);
  for (const PenaltyTerm& term : split.terms) {
    if (term.scalar) continue;
    std::string why;
    if (groups_of(term).repeats) why = "an element of a parameter is in it twice";
    if (term.penalty->scalar_metric && !has_one_step(term))
      why = "its prox needs one step for all its elements, but they have steps of their own";
    for (const PenaltyTerm& other : kept) {
      if (!why.empty() || !share(term, other)) continue;
      why = other.scalar ? conflict(*other.scalar, term, term.penalty->scalar_metric) : conflict(term, other);
    }
    if (why.empty()) {
      kept.push_back(term);
      continue;
    }
    split.refusals.push_back({"L108", term.node.graph().node(term.node.node()).op->name, why,
                              "keep one of the terms, or put them on different parameters", term.where});
  }
  split.terms = std::move(kept);
}

bool needs_scalar_metric(const std::vector<PenaltyTerm>& terms, std::string_view parameter) {
  bool kinks = false;
  for (const PenaltyTerm& term : terms)
    if (term.scalar && term.is_of(parameter))
      kinks |= !term.scalar->kinks.empty() || term.scalar->low || term.scalar->high;
  return std::any_of(terms.begin(), terms.end(), [&](const PenaltyTerm& term) {
    if (term.scalar || !term.is_of(parameter)) return false;
    // Thresholds that are equal keep the order of the elements.
    if (term.penalty->combination == Combination::first && kinks) return true;
    return term.penalty->scalar_metric || is_nested(terms, term);
  });
}

std::vector<const PenaltyTerm*> in_order(const std::vector<PenaltyTerm>& terms, Combination combination) {
  std::vector<const PenaltyTerm*> result;
  for (const PenaltyTerm& term : terms)
    if (!term.scalar && term.penalty->combination == combination) result.push_back(&term);
  if (result.size() < 2) return result;
  std::map<const PenaltyTerm*, double> size;
  for (const PenaltyTerm* term : result) {
    const Groups groups = groups_of(*term);
    size[term] =
        static_cast<double>(groups.group_of.size()) / static_cast<double>(std::max<int64_t>(groups.count, 1));
  }
  std::stable_sort(result.begin(), result.end(),
                   [&](const PenaltyTerm* a, const PenaltyTerm* b) { return size[a] < size[b]; });
  return result;
}

}  // namespace lariat
