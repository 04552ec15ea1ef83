#include "autodiff/convex/linear_model.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "autodiff/penalty/penalty_view.hpp"
#include "graph/base/error.hpp"
#include "graph/exec/constants.hpp"
#include "graph/ir/op_def.hpp"
#include "graph/program/program.hpp"
#include "ops/ops.hpp"

namespace lariat::convex {

namespace {

struct NotLinear {
  std::string reason;
};

[[noreturn]] void refuse(const Node& node, const std::string& why) { throw NotLinear{place_of(node) + why}; }

int64_t count_of(const Graph& graph, Edge edge) { return element_count(graph.type(edge).shape).size(); }

bool is_single(const std::vector<bool>& marked) {
  return std::count(marked.begin(), marked.end(), true) == 1;
}

// Which nodes lie between the parameters and the loss, and which of them are affine in the parameters.
struct Front {
  std::vector<bool> between, affine;

  Front(Value loss, const Coordinates& coordinates, std::span<const Value> cut)
      : between(loss.graph().size()), affine(loss.graph().size()) {
    const Graph& graph = loss.graph();
    std::vector<bool> is_cut(graph.size()), below(graph.size());
    for (Value value : cut) is_cut[value.node()] = true;
    for (Value parameter : coordinates.parameters)
      between[parameter.node()] = affine[parameter.node()] = true;
    below[loss.node()] = true;
    for (int32_t id = loss.node(); id >= 0; --id)
      if (below[id] && !is_cut[id])
        for (const Edge& edge : graph.node(id).inputs) below[edge.node] = true;
    for (int32_t id = 0; id <= loss.node(); ++id) {
      const Node& node = graph.node(id);
      if (between[id]) continue;
      if (!below[id] || is_cut[id] || node.op->traits.stops_gradient || node.op->traits.shape_only) continue;
      const std::vector<bool> through = inputs_between(node);
      if (std::find(through.begin(), through.end(), true) == through.end()) continue;
      between[id] = affine[id] = true;
      for (size_t i = 0; i < through.size(); ++i)
        if (through[i] && !(affine[node.inputs[i].node] && node.op->traits.is_linear(i))) affine[id] = false;
      if (!is_single(through) && !node.op->traits.additive) affine[id] = false;
    }
    for (int32_t id = 0; id < graph.size(); ++id) between[id] = between[id] && below[id];
  }

