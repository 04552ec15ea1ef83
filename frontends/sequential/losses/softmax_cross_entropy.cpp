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

// -Σ ((1 - s)·u + Σu·s/n)·log softmax(z), u the shares t times the weights of their classes: Σt is 1.
Value of_shares(Value outputs, Value targets, const SoftmaxCrossEntropy& options) {
  const double smoothing = options.label_smoothing;
  const auto classes = static_cast<double>(outputs.shape().back().size());
  Value smooth = loss_parts::weighted_shares(targets, outputs, options.class_weights);
  if (smoothing > 0) {
    const Value spread = options.class_weights.empty() ? targets.graph().constant(smoothing / classes)
                                                       : sum(smooth, {-1}, true) * (smoothing / classes);
    smooth = (1 - smoothing) * smooth + spread;
  }
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
            if (targets.dtype() != i32) return of_shares(outputs, targets, options);
            return loss_parts::weighted(of_labels(outputs, targets, options.label_smoothing), targets,
                                        outputs.shape().back().size(), options.class_weights);
          },
      .task = loss_parts::classes,
      .takes_logits = true};
  return record;
}

}  // namespace

LossKind loss_records::softmax_cross_entropy() { return softmax_cross_entropy_record().kind(); }

SoftmaxCrossEntropy::operator Loss() const { return softmax_cross_entropy_record().loss(*this); }

}  // namespace lariat
