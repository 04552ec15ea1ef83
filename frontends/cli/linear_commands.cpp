#include "frontends/cli/linear_commands.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "autodiff/training/trainer.hpp"
#include "frontends/cli/console.hpp"
#include "frontends/cli/linear_arguments.hpp"
#include "frontends/cli/summary.hpp"
#include "frontends/cli/table.hpp"
#include "graph/base/error.hpp"

namespace lariat::cli {

namespace {

constexpr int64_t most_weights_shown = 20;

Sparsity zeros_of(const SavedLinear& model) { return sparsity(model.parameters().get("w")); }

// What z says: probabilities of classes, the mean of a count, or the number itself.
std::vector<double> said_by(const LinearProblem& problem, std::span<const double> z) {
  if (problem.loss == "poisson") return {std::exp(z[0])};
  if (problem.loss == "logistic") return {1 / (1 + std::exp(-z[0]))};
  if (problem.loss != "multinomial") return {z[0]};
  const double largest = *std::max_element(z.begin(), z.end());
  std::vector<double> probabilities;
  double sum = 0;
  for (const double value : z) sum += probabilities.emplace_back(std::exp(value - largest));
  for (double& probability : probabilities) probability /= sum;
  return probabilities;
}

}  // namespace

namespace {

data::LabelledRows linear_rows(const SavedLinear& model, const LinearRowFiles& files, bool labelled) {
  data::LabelledRows rows = model.read(files.data, files.labels, labelled);
  rows.weights = row_weights(files.weights, rows.rows);
  rows.offsets = numbers_for("--offset", files.offset, rows.rows, "rows", true);
  return rows;
}

}  // namespace

Json evaluate_linear(const SavedLinear& model, const LinearRowFiles& files) {
  if (files.data.empty())
    throw UserError("there are no data to measure the linear model on; give their file with --data");
  const data::LabelledRows rows = linear_rows(model, files, true);
  const MetricValues metrics = model.evaluate(rows);
  std::vector<Strings> lines;
  for (const auto& [name, value] : metrics)
    lines.push_back({name, name == "accuracy" ? percent(value) : fmt::format("{:.6g}", value)});
  const Sparsity zeros = zeros_of(model);
  lines.push_back({"rows", grouped(rows.rows)});
  lines.push_back({"exact zeros", percent(zeros.fraction())});
  print(columns(lines, 0));
  return {{"task", "linear"},
          {"problem", model.problem().title()},
          {"metrics", parse_json(to_json(metrics))},
          {"examples", rows.rows},
          {"zero_fraction", zeros.fraction()},
          {"nonzeros", zeros.count - zeros.zeros}};
}

LinearPredictions predict_linear(const SavedLinear& model, const LinearRowFiles& files) {
  const LinearProblem& problem = model.problem();
  const data::LabelledRows rows = linear_rows(model, files, false);
  const std::vector<double> z = model.predict(rows);
  const auto width = static_cast<size_t>(problem.outputs());
  LinearPredictions result;
  Strings names{"prediction"};
  if (problem.loss == "logistic") names.push_back("probability");
  if (problem.loss == "hinge-squared") names.push_back("margin");
  if (problem.loss == "multinomial")
    for (const double label : problem.classes) names.push_back(fmt::format("{}", label));
  result.csv = "row";
  for (const std::string& name : names) result.csv += "," + name;
  result.csv += "\n";
  Json list = Json::array();
  for (int64_t row = 0; row < rows.rows; ++row) {
    const std::span<const double> of_row = std::span(z).subspan(static_cast<size_t>(row) * width, width);
    std::vector<double> values = said_by(problem, of_row);
    if (problem.classifies()) {
      const size_t place =
          width > 1 ? static_cast<size_t>(std::max_element(of_row.begin(), of_row.end()) - of_row.begin())
                    : (of_row[0] > 0 ? 1 : 0);
      values.insert(values.begin(),
                    problem.classes.empty() ? (place == 1 ? 1.0 : -1.0) : problem.classes[place]);
    }
    result.csv += fmt::format("{}", row);
    for (const double value : values) result.csv += fmt::format(",{}", value);
    result.csv += "\n";
    list.push_back({{"prediction", values[0]}, {"values", values}});
  }
  result.figures = {{"task", "linear"}, {"names", names}, {"predictions", list}};
  return result;
}

Json inspect_linear(const SavedLinear& model, const std::string& file) {
  const Tensor w = model.parameters().get("w");
  const Sparsity zeros = zeros_of(model);
  const LinearProblem& problem = model.problem();
  print(fmt::format("{}: {}, a linear model of {} columns\n{}\n\n", file, bytes_text(file_bytes(file)),
                    grouped(model.columns()), problem.title()));
  const int64_t width = problem.outputs();
  std::vector<int64_t> order;
  for (int64_t i = 0; i < w.count(); ++i)
    if (w.at(i) != 0) order.push_back(i);
  std::stable_sort(order.begin(), order.end(),
                   [&](int64_t a, int64_t b) { return std::abs(w.at(a)) > std::abs(w.at(b)); });
  std::vector<Strings> lines{{"column", width > 1 ? "class" : "", "weight"}};
  for (int64_t place = 0; place < std::min<int64_t>(most_weights_shown, static_cast<int64_t>(order.size()));
       ++place) {
    const int64_t i = order[static_cast<size_t>(place)];
    lines.push_back({fmt::format("{}", i / width + 1),
                     width > 1 ? fmt::format("{}", problem.classes[static_cast<size_t>(i % width)]) : "",
                     fmt::format("{:.6g}", w.at(i))});
  }
  print(columns(lines, 0));
  if (static_cast<int64_t>(order.size()) > most_weights_shown)
    print(fmt::format("and {} smaller ones\n",
                      grouped(static_cast<int64_t>(order.size()) - most_weights_shown)));
  if (problem.bias) {
    const Tensor b = model.parameters().get("b");
    std::string text;
    for (int64_t k = 0; k < b.count(); ++k) text += fmt::format("{}{:.6g}", k == 0 ? "" : ", ", b.at(k));
    print(fmt::format("bias: {}\n", text));
  }
  print(fmt::format("\n{} weights, {} of them not zero\n", grouped(zeros.count),
                    grouped(zeros.count - zeros.zeros)));
  const auto certificate = model.notes().find("certificate");
  if (certificate != model.notes().end()) print(certificate->second + "\n");
  return {{"file", file},
          {"task", "linear"},
          {"problem", problem.title()},
          {"columns", model.columns()},
          {"offset", problem.offset},
          {"classes", problem.classes},
          {"bytes", static_cast<int64_t>(file_bytes(file))},
          {"parameters", zeros.count},
          {"nonzeros", zeros.count - zeros.zeros},
          {"zero_fraction", zeros.fraction()},
          {"certificate", certificate == model.notes().end() ? Json() : Json(certificate->second)}};
}

}  // namespace lariat::cli
