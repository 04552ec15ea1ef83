#include "frontends/sequential/metric.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "frontends/sequential/learning_records.hpp"
#include "graph/base/error.hpp"

namespace lariat {

const std::vector<MetricKind>& metric_kinds() {
  static const std::vector<MetricKind> kinds = {
#define LARIAT_METRIC(name) metric_records::name(),
#include "metric_records.inc"
#undef LARIAT_METRIC
  };
  return kinds;
}

const SpecKinds& metric_spec_kinds() {
  static const SpecKinds kinds = [] {
    SpecKinds result;
    for (const MetricKind& kind : metric_kinds()) result.push_back(&kind.spec);
    return result;
  }();
  return kinds;
}

Metric make_metric(const Spec& spec) {
  const auto found = std::find_if(metric_kinds().begin(), metric_kinds().end(),
                                  [&](const MetricKind& kind) { return kind.spec.name == spec.kind; });
  require(found != metric_kinds().end(), "a metric is of a listed kind");
  return found->make(spec);
}

Metric make_metric(std::string_view text) {
  return make_metric(spec_from_text(metric_spec_kinds(), text, "metrics"));
}

namespace {

// The names of those that a task has.
std::vector<std::string> metrics_of(const std::string& task) {
  std::vector<std::string> names;
  for (const MetricKind& kind : metric_kinds()) {
    const std::vector<std::string> fit = kind.make(kind.spec.defaults()).tasks;
    if (std::find(fit.begin(), fit.end(), task) != fit.end()) names.push_back(kind.spec.name);
  }
  return names;
}

// "f1 average=micro": with the options that are not the usual ones, each behind `before`.
std::string with_options(const Metric& metric, const std::string& before, bool keys) {
  std::string text = metric.name;
  const auto kind = std::find_if(metric_kinds().begin(), metric_kinds().end(),
                                 [&](const MetricKind& of) { return of.spec.name == metric.spec.kind; });
  if (kind == metric_kinds().end()) return text;
  const Spec usual = kind->spec.defaults();
  for (const auto& [key, value] : metric.spec.options)
    if (value != usual.at(key)) text += before + (keys ? key + "=" : "") + value;
  return text;
}

Metric renamed(Metric metric, const std::string& name) {
  if (metric.name == name) return metric;
  if (metric.over_data)
    metric.over_data = [before = metric.name, name, function = metric.over_data](const Outcome& outcome) {
      MetricValues values = function(outcome);
      for (auto& [of, value] : values)
        if (of == before || of.starts_with(before + "/")) of.replace(0, before.size(), name);
      return values;
    };
  metric.name = name;
  return metric;
}

}  // namespace

std::vector<std::string> metric_names(const std::vector<Metric>& metrics) {
  std::vector<std::string> names;
  for (const Metric& metric : metrics) {
    const bool alone = std::count_if(metrics.begin(), metrics.end(),
                                     [&](const Metric& other) { return other.name == metric.name; }) == 1;
    names.push_back(alone ? metric.name : with_options(metric, "_", false));
    if (std::count(names.begin(), names.end(), names.back()) > 1)
      throw UserError(fmt::format("the metric '{}' is there twice; leave one out, or give it other options",
                                  with_options(metric, " ", true)));
  }
  return names;
}

std::vector<Metric> metrics_for(const LearningTask& task, const std::vector<Metric>& given, int64_t outputs) {
  std::vector<Metric> metrics = given;
  if (metrics.empty())
    for (const std::string& name : task.metrics) metrics.push_back(make_metric(name));
  for (const Metric& metric : metrics) {
    const std::vector<std::string>& fit = metric.tasks;
    if (fit.empty() || std::find(fit.begin(), fit.end(), task.name) != fit.end()) {
      if (const std::string why = metric.vain && outputs > 0 ? metric.vain(outputs) : ""; !why.empty())
        throw UserError(fmt::format("the metric '{}': {}", metric.name, why));
      continue;
    }
    throw UserError(fmt::format("the metric '{}' is one of {}, but the model learns {}; take {}", metric.name,
                                fmt::join(fit, ", "), task.name, fmt::join(metrics_of(task.name), ", ")));
  }
  const std::vector<std::string> names = metric_names(metrics);
  for (size_t i = 0; i < metrics.size(); ++i) metrics[i] = renamed(std::move(metrics[i]), names[i]);
  return metrics;
}

namespace metric_parts {

namespace {

// What orders rows: the logit, or of classes log softmax, for their logits may be shifted row by row.
double score_of(const Outcome& outcome, int64_t row, int64_t column) {
  double score = double(outcome.output(row, column));
  if (outcome.exclusive) {
    double highest = -std::numeric_limits<double>::infinity(), sum = 0;
    for (int64_t other = 0; other < outcome.width; ++other)
      highest = std::max(highest, double(outcome.output(row, other)));
    for (int64_t other = 0; other < outcome.width; ++other)
      sum += std::exp(double(outcome.output(row, other)) - highest);
    score -= highest + std::log(sum);
  }
  return std::isnan(score) ? -std::numeric_limits<double>::infinity() : score;
}

}  // namespace

std::vector<Tie> ranked(const Outcome& outcome, int64_t first, int64_t end) {
  const int64_t columns = end - first;
  std::vector<int64_t> order(static_cast<size_t>(outcome.rows * columns));
  std::iota(order.begin(), order.end(), 0);
  const auto row = [&](int64_t place) { return place / columns; };
  const auto column = [&](int64_t place) { return first + place % columns; };
  std::vector<double> scores;
  for (const int64_t place : order) scores.push_back(score_of(outcome, row(place), column(place)));
  const auto output = [&](int64_t place) { return scores[static_cast<size_t>(place)]; };
  std::stable_sort(order.begin(), order.end(), [&](int64_t a, int64_t b) { return output(a) > output(b); });
  const Decisions decisions(outcome);
  std::vector<Tie> ties;
  for (size_t i = 0; i < order.size(); ++i) {
    if (i == 0 || output(order[i]) != output(order[i - 1])) ties.emplace_back();
    (decisions.is(row(order[i]), column(order[i])) ? ties.back().positive : ties.back().negative) +=
        outcome.weights[static_cast<size_t>(row(order[i]))];
  }
  return ties;
}

MetricValues of_rankings(const std::string& name, const Outcome& outcome, Average average,
                         double (*score)(const std::vector<Tie>&)) {
  if (average == Average::micro) return {{name, score(ranked(outcome, 0, outcome.width))}};
  std::vector<double> scores;
  for (int64_t column = 0; column < outcome.width; ++column)
    scores.push_back(score(ranked(outcome, column, column + 1)));
  return averaged(name, outcome, average, scores);
}

}  // namespace metric_parts

}  // namespace lariat
