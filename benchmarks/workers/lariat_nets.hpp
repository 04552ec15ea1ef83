#pragma once

#include <string>

#include "benchmarks/cases.hpp"
#include "frontends/lariat.hpp"

namespace lariat::benchmarks {

/// A case's graph with its sources and their first values.
struct Net {
  Graph graph;
  Value x, targets, logits, penalty;
  Store values;
  double l1 = 0;

  /// A parameter whose numbers depend on its name; `inputs` and `outputs` of one unit give their scale.
  Value kernel(const std::string& name, const Extents& extents, int64_t inputs, int64_t outputs);
  Value kernel(const std::string& name, int64_t inputs, int64_t outputs) {
    return kernel(name, {inputs, outputs}, inputs, outputs);
  }
  Value bias(const std::string& name, int64_t outputs);
  Value dense(Value input, const std::string& name, int64_t inputs, int64_t outputs);
  /// An LSTM layer: [batch, time, inputs] -> [batch, time, units].
  Value recurrent(Value input, const std::string& name, int64_t inputs, int64_t units);
};

/// The extents of what a case's net reads.
Extents input_extents(const Case& c);

/// Builds the case's net over net.x: [batch, classes], or [batch] where there are two classes.
Value logits_of(Net& net, const Case& c);

}  // namespace lariat::benchmarks
