#include "frontends/sequential/learning_records.hpp"

namespace lariat {

namespace {

const MetricRecord<SequenceAccuracy>& sequence_accuracy_record() {
  static const MetricRecord<SequenceAccuracy> record{
      .name = "sequence_accuracy",
      .doc = "the share of sequences of symbols that are right from end to end",
      .fields = {},
      .tasks = {"symbols"},
      .over_data = [](const SequenceAccuracy&, const Outcome& outcome) {
        const double right = weighted_mean(outcome, 1, [&](int64_t row, int64_t) {
          const auto& [truth, said] = outcome.sequences[static_cast<size_t>(row)];
          return truth == said;
        });
        return MetricValues{{"sequence_accuracy", right}};
      }};
  return record;
}

}  // namespace

MetricKind metric_records::sequence_accuracy() { return sequence_accuracy_record().kind(); }

SequenceAccuracy::operator Metric() const { return sequence_accuracy_record().metric(*this); }

}  // namespace lariat
