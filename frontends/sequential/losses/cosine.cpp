#include "frontends/sequential/learning_records.hpp"
#include "ops/ops.hpp"

namespace lariat {

namespace {

const LossRecord<Cosine>& cosine_record() {
  static const LossRecord<Cosine> record{
      .name = "cosine",
      .doc = "1 - the cosine of the angle between outputs and targets",
      .fields = {},
      .per_example =
          [](const Cosine&, Value outputs, Value targets) {
            // Vectors of length 0 are at a right angle to all others.
            const auto length = [](Value x) { return sqrt(sum(square(x), {-1}) + 1e-24); };
            return 1 - sum(outputs * targets, {-1}) / (length(outputs) * length(targets));
          },
      .task = loss_parts::numbers,
      .of_direction = true};
  return record;
}

}  // namespace

LossKind loss_records::cosine() { return cosine_record().kind(); }

Cosine::operator Loss() const { return cosine_record().loss(*this); }

}  // namespace lariat
