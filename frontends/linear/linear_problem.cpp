#include "frontends/linear/linear_problem.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <numeric>
#include <optional>

#include "graph/base/error.hpp"
#include "graph/ir/graph.hpp"
#include "ops/ops.hpp"

namespace lariat {

const std::vector<std::string>& linear_losses() {
  static const std::vector<std::string> names{"logistic", "squared", "hinge-squared",
                                              "poisson",  "huber",   "multinomial"};
  return names;
}

void LinearProblem::check_classes(const data::LabelledRows& rows, const std::string& which) const {
  if (!has_signs() || !bias) return;
  if (std::adjacent_find(rows.labels.begin(), rows.labels.end(), std::not_equal_to<>()) != rows.labels.end())
    return;
  throw UserError(
      fmt::format("{}: {} is of the class {}, so the loss falls for ever as the bias grows, and no solution "
                  "is best; leave the bias out, or give rows of both classes",
                  rows.file, which, rows.labels.front()));
}

Store LinearProblem::with_all_columns(const Store& store, const data::LabelledRows& rows) const {
  Store result = store;
  if (rows.column_numbers.empty() && rows.scales.empty()) return result;
  const Tensor some = store.get("w");
  const int64_t width = some.count() / std::max<int64_t>(1, rows.columns);
  Extents extents = some.extents();
  extents[0] = rows.total_columns();
  Tensor all(f64, extents);
  for (int64_t j = 0; j < rows.columns; ++j)
    for (int64_t k = 0; k < width; ++k)
      all.data<double>()[rows.number_of(j) * width + k] = some.at(j * width + k) / rows.scale(j);
  result.set("w", all);
  return result;
}

namespace {

Tensor tensor_of(const std::vector<double>& values) {
  return Tensor::of(Extents{static_cast<int64_t>(values.size())}, std::span(values));
}

}  // namespace

Value LinearProblem::prediction(Graph& graph, const data::LabelledRows& rows) const {
  const bool several = loss == "multinomial";
  const Extents extents = several ? Extents{rows.columns, outputs()} : Extents{rows.columns};
  const Value w = graph.parameter("w", extents, init::zeros(), f64);
  const auto tensor = [](const auto& values) {
    return Tensor::of(Extents{static_cast<int64_t>(values.size())}, std::span(values));
  };
  Value z;
  if (rows.sparse()) {
    z = csr_matmul(graph.constant(tensor(rows.values)), graph.constant(tensor(rows.entry_columns)),
                   graph.constant(tensor(rows.row_starts)), w);
  } else {
    const Value x = graph.constant(Tensor::of({rows.rows, rows.columns}, std::span(rows.values)));
    z = several ? matmul(x, w) : reshape(matmul(x, reshape(w, {rows.columns, 1})), {rows.rows});
  }
  if (bias) z = z + graph.parameter("b", {several ? outputs() : 1}, init::zeros(), f64);
  if (!rows.offsets.empty()) z = z + graph.constant(tensor_of(rows.offsets));
  return z;
}

Value LinearProblem::build(Graph& graph, const data::LabelledRows& rows) const {
  const Value z = prediction(graph, rows);
  const Value y = graph.constant(Tensor::of({rows.rows}, std::span(rows.labels)));
  const Value w = graph.find_source("w");
  const auto of_rows = [&]() -> Value {
    if (loss == "logistic") return softplus(-(y * z));
    if (loss == "squared") return 0.5 * square(z - y);
    if (loss == "hinge-squared") return square(relu(1 - y * z));
    if (loss == "poisson") return exp(z) - y * z;
    // c·(e − c/2) with c = e clipped to ±δ is ½e² within, and δ(|e| − ½δ) beyond.
    if (loss == "huber") {
      const Value error = z - y, clipped = clip(error, -delta, delta);
      return clipped * (error - 0.5 * clipped);
    }
    std::vector<int32_t> labels(rows.labels.begin(), rows.labels.end());
    return softmax_cross_entropy(z,
                                 graph.constant(Tensor::of({rows.rows}, std::span<const int32_t>(labels))));
  };
  Value each = of_rows();
  double all = static_cast<double>(rows.rows);
  if (!rows.weights.empty()) {
    each = graph.constant(tensor_of(rows.weights)) * each;
    all = std::accumulate(rows.weights.begin(), rows.weights.end(), 0.0);
  }
  if (counted > 0) all = counted;
  Value total = mean ? (1 / all) * sum(each) : sum(each);
  std::optional<Value> by_column;
  if (!factors.empty()) {
    Tensor some(f64, {rows.columns});
    for (int64_t j = 0; j < rows.columns; ++j)
      some.data<double>()[j] = factors[static_cast<size_t>(rows.number_of(j))];
    by_column = graph.constant(some);
    if (loss == "multinomial") by_column = reshape(*by_column, {rows.columns, 1});
  }
  std::vector<ColumnGroup> ranges;
  for (int64_t j = 0; j < rows.columns && !groups.empty(); ++j) {
    const double group = groups[static_cast<size_t>(rows.number_of(j))];
    if (j == 0 || group != groups[static_cast<size_t>(rows.number_of(j - 1))]) ranges.push_back({j, j});
    ranges.back().end = j + 1;
  }
  for (const PenaltySpec& term : penalty) total = total + term.of(w, by_column, ranges);
  return total;
}

std::string LinearProblem::title() const {
  std::string text = loss + (mean ? " loss, mean over rows" : " loss");
  for (const PenaltySpec& term : penalty) {
    text += fmt::format(" + {}*{}", term.coefficient, term.name);
    for (const std::string& attribute : term.attributes) text += ":" + attribute;
  }
  if (!bias && !offset) return text;
  return text + (bias && offset ? ", with a bias and an offset"
                 : bias         ? ", with a bias"
                                : ", with an offset");
}

double LinearProblem::l1() const {
  double total = 0;
  for (const PenaltySpec& term : penalty) total += term.name == "l1" ? term.coefficient : 0;
  return total;
}

bool LinearProblem::makes_zeros() const {
  return std::any_of(penalty.begin(), penalty.end(),
                     [](const PenaltySpec& term) { return term.makes_zeros() && term.coefficient != 0; });
}

}  // namespace lariat
