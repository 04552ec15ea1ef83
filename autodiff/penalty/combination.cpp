#include "autodiff/penalty/combination.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <map>
#include <set>

#include "autodiff/penalty/affine_view.hpp"
#include "autodiff/penalty/penalty_view.hpp"
#include "graph/base/error.hpp"
#include "ops/kernels/axes.hpp"
#include "ops/ops.hpp"

namespace lariat {

bool PenaltyTerm::is_of(std::string_view parameter) const {
  return std::find(parameters.begin(), parameters.end(), parameter) != parameters.end();
}

std::vector<Value> PenaltyTerm::parameter_values() const {
  std::vector<Value> values;
  for (const std::string& name : parameters) values.push_back(node.graph().find_source(name));
  return values;
}

namespace {

// Which group each element of a structured term belongs to.
struct TermGroups {
  std::map<ShownElement, int64_t> group_of;
  int64_t count = 0;
  bool repeats = false;
};

TermGroups groups_of(const PenaltyTerm& term) {
  const Graph& graph = term.node.graph();
  std::vector<std::vector<ShownElement>> elements;
  if (term.combines) {
    elements = *combined_elements(term.argument);
  } else {
    for (const ShownElement& element : shown_elements(term.argument)) elements.push_back({element});
  }
  const Attributes& attributes = graph.node(term.node.node()).attributes;
  const Shape& shape = term.argument.shape();
  std::vector<int64_t> axes;
  if (const Attribute* found = attributes.find("axes")) axes = std::get<std::vector<int64_t>>(*found);
  const std::vector<bool> reduced = checked_axes(axes, shape);
  const Extents extents = evaluate(shape, {});
  TermGroups groups;
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
    for (const ShownElement& element : elements[i])
      if (element.parameter >= 0) groups.repeats |= !groups.group_of.emplace(element, group).second;
  }
  return groups;
}

// Each term's groups are found once.
class KnownGroups {
 public:
  const TermGroups& operator()(const PenaltyTerm& term) {
    const auto known = known_.find(term.node.node());
    return known != known_.end() ? known->second
                                 : known_.emplace(term.node.node(), groups_of(term)).first->second;
  }

 private:
  std::map<int32_t, TermGroups> known_;
};

// Positions of terms by the parameters that they show.
using Positions = std::map<std::string, std::vector<size_t>, std::less<>>;

// Those that share a parameter with the term, in order.
std::vector<size_t> terms_sharing(const Positions& by_parameter, const PenaltyTerm& term) {
  std::set<size_t> found;
  for (const std::string& name : term.parameters)
    if (const auto own = by_parameter.find(name); own != by_parameter.end())
      found.insert(own->second.begin(), own->second.end());
  return {found.begin(), found.end()};
}

void add_positions(Positions& by_parameter, const PenaltyTerm& term, size_t position) {
  for (const std::string& name : term.parameters) by_parameter[name].push_back(position);
}

// Positions of structured terms by the elements that they are of.
class ElementHolders {
 public:
  explicit ElementHolders(const std::vector<PenaltyTerm>& terms) {
    for (const PenaltyTerm& term : terms)
      if (!term.scalar)
        for (const std::string& name : term.parameters) ++terms_on_[name];
  }

  void add(const PenaltyTerm& term, size_t position, KnownGroups& groups) {
    if (!may_share(term)) return;
    for (const auto& [element, group] : groups(term).group_of) holders_[element].push_back(position);
  }
  // Those that share an element with the term, in order.
  std::vector<size_t> sharing(const PenaltyTerm& term, KnownGroups& groups) const {
    std::set<size_t> found;
    if (may_share(term))
      for (const auto& [element, group] : groups(term).group_of)
        if (const auto own = holders_.find(element); own != holders_.end())
          found.insert(own->second.begin(), own->second.end());
    return {found.begin(), found.end()};
  }

 private:
  // Elements are looked at only where another term is on the same parameter.
  bool may_share(const PenaltyTerm& term) const {
    return std::any_of(term.parameters.begin(), term.parameters.end(),
                       [&](const std::string& name) { return terms_on_.at(name) > 1; });
  }

