#include <limits>

#include "frontends/sequential/learning_records.hpp"
#include "ops/ops.hpp"

namespace lariat {

namespace {

const LossRecord<Focal>& focal_record() {
  static const LossRecord<Focal> record{
      .name = "focal",
      .doc = "cross-entropy in which what is easy counts little, of classes; Lin et al. (2017)",
      .fields = Fields<Focal>()
                    .number("gamma", &Focal::gamma, 0, 100, "how little; 0: softmax_cross_entropy")
                    .numbers("class_weights", &Focal::class_weights, 0, std::numeric_limits<double>::max(),
                             "how much each class counts; empty: alike"),
      .per_example =
          [](const Focal& options, Value outputs, Value targets) {
            // (1 - p)^γ·log p; 1 - p is kept from 0, where a power has no derivative.
            const Value log_p = log_softmax(outputs);
            const Value hard = power(maximum(-expm1(log_p), 1e-12), options.gamma);
            return -sum(loss_parts::weighted_shares(targets, outputs, options.class_weights) * hard * log_p,
                        {-1});
          },
      .task = loss_parts::classes,
      .takes_logits = true};
  return record;
}

}  // namespace

LossKind loss_records::focal() { return focal_record().kind(); }

Focal::operator Loss() const { return focal_record().loss(*this); }

}  // namespace lariat
