#include "frontends/sequential/learning_records.hpp"

namespace lariat {

namespace {

double precision_score(const Counts& counts) {
  const double said = counts.right + counts.false_alarms;
  return said > 0 ? counts.right / said : 0;
}

const MetricRecord<Precision>& precision_record() {
  static const MetricRecord<Precision> record{
      .name = "precision",
      .doc = "how much of what is said is so",
      .fields = metric_parts::average_fields<Precision>(),
      .tasks = metric_parts::decisions,
      .over_data = [](const Precision& options, const Outcome& outcome) {
        return averaged("precision", outcome, options.average, precision_score);
      }};
  return record;
}

}  // namespace

MetricKind metric_records::precision() { return precision_record().kind(); }

Precision::operator Metric() const { return precision_record().metric(*this); }

}  // namespace lariat
