#include <fmt/format.h>

#include "frontends/sequential/learning_records.hpp"

namespace lariat {

namespace {

// As many classes may be more likely than the right one as leave it a place; a NaN is in no place.
MetricValues top_k_of(const TopK& options, const Outcome& outcome) {
  const Decisions decisions(outcome);
  const double share = weighted_mean(outcome, 1, [&](int64_t row, int64_t) {
    int64_t truth = 0, above = 0;
    while (!decisions.is(row, truth)) ++truth;
    for (int64_t column = 0; column < outcome.width; ++column)
      above += !(outcome.output(row, column) <= outcome.output(row, truth));
    return above < options.k;
  });
  return {{"top_k", share}};
}

const MetricRecord<TopK>& top_k_record() {
  static const MetricRecord<TopK> record{
      .name = "top_k",
      .doc = "the share of examples whose class is among the k most likely",
      .fields = Fields<TopK>().integer("k", &TopK::k, 1, 1000000, "how many are looked at"),
      .tasks = {"classes"},
      .over_data = top_k_of,
      .vain = [](const TopK& options, int64_t classes) -> std::string {
        return options.k < classes
                   ? ""
                   : fmt::format("k = {} is always 1 of {} classes; take a k below that", options.k, classes);
      }};
  return record;
}

}  // namespace

MetricKind metric_records::top_k() { return top_k_record().kind(); }

TopK::operator Metric() const { return top_k_record().metric(*this); }

}  // namespace lariat
