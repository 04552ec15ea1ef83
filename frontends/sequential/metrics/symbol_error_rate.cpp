#include <limits>

#include "frontends/sequential/learning_records.hpp"

namespace lariat {

namespace {

// Σ w·(substitutions + insertions + deletions)/Σ w·symbols
MetricValues symbol_error_rate_of(const SymbolErrorRate&, const Outcome& outcome) {
  double errors = 0, symbols = 0;
  for (size_t row = 0; row < outcome.sequences.size(); ++row) {
    const auto& [truth, said] = outcome.sequences[row];
    errors += outcome.weights[row] * static_cast<double>(errors_in(aligned(truth, said)).errors());
    symbols += outcome.weights[row] * static_cast<double>(truth.size());
  }
  const double of_none = errors > 0 ? std::numeric_limits<double>::infinity() : 0;
  return {{"symbol_error_rate", symbols > 0 ? errors / symbols : of_none}};
}

const MetricRecord<SymbolErrorRate>& symbol_error_rate_record() {
  static const MetricRecord<SymbolErrorRate> record{
      .name = "symbol_error_rate",
      .doc = "symbols that are another, too many or missing, over those that there are",
      .fields = {},
      .tasks = {"symbols"},
      .over_data = symbol_error_rate_of};
  return record;
}

}  // namespace

MetricKind metric_records::symbol_error_rate() { return symbol_error_rate_record().kind(); }

SymbolErrorRate::operator Metric() const { return symbol_error_rate_record().metric(*this); }

}  // namespace lariat
