#include <limits>

#include "frontends/sequential/learning_records.hpp"

namespace lariat {

namespace {

double average_precision_score(const std::vector<metric_parts::Tie>& ties) {
  double positives = 0, right = 0, said = 0, area = 0;
  for (const metric_parts::Tie& tie : ties) positives += tie.positive;
  for (const metric_parts::Tie& tie : ties) {
    right += tie.positive;
    said += tie.positive + tie.negative;
    if (said > 0) area += tie.positive * right / said;
  }
  return positives > 0 ? area / positives : std::numeric_limits<double>::quiet_NaN();
}

const MetricRecord<AveragePrecision>& average_precision_record() {
  static const MetricRecord<AveragePrecision> record{
      .name = "average_precision",
      .doc = "the area under the curve of precision by recall",
      .fields = metric_parts::average_fields<AveragePrecision>(),
      .tasks = metric_parts::decisions,
      .over_data = [](const AveragePrecision& options, const Outcome& outcome) {
        return metric_parts::of_rankings("average_precision", outcome, options.average,
                                         average_precision_score);
      }};
  return record;
}

}  // namespace

MetricKind metric_records::average_precision() { return average_precision_record().kind(); }

AveragePrecision::operator Metric() const { return average_precision_record().metric(*this); }

}  // namespace lariat
