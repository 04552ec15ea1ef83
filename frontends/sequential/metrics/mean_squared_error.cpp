#include <cmath>

#include "frontends/sequential/learning_records.hpp"
#include "ops/ops.hpp"

namespace lariat {

namespace {

const MetricRecord<MeanSquaredError>& mean_squared_error_metric_record() {
  static const MetricRecord<MeanSquaredError> record{
      .name = "mean_squared_error",
      .doc = "the mean of the squares of what numbers are off by",
      .fields = {},
      .tasks = {"numbers"},
      .over_data =
          [](const MeanSquaredError&, const Outcome& outcome) {
            const auto of = [&](int64_t row, int64_t column) {
              const double e = double(outcome.output(row, column)) - double(outcome.target(row, column));
              return e * e;
            };
            return MetricValues{{"mean_squared_error", weighted_mean(outcome, outcome.width, of)}};
          },
      .per_example = [](Value outputs, Value targets) { return mean(square(outputs - targets), {-1}); }};
  return record;
}

}  // namespace

MetricKind metric_records::mean_squared_error() { return mean_squared_error_metric_record().kind(); }

MeanSquaredError::operator Metric() const { return mean_squared_error_metric_record().metric(*this); }

}  // namespace lariat
