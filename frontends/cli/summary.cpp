#include "frontends/cli/summary.hpp"

#include <fmt/format.h>

#include <cmath>
#include <filesystem>
#include <limits>

#include "frontends/cli/console.hpp"
#include "frontends/cli/table.hpp"
#include "frontends/report/chart.hpp"
#include "graph/base/json.hpp"

namespace lariat::cli {

namespace {

// "97.3%, loss 0.08, on 300 test examples", and further metrics before the loss. The first one's name stands
// before the line where it is no accuracy and `named` says so.
std::string measured(const Evaluation& evaluation, const char* split, bool named = false) {
  std::string text;
  for (const auto& row : measures(evaluation)) {
    const bool plain = text.empty() && !(named && row[0] != "accuracy");
    text += (text.empty() ? "" : ", ") + (plain ? "" : row[0] + " ") + row[1];
  }
  return fmt::format("{}{}loss {:.4g}, on {} {} examples", text, text.empty() ? "" : ", ", evaluation.loss,
                     grouped(evaluation.examples), split);
}

std::string first_measure(const Evaluation& evaluation) {
  const auto rows = measures(evaluation);
  return rows.empty() ? "loss" : rows[0][0];
}

}  // namespace

std::vector<std::vector<std::string>> measures(const Evaluation& evaluation) {
  std::vector<std::vector<std::string>> rows;
  if (!std::isnan(evaluation.accuracy) && evaluation.outputs.empty())
    rows.push_back({"accuracy", percent(evaluation.accuracy)});
  for (const auto& [name, value] : evaluation.metrics)
    if (name != "accuracy") rows.push_back({name, metric_text(name, value)});
  return rows;
}

double file_bytes(const std::string& file) {
  std::error_code none;
  const auto size = std::filesystem::file_size(file, none);
  return none ? 0 : static_cast<double>(size);
}

std::string summary(const RunResult& result, const std::string& report_file) {
  std::vector<std::vector<std::string>> rows;
  if (result.test) rows.push_back({first_measure(*result.test), measured(*result.test, "test")});
  if (result.validation) rows.push_back({"validation", measured(*result.validation, "validation", true)});
  if (result.penalised.count > 0)
    rows.push_back({"exact zeros",
                    fmt::format("{} of {} penalised weights, {} of all", percent(result.penalised.fraction()),
                                grouped(result.penalised.count), percent(result.weights.fraction()))});
  if (!result.history.empty() && result.history.back().support_changes)
    rows.push_back({"support changes", fmt::format("{} of them in the last epoch",
                                                   small_percent(*result.history.back().support_changes))});
  if (result.certificate) rows.push_back({"certificate", result.certificate->text()});
  if (!result.ended.empty()) rows.push_back({"ended early", result.ended});
  rows.push_back({"parameters", fmt::format("{}, {} of them not zero", grouped(result.parameters()),
                                            grouped(result.nonzeros()))});
  Sparsity frozen;
  for (const TensorZeros& tensor : result.tensors)
    if (tensor.frozen) frozen.count += tensor.sparsity.count;
  if (frozen.count > 0)
    rows.push_back(
        {"frozen", fmt::format("{} of them, which training left as they were", grouped(frozen.count))});
  if (!result.model.empty())
    rows.push_back({"model", fmt::format("{}, {}", result.model, bytes_text(file_bytes(result.model)))});
  if (!report_file.empty()) rows.push_back({"report", report_file});
  rows.push_back(
      {"time", fmt::format("{} on {} thread{}, {} training examples, seed {}", duration(result.seconds),
                           result.threads, result.threads == 1 ? "" : "s",
                           grouped(static_cast<int64_t>(result.train_examples)), result.seed)});
  rows.push_back({"state hash", result.state_hash});
  return columns(rows, 0);
}

std::string tensor_table(const std::vector<TensorZeros>& tensors, const StoredTensors& stored) {
  constexpr int width = 20;
  std::vector<std::vector<std::string>> rows{
      {"tensor", "shape", "exact zeros", "", "not zero", stored.empty() ? "" : "stored", "", "penalty"}};
  for (const TensorZeros& tensor : tensors) {
    const double share = tensor.sparsity.fraction();
    const auto filled = static_cast<size_t>(std::lround(share * width));
    rows.push_back({tensor.name, text(tensor.extents), percent(share),
                    std::string(filled, '#') + std::string(width - filled, '.'),
                    grouped(tensor.sparsity.count - tensor.sparsity.zeros), "", "",
                    tensor.penalty == "none" ? "" : tensor.penalty});
    const auto form = stored.find(tensor.name);
    if (form == stored.end()) continue;
    rows.back()[5] = bytes_text(static_cast<double>(form->second.bytes));
    rows.back()[6] = form->second.form;
  }
  return columns(rows, 0);
}

Json figures(const RunResult& result) {
  Json json = parse_json(result.json());
  json["model_bytes"] = static_cast<int64_t>(file_bytes(result.model));
  return json;
}

std::vector<int64_t> flattened(const std::vector<std::vector<int64_t>>& confusion) {
  std::vector<int64_t> counts;
  for (const auto& row : confusion) counts.insert(counts.end(), row.begin(), row.end());
  return counts;
}

void list_skipped(const std::vector<std::string>& skipped) {
  if (skipped.empty()) return;
  report(fmt::format("{} example{} skipped:", skipped.size(), skipped.size() == 1 ? " was" : "s were"));
  for (const std::string& line : skipped) note("  " + one_line(line) + "\n");
}

}  // namespace lariat::cli
