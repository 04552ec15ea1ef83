#include "tests/autodiff/loss_table.hpp"

#include <algorithm>
#include <random>

#include "autodiff/gradient.hpp"
#include "autodiff/penalty/penalty.hpp"
#include "autodiff/training/trainer.hpp"
#include "graph/ir/op_def.hpp"
#include "graph/program/program.hpp"
#include "tests/support/testing.hpp"

namespace lariat::testing {

namespace {

// What a line adds up. A + within bars or brackets belongs to the term.
std::vector<std::string> terms_of(const std::string& line) {
  std::vector<std::string> terms;
  for (size_t at = 0; at < line.size();) {
    size_t end = line.find(" + ", at);
    const auto count = [&](char c) {
      return std::count(line.begin() + static_cast<int64_t>(at), line.begin() + static_cast<int64_t>(end), c);
    };
    const auto is_open = [&] {
      bool inside = false;  // ‖ … ‖
      for (size_t bar = line.find("‖", at); bar < end; bar = line.find("‖", bar + 1)) inside = !inside;
      return inside || count('|') % 2 == 1 || count('(') != count(')');
    };
    while (end != std::string::npos && is_open()) end = line.find(" + ", end + 1);
    end = std::min(end, line.size());
    terms.push_back(line.substr(at, end - at));
    at = end + 3;
  }
  return terms;
}

// Along which axes groups are, where the row does not say: spellings of one loss may have others.
std::string without_axes(std::string term) {
  const size_t at = term.find(" along ax");
  return term.substr(0, at);
}

std::vector<std::string> outcome(const RewriteReport& report, bool with_axes) {
  std::vector<std::string> result;
  for (const auto& entry : report.rewritten) {
    // Operands of + are evaluated in any order.
    std::vector<std::string> terms;
    for (const std::string& term : entry.terms)
      for (const std::string& part : terms_of(term)) terms.push_back(with_axes ? part : without_axes(part));
    std::sort(terms.begin(), terms.end());
    std::string line = entry.parameter + ": ";
    for (size_t i = 0; i < terms.size(); ++i) line += (i > 0 ? " + " : "") + terms[i];
    result.push_back(line);
  }
  for (const Refusal& refusal : report.refused) result.push_back(refusal.code);
  std::sort(result.begin(), result.end());
  return result;
}

// "w: 0.01 * |w| -> soft threshold": the terms, and the operators apart, in any order.
std::string operators_of(const RewriteReport& report) {
  std::vector<std::string> all;
  for (const auto& entry : report.rewritten)
    for (size_t at = 0; at < entry.operator_name.size();) {
      const size_t end = std::min(entry.operator_name.find(", ", at), entry.operator_name.size());
      all.push_back(entry.operator_name.substr(at, end - at));
      at = end + 2;
    }
  std::sort(all.begin(), all.end());
  std::string result;
  for (const std::string& name : all) result += name + ";";
  return result;
}

std::pair<std::vector<std::string>, std::string> expected_outcome(const std::vector<std::string>& expected) {
  RewriteReport report;
  for (const std::string& line : expected) {
    if (line.starts_with("L")) {
      report.refused.push_back({line, {}, {}, {}, {}});
      continue;
    }
    const size_t colon = line.find(": "), arrow = line.find(" -> ");
    RewriteReport::Entry entry{line.substr(0, colon), {}, {}, line.substr(arrow + 4), {}};
    const std::string terms = line.substr(colon + 2, arrow - colon - 2);
    entry.terms = terms_of(terms);
    report.rewritten.push_back(entry);
  }
  return {outcome(report, true), operators_of(report)};
}

// The loss and its gradients by the parameters of its graph, by name, at a point and on data that the seed
// decides.
std::vector<Tensor> evaluated(Value loss, uint64_t seed) {
  Graph& graph = loss.graph();
  std::vector<Value> wanted;
  Feeds feeds;
  Store store;
  std::vector<std::string> names;
  for (int32_t id = 0; id <= loss.node(); ++id)
    if (const SourceKind kind = graph.node(id).op->traits.source;
        kind != SourceKind::none && kind != SourceKind::constant)
      names.push_back(graph.node(id).name);
  std::sort(names.begin(), names.end());
  initialize_store(graph, store, 1);
  for (const std::string& name : names) {
    const Value source = graph.find_source(name);
    if (source.dtype() == i32) continue;
    Extents extents;
    for (Dim size : source.shape()) extents.push_back(size.known() ? size.size() : 2);
    Tensor tensor(f64, extents);
    std::mt19937_64 random(seed + std::hash<std::string>()(name));
    std::normal_distribution<double> normal;
    for (double& value : tensor.values<double>()) value = normal(random);
    const SourceKind kind = graph.node(source.node()).op->traits.source;
    // Numbers of f32 in both, so that rounding makes no difference between the kinds.
    const Tensor rounded = tensor.cast(f32).cast(source.dtype());
    if (kind == SourceKind::input) {
      feeds.emplace(name, rounded);
    } else {
      store.set(name, rounded);
    }
    if (kind == SourceKind::parameter) wanted.push_back(source);
  }
  std::vector<Value> values = gradient(loss, wanted);
  values.insert(values.begin(), loss);
  return inference_program(graph, values)->run(feeds, store, *make_serial_executor());
}

}  // namespace

Tensor ramp(DType dtype, Extents extents, double first) {
  Tensor result(f64, std::move(extents));
  for (double& value : result.values<double>()) value = first++;
  return result.cast(dtype);
}

Value matrix(Graph& g, DType dtype, std::vector<std::vector<double>> rows) {
  Tensor result(f64, {static_cast<int64_t>(rows.size()), static_cast<int64_t>(rows[0].size())});
  double* next = result.data<double>();
  for (const std::vector<double>& row : rows) next = std::copy(row.begin(), row.end(), next);
  return g.constant(result.cast(dtype));
}

Value diagonal(Graph& g, DType dtype, std::vector<double> entries) {
  std::vector<std::vector<double>> rows(entries.size(), std::vector<double>(entries.size()));
  for (size_t i = 0; i < entries.size(); ++i) rows[i][i] = entries[i];
  return matrix(g, dtype, rows);
}

LossSetting::LossSetting(DType type) : dtype(type) {
  w = g.parameter("w", {4, 3}, init::glorot_uniform(), dtype);
  v = g.parameter("v", {4, 3}, init::glorot_uniform(), dtype);
  t = g.parameter("t", {6}, init::glorot_uniform(), dtype);
  column = g.parameter("column", {5, 1}, init::glorot_uniform(), dtype);
  row = g.parameter("row", {1, 5}, init::glorot_uniform(), dtype);
  scale = g.parameter("scale", {}, init::constant(0.1), dtype);
  x = g.input("x", {dim::batch, 4}, dtype);
  lambda = g.input("lambda", {}, dtype);
  weights = g.input("weights", {4, 3}, dtype);
  c = g.constant(ramp(dtype, {4, 3}));
  signs = g.constant(ramp(dtype, {4, 3}, -5));
  ones = g.constant(Tensor::filled(dtype, {3, 1}, 1));
  rows = g.constant(Tensor::of<int32_t>({3}, {0, 2, 2}));
  frozen = g.state("frozen", {4, 3}, init::constant(1), dtype);
  data = mean(square(matmul(x, w + v)));
}

double canonical_difference(Value loss, uint64_t seed) {
  Graph written, canonical;
  GraphCopy copy(loss.graph(), written);
  for (int32_t id = 0; id <= loss.node(); ++id) copy.copy(id);
  const std::vector<Tensor> wanted = evaluated(copy(loss), seed),
                            got = evaluated(canonicalize_penalties(loss, canonical), seed);
  REQUIRE(wanted.size() == got.size());
  // Nothing is asked of the gradient of a NaN, but that the loss is one.
  if (std::isnan(wanted[0].item())) return std::isnan(got[0].item()) ? 0 : INFINITY;
  double largest = 0;
  for (size_t i = 0; i < wanted.size(); ++i)
    for (int64_t j = 0; j < wanted[i].count(); ++j) {
      const double a = wanted[i].at(j), b = got[i].at(j);
      if (a == b || (std::isnan(a) && std::isnan(b))) continue;
      largest = std::max(largest, std::abs(a - b) / std::max({std::abs(a), std::abs(b), 1.0}));
    }
  return largest;
}

bool check_loss(const LossRow& row) {
  LossSetting setting;
  const Trainer trainer(row.build(setting), Sgd{.learning_rate = 0.1}, {.threads = 1});
  CAPTURE(row.loss);
  CAPTURE(trainer.report().text());
  const auto [terms, operators] = expected_outcome(row.expected);
  const bool with_axes = std::any_of(row.expected.begin(), row.expected.end(), [](const std::string& line) {
    return line.find(" along ax") != std::string::npos;
  });
  CHECK(outcome(trainer.report(), with_axes) == terms);
  CHECK(operators_of(trainer.report()) == operators);
  for (DType dtype : {f32, f64})
    for (uint64_t seed = 0; seed < 2; ++seed) {
      LossSetting other(dtype);
      CHECK(canonical_difference(row.build(other), seed) <= (dtype == f32 ? 1e-4 : 1e-11));
    }
  return !row.expected.empty() && row.expected.back().starts_with("L");
}

}  // namespace lariat::testing
