#include "frontends/sequential/learning_records.hpp"
#include "ops/ops.hpp"

namespace lariat {

namespace {

const LossRecord<Huber>& huber_record() {
  static const LossRecord<Huber> record{
      .name = "huber",
      .doc =
          "half the square of what numbers are off by up to delta, and a straight line from there; Huber "
          "(1964)",
      .fields = Fields<Huber>().number("delta", &Huber::delta, 1e-9, 1e9, "where the straight line begins"),
      .per_example =
          [](const Huber& options, Value outputs, Value targets) {
            // With c = min(|e|, δ): c·(|e| - c/2).
            const Value size = abs(outputs - targets), c = minimum(size, options.delta);
            return mean(c * (size - 0.5 * c), {-1});
          },
      .task = loss_parts::numbers};
  return record;
}

}  // namespace

LossKind loss_records::huber() { return huber_record().kind(); }

Huber::operator Loss() const { return huber_record().loss(*this); }

}  // namespace lariat