  std::map<std::string, int> terms_on_;
  std::map<ShownElement, std::vector<size_t>> holders_;
};

enum class Relation { disjoint, nested, crossing };

// Whether every group of one lies within one group of the other.
bool lies_within(const TermGroups& inner, const TermGroups& outer) {
  std::map<int64_t, int64_t> parent;  // by inner group; -1: outside
  for (const auto& [element, group] : inner.group_of) {
    const auto found = outer.group_of.find(element);
    const int64_t in = found == outer.group_of.end() ? -1 : found->second;
    const auto [known, fresh] = parent.emplace(group, in);
    if (!fresh && known->second != in) return false;
  }
  return true;
}

Relation relation(const TermGroups& a, const TermGroups& b) {
  const bool meet = std::any_of(a.group_of.begin(), a.group_of.end(),
                                [&](const auto& entry) { return b.group_of.contains(entry.first); });
  if (!meet) return Relation::disjoint;
  return lies_within(a, b) || lies_within(b, a) ? Relation::nested : Relation::crossing;
}

bool is_number(Value value) { return !value || value.rank() == 0; }
bool is_zero(Value value) { return !value || uniform_value(value) == 0.0; }

AffineView view_of(const PenaltyTerm& term) { return {term.argument, term.parameter_values()}; }

// Whether some of the numbers, one for each element of a parameter, is not 0 at an element that a term shows.
using Reaches = std::function<bool(const std::string& parameter, Value numbers)>;
Reaches reach_of(const AffineView& view) {
  return [&view](const std::string& parameter, Value numbers) {
    return uniform_value(view.linear_part({{parameter, numbers}})) != 0.0;
  };
}
Reaches reach_of(const CombinedView& combined) {
  return [&combined](const std::string& parameter, Value numbers) {
    for (size_t i = 0; i < combined.factors.size(); ++i)
      if (combined.view.parameters[i].name() == parameter)
        return uniform_value(where(equal(combined.factors[i], 0), 0, numbers)) != 0.0;
    return false;
  };
}

// Whether a kink or bound of the scalar term is on an element that the structured one shows.
bool meets(const PenaltyTerm& scalar, const Reaches& reaches) {
  const std::string& name = scalar.parameters.front();
  const auto limits = [&](Value limit, double none) {
    return limit && reaches(name, 1 - equal(limit, none));
  };
  constexpr double infinity = std::numeric_limits<double>::infinity();
  return std::any_of(scalar.scalar->kinks.begin(), scalar.scalar->kinks.end(),
                     [&](const ScalarTerm::Kink& kink) {
                       return reaches(name, kink.above) || (kink.below && reaches(name, kink.below));
                     }) ||
         limits(scalar.scalar->low, -infinity) || limits(scalar.scalar->high, infinity);
}

// A group prox multiplies each element by a number from 0 to 1, and so keeps what is subdifferential to a
// function with kinks at 0 alone.
bool is_conic(const ScalarTerm& term) {
  return std::all_of(term.kinks.begin(), term.kinks.end(),
                     [](const ScalarTerm::Kink& kink) { return is_zero(kink.at); }) &&
         is_zero(term.low) && is_zero(term.high);
}

// The same function for all elements keeps their order, and so the sign of each difference.
bool is_the_same_everywhere(const ScalarTerm& term) {
  return is_number(term.quadratic) && is_number(term.low) && is_number(term.high) &&
         std::all_of(term.kinks.begin(), term.kinks.end(), [](const ScalarTerm::Kink& kink) {
           return is_number(kink.at) && is_number(kink.below) && is_number(kink.above);
         });
}

bool has_one_step(const AffineView& view) {
  return view.parameters.size() == 1 && uniform_value(view.factor).has_value();
}

// Why kinks and bounds cannot stand beside the structured term, or "". Sets whether its prox takes them in.
std::string conflict_with_kinks(const std::vector<const PenaltyTerm*>& scalars, const AffineView& view,
                                PenaltyTerm& structured) {
  std::vector<const PenaltyTerm*> meeting;
  for (const PenaltyTerm* scalar : scalars)
    if (scalar->scalar->bends() && meets(*scalar, reach_of(view))) meeting.push_back(scalar);
  const auto all = [&](bool (*holds)(const ScalarTerm&)) {
    return std::all_of(meeting.begin(), meeting.end(),
                       [&](const PenaltyTerm* scalar) { return holds(*scalar->scalar); });
  };
  structured.meets_kinks = !meeting.empty();
  if (meeting.empty()) return "";
  const Combination combination = structured.penalty->combination;
  if (combination == Combination::last && !view.shifted && all(is_conic)) return "";
  if (combination == Combination::first && has_one_step(view) && uniform_value(view.shift) &&
      all(is_the_same_everywhere))
    return "";
  structured.takes_kinks = structured.penalty->prox_beside_kinks != nullptr;
  if (structured.takes_kinks) return "";
  if (combination == Combination::alone)
    return "another term with a kink is on the same elements, and the prox of the sum is not known";
  if (combination == Combination::first)
    return "another term is not the same for all of its elements, so that the prox of the sum is not known";
  return "another term on the same elements has a kink or bound away from 0, so that the prox of the sum is "
         "not "
         "known";
}

// The same for a term of combined elements, such as w - v.
std::string conflict_of_combined(const std::vector<const PenaltyTerm*>& scalars,
                                 const PenaltyTerm& combined) {
  const CombinedView view(combined.argument, combined.parameter_values());
  const Reaches reaches = reach_of(view);
  for (const PenaltyTerm* scalar : scalars)
    if (scalar->scalar->bends() && meets(*scalar, reaches))
      return "another term has a kink or bound on elements that it combines, and the prox of the sum is not "
             "known";
  return "";
}

// Why `term` cannot stand beside `other`, both structured, or "".
std::string conflict(const PenaltyTerm& term, const AffineView& view, const PenaltyTerm& other,
                     KnownGroups& groups) {
  const Relation how = relation(groups(term), groups(other));
  if (how == Relation::disjoint) return "";
  const bool both_last = !term.combines && !other.combines &&
                         term.penalty->combination == Combination::last &&
                         other.penalty->combination == Combination::last;
  if (!both_last)
    return "another structured term is on the same elements, and the prox of the sum is not known";
  if (how == Relation::crossing) return "its groups overlap those of another term without lying within them";
  if (term.parameters.size() > 1 || other.parameters.size() > 1)
    return "its groups and those of another term are nested across several parameters, which have steps of "
           "their own";
  // The outer prox must keep the direction of an inner group.
  const AffineView other_view = view_of(other);
  for (const AffineView* one : {&view, &other_view})
    if (one->shifted || !uniform_value(abs(one->factor)))
      return "its groups and those of another term are nested and shifted or scaled differently, so that the "
             "prox "
             "of the sum is not known";
  if (term.takes_kinks || other.takes_kinks)
    return "its groups and those of another term are nested beside kinks or bounds away from 0, so that the "
           "prox "
           "of the sum is not known";
  return "";
}

// Whether two structured terms that share a parameter are of nested groups.
bool are_nested(const PenaltyTerm& term, const PenaltyTerm& other, KnownGroups& groups) {
  return term.penalty->combination == Combination::last && other.penalty->combination == Combination::last &&
         relation(groups(term), groups(other)) == Relation::nested;
}

// Why the squares on its parameters cannot stand beside a structured term whose prox needs one step for all
// elements, or "".
std::string conflict_with_squares(const std::vector<const PenaltyTerm*>& scalars) {
  for (const PenaltyTerm* scalar : scalars)
    if (!is_number(scalar->scalar->quadratic))
      return "a square term weighs its elements differently, and its prox needs one step for all of them";
  return "";
}

}  // namespace

