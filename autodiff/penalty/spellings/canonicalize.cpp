#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "autodiff/gradient.hpp"
#include "autodiff/penalty/kink_sums.hpp"
#include "autodiff/penalty/loss_terms.hpp"
#include "autodiff/penalty/penalty.hpp"
#include "autodiff/penalty/penalty_view.hpp"
#include "autodiff/penalty/spellings/spellings.hpp"
#include "ops/kernels/axes.hpp"
#include "ops/ops.hpp"

namespace lariat {

namespace {

const Pattern x = Pattern::variable(0), y = Pattern::variable(1), z = Pattern::variable(2);

Pattern op(std::string name, std::vector<Pattern> inputs) {
  return Pattern::op(std::move(name), std::move(inputs));
}
Pattern absolute(Pattern of) { return op("abs", {of}); }

bool of_floats(const Match& match) { return is_float(match.root.dtype()); }

// What the other rules then need not know: signs are outside, so that equal values look equal.
std::vector<Rule> first_rules(Spellings&) {
  return {
      {"Σ|x| → sum of |x|", op("abs_penalty", {x}),
       [](const Match& match) { return sum(at(abs(at(match.variables[0], match.root)), match.root)); }},
      {"x·y + z → (x·y) + z", op("multiply_add", {x, y, z}), x * y + z},
      {"cast(x) → x", op("cast", {x}), x},
      {"-x·y → -(x·y)", (-x) * y, -(x * y)},
      {"-x / y → -(x / y)", (-x) / y, -(x / y)},
      {"x / -y → -(x / y)", x / (-y), -(x / y)},
      {"-(-x) → x", -(-x), x},
  };
}

std::vector<Rule> spellings_of_count() {
  const Pattern count = op("count_nonzero", {x}), is_zero = op("equal", {x, 0});
  return {{"1 - [x = 0] → [x ≠ 0]", 1 - is_zero, count, of_floats}};
}

// The axis of a slice that leaves out only its first (or last) element along it.
std::optional<int64_t> axis_without(Value slice, bool first) {
  const Attributes& attributes = node_of(slice).attributes;
  if (attributes.get<int64_t>("step") != 1) return std::nullopt;
  if (attributes.get<Shape>("before")[0] != Dim(first ? 1 : 0)) return std::nullopt;
  if (attributes.get<Shape>("after")[0] != Dim(first ? 0 : 1)) return std::nullopt;
  return checked_axis(attributes.get<int64_t>("axis"), slice.shape());
}

Value to_absolute_differences(const Match& match) {
  const Value difference = input_of(match.root, 0);
  const Value a = input_of(difference, 0), b = input_of(difference, 1);
  for (bool rising : {true, false}) {
    const auto later = axis_without(a, rising), earlier = axis_without(b, !rising);
    if (later && later == earlier && of_floats(match))
      return absolute_differences(at(match.variables[0], match.root), *later);
  }
  return {};
}

// ln(n + f|x|) = ln n + ln(1 + |x|f/n)
Value to_log_sum(const Match& match, std::optional<double> constant, Value scaled) {
  const std::optional<ScaledAbs> size = scaled_abs(scaled);
  if (!size || !constant || !(*constant > 0) || !std::isfinite(*constant)) return {};
  const Value result = log_sum(at(size->x, match.root), *constant / size->factor);
  return *constant == 1 ? result : at(result, match.root) + std::log(*constant);
}

std::vector<Rule> other_spellings() {
  return {
      {"|x[1:] - x[:-1]| → |Δx|", absolute(op("slice", {x}) - op("slice", {x})), to_absolute_differences},
      {"ln1p(f|x|) → log_sum(x)", op("log1p", {x}),
       [](const Match& match) { return to_log_sum(match, 1, match.variables[0]); }},
      {"ln(n + f|x|) → log_sum(x) + ln n", op("log", {x + y}),
       [](const Match& match) {
         const Value a = match.variables[0], b = match.variables[1];
         const Value result = to_log_sum(match, uniform_value(a), b);
         return result ? result : to_log_sum(match, uniform_value(b), a);
       }},
  };
}

// max(x, y) = y + relu(x − y) where nothing is trained in y: a kink at y.
Value to_kink_at_fixed(const Match& match, Spellings& spellings, bool is_maximum) {
  Value moving = match.variables[0], fixed = match.variables[1];
  const auto is_fixed = [&](Value value) { return spellings.functions.is_fixed(value.node()); };
  if (!of_floats(match)) return {};
  if (is_fixed(moving)) std::swap(moving, fixed);
  if (is_fixed(moving) || !is_fixed(fixed) || is_constant(fixed)) return {};
  const auto here = [&](Value value) { return at(value, match.root); };
  const Value above = relu(here(is_maximum ? here(moving) - here(fixed) : here(fixed) - here(moving)));
  return is_maximum ? here(fixed) + here(above) : here(fixed) - here(above);
}

std::vector<Rule> main_rules(Spellings& spellings) {
  const auto kinks = [&spellings](const Match& match) {
    return as_kinks(match.root, spellings.functions, spellings.signs, spellings.in_plain_term);
  };
  std::vector<Rule> all;
  for (std::vector<Rule> more :
       {power_rules(spellings), spellings_of_count(), norm_rules(spellings), other_spellings()})
    all.insert(all.end(), more.begin(), more.end());
  all.push_back({"piecewise linear functions → kinks", x, kinks});
  all.push_back({"max(x, y) → y + relu(x - y), y fixed", op("maximum", {x, y}),
                 [&spellings](const Match& match) { return to_kink_at_fixed(match, spellings, true); }});
  all.push_back({"min(x, y) → y - relu(y - x), y fixed", op("minimum", {x, y}),
                 [&spellings](const Match& match) { return to_kink_at_fixed(match, spellings, false); }});
  return all;
}

// What depends on inputs that are more than a scalar.
std::vector<bool> on_arrays(const Graph& graph) {
  std::vector<int32_t> inputs;
  for (int32_t id = 0; id < graph.size(); ++id)
    if (graph.node(id).op->traits.source == SourceKind::input && !graph.node(id).outputs[0].shape.empty())
      inputs.push_back(id);
  return dependents(graph, inputs);
}

// The loss once more in `to`, by rules for what no data enter.
Value respelled(Value loss, Graph& to, std::vector<Rule> (*rules)(Spellings&)) {
  const Graph& from = loss.graph();
  const std::vector<bool> on_data = on_arrays(from);
  const std::vector<bool> plain = in_plain_terms(loss, on_data);
  // What is compared, with 0 where it is itself a condition, keeps its rounding, on which the result hangs
  // where two spellings of a value meet.
  std::vector<bool> compared(from.size());
  for (int32_t id = from.size() - 1; id >= 0; --id) {
    const Node& node = from.node(id);
    if (is_comparison(node.op->name) || (compared[id] && ElementFunctions::looks_into(node.op->name)))
      for (const Edge& edge : node.inputs) compared[edge.node] = true;
    if (node.op->name == "select" && !is_comparison(from.node(node.inputs[0].node).op->name))
      compared[node.inputs[0].node] = true;
  }
  // What stands behind plain nodes is plain as well.
  Graph alike;  // which grows
  GraphCopy copy(from, alike);
  std::vector<int32_t> copied;
  for (int32_t id = 0; id < from.size(); ++id) {
    if (!plain[id]) continue;
    copy.copy(id);
    copied.push_back(id);
  }
  std::vector<bool> together(from.size());
  const std::vector<bool> parts = parts_of_smooth_functions(alike, std::vector<bool>(copied.size(), true));
  for (size_t i = 0; i < copied.size(); ++i)
    together[copied[i]] = parts[i] && from.node(copied[i]).op->traits.additive;
  Spellings spellings(to);
  return rewrite(from, to, rules(spellings), [&](int32_t id) {
    spellings.in_plain_term = plain[id];
    return !on_data[id] && !together[id] &&
           !(compared[id] && ElementFunctions::looks_into(from.node(id).op->name));
  })(loss);
}

// Which of its inputs a node passes on as parts of a sum, whatever the parameters are.
std::vector<bool> reads_as_parts(const Graph& graph, int32_t id, const std::vector<bool>& moves) {
  const Node& node = graph.node(id);
  const bool joins = joins_parameters(graph, id, moves);
  std::vector<bool> result(node.inputs.size());
  for (size_t i = 0; i < result.size(); ++i) result[i] = !joins && node.op->traits.is_linear(i);
  return result;
}

// Of |w| + |w|³, written with one node for |w|, the first is a penalty by itself: what other functions read
// is computed once more for each of them.
Value with_kinks_apart(Value loss, Graph& to) {
  const Graph& from = loss.graph();
  const std::vector<bool> plain = in_plain_terms(loss, on_arrays(from)), moves = on_parameters(from);
  // How nodes are read: as parts of the loss, or as arguments of what is one.
  std::vector<bool> is_part(from.size()), is_argument(from.size());
  is_part[loss.node()] = true;
  for (int32_t id = loss.node(); id >= 0; --id) {
    if (!is_part[id] && !is_argument[id]) continue;
    const std::vector<bool> parts = reads_as_parts(from, id, moves);
    for (size_t i = 0; i < parts.size(); ++i)
      (parts[i] && !is_argument[id] ? is_part : is_argument)[from.node(id).inputs[i].node] = true;
  }
  const auto is_apart = [&](int32_t id) {
    const Node& node = from.node(id);
    const bool has_kink = !node.op->kinks.empty() || (node.op->penalty && node.op->penalty->nonsmooth);
    return has_kink && plain[id] && moves[id] && is_part[id] && is_argument[id] && node.outputs.size() == 1;
  };
  bool any = false;
  for (int32_t id = 0; id < from.size() && !any; ++id) any = is_apart(id);
  if (!any) return loss;
  GraphCopy copy(from, to);
  for (int32_t id = 0; id < from.size(); ++id) {
    const std::vector<bool> parts = reads_as_parts(from, id, moves);
    std::map<int32_t, Value> of_the_sum;
    for (size_t i = 0; i < parts.size(); ++i) {
      const Edge edge = from.node(id).inputs[i];
      if ((parts[i] && !is_argument[id]) || !is_apart(edge.node) || of_the_sum.contains(edge.node)) continue;
      of_the_sum[edge.node] = copy(edge);
      copy.replace(edge.node, to.add_again(from, edge.node, copy.inputs(edge.node)));
    }
    copy.copy(id);
    for (const auto& [node, value] : of_the_sum) copy.replace(node, value);
  }
  return copy(loss);
}

// What a node adds to the sum of functions of each parameter's elements.
struct ElementTerm {
  size_t mixed;  // its number among the mixed kinks
  std::map<int32_t, ScalarTerm> by_parameter;
};
constexpr size_t not_mixed = SIZE_MAX;

// Whether numbers are known to be 0 or more: constants, or multiples of a number that is fed. `largest` is
// what they are sums of.
bool is_known_nonnegative(Value value, double largest) {
  if (const std::optional<Tensor> constant = constant_value(value)) {
    for (int64_t i = 0; i < constant->count(); ++i)
      if (constant->at(i) < 0 && !is_rounding(constant->at(i), largest)) return false;
    return true;
  }
  const std::optional<Coefficient> coefficient = coefficient_of(value);
  return coefficient && coefficient->number >= 0;
}

// The mixed kinks that bend some parameter's elements down where the sum of all terms bends down or may.
std::set<size_t> bending_down(const std::vector<ElementTerm>& terms, const std::set<size_t>& left_out) {
  std::map<int32_t, std::vector<std::pair<size_t, const ScalarTerm*>>> sums;
  for (const ElementTerm& term : terms)
    if (!left_out.contains(term.mixed))
      for (const auto& [parameter, own] : term.by_parameter) sums[parameter].emplace_back(term.mixed, &own);
  std::set<size_t> result;
  for (const auto& [parameter, own] : sums) {
    if (std::all_of(own.begin(), own.end(), [](const auto& term) { return term.first == not_mixed; }))
      continue;
    ScalarSum sum;
    for (const auto& [mixed, term] : own) sum.add(*term);
    KinkPlaces place_of;
    std::vector<double> largest(sum.sum().kinks.size());
    for (const ScalarTerm::Kink& kink : sum.sum().kinks) place_of(kink.at);
    for (const auto& [mixed, term] : own)
      for (const ScalarTerm::Kink& kink : term->kinks) {
        double& at_place = largest[place_of(kink.at)];
        at_place = std::max(at_place, largest_slope({&kink, 1}));
      }
    std::vector<bool> falls;
    for (size_t i = 0; i < largest.size(); ++i)
      falls.push_back(!is_known_nonnegative(bend_at(sum.sum().kinks[i]), largest[i]));
    for (const auto& [mixed, term] : own)
      for (const ScalarTerm::Kink& kink : term->kinks)
        if (mixed != not_mixed && falls[place_of(kink.at)] && !is_known_nonnegative(bend_at(kink), 0))
          result.insert(mixed);
  }
  return result;
}

// 2·Σ|w| + Σ||w| - 1| is convex though its second term alone is not: terms that bend down at some kinks,
// where the others bend up by as much, become sums of kinks of both signs.
Value with_mixed_kinks_as_sums(Value loss) {
  Graph& graph = loss.graph();
  std::vector<Value> parameters;
  for (int32_t id = 0; id < graph.size(); ++id)
    if (graph.node(id).op->traits.source == SourceKind::parameter) parameters.push_back({&graph, id});
  Dependence depends = dependence(loss, parameters);
  const Paths paths = paths_to(loss);
  std::vector<bool> is_term(graph.size());
  for (int32_t id = 0; id < graph.size(); ++id)
    is_term[id] = paths.reached[id] && paths.linear[id] && depends.on_trained[id] && !depends.on_data[id] &&
                  !depends.on_random[id];
  ElementFunctions functions(graph);
  std::vector<MixedKinks> all_mixed = mixed_kinks(graph, is_term, functions);
  if (all_mixed.empty()) return loss;
  const std::vector<bool> parts = parts_of_smooth_functions(graph, in_plain_terms(loss, depends.on_data));
  std::erase_if(all_mixed, [&](const MixedKinks& mixed) { return parts[mixed.node.node()]; });

  std::vector<Value> nodes;
  for (const MixedKinks& mixed : all_mixed) {
    nodes.push_back(mixed.node);
    is_term[mixed.node.node()] = false;
  }
  for (size_t id = 0; id < is_term.size(); ++id) {
    const Value node(&graph, static_cast<int32_t>(id));
    const auto& penalty = graph.node(node.node()).op->penalty;
    if (is_term[id] && penalty && penalty->scalar) nodes.push_back(node);
  }
  const std::vector<Value> adjoints = gradient(loss, nodes, nodes);
  extend(depends, graph);
  std::vector<ElementTerm> terms;
  std::set<size_t> left_out;
  for (size_t i = 0; i < nodes.size(); ++i) {
    const bool is_mixed = i < all_mixed.size();
    const int32_t weight = adjoints[i].node();
    try {
      if (depends.on_random[weight] || depends.varying[weight] || depends.on_data[weight]) throw NotAView{};
      const Node& node = graph.node(nodes[i].node());
      Value argument = is_mixed ? all_mixed[i].of : graph.value(node.inputs[0]), adjoint = adjoints[i];
      if (argument.shape() != nodes[i].shape() && is_mixed)
        argument = broadcast_to(argument, nodes[i].shape());
      if (adjoint.shape() != argument.shape()) adjoint = broadcast_to(adjoint, argument.shape());
      extend(depends, graph);
      const ScalarTerm term = is_mixed ? scalar_term(all_mixed[i], adjoint)
                                       : scalar_term(node.op->penalty->scalar(node.attributes), adjoint);
      terms.push_back({is_mixed ? i : not_mixed, carry_to_parameters(argument, term, depends)});
    } catch (const NotAView&) {
      if (is_mixed) left_out.insert(i);
    }
  }
  for (std::set<size_t> more; !(more = bending_down(terms, left_out)).empty();)
    left_out.insert(more.begin(), more.end());
  std::map<int32_t, Value> sums;
  for (size_t i = 0; i < all_mixed.size(); ++i)
    if (!left_out.contains(i)) sums[all_mixed[i].node.node()] = as_signed_sum(all_mixed[i]);
  return sums.empty() ? loss : substitute(loss, sums);
}

}  // namespace

Value canonicalize_penalties(Value loss, Graph& to) {
  Graph apart;
  loss = with_kinks_apart(loss, apart);
  Graph prepared;
  Spellings spellings(prepared);
  const bool needs_first = may_apply(first_rules(spellings), loss.graph());
  const Value first = needs_first ? respelled(loss, prepared, first_rules) : loss;
  return with_mixed_kinks_as_sums(with_plain_arguments(respelled(first, to, main_rules)));
}

}  // namespace lariat
