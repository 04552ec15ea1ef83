#include <limits>

#include "frontends/sequential/learning_records.hpp"
#include "ops/ops.hpp"

namespace lariat {

namespace {

// The op takes rows [n, classes]; frames are rows, too.
Value of_labels(Value outputs, Value labels, double smoothing) {
  if (outputs.rank() == 2) return softmax_cross_entropy(outputs, labels, smoothing);
  const Value rows = reshape(outputs, {-1, outputs.shape().back()});
  return reshape(softmax_cross_entropy(rows, reshape(labels, {-1}), smoothing), labels.shape());
}

// -Σ ((1 - s)·t + s/n)·log softmax(z)
Value of_shares(Value outputs, Value targets, double smoothing) {
  const auto classes = static_cast<double>(outputs.shape().back().size());
  const Value smooth = smoothing > 0 ? (1 - smoothing) * targets + smoothing / classes : targets;
  return -sum(smooth * log_softmax(outputs), {-1});
}

const LossRecord<SoftmaxCrossEntropy>& softmax_cross_entropy_record() {
  static const LossRecord<SoftmaxCrossEntropy> record{
      .name = "softmax_cross_entropy",
      .doc = "-log of the probability of the right class, or of the right share of each",
      .fields = Fields<SoftmaxCrossEntropy>()
                    .number("label_smoothing", &SoftmaxCrossEntropy::label_smoothing, 0, 0.999999,
                            "share of each target that is spread over all classes")
                    .numbers("class_weights", &SoftmaxCrossEntropy::class_weights, 0,
                             std::numeric_limits<double>::max(), "how much each class counts; empty: alike"),
      .per_example =
          [](const SoftmaxCrossEntropy& options, Value outputs, Value targets) {
            const bool labels = targets.dtype() == i32;
            const Value loss = labels ? of_labels(outputs, targets, options.label_smoothing)
                                      : of_shares(outputs, targets, options.label_smoothing);
            return loss_parts::weighted(loss, targets, outputs.shape().back().size(), options.class_weights);
          },
      .task = loss_parts::classes,
      .takes_logits = true};
  return record;
}

}  // namespace

LossKind loss_records::softmax_cross_entropy() { return softmax_cross_entropy_record().kind(); }

SoftmaxCrossEntropy::operator Loss() const { return softmax_cross_entropy_record().loss(*this); }

}  // namespace lariat