void refuse_inexact_sums(PenaltySplit& split) {
  std::vector<PenaltyTerm> kept;
  std::vector<const PenaltyTerm*> scalars;
  Positions scalars_of;  // by parameter
  KnownGroups groups;
  ElementHolders holders(split.terms);
  for (const PenaltyTerm& term : split.terms) {
    if (!term.scalar) continue;
    add_positions(scalars_of, term, scalars.size());
    scalars.push_back(&term);
  }
  const std::string twice = "an element of a parameter is in it twice";
  const auto why_inexact = [&](PenaltyTerm& term) -> std::string {
    if (!term.combines && groups(term).repeats) return twice;
    const AffineView view = view_of(term);
    std::vector<const PenaltyTerm*> own;
    for (size_t i : terms_sharing(scalars_of, term)) own.push_back(scalars[i]);
    std::string why;
    if (term.penalty->scalar_metric && !has_one_step(view))
      why = "its prox needs one step for all its elements, but they have steps of their own";
    if (why.empty() && term.penalty->scalar_metric) why = conflict_with_squares(own);
    if (why.empty())
      why = term.combines ? conflict_of_combined(own, term) : conflict_with_kinks(own, view, term);
    if (why.empty())
      for (size_t i : holders.sharing(term, groups)) {
        if (!why.empty()) break;
        why = conflict(term, view, kept[i], groups);
        if (why.empty() && are_nested(term, kept[i], groups)) why = conflict_with_squares(own);
      }
    return why;
  };
  for (PenaltyTerm& term : split.terms) {
    if (term.scalar) continue;
    Refusal refusal{"L108", term.node.graph().node(term.node.node()).op->name, "",
                    "keep one of the terms, or put them on different parameters", term.where};
    try {
      refusal.reason = why_inexact(term);
      if (refusal.reason == twice)
        refusal.advice = "write it so that each element is in it once, or penalise the parameter itself";
    } catch (const NotAView& why) {
      refusal.code = why.code, refusal.reason = why.reason, refusal.advice = why.advice;
    }
    if (!refusal.reason.empty()) {
      split.refusals.push_back(refusal);
      continue;
    }
    holders.add(term, kept.size(), groups);
    kept.push_back(term);
  }
  std::erase_if(split.terms, [](const PenaltyTerm& term) { return !term.scalar; });
  split.terms.insert(split.terms.end(), kept.begin(), kept.end());
}

