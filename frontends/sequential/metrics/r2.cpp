#include "frontends/sequential/learning_records.hpp"

namespace lariat {

namespace {

// 1 - Σw·e²/Σw·(t - t̄)², t̄ = Σw·t/Σw; of targets that are all alike it is 1 or 0.
double r2_of_column(const Outcome& outcome, int64_t column) {
  const auto target = [&](int64_t row, int64_t = 0) { return double(outcome.target(row, column)); };
  const double middle = weighted_mean(outcome, 1, target);
  double errors = 0, spread = 0;
  for (int64_t row = 0; row < outcome.rows; ++row) {
    const double weight = outcome.weights[static_cast<size_t>(row)];
    const double e = double(outcome.output(row, column)) - target(row), d = target(row) - middle;
    errors += weight * e * e;
    spread += weight * d * d;
  }
  if (spread > 0) return 1 - errors / spread;
  return errors > 0 ? 0 : 1;
}

const MetricRecord<R2>& r2_record() {
  static const MetricRecord<R2> record{
      .name = "r2",
      .doc = "1 - the share of the targets' variance that is left, the mean over the numbers",
      .fields = {},
      .tasks = {"numbers"},
      .over_data = [](const R2&, const Outcome& outcome) {
        double sum = 0;
        for (int64_t column = 0; column < outcome.width; ++column) sum += r2_of_column(outcome, column);
        return MetricValues{{"r2", sum / static_cast<double>(outcome.width)}};
      }};
  return record;
}

}  // namespace

MetricKind metric_records::r2() { return r2_record().kind(); }

R2::operator Metric() const { return r2_record().metric(*this); }

}  // namespace lariat
