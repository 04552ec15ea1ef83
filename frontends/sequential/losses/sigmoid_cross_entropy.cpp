#include <limits>

#include "frontends/sequential/learning_records.hpp"
#include "ops/ops.hpp"

namespace lariat {

namespace {

// log σ(z) is written as -softplus(-z), which is finite for every z.
Value of_outputs(const SigmoidCrossEntropy& options, Value outputs, Value targets) {
  const double s = options.label_smoothing;
  const Value t = s > 0 ? (1 - s) * targets + s / 2 : targets;
  if (options.positive_weight == 1) return mean(sigmoid_cross_entropy(outputs, t), {-1});
  return mean(options.positive_weight * t * softplus(-outputs) + (1 - t) * softplus(outputs), {-1});
}

const LossRecord<SigmoidCrossEntropy>& sigmoid_cross_entropy_record() {
  static const LossRecord<SigmoidCrossEntropy> record{
      .name = "sigmoid_cross_entropy",
      .doc = "-log of the probability of what is so, of two classes or of several labels at once",
      .fields =
          Fields<SigmoidCrossEntropy>()
              .number("positive_weight", &SigmoidCrossEntropy::positive_weight, 0,
                      std::numeric_limits<double>::max(), "how much what is true counts beside what is not")
              .number("label_smoothing", &SigmoidCrossEntropy::label_smoothing, 0, 0.999999,
                      "share of each target that is replaced by 1/2"),
      .per_example = of_outputs,
      .task = loss_parts::binary_or_labels,
      .takes_logits = true};
  return record;
}

}  // namespace

LossKind loss_records::sigmoid_cross_entropy() { return sigmoid_cross_entropy_record().kind(); }

SigmoidCrossEntropy::operator Loss() const { return sigmoid_cross_entropy_record().loss(*this); }

}  // namespace lariat
