#pragma once

#include <map>
#include <memory>

#include "graph/ir/graph.hpp"

namespace lariat::to_c {

/// A matrix as 8-bit levels, each channel with a scale of its own: weight = level·scale.
struct QuantisedMatrix {
  /// In the tensor's order.
  std::vector<int8_t> levels;
  /// A channel is a place along this axis of the tensor.
  int64_t axis = 0;
  /// A scale is the float of the bits (base + code) << 20, which is never less than the largest weight of the
  /// channel divided by 127.
  std::vector<uint8_t> codes;
  int32_t base = 0;

  float scale(int64_t channel) const;
};

/// A vector as 16-bit levels of one step.
struct QuantisedVector {
  std::vector<int16_t> levels;
  float step = 0;
};

/// The constants of a graph that are stored in fewer bits, by the memory of their tensor. That memory holds
/// the numbers that the levels stand for.
struct Quantisation {
  std::map<const void*, QuantisedMatrix> matrices;
  std::map<const void*, QuantisedVector> vectors;

  const QuantisedMatrix* matrix(const Tensor& tensor) const;
  const QuantisedVector* vector(const Tensor& tensor) const;
};

QuantisedMatrix quantised_matrix(const Tensor& tensor, int64_t axis);
QuantisedVector quantised_vector(const Tensor& tensor);
/// What the levels stand for.
Tensor numbers_of(const QuantisedMatrix& matrix, const Extents& extents);
Tensor numbers_of(const QuantisedVector& vector, const Extents& extents);

/// Copies `from`, a graph whose parameters are constants, with the weights of products, convolutions,
/// recurrences and tables replaced by what 8-bit levels hold of them, and addends by 16-bit ones. Throws
/// UserError naming the op of a weight that is not finite.
Quantisation quantise(const Graph& from, Graph& to);

}  // namespace lariat::to_c
