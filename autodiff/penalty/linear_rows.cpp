#include "autodiff/penalty/linear_rows.hpp"

#include <algorithm>
#include <map>
#include <numeric>
#include <set>
#include <string_view>
#include <unordered_set>

#include "autodiff/penalty/penalty_view.hpp"
#include "graph/exec/constants.hpp"
#include "graph/ir/op_def.hpp"
#include "graph/program/program.hpp"
#include "ops/kernels/axes.hpp"
#include "ops/ops.hpp"

namespace lariat {

namespace {

constexpr int64_t most_entries = int64_t{1} << 22;

using Rows = std::vector<LinearRow>;

// to + factor·row.
void add(LinearRow& to, double factor, const LinearRow& row) {
  to.shift += factor * row.shift;
  if (factor == 0 || row.entries.empty()) return;
  if (to.entries.empty() || to.entries.back().first < row.entries.front().first) {
    for (const auto& [element, value] : row.entries)
      if (factor * value != 0) to.entries.emplace_back(element, factor * value);
    return;
  }
  std::vector<std::pair<int64_t, double>> sum;
  auto a = to.entries.begin();
  for (const auto& [element, value] : row.entries) {
    while (a != to.entries.end() && a->first < element) sum.push_back(*a++);
    double total = factor * value;
    if (a != to.entries.end() && a->first == element) total += a++->second;
    if (total != 0) sum.emplace_back(element, total);
  }
  sum.insert(sum.end(), a, to.entries.end());
  to.entries = std::move(sum);
}

// Where each element of a result of `to` is read from, of an operand of `from`, which broadcasts to it.
std::vector<int64_t> broadcast_places(const Extents& from, const Extents& to) {
  std::vector<int64_t> places(static_cast<size_t>(element_count(to)));
  for (size_t i = 0; i < places.size(); ++i) {
    int64_t rest = static_cast<int64_t>(i), stride = 1;
    for (size_t back = 1; back <= from.size(); ++back) {
      const int64_t extent = from[from.size() - back], at = rest % to[to.size() - back];
      rest /= to[to.size() - back];
      places[i] += (extent == 1 ? 0 : at) * stride;
      stride *= extent;
    }
  }
  return places;
}

// Whether the elements of a result may be sums of its inputs' elements.
bool may_add_elements(const OpDef& op) {
  static const std::set<std::string_view> others{"cast",   "add", "subtract", "negate", "multiply",
                                                 "divide", "sum", "mean",     "matmul"};
  return op.traits.selection || others.contains(op.name);
}

class Reader {
 public:
  Reader(Graph& graph, const std::map<int32_t, int64_t>& starts) : graph_(graph), starts_(starts) {}

  std::optional<Rows> read(Value value) {
    const Edge root{value.node(), value.output()};
    const std::vector<int32_t> nodes = nodes_behind(value);
    for (int32_t id : nodes) {
      const Node& node = graph_.node(id);
      const bool moves = !node.op->traits.shape_only &&
                         std::any_of(node.inputs.begin(), node.inputs.end(),
                                     [&](const Edge& edge) { return moves_.contains(edge.node); });
      if (moves || starts_.contains(id)) moves_.insert(id);
    }
    for (int32_t id : nodes) {
      if (!moves_.contains(id)) continue;
      for (const TensorType& type : graph_.node(id).outputs)
        if (!is_known(type.shape)) return std::nullopt;
      if (!add_node(id)) return std::nullopt;
    }
    const auto found = rows_.find({root.node, root.output});
    return found == rows_.end() ? std::nullopt : std::optional(found->second);
  }

 private:
  Extents extents(const Edge& edge) const { return evaluate(graph_.type(edge).shape, {}); }

  // The rows of an operand, which may be a constant.
  std::optional<Rows> rows(const Edge& edge) {
    if (moves_.contains(edge.node)) return rows_.at({edge.node, edge.output});
    const auto tensor = constant_value(graph_.value(edge));
    if (!tensor) return std::nullopt;
    Rows result(static_cast<size_t>(tensor->count()));
    for (size_t i = 0; i < result.size(); ++i) result[i].shift = tensor->at(static_cast<int64_t>(i));
    return result;
  }

  bool add_node(int32_t id) {
    const Node& node = graph_.node(id);
    const std::string& op = node.op->name;
    if (const auto start = starts_.find(id); start != starts_.end()) {
      Rows own(static_cast<size_t>(element_count(extents({id, 0}))));
      for (size_t i = 0; i < own.size(); ++i) own[i].entries = {{start->second + static_cast<int64_t>(i), 1}};
      return keep({id, 0}, std::move(own));
    }
    if (!may_add_elements(*node.op)) return false;
    if (op == "cast") {
      const auto same = rows(node.inputs[0]);
      return is_float(node.outputs[0].dtype) && same && keep({id, 0}, *same);
    }
    if (node.op->traits.selection) return add_selection(id);
    if (op == "add" || op == "subtract" || op == "negate") {
      Rows sum(static_cast<size_t>(element_count(extents({id, 0}))));
      for (size_t i = 0; i < node.inputs.size(); ++i) {
        const auto part = rows(node.inputs[i]);
        if (!part) return false;
        const auto places = broadcast_places(extents(node.inputs[i]), extents({id, 0}));
        const double sign = op == "negate" || (op == "subtract" && i == 1) ? -1 : 1;
        for (size_t r = 0; r < sum.size(); ++r) add(sum[r], sign, (*part)[places[r]]);
      }
      return keep({id, 0}, std::move(sum));
    }
    if (op == "multiply" || op == "divide") return add_scaled(id);
    if (op == "sum" || op == "mean") return add_reduced(id);
    return add_product(id);
  }