namespace {

// The largest of the lower limits (sign 1) or the smallest of the upper ones (sign -1) that are constants,
// for each element of a parameter, and whose they are.
class Limit {
 public:
  void add(const PenaltyTerm* term, Value limit, double sign) {
    const std::optional<Tensor> constant = limit ? constant_value(limit) : std::nullopt;
    if (!constant) return;
    const auto count = static_cast<size_t>(constant->count());
    if (elements_.empty() || (elements_.size() == 1 && count > 1))
      elements_.resize(count, elements_.empty() ? Element{} : elements_[0]);
    for (size_t i = 0; i < elements_.size(); ++i) {
      const double at = constant->at(count == 1 ? 0 : static_cast<int64_t>(i));
      if (!elements_[i].term || std::isnan(elements_[i].at) || sign * at > sign * elements_[i].at)
        elements_[i] = {term, at};
    }
  }
  // The terms of a lower limit that is above an upper one.
  std::optional<std::pair<const PenaltyTerm*, const PenaltyTerm*>> first_beyond(const Limit& high) const {
    const size_t count = std::max(elements_.size(), high.elements_.size());
    for (size_t i = 0; i < count && !elements_.empty() && !high.elements_.empty(); ++i) {
      const Element &one = elements_[elements_.size() == 1 ? 0 : i],
                    &other = high.elements_[high.elements_.size() == 1 ? 0 : i];
      if (one.at > other.at) return std::pair(one.term, other.term);
    }
    return std::nullopt;
  }

 private:
  struct Element {
    const PenaltyTerm* term = nullptr;
    double at = 0;
  };
  std::vector<Element> elements_;
};

}  // namespace

void check_bounds(const std::vector<PenaltyTerm>& terms) {
  std::map<std::string, std::vector<const PenaltyTerm*>, std::less<>> bounded;
  for (const PenaltyTerm& term : terms)
    if (term.scalar && (term.scalar->low || term.scalar->high))
      bounded[term.parameters.front()].push_back(&term);
  for (const auto& [name, own] : bounded) {
    Limit low, high;
    for (const PenaltyTerm* term : own)
      low.add(term, term->scalar->low, 1), high.add(term, term->scalar->high, -1);
    if (const auto excluded = low.first_beyond(high)) {
      const auto [one, other] = *excluded;
      throw UserError(fmt::format(
          "the bounds on '{}' exclude each other, so that the loss is infinite: {}{}; take one of them away",
          name, one->text, one == other ? "" : " and " + other->text));
    }
  }
}

std::set<std::string, std::less<>> parameters_of_one_step(const std::vector<PenaltyTerm>& terms) {
  std::set<std::string, std::less<>> result;
  KnownGroups groups;
  ElementHolders holders(terms);
  for (size_t i = 0; i < terms.size(); ++i)
    if (!terms[i].scalar) holders.add(terms[i], i, groups);
  for (size_t i = 0; i < terms.size(); ++i) {
    const PenaltyTerm& term = terms[i];
    if (term.scalar) continue;
    // Thresholds that are equal keep the order of the elements.
    const bool ordered =
        term.penalty->combination == Combination::first && term.meets_kinks && !term.takes_kinks;
    const auto is_nested = [&] {
      const std::vector<size_t> others = holders.sharing(term, groups);
      return std::any_of(others.begin(), others.end(),
                         [&](size_t other) { return other != i && are_nested(term, terms[other], groups); });
    };
    if (ordered || term.penalty->scalar_metric || is_nested())
      result.insert(term.parameters.begin(), term.parameters.end());
  }
  return result;
}

std::vector<const PenaltyTerm*> in_order(const std::vector<PenaltyTerm>& terms, Combination combination) {
  std::vector<const PenaltyTerm*> result;
  for (const PenaltyTerm& term : terms)
    if (!term.scalar && !term.takes_kinks && term.penalty->combination == combination)
      result.push_back(&term);
  if (result.size() < 2) return result;
  std::map<const PenaltyTerm*, double> size;
  for (const PenaltyTerm* term : result) {
    const TermGroups groups = groups_of(*term);
    size[term] =
        static_cast<double>(groups.group_of.size()) / static_cast<double>(std::max<int64_t>(groups.count, 1));
  }
  std::stable_sort(result.begin(), result.end(),
                   [&](const PenaltyTerm* a, const PenaltyTerm* b) { return size[a] < size[b]; });
  return result;
}

}  // namespace lariat
