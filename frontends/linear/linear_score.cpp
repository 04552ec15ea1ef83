#include "frontends/linear/linear_score.hpp"

#include <algorithm>
#include <cmath>

#include "frontends/sequential/metric.hpp"

namespace lariat {

namespace {

template <double (*of_row)(double z, double y)>
double mean_over_rows(const LinearProblem&, std::span<const double> z, const data::LabelledRows& rows) {
  double total = 0, all = 0;
  for (int64_t row = 0; row < rows.rows; ++row) {
    total += rows.weight(row) * of_row(z[static_cast<size_t>(row)], rows.labels[static_cast<size_t>(row)]);
    all += rows.weight(row);
  }
  return total / all;
}

// Twice the distance in log-likelihood to a model that knows every label.
double logistic_deviance(double z, double y) {
  const double m = -y * z;
  return 2 * (std::max(m, 0.0) + std::log1p(std::exp(-std::abs(m))));
}
double poisson_deviance(double z, double y) {
  return 2 * ((y > 0 ? y * (std::log(y) - z) : 0) - (y - std::exp(z)));
}
double is_right(double z, double y) { return z * y > 0 ? 1.0 : 0.0; }
double squared_error(double z, double y) { return (z - y) * (z - y); }
double absolute_error(double z, double y) { return std::abs(z - y); }
double absolute_error_of_count(double z, double y) { return std::abs(std::exp(z) - y); }

template <class Function>
double mean_over_classes(const LinearProblem& problem, std::span<const double> z,
                         const data::LabelledRows& rows, Function&& of_row) {
  const auto width = static_cast<size_t>(problem.outputs());
  double total = 0, all = 0;
  for (int64_t row = 0; row < rows.rows; ++row) {
    const auto at = static_cast<size_t>(row);
    total += rows.weight(row) * of_row(z.subspan(at * width, width), static_cast<size_t>(rows.labels[at]));
    all += rows.weight(row);
  }
  return total / all;
}

double multinomial_deviance(const LinearProblem& problem, std::span<const double> z,
                            const data::LabelledRows& rows) {
  return mean_over_classes(problem, z, rows, [](std::span<const double> of, size_t label) {
    const double largest = *std::max_element(of.begin(), of.end());
    double sum = 0;
    for (const double value : of) sum += std::exp(value - largest);
    return 2 * (largest + std::log(sum) - of[label]);
  });
}
double multinomial_accuracy(const LinearProblem& problem, std::span<const double> z,
                            const data::LabelledRows& rows) {
  return mean_over_classes(problem, z, rows, [](std::span<const double> of, size_t label) {
    const auto said = static_cast<size_t>(std::max_element(of.begin(), of.end()) - of.begin());
    return said == label ? 1.0 : 0.0;
  });
}

double area_under_curve(const LinearProblem&, std::span<const double> z, const data::LabelledRows& rows) {
  Outcome outcome{.rows = rows.rows, .width = 1};
  outcome.names = {""};
  for (int64_t row = 0; row < rows.rows; ++row) {
    outcome.outputs.push_back(static_cast<float>(z[static_cast<size_t>(row)]));
    outcome.truth.push_back(rows.labels[static_cast<size_t>(row)] > 0 ? 1.0f : 0.0f);
    outcome.weights.push_back(rows.weight(row));
  }
  return Metric(Auc{}).over_data(outcome).front().second;
}

}  // namespace

std::vector<LinearScore> linear_scores(const LinearProblem& problem) {
  const LinearScore accuracy{"accuracy", true, mean_over_rows<is_right>}, auc{"auc", true, area_under_curve};
  const LinearScore squared{"mean-squared-error", false, mean_over_rows<squared_error>},
      absolute{"mean-absolute-error", false, mean_over_rows<absolute_error>};
  if (problem.loss == "squared") return {squared, absolute};
  if (problem.loss == "huber") return {absolute, squared};
  if (problem.loss == "logistic")
    return {{"deviance", false, mean_over_rows<logistic_deviance>}, accuracy, auc};
  if (problem.loss == "poisson")
    return {{"deviance", false, mean_over_rows<poisson_deviance>},
            {"mean-absolute-error", false, mean_over_rows<absolute_error_of_count>}};
  if (problem.loss == "multinomial")
    return {{"deviance", false, multinomial_deviance}, {"accuracy", true, multinomial_accuracy}};
  return {accuracy, auc};
}

LinearPredictor::LinearPredictor(const LinearProblem& problem, const data::LabelledRows& rows) {
  Graph graph;
  graph.output("z", problem.prediction(graph, rows));
  program_ = std::make_unique<Program>(graph);
  executor_ = make_serial_executor();
}

std::vector<double> LinearPredictor::operator()(const Store& parameters) {
  Store store = parameters;
  const Tensor z = program_->run({}, store, *executor_)[0];
  return {z.data<double>(), z.data<double>() + z.count()};
}

}  // namespace lariat
