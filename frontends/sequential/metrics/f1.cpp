#include "frontends/sequential/learning_records.hpp"

namespace lariat {

namespace {

double f1_score(const Counts& counts) {
  const double all = 2 * counts.right + counts.false_alarms + counts.missed;
  return all > 0 ? 2 * counts.right / all : 0;
}

const MetricRecord<F1>& f1_record() {
  static const MetricRecord<F1> record{.name = "f1",
                                       .doc = "the harmonic mean of precision and recall",
                                       .fields = metric_parts::average_fields<F1>(),
                                       .tasks = metric_parts::decisions,
                                       .over_data = [](const F1& options, const Outcome& outcome) {
                                         return averaged("f1", outcome, options.average, f1_score);
                                       }};
  return record;
}

}  // namespace

MetricKind metric_records::f1() { return f1_record().kind(); }

F1::operator Metric() const { return f1_record().metric(*this); }

}  // namespace lariat
