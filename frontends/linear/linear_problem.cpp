#include "frontends/linear/linear_problem.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>
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

namespace {

// The label that all rows which count have, if there is one.
std::optional<double> only_label(const data::LabelledRows& rows) {
  std::optional<double> only;
  for (size_t row = 0; row < rows.labels.size(); ++row) {
    if (rows.weight(static_cast<int64_t>(row)) == 0) continue;
    if (only && *only != rows.labels[row]) return std::nullopt;
    only = rows.labels[row];
  }
  return only;
}

bool has_weights_of_zero(const data::LabelledRows& rows) {
  return std::find(rows.weights.begin(), rows.weights.end(), 0) != rows.weights.end();
}

}  // namespace

// A squared hinge is 0 from a margin on; the others fall for ever.
void LinearProblem::check_classes(const data::LabelledRows& rows, const std::string& which) const {
  if (!bias || !classifies() || loss == "hinge-squared") return;
  const std::optional<double> only = only_label(rows);
  if (!only) return;
  const size_t number = has_signs() ? (*only > 0 ? 1 : 0) : static_cast<size_t>(*only);
  throw UserError(
      fmt::format("{}: {} is of the class {}, so the loss falls for ever as the bias grows, and no solution "
                  "is best; leave the bias out, or give rows of both classes",
                  rows.file, which + (has_weights_of_zero(rows) ? " whose weight is not 0" : ""),
                  number < classes.size() ? classes[number] : *only));
}

void LinearProblem::look_for_vanishing(Solution& solution, const data::LabelledRows& rows,
                                       double tolerance) const {
  // Of two classes a dual point is missing then.
  constexpr double vanished = 1e-6;
  if (loss != "multinomial" || solution.penalty > 0) return;
  double own = 0;
  for (int64_t row = 0; row < std::ssize(rows.labels); ++row) own += rows.weight(row);
  const double all = counted > 0 ? counted : own,
               at_zero = (mean ? 1 : all) * std::log(static_cast<double>(outputs()));
  if (!(solution.smooth < vanished * at_zero)) return;
  solution.converged = false;
  solution.ending = convex::Ending::vanishing;
  solution.shortfall = solution.why_short(tolerance, false, 0, false, true);
}

std::string LinearProblem::why_zero(const data::LabelledRows& rows) const {
  const auto is_free = [&](int64_t j) {
    return !factors.empty() && factors[static_cast<size_t>(rows.number_of(j))] == 0;
  };
  int64_t free = 0;
  for (int64_t j = 0; j < rows.columns; ++j) free += is_free(j);
  if (free == rows.columns)
    return "the penalty factor of every column with entries is 0, so no weight is penalised and there is no "
           "path; give a factor above 0 to one";
  if (free > 0)
    return "the columns whose penalty factor is 0 leave nothing to the others, so every other weight is zero "
           "at any λ";
  const std::optional<double> only = only_label(rows);
  const bool counts = loss == "poisson";
  const bool fits = only && rows.offsets.empty() && !classifies() &&
                    (bias ? !counts || *only > 0 : *only == (counts ? 1 : 0));
  if (fits || (only && bias && loss == "hinge-squared"))
    return fmt::format("every row{} has the label {:.6g}, which {} fits, so every weight is zero at any λ",
                       has_weights_of_zero(rows) ? " whose weight is not 0" : "",
                       has_signs() && classes.size() == 2 ? classes[*only > 0 ? 1 : 0] : *only,
                       bias ? "the bias alone" : "a prediction of 0");
  return "no column has anything to do with the labels, so every weight is zero at any λ";
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

// In the order of their first columns with entries.
std::vector<ColumnGroup> LinearProblem::column_groups(const data::LabelledRows& rows) const {
  std::vector<ColumnGroup> result;
  std::map<double, size_t> known;
  for (int64_t j = 0; j < rows.columns && !groups.empty(); ++j) {
    const auto [at, is_first] = known.emplace(groups[static_cast<size_t>(rows.number_of(j))], result.size());
    if (is_first) result.emplace_back();
    auto& ranges = result[at->second].ranges;
    if (ranges.empty() || ranges.back().second != j) ranges.emplace_back(j, j);
    ranges.back().second = j + 1;
  }
  for (const double group : groups)
    if (const auto at = known.find(group); at != known.end()) ++result[at->second].size;
  return result;
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
  const std::vector<ColumnGroup> of_columns = column_groups(rows);
  for (const PenaltySpec& term : penalty) total = total + term.of(w, by_column, of_columns);
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

bool LinearProblem::ignores_order() const {
  return std::all_of(penalty.begin(), penalty.end(),
                     [](const PenaltySpec& term) { return term.ignores_order(); });
}

bool LinearProblem::ignores_zeros() const {
  return std::all_of(penalty.begin(), penalty.end(),
                     [](const PenaltySpec& term) { return term.ignores_zeros(); });
}

bool LinearProblem::makes_zeros() const {
  return std::any_of(penalty.begin(), penalty.end(),
                     [](const PenaltySpec& term) { return term.makes_zeros() && term.coefficient != 0; });
}

}  // namespace lariat
