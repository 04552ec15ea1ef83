#include <algorithm>
#include <map>
#include <numeric>
#include <set>

#include "autodiff/gradient.hpp"
#include "autodiff/penalty/linear_rows.hpp"
#include "autodiff/penalty/loss_terms.hpp"
#include "autodiff/penalty/penalty_view.hpp"
#include "autodiff/penalty/spellings.hpp"
#include "ops/kernels/axes.hpp"
#include "ops/ops.hpp"

namespace lariat {

namespace {

std::vector<Value> parameters_of(Graph& graph) {
  std::vector<Value> result;
  for (int32_t id = 0; id < graph.size(); ++id)
    if (graph.node(id).op->traits.source == SourceKind::parameter) result.push_back({&graph, id});
  return result;
}

// The kinked penalties of parameters alone that the loss adds up.
std::vector<Value> plain_penalties(Value loss) {
  Graph& graph = loss.graph();
  const Dependence depends = dependence(loss, parameters_of(graph));
  const Paths paths = paths_to(loss);
  std::vector<Value> result;
  for (int32_t id = 0; id <= loss.node(); ++id) {
    const auto& penalty = graph.node(id).op->penalty;
    if (penalty && penalty->nonsmooth && paths.reached[id] && paths.linear[id] && !depends.on_data[id] &&
        !depends.on_random[id] && depends.on_trained[id])
      result.push_back({&graph, id});
  }
  return result;
}

Value constant(Graph& graph, const std::vector<double>& numbers, const Extents& extents, DType dtype) {
  const Tensor tensor = Tensor::of<double>(extents, std::span<const double>(numbers)).cast(dtype);
  return settled(graph.constant(tensor));
}

Value indices(Graph& graph, const std::vector<int64_t>& numbers) {
  Tensor tensor(i32, {static_cast<int64_t>(numbers.size())});
  for (size_t i = 0; i < numbers.size(); ++i) tensor.data<int32_t>()[i] = static_cast<int32_t>(numbers[i]);
  return graph.constant(tensor);
}

// Rows of one element each as a view: picked, scaled and shifted.
Value picked(const std::vector<LinearRow>& rows, const ParameterElements& elements, Value like, Shape shape) {
  const auto here = [&](Value value) { return at(value, like); };
  std::vector<int64_t> which;
  std::vector<double> factors, shifts;
  int64_t any = 0;
  for (const LinearRow& row : rows)
    if (!row.entries.empty()) any = row.entries[0].first;
  for (const LinearRow& row : rows) {
    which.push_back(row.entries.empty() ? any : row.entries[0].first);
    factors.push_back(row.entries.empty() ? 0 : row.entries[0].second);
    shifts.push_back(row.shift);
  }
  Value value = elements.gathered(which, like.dtype(), node_of(like).where);
  if (value.shape() != shape) value = reshape(here(value), shape);
  const auto all_are = [](const std::vector<double>& numbers, double number) {
    return std::all_of(numbers.begin(), numbers.end(), [&](double n) { return n == number; });
  };
  Graph& graph = like.graph();
  if (!all_are(factors, 1))
    value = here(value) * here(constant(graph, factors, evaluate(shape, {}), like.dtype()));
  if (!all_are(shifts, 0))
    value = here(value) + here(constant(graph, shifts, evaluate(shape, {}), like.dtype()));
  return value;
}

// |differences| between elements, as one total variation.
using Pair = std::pair<int64_t, int64_t>;  // the smaller number first
struct Variation {
  Value differences;  // in a row
  std::map<Pair, int64_t> places;
};

// All neighbours along one axis of one parameter.
std::optional<Variation> along_axis(const std::set<Pair>& pairs, const ParameterElements& elements,
                                    DType dtype, std::source_location where) {
  const Value parameter = elements.find(pairs.begin()->first).first;
  const Extents extents = evaluate(parameter.shape(), {});
  for (size_t axis = 0; axis < extents.size(); ++axis) {
    const AxisBlocks blocks = blocks_around(extents, static_cast<int64_t>(axis));
    if (static_cast<int64_t>(pairs.size()) != blocks.outer * (blocks.extent - 1) * blocks.inner) continue;
    Variation result;
    for (const Pair& pair : pairs) {
      const auto [first, a] = elements.find(pair.first);
      const auto [second, b] = elements.find(pair.second);
      const int64_t along = a / blocks.inner % blocks.extent, outer = a / blocks.inner / blocks.extent;
      if (!is_same(first, parameter) || !is_same(second, parameter) || b - a != blocks.inner ||
          along + 1 == blocks.extent)
        break;
      result.places[pair] = (outer * (blocks.extent - 1) + along) * blocks.inner + a % blocks.inner;
    }
    if (result.places.size() != pairs.size()) continue;
    const Value of = parameter.dtype() == dtype ? parameter : cast(Operand(parameter, where), dtype);
    const Value found = absolute_differences(Operand(of, where), static_cast<int64_t>(axis));
    result.differences = found.rank() == 1 ? found : reshape(Operand(found, where), {-1});
    return result;
  }
  return std::nullopt;
}

// Pairs that form paths, one behind the other: between two of them lies a difference of no weight.
std::optional<Variation> along_paths(const std::set<Pair>& pairs, const ParameterElements& elements,
                                     DType dtype, std::source_location where) {
  std::map<int64_t, std::vector<int64_t>> neighbours;
  for (const auto& [a, b] : pairs) neighbours[a].push_back(b), neighbours[b].push_back(a);
  std::vector<int64_t> order;
  std::set<int64_t> seen;
  for (const auto& [start, next] : neighbours) {
    if (next.size() > 2) return std::nullopt;
    if (next.size() != 1 || seen.contains(start)) continue;
    for (int64_t at = start; at >= 0;) {
      order.push_back(at);
      seen.insert(at);
      const std::vector<int64_t>& around = neighbours.at(at);
      const auto onward =
          std::find_if(around.begin(), around.end(), [&](int64_t other) { return !seen.contains(other); });
      at = onward == around.end() ? -1 : *onward;
    }
  }
  if (order.size() != neighbours.size()) return std::nullopt;  // a ring has no end to start from
  Variation result;
  for (size_t i = 0; i + 1 < order.size(); ++i) {
    const Pair pair = std::minmax(order[i], order[i + 1]);
    if (pairs.contains(pair)) result.places[pair] = static_cast<int64_t>(i);
  }
  result.differences = absolute_differences(Operand(elements.gathered(order, dtype, where), where), 0);
  return result;
}

std::optional<Variation> variation_of(const std::set<Pair>& pairs, const ParameterElements& elements,
                                      DType dtype, std::source_location where) {
  if (pairs.empty()) return std::nullopt;
  std::optional<Variation> result = along_axis(pairs, elements, dtype, where);
  return result ? result : along_paths(pairs, elements, dtype, where);
}

bool is_difference(const LinearRow& row) {
  return row.entries.size() == 2 && row.shift == 0 && row.entries[0].second == -row.entries[1].second;
}

// Whether two elements are next to each other along an axis of one parameter.
bool are_neighbours(const Pair& pair, const ParameterElements& elements) {
  const auto [first, a] = elements.find(pair.first);
  const auto [second, b] = elements.find(pair.second);
  const Extents extents = evaluate(first.shape(), {});
  for (size_t axis = 0; is_same(first, second) && axis < extents.size(); ++axis) {
    const AxisBlocks blocks = blocks_around(extents, static_cast<int64_t>(axis));
    if (b - a == blocks.inner && a / blocks.inner % blocks.extent + 1 < blocks.extent) return true;
  }
  return false;
}

// |rows| where each is a scaled difference of two neighbours, or of one element.
Value absolute_rows(const std::vector<LinearRow>& rows, const ParameterElements& elements, Value root) {
  std::set<Pair> pairs;
  std::vector<LinearRow> single;
  for (const LinearRow& row : rows) {
    if (is_difference(row)) {
      const Pair pair(row.entries[0].first, row.entries[1].first);
      if (!are_neighbours(pair, elements)) return {};
      pairs.insert(pair);
    } else if (row.entries.size() <= 1) {
      single.push_back(row);
    } else {
      return {};
    }
  }
  const auto here = [&](Value value) { return at(value, root); };
  const std::optional<Variation> variation = variation_of(pairs, elements, root.dtype(), node_of(root).where);
  if (!variation) return {};
  Graph& graph = root.graph();
  Value all = variation->differences;
  const int64_t differences = element_count(all.shape()).size();
  if (!single.empty())
    all = concat({all, abs(here(picked(single, elements, root, {static_cast<int64_t>(single.size())})))}, 0,
                 node_of(root).where);
  std::vector<int64_t> places;
  std::vector<double> factors;
  int64_t next = differences;
  for (const LinearRow& row : rows) {
    const bool is_pair = is_difference(row);
    places.push_back(is_pair ? variation->places.at({row.entries[0].first, row.entries[1].first}) : next++);
    factors.push_back(is_pair ? std::abs(row.entries[0].second) : 1);
  }
  std::vector<int64_t> in_order(places.size());
  std::iota(in_order.begin(), in_order.end(), 0);
  if (places != in_order || element_count(all.shape()) != Dim(static_cast<int64_t>(places.size())))
    all = gather_rows(here(all), here(indices(graph, places)));
  const Value factor = constant(graph, factors, {static_cast<int64_t>(factors.size())}, root.dtype());
  if (uniform_value(factor) != 1.0) all = here(all) * here(factor);
  return all.shape() == root.shape() ? all : reshape(here(all), root.shape());
}

// Structured penalties of the same argument are one node, so that their coefficients add up.
Value with_equal_penalties_merged(Value loss) {
  EqualNodes equal(loss.graph());
  std::map<int32_t, Value> replaced;
  for (Value penalty : plain_penalties(loss)) {
    const int32_t first = equal.first(penalty.node());
    if (first != penalty.node() && !node_of(penalty).op->penalty->scalar)
      replaced[penalty.node()] = {&loss.graph(), first};
  }
  return replaced.empty() ? loss : substitute(loss, replaced);
}

Value with_arguments_as_views(Value loss) {
  Graph& graph = loss.graph();
  const Dependence depends = dependence(loss, parameters_of(graph));
  const ParameterElements elements(graph);
  std::map<int32_t, Value> replaced;
  for (Value penalty : plain_penalties(loss)) {
    const Value argument = input_of(penalty, 0);
    try {
      shown_parameters(argument, depends, parameters_of(graph));
      continue;
    } catch (const NotAView& why) {
      if (why.code != "L102") continue;
    }
    const auto rows = elements.rows_of(argument);
    if (!rows) continue;
    const bool shows =
        std::all_of(rows->begin(), rows->end(), [](const LinearRow& row) { return row.entries.size() <= 1; });
    const bool some =
        std::any_of(rows->begin(), rows->end(), [](const LinearRow& row) { return !row.entries.empty(); });
    if (shows && some) {
      const Attributes attributes = node_of(penalty).attributes;
      const Value view = picked(*rows, elements, argument, argument.shape());
      replaced[penalty.node()] = build(node_of(penalty).op->name, {at(view, penalty)}, attributes);
    } else if (is_op(penalty, "abs")) {
      if (const Value differences = absolute_rows(*rows, elements, penalty))
        replaced[penalty.node()] = differences;
    }
  }
  return replaced.empty() ? loss : substitute(loss, replaced);
}

// A total variation node by the pairs of elements it is over: for each of its differences a place in `pairs`,
// or -1 where it is always 0.
struct Differences {
  Value node, weight;
  std::vector<Pair> pairs;
  std::vector<int64_t> which;
  std::vector<double> factors;
};

std::optional<Differences> differences_of(Value node, const ParameterElements& elements) {
  const Value argument = input_of(node, 0);
  const auto rows = elements.rows_of(argument);
  if (!rows) return std::nullopt;
  const AxisBlocks blocks =
      blocks_around(evaluate(argument.shape(), {}), node_of(node).attributes.get<int64_t>("axis"));
  Differences result{node, {}, {}, {}, {}};
  for (int64_t outer = 0; outer < blocks.outer; ++outer)
    for (int64_t i = 0; i + 1 < blocks.extent; ++i)
      for (int64_t inner = 0; inner < blocks.inner; ++inner) {
        const auto place = static_cast<size_t>((outer * blocks.extent + i) * blocks.inner + inner);
        const LinearRow &a = (*rows)[place], &b = (*rows)[place + static_cast<size_t>(blocks.inner)];
        if (a.entries.size() != 1 || b.entries.size() != 1 || a.shift != b.shift ||
            a.entries[0].second != b.entries[0].second)
          return std::nullopt;
        const int64_t first = a.entries[0].first, second = b.entries[0].first;
        result.which.push_back(first == second ? -1 : static_cast<int64_t>(result.pairs.size()));
        result.factors.push_back(std::abs(a.entries[0].second));
        if (first != second) result.pairs.push_back(std::minmax(first, second));
      }
  return result;
}

// Sets of nodes that share elements, each with two nodes at least.
std::vector<std::vector<size_t>> sharing(const std::vector<Differences>& all) {
  std::vector<size_t> set(all.size());
  std::iota(set.begin(), set.end(), 0);
  const auto root = [&](size_t i) {
    while (set[i] != i) i = set[i];
    return i;
  };
  std::map<int64_t, size_t> owner;
  for (size_t i = 0; i < all.size(); ++i)
    for (const auto& [a, b] : all[i].pairs)
      for (int64_t element : {a, b}) {
        const auto [known, fresh] = owner.emplace(element, i);
        if (!fresh) set[root(i)] = root(known->second);
      }
  std::map<size_t, std::vector<size_t>> groups;
  for (size_t i = 0; i < all.size(); ++i) groups[root(i)].push_back(i);
  std::vector<std::vector<size_t>> result;
  for (auto& [first, members] : groups)
    if (members.size() > 1) result.push_back(std::move(members));
  return result;
}

// Σ weight·differences of several nodes as that of one.
Value merged(const std::vector<const Differences*>& members, const ParameterElements& elements) {
  std::set<Pair> pairs;
  for (const Differences* member : members) pairs.insert(member->pairs.begin(), member->pairs.end());
  const Value first = members.front()->node;
  const auto variation = variation_of(pairs, elements, first.dtype(), node_of(first).where);
  if (!variation) return {};
  Graph& graph = first.graph();
  const auto here = [&](Value value) { return at(value, first); };
  std::vector<Value> weights;
  std::vector<int64_t> places;
  for (const Differences* member : members) {
    Value weight = member->weight;
    if (weight.shape() != member->node.shape()) weight = broadcast_to(here(weight), member->node.shape());
    weight =
        here(weight) *
        here(reshape(here(graph.constant(Tensor::of<double>({static_cast<int64_t>(member->factors.size())},
                                                            std::span<const double>(member->factors))
                                             .cast(first.dtype()))),
                     member->node.shape()));
    weights.push_back(reshape(here(cast(here(weight), first.dtype())), {-1}));
    // Differences that are always 0 add to a place behind the others.
    for (int64_t which : member->which)
      places.push_back(which < 0 ? element_count(variation->differences.shape()).size()
                                 : variation->places.at(member->pairs[static_cast<size_t>(which)]));
  }
  const int64_t count = element_count(variation->differences.shape()).size();
  const Value all = scatter_add_rows(here(concat(weights, 0, node_of(first).where)),
                                     here(indices(graph, places)), Dim(count + 1));
  return sum(here(here(slice(here(all), 0, 0, count)) * here(variation->differences)));
}

Value with_variations_merged(Value loss) {
  Graph& graph = loss.graph();
  const ParameterElements elements(graph);
  std::vector<Differences> all;
  std::vector<Value> nodes;
  for (Value penalty : plain_penalties(loss)) {
    if (!is_op(penalty, "absolute_differences")) continue;
    if (auto found = differences_of(penalty, elements)) {
      all.push_back(std::move(*found));
      nodes.push_back(penalty);
    }
  }
  if (sharing(all).empty()) return loss;
  const std::vector<Value> adjoints = gradient(loss, nodes, nodes);
  const Dependence depends = dependence(loss, parameters_of(graph));
  std::vector<Differences> usable;
  for (size_t i = 0; i < all.size(); ++i) {
    const int32_t adjoint = adjoints[i].node();
    if (depends.varying[adjoint] || depends.on_trained[adjoint] || depends.on_data[adjoint] ||
        depends.on_random[adjoint])
      continue;
    all[i].weight = settled(adjoints[i]);
    usable.push_back(std::move(all[i]));
  }
  std::map<int32_t, Value> replaced;
  std::vector<Value> terms;
  for (const std::vector<size_t>& group : sharing(usable)) {
    std::vector<const Differences*> members;
    for (size_t i : group) members.push_back(&usable[i]);
    const Value term = merged(members, elements);
    if (!term) continue;
    terms.push_back(term);
    for (const Differences* member : members)
      replaced[member->node.node()] =
          graph.constant(Tensor(member->node.dtype(), evaluate(member->node.shape(), {})));
  }
  if (terms.empty()) return loss;
  Value result = substitute(loss, replaced);
  for (Value term : terms)
    result =
        at(result, loss) + at(term.dtype() == loss.dtype() ? term : cast(at(term, loss), loss.dtype()), loss);
  return result;
}

}  // namespace

Value with_plain_arguments(Value loss) {
  return with_variations_merged(with_equal_penalties_merged(with_arguments_as_views(loss)));
}

}  // namespace lariat
