#include <cmath>

#include "frontends/sequential/learning_records.hpp"
#include "ops/ops.hpp"

namespace lariat {

namespace {

const MetricRecord<MeanAbsoluteError>& mean_absolute_error_metric_record() {
  static const MetricRecord<MeanAbsoluteError> record{
      .name = "mean_absolute_error",
      .doc = "the mean of what numbers are off by",
      .fields = {},
      .tasks = {"numbers"},
      .over_data =
          [](const MeanAbsoluteError&, const Outcome& outcome) {
            const auto of = [&](int64_t row, int64_t column) {
              const double e = double(outcome.output(row, column)) - double(outcome.target(row, column));
              return std::abs(e);
            };
            return MetricValues{{"mean_absolute_error", weighted_mean(outcome, outcome.width, of)}};
          },
      .per_example = [](Value outputs, Value targets) { return mean(abs(outputs - targets), {-1}); }};
  return record;
}

}  // namespace

MetricKind metric_records::mean_absolute_error() { return mean_absolute_error_metric_record().kind(); }

MeanAbsoluteError::operator Metric() const { return mean_absolute_error_metric_record().metric(*this); }

}  // namespace lariat