  bool keep(const Edge& edge, Rows rows) {
    for (const LinearRow& row : rows) entries_ += static_cast<int64_t>(row.entries.size());
    rows_[{edge.node, edge.output}] = std::move(rows);
    return entries_ <= most_entries;
  }

  // The op moves numbers of rows instead of elements.
  bool add_selection(int32_t id) {
    const Node& node = graph_.node(id);
    Graph numbers;
    std::vector<Value> inputs;
    Rows all{{}};  // number 0: nothing
    for (size_t i = 0; i < node.inputs.size(); ++i) {
      const Edge& edge = node.inputs[i];
      if (!node.op->traits.is_linear(i)) {
        const auto constant = moves_.contains(edge.node) ? std::nullopt : constant_value(graph_.value(edge));
        if (!constant) return false;
        inputs.push_back(numbers.constant(*constant));
        continue;
      }
      const auto part = rows(edge);
      if (!part) return false;
      Tensor own(f64, extents(edge));
      std::iota(own.values<double>().begin(), own.values<double>().end(), static_cast<double>(all.size()));
      all.insert(all.end(), part->begin(), part->end());
      inputs.push_back(numbers.constant(own));
    }
    const Value first = numbers.add(*node.op, inputs, node.attributes, {}, node.where);
    for (size_t o = 0; o < node.outputs.size(); ++o)
      numbers.output(std::to_string(o), {&numbers, first.node(), static_cast<int32_t>(o)});
    const std::vector<Tensor> moved = evaluate_constant(numbers);
    for (size_t o = 0; o < moved.size(); ++o) {
      Rows picked;
      for (double number : moved[o].values<double>()) picked.push_back(all[static_cast<size_t>(number)]);
      if (!keep({id, static_cast<int32_t>(o)}, std::move(picked))) return false;
    }
    return true;
  }

  bool add_scaled(int32_t id) {
    const Node& node = graph_.node(id);
    const bool divides = node.op->name == "divide";
    const size_t moving = moves_.contains(node.inputs[0].node) ? 0 : 1;
    if ((divides && moving == 1) || moves_.contains(node.inputs[1 - moving].node)) return false;
    const auto factors = constant_value(graph_.value(node.inputs[1 - moving]));
    if (!factors) return false;
    const Rows& from = rows_.at({node.inputs[moving].node, node.inputs[moving].output});
    const Extents to = extents({id, 0});
    const auto places = broadcast_places(extents(node.inputs[moving]), to);
    const auto factor_places = broadcast_places(factors->extents(), to);
    Rows scaled(places.size());
    for (size_t r = 0; r < scaled.size(); ++r) {
      const double factor = factors->at(factor_places[r]);
      if (divides && factor == 0) return false;
      add(scaled[r], divides ? 1 / factor : factor, from[places[r]]);
    }
    return keep({id, 0}, std::move(scaled));
  }

  bool add_reduced(int32_t id) {
    const Node& node = graph_.node(id);
    const Shape& shape = graph_.type(node.inputs[0]).shape;
    const std::vector<bool> reduced = checked_axes(node.attributes.get<std::vector<int64_t>>("axes"), shape);
    const Extents kept = evaluate(reduced_shape(shape, reduced, true), {});
    const Rows& from = rows_.at({node.inputs[0].node, node.inputs[0].output});
    const auto places = broadcast_places(kept, evaluate(shape, {}));
    Rows sums(static_cast<size_t>(element_count(kept)));
    const double count =
        static_cast<double>(from.size()) / static_cast<double>(std::max<size_t>(sums.size(), 1));
    for (size_t r = 0; r < from.size(); ++r)
      add(sums[places[r]], node.op->name == "mean" ? 1 / count : 1, from[r]);
    return keep({id, 0}, std::move(sums));
  }

