#include <numbers>

#include "frontends/sequential/learning_records.hpp"
#include "ops/ops.hpp"

namespace lariat {

namespace {

struct LogCosh {};

const LossRecord<LogCosh>& log_cosh_record() {
  static const LossRecord<LogCosh> record{
      .name = "log_cosh",
      .doc = "log cosh of what numbers are off by: half its square near 0, a straight line far from it",
      .fields = {},
      .per_example =
          [](const LogCosh&, Value outputs, Value targets) {
            // log cosh e = e + softplus(-2e) - log 2, which is finite for every e.
            const Value e = outputs - targets;
            return mean(e + softplus(-2 * e) - std::numbers::ln2, {-1});
          },
      .task = loss_parts::numbers};
  return record;
}

}  // namespace

LossKind loss_records::log_cosh() { return log_cosh_record().kind(); }

}  // namespace lariat
