#include "autodiff/penalty/variations.hpp"

#include <algorithm>

#include "autodiff/gradient.hpp"
#include "autodiff/penalty/loss_terms.hpp"
#include "autodiff/penalty/penalty_view.hpp"
#include "ops/kernels/axes.hpp"
#include "ops/ops.hpp"

namespace lariat {

std::vector<Value> parameters_of(Graph& graph) {
  std::vector<Value> result;
  for (int32_t id = 0; id < graph.size(); ++id)
    if (graph.node(id).op->traits.source == SourceKind::parameter) result.push_back({&graph, id});
  return result;
}

std::vector<Value> plain_penalties(Value loss, const Dependence& depends) {
  Graph& graph = loss.graph();
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

Value indices(Graph& graph, const std::vector<int64_t>& numbers) {
  Tensor tensor(i32, {static_cast<int64_t>(numbers.size())});
  for (size_t i = 0; i < numbers.size(); ++i) tensor.data<int32_t>()[i] = static_cast<int32_t>(numbers[i]);
  return graph.constant(tensor);
}

std::vector<bool> always_zero(Value value) {
  Graph& graph = value.graph();
  std::vector<bool> result(static_cast<size_t>(element_count(value.shape()).size()), true);
  for (double number : {1.0, 2.0}) {
    std::map<int32_t, Value> replaced;
    for (int32_t id : nodes_behind(value)) {
      const Node& node = graph.node(id);
      const SourceKind kind = node.op->traits.source;
      if (kind == SourceKind::none || kind == SourceKind::constant) continue;
      const TensorType type = node.outputs[0];
      if (!is_known(type.shape) || !is_float(type.dtype)) return std::vector<bool>(result.size());
      replaced[id] = graph.constant(Tensor::filled(type.dtype, evaluate(type.shape, {}), number));
    }
    const std::optional<Tensor> at = constant_value(replaced.empty() ? value : substitute(value, replaced));
    if (!at) return std::vector<bool>(result.size());
    for (size_t i = 0; i < result.size(); ++i)
      result[i] = result[i] && at->at(at->count() == 1 ? 0 : static_cast<int64_t>(i)) == 0;
    if (replaced.empty()) break;
  }
  return result;
}

namespace {

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

// The paths that pairs form, each from one of its ends; nothing where they branch or close.
std::optional<std::vector<std::vector<int64_t>>> paths_of(const std::set<Pair>& pairs) {
  std::map<int64_t, std::vector<int64_t>> neighbours;
  for (const auto& [a, b] : pairs) neighbours[a].push_back(b), neighbours[b].push_back(a);
  std::vector<std::vector<int64_t>> paths;
  std::set<int64_t> seen;
  for (const auto& [start, next] : neighbours) {
    if (next.size() > 2) return std::nullopt;
    if (next.size() != 1 || seen.contains(start)) continue;
    paths.emplace_back();
    for (int64_t at = start; at >= 0;) {
      paths.back().push_back(at);
      seen.insert(at);
      const std::vector<int64_t>& around = neighbours.at(at);
      const auto onward =
          std::find_if(around.begin(), around.end(), [&](int64_t other) { return !seen.contains(other); });
      at = onward == around.end() ? -1 : *onward;
    }
  }
  return seen.size() == neighbours.size() ? std::optional(paths) : std::nullopt;  // a ring has no end
}

// Paths of one length are the rows of a matrix. Others lie one behind the other: between two of them is a
// difference of no weight.
std::optional<Variation> along_paths(const std::set<Pair>& pairs, const ParameterElements& elements,
                                     DType dtype, std::source_location where) {
  const auto paths = paths_of(pairs);
  if (!paths) return std::nullopt;
  const size_t length = paths->front().size();
  const bool same_length =
      std::all_of(paths->begin(), paths->end(), [&](const auto& path) { return path.size() == length; });
  Variation result;
  std::vector<int64_t> order;
  for (const std::vector<int64_t>& path : *paths) {
    const size_t begin = same_length ? order.size() / length * (length - 1) : order.size();
    for (size_t i = 0; i + 1 < path.size(); ++i)
      result.places[std::minmax(path[i], path[i + 1])] = static_cast<int64_t>(begin + i);
    order.insert(order.end(), path.begin(), path.end());
  }
  const auto here = [&](Value value) { return Operand(value, where); };
  const Value row = elements.gathered(order, dtype, where);
  result.differences =
      same_length && paths->size() > 1
          ? reshape(here(absolute_differences(
                        here(reshape(here(row), {static_cast<int64_t>(paths->size()), -1})), 1)),
                    {-1})
          : absolute_differences(here(row), 0);
  return result;
}

}  // namespace

std::optional<Variation> variation_of(const std::set<Pair>& pairs, const ParameterElements& elements,
                                      DType dtype, std::source_location where) {
  if (pairs.empty()) return std::nullopt;
  std::optional<Variation> result = along_axis(pairs, elements, dtype, where);
  return result ? result : along_paths(pairs, elements, dtype, where);
}

namespace {

// A total variation node by the pairs of elements it is over: for each of its differences a place in `pairs`,
// or -1 where it is always 0.
struct Differences {
  Value node, weight;
  std::set<int32_t> parameters;
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
  Differences result{node, {}, {}, {}, {}, {}};
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
        for (int64_t element : {first, second}) result.parameters.insert(elements.find(element).first.node());
      }
  return result;
}

// Leaves out the differences of no weight, which tie nothing together.
void drop_weightless(Differences& differences) {
  if (differences.weight.shape() != differences.node.shape()) return;
  const std::vector<bool> weightless = always_zero(differences.weight);
  std::vector<Pair> pairs;
  for (size_t i = 0; i < differences.which.size(); ++i) {
    int64_t& which = differences.which[i];
    if (which < 0) continue;
    const Pair pair = differences.pairs[static_cast<size_t>(which)];
    which = weightless[i] ? -1 : static_cast<int64_t>(pairs.size());
    if (!weightless[i]) pairs.push_back(pair);
  }
  differences.pairs = std::move(pairs);
}

// Pairs that form paths so far.
class Chains {
 public:
  // Takes in all of the pairs, or none where paths would branch or close.
  bool add(const std::vector<Pair>& pairs) {
    std::vector<Pair> taken;
    for (const Pair& pair : pairs) {
      if (pairs_.contains(pair)) continue;
      if (ends_of(pair.first) && ends_of(pair.second) && other_end_[pair.first] != pair.second) {
        join(pair);
        taken.push_back(pair);
        continue;
      }
      // Joined last, parted first.
      for (auto undone = taken.rbegin(); undone != taken.rend(); ++undone) part(*undone);
      return false;
    }
    return true;
  }
  bool meets(const std::vector<Pair>& pairs) const {
    return std::any_of(pairs.begin(), pairs.end(),
                       [&](const Pair& pair) { return degree(pair.first) > 0 || degree(pair.second) > 0; });
  }

 private:
  int degree(int64_t element) const {
    const auto found = degree_.find(element);
    return found == degree_.end() ? 0 : found->second;
  }
  bool ends_of(int64_t element) {
    if (degree(element) == 0) other_end_[element] = element;
    return degree(element) < 2;
  }
  // The other ends of paths are known at their ends only; what is left behind within is as it was before.
  void join(const Pair& pair) {
    const int64_t a = other_end_.at(pair.first), b = other_end_.at(pair.second);
    other_end_[a] = b, other_end_[b] = a;
    ++degree_[pair.first], ++degree_[pair.second];
    pairs_.insert(pair);
    before_.emplace_back(a, b);
  }
  void part(const Pair& pair) {
    const auto [a, b] = before_.back();
    before_.pop_back();
    pairs_.erase(pair);
    --degree_[pair.first], --degree_[pair.second];
    other_end_[a] = pair.first, other_end_[pair.first] = a;
    other_end_[b] = pair.second, other_end_[pair.second] = b;
  }

  std::set<Pair> pairs_;
  std::map<int64_t, int> degree_;
  std::map<int64_t, int64_t> other_end_;
  std::vector<std::pair<int64_t, int64_t>> before_;
};

// Each node goes with the first of the same parameters, or elements, with which it forms paths.
std::vector<std::vector<const Differences*>> chained(const std::vector<Differences>& all) {
  struct Group {
    std::vector<const Differences*> members;
    Chains chains;
  };
  std::vector<Group> groups;
  std::map<int32_t, std::set<size_t>> of_parameter;  // those that hold elements of it
  for (const Differences& one : all) {
    std::set<size_t> candidates;
    for (int32_t parameter : one.parameters)
      candidates.insert(of_parameter[parameter].begin(), of_parameter[parameter].end());
    const auto fits = [&](size_t candidate) {
      Group& group = groups[candidate];
      const bool related =
          group.members.front()->parameters == one.parameters || group.chains.meets(one.pairs);
      return related && group.chains.add(one.pairs);
    };
    const auto found = std::find_if(candidates.begin(), candidates.end(), fits);
    const size_t at = found == candidates.end() ? groups.size() : *found;
    if (found == candidates.end()) {
      Group alone{{}, {}};
      if (!alone.chains.add(one.pairs)) continue;
      groups.push_back(std::move(alone));
    }
    groups[at].members.push_back(&one);
    for (int32_t parameter : one.parameters) of_parameter[parameter].insert(at);
  }
  std::vector<std::vector<const Differences*>> result;
  for (Group& group : groups)
    if (group.members.size() > 1) result.push_back(std::move(group.members));
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

}  // namespace

Value with_variations_merged(Value loss, const std::vector<Value>& penalties) {
  Graph& graph = loss.graph();
  const auto varies = [](Value penalty) { return is_op(penalty, "absolute_differences"); };
  if (std::none_of(penalties.begin(), penalties.end(), varies)) return loss;
  const ParameterElements elements(graph);
  std::vector<Differences> all;
  std::vector<Value> nodes;
  for (Value penalty : penalties) {
    if (!varies(penalty)) continue;
    if (auto found = differences_of(penalty, elements)) {
      all.push_back(std::move(*found));
      nodes.push_back(penalty);
    }
  }
  if (all.size() < 2) return loss;
  const std::vector<Value> adjoints = gradient(loss, nodes, nodes);
  const Dependence depends = dependence(loss, parameters_of(graph));
  std::vector<Differences> usable;
  for (size_t i = 0; i < all.size(); ++i) {
    const int32_t adjoint = adjoints[i].node();
    if (depends.varying[adjoint] || depends.on_trained[adjoint] || depends.on_data[adjoint] ||
        depends.on_random[adjoint])
      continue;
    all[i].weight = settled(adjoints[i]);
    drop_weightless(all[i]);
    usable.push_back(std::move(all[i]));
  }
  std::map<int32_t, Value> replaced;
  std::vector<Value> terms;
  for (const std::vector<const Differences*>& members : chained(usable)) {
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

}  // namespace lariat
