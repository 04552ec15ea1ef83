#include "frontends/sequential/learning_records.hpp"
#include "ops/ops.hpp"

namespace lariat {

namespace {

struct AccuracyFields {};

MetricValues accuracy_of(const AccuracyFields&, const Outcome& outcome) {
  const Decisions decisions(outcome);
  const auto agree = [&](int64_t row, int64_t column) {
    return decisions.said(row, column) == decisions.is(row, column);
  };
  if (!outcome.exclusive) return {{"accuracy", weighted_mean(outcome, outcome.width, agree)}};
  // An answer is right where the class that is true is said.
  const double right = weighted_mean(outcome, 1, [&](int64_t row, int64_t) {
    for (int64_t column = 0; column < outcome.width; ++column)
      if (decisions.is(row, column)) return decisions.said(row, column);
    return false;
  });
  return {{"accuracy", right}};
}

const MetricRecord<AccuracyFields>& accuracy_record() {
  static const MetricRecord<AccuracyFields> record{
      .name = "accuracy",
      .doc = "the share of right answers",
      .fields = {},
      .tasks = metric_parts::decisions,
      .over_data = accuracy_of,
      .per_example = [](Value outputs, Value targets) {
        if (targets.dtype() == i32) return cast(equal(argmax(outputs), targets), outputs.dtype());
        return mean(equal(greater(outputs, 0), greater(targets, 0.5)), {-1});
      }};
  return record;
}

}  // namespace

MetricKind metric_records::accuracy() { return accuracy_record().kind(); }

Accuracy::operator Metric() const { return accuracy_record().metric({}); }

}  // namespace lariat
