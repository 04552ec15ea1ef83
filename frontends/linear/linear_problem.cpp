#include "frontends/linear/linear_problem.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <functional>

#include "graph/base/error.hpp"
#include "graph/ir/graph.hpp"
#include "ops/ops.hpp"

namespace lariat {

const std::vector<std::string>& linear_losses() {
  static const std::vector<std::string> names{"logistic", "squared", "hinge-squared"};
  return names;
}

void LinearProblem::check_classes(const data::LabelledRows& rows, const std::string& which) const {
  if (!classifies() || !bias) return;
  if (std::adjacent_find(rows.labels.begin(), rows.labels.end(), std::not_equal_to<>()) != rows.labels.end())
    return;
  throw UserError(
      fmt::format("{}: {} is of the class {}, so the loss falls for ever as the bias grows, and no solution "
                  "is best; leave the bias out, or give rows of both classes",
                  rows.file, which, rows.labels.front()));
}

Store LinearProblem::with_all_columns(const Store& store, const data::LabelledRows& rows) const {
  Store result = store;
  if (rows.column_numbers.empty()) return result;
  Tensor all(f64, {rows.total_columns()});
  const Tensor& some = store.get("w");
  for (int64_t j = 0; j < rows.columns; ++j) all.data<double>()[rows.number_of(j)] = some.at(j);
  result.set("w", all);
  return result;
}

Value LinearProblem::prediction(Graph& graph, const data::LabelledRows& rows) const {
  const Value w = graph.parameter("w", {rows.columns}, init::zeros(), f64);
  const auto tensor = [](const auto& values) {
    return Tensor::of(Extents{static_cast<int64_t>(values.size())}, std::span(values));
  };
  Value z;
  if (rows.sparse()) {
    z = csr_matmul(graph.constant(tensor(rows.values)), graph.constant(tensor(rows.entry_columns)),
                   graph.constant(tensor(rows.row_starts)), w);
  } else {
    const Value x = graph.constant(Tensor::of({rows.rows, rows.columns}, std::span(rows.values)));
    z = reshape(matmul(x, reshape(w, {rows.columns, 1})), {rows.rows});
  }
  return bias ? z + graph.parameter("b", {1}, init::zeros(), f64) : z;
}

Value LinearProblem::build(Graph& graph, const data::LabelledRows& rows) const {
  const Value z = prediction(graph, rows);
  const Value y = graph.constant(Tensor::of({rows.rows}, std::span(rows.labels)));
  const Value w = graph.find_source("w");
  Value total = loss == "logistic"  ? sum(softplus(-(y * z)))
                : loss == "squared" ? 0.5 * sum(square(z - y))
                                    : sum(square(relu(1 - y * z)));
  for (const PenaltySpec& term : penalty) total = total + term.of(w);
  return total;
}

std::string LinearProblem::title() const {
  std::string text = loss + " loss";
  for (const PenaltySpec& term : penalty) {
    text += fmt::format(" + {}*{}", term.coefficient, term.name);
    for (const std::string& attribute : term.attributes) text += ":" + attribute;
  }
  return text + (bias ? ", with a bias" : "");
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
