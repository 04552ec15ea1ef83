#include "frontends/sequential/loss.hpp"

#include <fmt/format.h>

#include "graph/base/error.hpp"
#include "ops/ops.hpp"

namespace lariat {

SoftmaxCrossEntropy::operator Loss() const {
  if (!(label_smoothing >= 0 && label_smoothing < 1))
    throw UserError(fmt::format(
        "SoftmaxCrossEntropy: label_smoothing = {}: must be a number from 0 to below 1", label_smoothing));
  return {"softmax_cross_entropy", [smoothing = label_smoothing](Value logits, Value labels) {
            return softmax_cross_entropy(logits, labels, smoothing);
          }};
}

Accuracy::operator Metric() const {
  return {"accuracy",
          [](Value logits, Value labels) { return cast(equal(argmax(logits), labels), logits.dtype()); }};
}

}  // namespace lariat