  std::vector<bool> inputs_between(const Node& node) const {
    std::vector<bool> through;
    for (const Edge& edge : node.inputs) through.push_back(between[edge.node]);
    return through;
  }
};

// Affine nodes that every path from a parameter to the loss runs through, first to last: no edge between
// earlier and later nodes passes them by.
std::vector<int32_t> bottlenecks(const Graph& graph, const Front& front, int32_t loss) {
  constexpr size_t most = 64;
  std::vector<int32_t> last_reader(graph.size()), found;
  int32_t last_source = 0;
  for (int32_t id = 0; id <= loss; ++id) {
    if (!front.between[id]) continue;
    const std::vector<Edge>& inputs = graph.node(id).inputs;
    for (const Edge& edge : inputs)
      if (front.between[edge.node]) last_reader[edge.node] = id;
    if (inputs.empty()) last_source = id;
  }
  int32_t reach = 0;
  for (int32_t id = 0; id <= loss && found.size() < most; ++id) {
    if (!front.between[id]) continue;
    if (reach <= id && last_source <= id && front.affine[id] && graph.node(id).outputs.size() == 1)
      found.push_back(id);
    reach = std::max(reach, last_reader[id]);
  }
  return found;
}

// Throws unless every element of node `prediction` reaches the loss by itself: through element-wise nodes,
// then a sum.
void check_separable(const Graph& graph, const Front& front, int32_t prediction, int32_t loss) {
  enum Kind { none, by_row, total };
  std::vector<Kind> kind(graph.size(), none);
  kind[prediction] = by_row;
  const int64_t rows = count_of(graph, {prediction, 0});
  for (int32_t id = prediction + 1; id <= loss; ++id) {
    if (!front.between[id]) continue;
    const Node& node = graph.node(id);
    const Traits& traits = node.op->traits;
    const std::vector<bool> through = front.inputs_between(node);
    bool all_rows = true, all_totals = true, same_shape = true, linear = true;
    for (size_t i = 0; i < through.size(); ++i) {
      if (!through[i]) continue;
      all_rows &= kind[node.inputs[i].node] == by_row;
      all_totals &= kind[node.inputs[i].node] == total;
      same_shape &= graph.type(node.inputs[i]).shape == node.outputs[0].shape;
      linear &= traits.is_linear(i);
    }
    const int64_t count = count_of(graph, {id, 0});
    const bool joins = !is_single(through) && !traits.additive;
    if (all_rows && count == rows &&
        ((traits.elementwise && same_shape) || traits.alias || (node.op->summation && linear))) {
      kind[id] = by_row;
    } else if (all_rows && count == 1 && is_single(through) && (node.op->summation || linear)) {
      kind[id] = total;
    } else if (all_totals && linear && !joins && count == 1) {
      kind[id] = total;
    } else {
      refuse(node,
             fmt::format("the loss is no sum over rows of functions of one prediction each: '{}' joins them",
                         node.op->name));
    }
  }
  if (kind[loss] != total && !(rows == 1 && kind[loss] == by_row))
    throw NotLinear{"the loss is no sum over rows"};
}

// The first coordinate of the parameter that `edge` shows, perhaps in another shape, or -1.
int64_t start_of_shown(const Graph& graph, Edge edge, const Coordinates& coordinates) {
  while (graph.node(edge.node).op->traits.alias) edge = graph.node(edge.node).inputs[0];
  return coordinates.start_of(edge.node);
}

Tensor constant_of(Graph& graph, Edge edge, const Node& reader) {
  const Node& node = graph.node(edge.node);
  if (node.op->traits.source == SourceKind::constant) return node.attributes.get<Tensor>("value");
  std::optional<Tensor> value = constant_value(graph.value(edge));
  if (!value) refuse(reader, "its matrix is not constant");
  return *value;
}

// Adds scale_r·X_rc at (r, first + c) for the matrix of a product node.
void add_product(Graph& graph, const Node& node, const std::vector<bool>& through,
                 const Coordinates& coordinates, const Tensor& scale, ColumnMatrixBuilder& builder) {
  const bool sparse = node.op->name == "csr_matmul", dense = node.op->name == "matmul";
  const size_t factor = sparse ? 3 : 1;
  if ((!sparse && !dense) || !is_single(through) || !through[factor])
    refuse(node, "the product is not matmul(X, w) or csr_matmul(…, w) with a constant X and a parameter w");
  if (node.outputs[0].shape.size() > 2 ||
      (node.outputs[0].shape.size() == 2 && !(node.outputs[0].shape[1] == Dim(1))))
    refuse(node, fmt::format("the product is {}; it must have one column", text(node.outputs[0].shape)));
  const int64_t first = start_of_shown(graph, node.inputs[factor], coordinates);
  if (first < 0) refuse(node, "its second factor is not a parameter as it is");
  const Tensor matrix = constant_of(graph, node.inputs[0], node);
  const double *values = matrix.data<double>(), *by_row = scale.data<double>();
  builder.reserve(static_cast<size_t>(matrix.count()));
  if (sparse) {
    const Tensor columns = constant_of(graph, node.inputs[1], node),
                 starts = constant_of(graph, node.inputs[2], node);
    const int32_t *column = columns.data<int32_t>(), *start = starts.data<int32_t>();
    for (int64_t r = 0; r + 1 < starts.count(); ++r)
      for (int32_t k = start[r]; k < start[r + 1]; ++k)
        builder.add(r, first + column[k], by_row[r] * values[k]);
    return;
  }
  const bool transposed = node.attributes.get<bool>("transpose_a");
  const int64_t m = matrix.extents()[0], n = matrix.extents()[1];
  for (int64_t i = 0; i < m; ++i)
    for (int64_t j = 0; j < n; ++j) {
      const int64_t row = transposed ? j : i, column = transposed ? i : j;
      builder.add(row, first + column, by_row[row] * values[i * n + j]);
    }
}

// Walks from the prediction back to the parameters, with the factor between each value's elements and the
// prediction's.
ColumnMatrix matrix_of(Graph& graph, const Front& front, int32_t prediction, const Coordinates& coordinates) {
  const int64_t rows = count_of(graph, {prediction, 0});
  ColumnMatrixBuilder builder(rows, coordinates.count());
  const Value z(&graph, prediction);
  std::vector<std::pair<Edge, Value>> pending{{Edge{prediction, 0}, ones_like(z)}};
  while (!pending.empty()) {
    const auto [edge, scale] = pending.back();
    pending.pop_back();
    const Node node = graph.node(edge.node);
    const int64_t count = count_of(graph, edge);
    if (const int64_t start = coordinates.start_of(edge.node); start >= 0) {
      // One element stands for all rows, or each for its own.
      if (count != 1 && count != rows) refuse(node, "the parameter is no bias of one element");
      const Tensor factors = *constant_value(scale);
      for (int64_t r = 0; r < rows; ++r)
        builder.add(r, start + (count == 1 ? 0 : r), factors.data<double>()[r]);
      continue;
    }
    const std::vector<bool> through = front.inputs_between(node);
    const bool keeps = node.op->traits.alias ||
                       (node.op->name == "broadcast_to" &&
                        (count_of(graph, node.inputs[0]) == 1 || count_of(graph, node.inputs[0]) == count));
    if (keeps) {
      pending.push_back({node.inputs[0], scale});
    } else if (node.op->traits.elementwise && node.op->vjp) {
      const Value shaped = count == rows ? reshape(scale, graph.type(edge).shape) : scale;
      const Adjoints back = node.op->vjp(GradContext(graph, edge.node, {shaped}, through));
      for (size_t i = 0; i < through.size(); ++i) {
        if (!through[i]) continue;
        const int64_t own = count_of(graph, node.inputs[i]);
        if (own != 1 && own != rows) refuse(node, "it broadcasts a value of several elements");
        if (count_of(graph, {back[i].node(), back[i].output()}) != rows)
          refuse(node, "its derivative has another shape");
        pending.push_back({node.inputs[i], back[i]});
      }
    } else {
      const Tensor factors = *constant_value(scale);
      if (factors.count() != count) refuse(node, "it is broadcast behind the product");
      add_product(graph, node, through, coordinates, factors, builder);
    }
  }
  return std::move(builder).build();
}

// z with zeros for the parameters.
std::vector<double> offset_of(Value prediction, const Coordinates& coordinates) {
  Graph& from = prediction.graph();
  const Edge root{prediction.node(), prediction.output()};
  const std::vector<bool> used = ancestors(from, {&root, 1});
  Graph to;
  GraphCopy copy(from, to);
  for (int32_t id = 0; id <= prediction.node(); ++id) {
    if (!used[id]) continue;
    if (coordinates.start_of(id) >= 0) {
      copy.replace(id, {to.constant(Tensor(f64, evaluate(from.node(id).outputs[0].shape, {})))});
    } else {
      copy.copy(id);
    }
  }
  to.output("offset", copy(prediction));
  const Tensor offset = evaluate_constant(to)[0];
  return {offset.data<double>(), offset.data<double>() + offset.count()};
}

}  // namespace

LinearModelSearch find_linear_model(Value loss, const Coordinates& coordinates, std::span<const Value> cut) {
  Graph& graph = loss.graph();
  const Front front(loss, coordinates, cut);
  LinearModelSearch result{.model = {}, .reason = "no value stands between all parameters and the loss"};
  // What is wrong behind a product tells more than that a value is no product, or that a parameter is not.
  int told = 0;
  const auto tell = [&](int rank, const NotLinear& why) {
    if (rank <= told) return;
    told = rank;
    result.reason = why.reason;
  };
  for (const int32_t id : bottlenecks(graph, front, loss.node())) {
    LinearModel model{.prediction = Value(&graph, id)};
    try {
      // Evaluated first, which checks the indices of a sparse matrix.
      model.offset = offset_of(model.prediction, coordinates);
      model.matrix = matrix_of(graph, front, id, coordinates);
    } catch (const NotLinear& why) {
      tell(2, why);
      continue;
    }
    try {
      check_separable(graph, front, id, loss.node());
      return {std::move(model), {}};
    } catch (const NotLinear& why) {
      tell(start_of_shown(graph, {id, 0}, coordinates) >= 0 ? 1 : 3, why);
    }
  }
  return result;
}

}  // namespace lariat::convex
