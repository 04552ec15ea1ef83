#include "frontends/sequential/outcome.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <span>

namespace lariat {

int64_t place_of_largest(const float* values, int64_t width) {
  const auto less = [](float a, float b) { return std::isnan(b) ? !std::isnan(a) : a < b; };
  return std::max_element(values, values + width, less) - values;
}

Decisions::Decisions(const Outcome& outcome)
    : width_(outcome.width), said_(outcome.outputs.size()), is_(outcome.outputs.size()) {
  if (outcome.exclusive) {
    for (int64_t row = 0; row < outcome.rows; ++row) {
      const int64_t at = row * width_;
      said_[static_cast<size_t>(at + place_of_largest(&outcome.outputs[static_cast<size_t>(at)], width_))] =
          1;
      is_[static_cast<size_t>(at + place_of_largest(&outcome.truth[static_cast<size_t>(at)], width_))] = 1;
    }
  } else {
    std::transform(outcome.outputs.begin(), outcome.outputs.end(), said_.begin(),
                   [](float z) { return z > 0; });
    std::transform(outcome.truth.begin(), outcome.truth.end(), is_.begin(), [](float t) { return t > 0.5F; });
  }
}

std::vector<Counts> counts_by_column(const Outcome& outcome) {
  const Decisions decisions(outcome);
  std::vector<Counts> counts(static_cast<size_t>(outcome.width));
  for (int64_t row = 0; row < outcome.rows; ++row)
    for (int64_t column = 0; column < outcome.width; ++column) {
      const bool said = decisions.said(row, column), is = decisions.is(row, column);
      Counts& of = counts[static_cast<size_t>(column)];
      if (said || is)
        (said && is ? of.right
         : said     ? of.false_alarms
                    : of.missed) += outcome.weights[static_cast<size_t>(row)];
    }
  return counts;
}

namespace {

double mean_of_scores(std::span<const double> scores, std::span<const double> weights) {
  double sum = 0, all = 0;
  for (size_t i = 0; i < scores.size(); ++i) {
    if (std::isnan(scores[i])) continue;
    sum += weights[i] * scores[i];
    all += weights[i];
  }
  return sum / all;
}

MetricValues averaged_by(const std::string& name, const Outcome& outcome, Average average,
                         const std::vector<double>& scores, const std::vector<Counts>& counts) {
  MetricValues values;
  if (average == Average::none && scores.size() > 1) {
    for (size_t i = 0; i < scores.size(); ++i) values.emplace_back(name + "/" + outcome.names[i], scores[i]);
    return values;
  }
  std::vector<double> weights(scores.size(), 1);
  if (average == Average::weighted)
    std::transform(counts.begin(), counts.end(), weights.begin(), [](const Counts& c) { return c.truly(); });
  return {{name, mean_of_scores(scores, weights)}};
}

}  // namespace

MetricValues averaged(const std::string& name, const Outcome& outcome, Average average,
                      double (*score)(const Counts&)) {
  const std::vector<Counts> counts = counts_by_column(outcome);
  if (average == Average::micro) {
    Counts all;
    for (const Counts& of : counts) {
      all.right += of.right;
      all.false_alarms += of.false_alarms;
      all.missed += of.missed;
    }
    return {{name, score(all)}};
  }
  std::vector<double> scores;
  for (const Counts& of : counts) {
    const bool occurs = of.right + of.false_alarms + of.missed > 0 || counts.size() == 1;
    scores.push_back(occurs ? score(of) : std::numeric_limits<double>::quiet_NaN());
  }
  return averaged_by(name, outcome, average, scores, counts);
}

MetricValues averaged(const std::string& name, const Outcome& outcome, Average average,
                      const std::vector<double>& scores) {
  return averaged_by(name, outcome, average, scores, counts_by_column(outcome));
}

}  // namespace lariat
