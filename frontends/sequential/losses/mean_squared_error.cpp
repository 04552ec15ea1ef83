#include "frontends/sequential/learning_records.hpp"
#include "ops/ops.hpp"

namespace lariat {

namespace {

const LossRecord<MeanSquaredError>& mean_squared_error_loss_record() {
  static const LossRecord<MeanSquaredError> record{
      .name = "mean_squared_error",
      .doc = "the mean of the squares of what numbers are off by",
      .fields = {},
      .per_example = [](const MeanSquaredError&, Value outputs,
                        Value targets) { return mean(square(outputs - targets), {-1}); },
      .task = loss_parts::numbers};
  return record;
}

}  // namespace

LossKind loss_records::mean_squared_error() { return mean_squared_error_loss_record().kind(); }

MeanSquaredError::operator Loss() const { return mean_squared_error_loss_record().loss(*this); }

}  // namespace lariat
