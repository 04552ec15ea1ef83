#include <limits>

#include "frontends/sequential/learning_records.hpp"

namespace lariat {

namespace {

double auc_score(const std::vector<metric_parts::Tie>& ties) {
  // Each of the false below a true one counts whole, one that is equal half.
  double above = 0, area = 0, negatives = 0;
  for (const metric_parts::Tie& tie : ties) {
    area += tie.negative * (above + tie.positive / 2);
    above += tie.positive;
    negatives += tie.negative;
  }
  return above > 0 && negatives > 0 ? area / (above * negatives) : std::numeric_limits<double>::quiet_NaN();
}

const MetricRecord<Auc>& auc_record() {
  static const MetricRecord<Auc> record{
      .name = "auc",
      .doc = "the area under the ROC curve: how often what is true is more probable than what is not",
      .fields = metric_parts::average_fields<Auc>(),
      .tasks = metric_parts::decisions,
      .over_data = [](const Auc& options, const Outcome& outcome) {
        return metric_parts::of_rankings("auc", outcome, options.average, auc_score);
      }};
  return record;
}

}  // namespace

MetricKind metric_records::auc() { return auc_record().kind(); }

Auc::operator Metric() const { return auc_record().metric(*this); }

}  // namespace lariat