  bool add_product(int32_t id) {
    const Node& node = graph_.node(id);
    const size_t moving = moves_.contains(node.inputs[0].node) ? 0 : 1;
    if (moves_.contains(node.inputs[1 - moving].node)) return false;
    const auto matrix = constant_value(graph_.value(node.inputs[1 - moving]));
    if (!matrix || matrix->extents().size() != 2 || extents(node.inputs[moving]).size() != 2) return false;
    const Rows& from = rows_.at({node.inputs[moving].node, node.inputs[moving].output});
    const bool flips[] = {node.attributes.get<bool>("transpose_a"), node.attributes.get<bool>("transpose_b")};
    const Extents to = extents({id, 0});
    const auto place = [&](size_t side, int64_t row, int64_t column) {
      const Extents shape = extents(node.inputs[side]);
      return flips[side] ? column * shape[1] + row : row * shape[1] + column;
    };
    const Extents left = extents(node.inputs[0]);
    const int64_t inner = flips[0] ? left[0] : left[1];
    Rows product(static_cast<size_t>(element_count(to)));
    int64_t entries = 0;
    for (int64_t i = 0; i < to[0]; ++i)
      for (int64_t j = 0; j < to[1]; ++j) {
        LinearRow& row = product[static_cast<size_t>(i * to[1] + j)];
        for (int64_t k = 0; k < inner; ++k) {
          const int64_t a = place(0, i, k), b = place(1, k, j);
          const double factor = matrix->at(moving == 0 ? b : a);
          if (factor != 0) add(row, factor, from[static_cast<size_t>(moving == 0 ? a : b)]);
        }
        entries += static_cast<int64_t>(row.entries.size());
        if (entries > most_entries) return false;
      }
    return keep({id, 0}, std::move(product));
  }

  Graph& graph_;
  const std::map<int32_t, int64_t>& starts_;  // the number of each parameter's first element
  std::unordered_set<int32_t> moves_;
  std::map<std::pair<int32_t, int32_t>, Rows> rows_;
  int64_t entries_ = 0;
};

}  // namespace

ParameterElements::ParameterElements(Graph& graph) {
  for (int32_t id = 0; id < graph.size(); ++id)
    if (graph.node(id).op->traits.source == SourceKind::parameter) add({&graph, id});
}

ParameterElements::ParameterElements(Value value) {
  for (Value parameter : parameters_behind(value)) add(parameter);
}

void ParameterElements::add(Value parameter) {
  parameters_.push_back(parameter);
  start_of_[parameter.node()] = starts_.back();
  starts_.push_back(starts_.back() + element_count(parameter.shape()).size());
}

std::optional<std::vector<LinearRow>> ParameterElements::rows_of(Value value) const {
  return Reader(value.graph(), start_of_).read(value);
}

std::pair<Value, int64_t> ParameterElements::find(int64_t element) const {
  const auto next = std::upper_bound(starts_.begin(), starts_.end(), element);
  const auto index = static_cast<size_t>(next - starts_.begin()) - 1;
  return {parameters_[index], element - starts_[index]};
}

Value ParameterElements::gathered(const std::vector<int64_t>& elements, DType dtype,
                                  std::source_location where) const {
  std::map<int32_t, int64_t> start;  // of each parameter that is shown
  for (int64_t element : elements) start[find(element).first.node()] = 0;
  std::vector<Value> flat;
  int64_t total = 0;
  for (auto& [id, begin] : start) {
    const Value parameter(&parameters_[0].graph(), id);
    begin = total;
    total += element_count(parameter.shape()).size();
    Value own = parameter.rank() == 1 ? parameter : reshape(Operand(parameter, where), {-1});
    flat.push_back(own.dtype() == dtype ? own : cast(Operand(own, where), dtype));
  }
  const Value side_by_side = flat.size() == 1 ? flat[0] : concat(flat, 0, where);
  std::vector<int32_t> places;
  for (int64_t element : elements) {
    const auto [parameter, place] = find(element);
    places.push_back(static_cast<int32_t>(start.at(parameter.node()) + place));
  }
  bool as_it_is = static_cast<int64_t>(places.size()) == total;
  for (size_t i = 0; as_it_is && i < places.size(); ++i) as_it_is = places[i] == static_cast<int32_t>(i);
  if (as_it_is) return side_by_side;
  const Tensor indices =
      Tensor::of<int32_t>({static_cast<int64_t>(places.size())}, std::span<const int32_t>(places));
  return gather_rows(Operand(side_by_side, where), Operand(side_by_side.graph().constant(indices), where));
}

bool may_be_rows(Value value, const std::vector<bool>& on_parameters) {
  const Graph& graph = value.graph();
  std::vector<int32_t> pending{value.node()};
  std::unordered_set<int32_t> seen;
  while (!pending.empty()) {
    const int32_t id = pending.back();
    pending.pop_back();
    const Node& node = graph.node(id);
    if (!on_parameters[id] || node.op->traits.source == SourceKind::parameter || !seen.insert(id).second)
      continue;
    if (!may_add_elements(*node.op)) return false;
    for (const Edge& edge : node.inputs) pending.push_back(edge.node);
  }
  return true;
}

bool are_shared_differences(Value value) {
  const auto rows = ParameterElements(value).rows_of(value);
  if (!rows) return false;
  std::set<int64_t> seen;
  bool shared = false;
  for (const LinearRow& row : *rows) {
    if (row.entries.empty()) continue;
    if (row.entries.size() != 2 || row.entries[0].second != -row.entries[1].second) return false;
    for (const auto& [element, factor] : row.entries) shared |= !seen.insert(element).second;
  }
  return shared;
}

}  // namespace lariat
