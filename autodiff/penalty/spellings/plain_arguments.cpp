#include <algorithm>
#include <map>
#include <numeric>
#include <set>

#include "autodiff/penalty/linear_rows.hpp"
#include "autodiff/penalty/penalty_view.hpp"
#include "autodiff/penalty/spellings/spellings.hpp"
#include "autodiff/penalty/variations.hpp"
#include "ops/ops.hpp"

namespace lariat {

namespace {

Value constant(Graph& graph, const std::vector<double>& numbers, const Extents& extents, DType dtype) {
  const Tensor tensor = Tensor::of<double>(extents, std::span<const double>(numbers)).cast(dtype);
  return settled(graph.constant(tensor));
}

// Rows of one element each as a view: picked, scaled and shifted. Rows of none are constants.
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
  Graph& graph = like.graph();
  // Not settled, which makes one number of equal ones: there is one for each row.
  if (std::all_of(rows.begin(), rows.end(), [](const LinearRow& row) { return row.entries.empty(); }))
    return graph.constant(
        Tensor::of<double>(evaluate(shape, {}), std::span<const double>(shifts)).cast(like.dtype()));
  Value value = elements.gathered(which, like.dtype(), node_of(like).where);
  if (value.shape() != shape) value = reshape(here(value), shape);
  const auto all_are = [](const std::vector<double>& numbers, double number) {
    return std::all_of(numbers.begin(), numbers.end(), [&](double n) { return n == number; });
  };
  if (!all_are(factors, 1))
    value = here(value) * here(constant(graph, factors, evaluate(shape, {}), like.dtype()));
  if (!all_are(shifts, 0))
    value = here(value) + here(constant(graph, shifts, evaluate(shape, {}), like.dtype()));
  return value;
}

bool is_difference(const LinearRow& row) {
  return row.entries.size() == 2 && row.shift == 0 && row.entries[0].second == -row.entries[1].second;
}

// |rows| where each is a scaled difference of two elements, or of one element, and the
// differences form paths: neighbours, or those at a stride, which fall into one path for each remainder. The
// total variation along paths that do not meet is that of a row.
Value absolute_rows(const std::vector<LinearRow>& rows, const ParameterElements& elements, Value root,
                    bool across) {
  std::set<Pair> pairs;
  std::vector<LinearRow> single;
  for (const LinearRow& row : rows) {
    if (is_difference(row)) {
      const Pair pair(row.entries[0].first, row.entries[1].first);
      if (!across && !is_same(elements.find(pair.first).first, elements.find(pair.second).first)) return {};
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
Value with_equal_penalties_merged(Value loss, const std::vector<Value>& penalties) {
  EqualNodes equal(loss.graph());
  std::map<int32_t, Value> replaced;
  for (Value penalty : penalties) {
    const int32_t first = equal.first(penalty.node());
    if (first != penalty.node() && !node_of(penalty).op->penalty->scalar)
      replaced[penalty.node()] = {&loss.graph(), first};
  }
  return replaced.empty() ? loss : substitute(loss, replaced);
}

Value with_arguments_as_views(Value loss, const Dependence& depends, const std::vector<Value>& penalties) {
  Graph& graph = loss.graph();
  const ParameterElements elements(graph);
  std::map<int32_t, Value> replaced;
  std::map<int32_t, int> kinks_on;  // by parameter, once they are asked for
  // Differences of two parameters are a function of these alone, w - v, unless another kink is to be taken
  // in.
  const auto meets_others = [&](Value penalty) {
    if (kinks_on.empty())
      for (Value other : penalties)
        for (Value parameter : parameters_behind(input_of(other, 0))) ++kinks_on[parameter.node()];
    const std::vector<Value> own = parameters_behind(input_of(penalty, 0));
    return std::any_of(own.begin(), own.end(),
                       [&](Value parameter) { return kinks_on.at(parameter.node()) > 1; });
  };
  // A factor of what moves, as in |x|·x², is no penalty by itself, and the product may be smooth.
  const auto readers = users(graph);
  const auto is_factor = [&](Value penalty) {
    return std::any_of(readers[penalty.node()].begin(), readers[penalty.node()].end(), [&](int32_t reader) {
      const Node& node = graph.node(reader);
      return node.op->name == "multiply" &&
             std::all_of(node.inputs.begin(), node.inputs.end(),
                         [&](const Edge& edge) { return depends.varying[edge.node]; });
    });
  };
  for (Value penalty : penalties) {
    if (is_factor(penalty)) continue;
    const Value argument = input_of(penalty, 0);
    try {
      shown_parameters(argument, depends);
      continue;
    } catch (const NotAView& why) {
      if (why.code != "L102") continue;
    }
    if (!may_be_rows(argument, depends.on_parameters)) continue;
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
      if (const Value differences = absolute_rows(*rows, elements, penalty, meets_others(penalty)))
        replaced[penalty.node()] = differences;
    }
  }
  return replaced.empty() ? loss : substitute(loss, replaced);
}

}  // namespace

Value with_plain_arguments(Value loss) {
  std::vector<Value> penalties;
  const auto look = [&](Value at) {
    const Dependence depends = dependence(at, parameters_of(at.graph()));
    penalties = plain_penalties(at, depends);
    return depends;
  };
  // What is found of a loss is found once.
  const auto then = [&](Value next) {
    if (!is_same(next, loss)) look(loss = next);
  };
  const Dependence depends = look(loss);
  if (penalties.empty()) return loss;
  then(with_arguments_as_views(loss, depends, penalties));
  then(with_equal_penalties_merged(loss, penalties));
  return with_variations_merged(loss, penalties);
}

}  // namespace lariat
