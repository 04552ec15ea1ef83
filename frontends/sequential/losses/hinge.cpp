#include "frontends/sequential/learning_records.hpp"
#include "ops/ops.hpp"

namespace lariat {

namespace {

const LossRecord<Hinge>& hinge_loss_record() {
  static const LossRecord<Hinge> record{
      .name = "hinge",
      .doc = "max(0, 1 - s·z), s = ±1, of two classes or of several labels at once; predictions are margins",
      .fields = {},
      .per_example = [](const Hinge&, Value outputs,
                        Value targets) { return mean(relu(1 - (2 * targets - 1) * outputs), {-1}); },
      .task = loss_parts::binary_or_labels,
      .plain_outputs = true,
      .takes_shares = false};
  return record;
}

}  // namespace

LossKind loss_records::hinge() { return hinge_loss_record().kind(); }

Hinge::operator Loss() const { return hinge_loss_record().loss(*this); }

}  // namespace lariat
