#pragma once

#include <algorithm>
#include <array>

#include "graph/ir/op_def.hpp"

namespace lariat {

// What the records that move, reduce or window elements share.

/// Throws UserError for a call of a function that builds several nodes: "[function] built at train.cpp:42:
/// message".
[[noreturn]] void refuse(std::string_view function, const Operand& at, const std::string& message);

/// `axis` counted from the front. Throws UserError where `shape` has no such axis.
int64_t checked_axis(int64_t axis, const Shape& shape);

/// The axes to reduce as a mask; none named means all. Throws UserError for an axis that does not exist or is
/// named twice.
std::vector<bool> checked_axes(const std::vector<int64_t>& axes, const Shape& shape);
/// The same for axes that were checked before.
std::vector<bool> marked_axes(const std::vector<int64_t>& axes, size_t rank);

/// `shape` with the marked axes left out, or of size 1 where `keep` is set.
Shape reduced_shape(const Shape& shape, const std::vector<bool>& reduced, bool keep);

/// A tensor as [outer, extent, inner] around one axis, which may be negative.
struct AxisBlocks {
  int64_t outer = 1, extent = 1, inner = 1;
  std::array<size_t, 3> shape() const {
    return {static_cast<size_t>(outer), static_cast<size_t>(extent), static_cast<size_t>(inner)};
  }
};
AxisBlocks blocks_around(const Extents& extents, int64_t axis);

/// Throws UserError unless all inputs have the dtype of the first.
void check_one_dtype(const InferContext& c);
/// Throws UserError unless input `index`, called `name`, is f32 or f64.
void check_float(const InferContext& c, size_t index, std::string_view name);
/// Throws UserError unless input `index`, called `name`, is i32 of shape `shape`.
void check_integers(const InferContext& c, size_t index, std::string_view name, const Shape& shape);

/// Throws UserError unless every one of the i32 `values` lies in [0, limit): "`what` 12 of row 3 is out of
/// range: there are 10 `things`, 0 to 9". Kernels call it before they start parallel work, so that the first
/// one is named.
void check_indices(const TensorView& values, int64_t limit, std::string_view what, std::string_view things);
/// Throws UserError unless each of the i32 [batch] `lengths` lies in [0, steps].
void check_lengths(const TensorView& lengths, int64_t steps);

/// The cost of an op that reads its inputs and writes its outputs once, with `flops_per_element` of its first
/// input.
template <int flops_per_element>
Cost streaming_cost(std::span<const TensorView> inputs, std::span<const TensorView> outputs,
                    const Attributes&) {
  Cost cost{.flops = flops_per_element * static_cast<double>(inputs[0].count())};
  for (const TensorView& view : inputs) cost.bytes += static_cast<double>(view.bytes());
  for (const TensorView& view : outputs) cost.bytes += static_cast<double>(view.bytes());
  return cost;
}

/// Elements that one task of a memory-bound kernel handles.
inline constexpr int64_t elements_per_task = 32768;
/// Rows per task where one row has `width` elements.
inline int64_t rows_per_task(int64_t width) {
  return std::max<int64_t>(1, elements_per_task / std::max<int64_t>(1, width));
}

}  // namespace lariat
