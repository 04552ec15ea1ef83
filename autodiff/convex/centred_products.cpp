#include "autodiff/convex/centred_products.hpp"

#include <algorithm>
#include <cmath>

#include "autodiff/double_graph.hpp"
#include "ops/ops.hpp"

namespace lariat::convex {

namespace {

bool is_constant(const Graph& graph, int32_t id) {
  return graph.node(id).op->traits.source == SourceKind::constant;
}
const Tensor& constant_at(const Graph& graph, int32_t id) {
  return graph.node(id).attributes.get<Tensor>("value");
}

// X·W of a dense or sparse constant X [rows, columns], and W [columns, outputs] or [columns].
struct ConstantProduct {
  bool sparse = false;
  int64_t rows = 0, columns = 0, outputs = 1;
  int32_t parameter = -1;  // the node that W shows, which nothing else reads
  std::span<const double> values;
  std::span<const int32_t> entry_columns;  // of a sparse one

  template <class Visit>
  void each(const Visit& visit) const {
    for (size_t i = 0; i < values.size(); ++i)
      visit(sparse ? entry_columns[i] : static_cast<int64_t>(i) % columns, values[i]);
  }
};

std::optional<ConstantProduct> product_at(const Graph& graph,
                                          const std::vector<std::vector<int32_t>>& readers, int32_t id) {
  const Node& node = graph.node(id);
  const std::string& op = node.op->name;
  if (op != "matmul" && op != "csr_matmul") return std::nullopt;
  const Shape& weights = graph.type(node.inputs.back()).shape;
  if (weights.empty() || weights.size() > 2) return std::nullopt;
  ConstantProduct product;
  product.parameter = node.inputs.back().node;
  while (readers[product.parameter].size() == 1 && graph.node(product.parameter).op->traits.alias)
    product.parameter = graph.node(product.parameter).inputs[0].node;
  if (readers[product.parameter].size() != 1 ||
      graph.node(product.parameter).op->traits.source != SourceKind::parameter)
    return std::nullopt;
  for (size_t i = 0; i + 1 < node.inputs.size(); ++i)
    if (!is_constant(graph, node.inputs[i].node)) return std::nullopt;
  const Tensor& values = constant_at(graph, node.inputs[0].node);
  if (values.dtype() != f64 || values.count() == 0) return std::nullopt;
  product.sparse = op == "csr_matmul";
  product.columns = weights[0].size();
  if (weights.size() == 2) product.outputs = weights[1].size();
  product.values = {values.data<double>(), static_cast<size_t>(values.count())};
  if (product.sparse) {
    const Tensor& columns = constant_at(graph, node.inputs[1].node);
    product.rows = constant_at(graph, node.inputs[2].node).count() - 1;
    if (columns.dtype() != i32 || columns.count() != values.count()) return std::nullopt;
    product.entry_columns = {columns.data<int32_t>(), static_cast<size_t>(columns.count())};
  } else {
    if (values.extents().size() != 2 || weights.size() != 2 || node.attributes.get<bool>("transpose_a") ||
        node.attributes.get<bool>("transpose_b"))
      return std::nullopt;
    product.rows = values.extents()[0];
  }
  return product;
}

}  // namespace

int32_t CentredProducts::bias_of(const Graph& graph, const std::vector<std::vector<int32_t>>& readers,
                                 int32_t product, int64_t outputs, const std::vector<PenaltyTerm>& terms) {
  const auto has_reader = [&] { return readers[product].size() == 1; };
  // One output may be shown in another shape.
  while (outputs == 1 && has_reader() && graph.node(readers[product][0]).op->traits.alias)
    product = readers[product][0];
  if (!has_reader()) return -1;
  const Node& sum = graph.node(readers[product][0]);
  if (sum.op->name != "add" || sum.outputs[0] != graph.node(product).outputs[0]) return -1;
  for (const Edge& edge : sum.inputs) {
    const Node& added = graph.node(edge.node);
    if (added.op->traits.source != SourceKind::parameter || readers[edge.node].size() != 1) continue;
    const Shape& shape = added.outputs[0].shape;
    const bool is_penalised = std::any_of(terms.begin(), terms.end(),
                                          [&](const PenaltyTerm& term) { return term.is_of(added.name); });
    const bool is_row = outputs == 1 ? element_count(shape) == Dim(1)
                                     : shape.size() == 1 && shape[0] == sum.outputs[0].shape[1];
    if (is_row && !is_penalised) return edge.node;
  }
  return -1;
}

CentredProducts::CentredProducts(Value loss, const Coordinates& coordinates,
                                 const std::vector<PenaltyTerm>& terms, std::span<const Value> cut,
                                 const std::set<std::string, std::less<>>& unscaled)
    : units_(static_cast<size_t>(coordinates.count()), 1), units_of_columns_(units_.size()) {
  Graph smooth;
  const Value without = copy_without(loss, cut, {}, smooth);
  const auto readers = users(smooth);
  const auto start_of = [&](int32_t id) -> int64_t {
    for (size_t i = 0; i < coordinates.parameters.size(); ++i)
      if (coordinates.parameters[i].name() == smooth.node(id).name) return coordinates.starts[i];
    return -1;
  };
  GraphCopy copy(smooth, graph_);
  for (int32_t id = 0; id < smooth.size(); ++id) {
    const std::optional<ConstantProduct> found = product_at(smooth, readers, id);
    if (!found || start_of(found->parameter) < 0) {
      copy.copy(id);
      continue;
    }
    Product product;
    product.weights = start_of(found->parameter);
    product.columns = found->columns;
    product.outputs = found->outputs;
    product.scaled = !unscaled.contains(smooth.node(found->parameter).name);
    const int32_t bias = bias_of(smooth, readers, id, product.outputs, terms);
    if (bias >= 0) product.bias = start_of(bias);
    for (int64_t k = 0; product.bias >= 0 && k < product.outputs; ++k)
      units_of_columns_[static_cast<size_t>(product.bias + k)] = 1;
    const auto columns = static_cast<size_t>(found->columns);
    const auto rows = static_cast<double>(found->rows);
    std::vector<double> units(columns, 1), squares(columns), entries(columns);
    product.means.assign(columns, 0);
    product.widths.assign(columns, 0);
    if (product.bias >= 0) {
      found->each([&](int64_t j, double x) { product.means[j] += x / rows; });
      // Once more, for what rounding left.
      std::vector<double> rest(columns);
      found->each([&](int64_t j, double x) { rest[j] += x - product.means[j], ++entries[j]; });
      for (size_t j = 0; j < columns; ++j)
        product.means[j] += (rest[j] - (rows - entries[j]) * product.means[j]) / rows;
    }
    std::fill(entries.begin(), entries.end(), 0);
    found->each([&](int64_t j, double x) {
      const double from_mean = x - product.means[j];
      squares[j] += from_mean * from_mean;
      ++entries[j];
    });
    for (size_t j = 0; j < columns; ++j) {
      squares[j] += (rows - entries[j]) * product.means[j] * product.means[j];
      product.widths[j] = std::sqrt(squares[j] / rows);
      int exponent = 0;
      std::frexp(product.widths[j], &exponent);
      const bool spreads = product.widths[j] > 0 && std::isfinite(product.widths[j]);
      const double unit = spreads ? std::ldexp(1, -exponent) : 1;
      if (product.scaled) units[j] = unit;
      for (int64_t k = 0; k < product.outputs; ++k) {
        const auto place =
            static_cast<size_t>(product.weights + static_cast<int64_t>(j) * product.outputs + k);
        units_[place] = units[j];
        units_of_columns_[place] = unit;
      }
    }
    const Value v = copy(smooth.value(smooth.node(id).inputs.back()));
    Tensor scaled(f64, constant_at(smooth, smooth.node(id).inputs[0].node).extents());
    double* to = scaled.data<double>();
    found->each([&](int64_t j, double x) { *to++ = (found->sparse ? x : x - product.means[j]) * units[j]; });
    Value result;
    if (found->sparse) {
      const auto constant = [&](size_t input) {
        return graph_.constant(constant_at(smooth, smooth.node(id).inputs[input].node));
      };
      result = csr_matmul(graph_.constant(scaled), constant(1), constant(2), v);
      Tensor means(f64, {1, found->columns});
      for (size_t j = 0; j < columns; ++j) means.data<double>()[j] = product.means[j] * units[j];
      const auto of_means = [&] {
        const Value each = graph_.constant(means);
        return v.rank() == 1 ? reshape(matmul(each, reshape(v, {found->columns, 1})), {1}) : matmul(each, v);
      };
      if (product.bias >= 0) result = result - of_means();
    } else {
      result = matmul(graph_.constant(scaled), v);
    }
    copy.replace(id, {result});
    products_.push_back(std::move(product));
  }
  graph_.output("loss", copy(without));
}

bool CentredProducts::all_conditioned() const {
  return std::all_of(products_.begin(), products_.end(),
                     [](const Product& product) { return product.scaled && product.bias >= 0; });
}

// b = b' − μᵀW
void CentredProducts::move(std::vector<double>& w, double sign) const {
  for (const Product& product : products_)
    for (int64_t k = 0; product.bias >= 0 && k < product.outputs; ++k) {
      long double shift = 0;
      for (int64_t j = 0; j < product.columns; ++j)
        shift += static_cast<long double>(product.means[j]) * w[product.weights + j * product.outputs + k];
      w[product.bias + k] = static_cast<double>(w[product.bias + k] + sign * shift);
    }
}

std::vector<double> CentredProducts::as_written(std::span<const double> v) const {
  std::vector<double> w(v.begin(), v.end());
  for (size_t j = 0; j < w.size(); ++j) w[j] *= units_[j];
  move(w, -1);
  return w;
}

std::vector<double> CentredProducts::centred(std::span<const double> w) const {
  std::vector<double> v(w.begin(), w.end());
  move(v, 1);
  for (size_t j = 0; j < v.size(); ++j) v[j] /= units_[j];
  return v;
}

std::vector<double> CentredProducts::slopes_as_written(std::span<const double> slopes) const {
  std::vector<double> result(slopes.begin(), slopes.end());
  for (size_t j = 0; j < result.size(); ++j) result[j] /= units_[j];
  for (const Product& product : products_)
    for (int64_t i = 0; product.bias >= 0 && i < product.columns * product.outputs; ++i)
      result[product.weights + i] +=
          std::abs(product.means[i / product.outputs]) * slopes[product.bias + i % product.outputs];
  return result;
}

std::vector<double> CentredProducts::references(std::span<const double> scales,
                                                bool largest_of_others) const {
  const auto in_product = [&](size_t j) { return units_of_columns_[j] > 0; };
  double largest = 0, of_others = 0;
  for (size_t j = 0; j < scales.size(); ++j) {
    double& most = in_product(j) ? largest : of_others;
    most = std::max(most, in_product(j) ? scales[j] * units_of_columns_[j] / units_[j] : scales[j]);
  }
  std::vector<double> result(scales.begin(), scales.end());
  for (size_t j = 0; j < result.size(); ++j) {
    if (in_product(j)) result[j] = largest * units_[j] / units_of_columns_[j];
    if (!in_product(j) && largest_of_others) result[j] = of_others;
  }
  return result;
}

size_t CentredProducts::far_from_centred() const {
  constexpr double far = 1e5;
  size_t count = 0;
  for (const Product& product : products_)
    for (size_t j = 0; j < product.means.size(); ++j)
      count += std::abs(product.means[j]) > far * product.widths[j] && product.widths[j] > 0;
  return count;
}

}  // namespace lariat::convex
