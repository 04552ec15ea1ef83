#include "frontends/sequential/learning_records.hpp"
#include "ops/ops.hpp"

namespace lariat {

namespace {

const LossRecord<SigmoidFocal>& sigmoid_focal_record() {
  static const LossRecord<SigmoidFocal> record{
      .name = "sigmoid_focal",
      .doc = "the same of two classes or of several labels at once",
      .fields =
          Fields<SigmoidFocal>()
              .number("gamma", &SigmoidFocal::gamma, 0, 100, "how little what is easy counts; 0: all alike")
              .number("alpha", &SigmoidFocal::alpha, 0, 1,
                      "weight of what is true; 1 - alpha of what is not"),
      .per_example =
          [](const SigmoidFocal& options, Value outputs, Value targets) {
            const auto part = [&](Value z, double weight) {
              // weight·(1 - σ(z))^γ·(-log σ(z))
              return weight * power(maximum(sigmoid(-z), 1e-12), options.gamma) * softplus(-z);
            };
            return mean(
                targets * part(outputs, options.alpha) + (1 - targets) * part(-outputs, 1 - options.alpha),
                {-1});
          },
      .task = loss_parts::binary_or_labels,
      .takes_logits = true};
  return record;
}

}  // namespace

LossKind loss_records::sigmoid_focal() { return sigmoid_focal_record().kind(); }

SigmoidFocal::operator Loss() const { return sigmoid_focal_record().loss(*this); }

}  // namespace lariat
