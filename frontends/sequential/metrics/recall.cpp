#include "frontends/sequential/learning_records.hpp"

namespace lariat {

namespace {

double recall_score(const Counts& counts) { return counts.truly() > 0 ? counts.right / counts.truly() : 0; }

const MetricRecord<Recall>& recall_record() {
  static const MetricRecord<Recall> record{.name = "recall",
                                           .doc = "how much of what is so is said",
                                           .fields = metric_parts::average_fields<Recall>(),
                                           .tasks = metric_parts::decisions,
                                           .over_data = [](const Recall& options, const Outcome& outcome) {
                                             return averaged("recall", outcome, options.average,
                                                             recall_score);
                                           }};
  return record;
}

}  // namespace

MetricKind metric_records::recall() { return recall_record().kind(); }

Recall::operator Metric() const { return recall_record().metric(*this); }

}  // namespace lariat
