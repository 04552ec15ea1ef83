#include "frontends/sequential/learning_records.hpp"
#include "ops/ops.hpp"

namespace lariat {

namespace {

const LossRecord<MeanAbsoluteError>& mean_absolute_error_loss_record() {
  static const LossRecord<MeanAbsoluteError> record{
      .name = "mean_absolute_error",
      .doc = "the mean of what numbers are off by",
      .fields = {},
      .per_example = [](const MeanAbsoluteError&, Value outputs,
                        Value targets) { return mean(abs(outputs - targets), {-1}); },
      .task = loss_parts::numbers};
  return record;
}

}  // namespace

LossKind loss_records::mean_absolute_error() { return mean_absolute_error_loss_record().kind(); }

MeanAbsoluteError::operator Loss() const { return mean_absolute_error_loss_record().loss(*this); }

}  // namespace lariat
