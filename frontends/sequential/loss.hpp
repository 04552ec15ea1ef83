#pragma once

#include <functional>
#include <string>

#include "graph/ir/value.hpp"

namespace lariat {

/// What is made small, or looked at: one value [batch] from logits [batch, classes] and labels i32 [batch].
struct Loss {
  std::string name;
  std::function<Value(Value logits, Value labels)> per_example;
};
struct Metric {
  std::string name;
  std::function<Value(Value logits, Value labels)> per_example;
};

/// -log softmax(logits)[label], a share `label_smoothing` of each target being spread over all classes.
struct SoftmaxCrossEntropy {
  double label_smoothing = 0;
  operator Loss() const;
};

/// 1 where the largest logit is the label's, else 0.
struct Accuracy {
  operator Metric() const;
};

}  // namespace lariat
