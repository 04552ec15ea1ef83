#include "ops/kernels/axes.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "graph/base/error.hpp"

namespace lariat {

void refuse(std::string_view function, const Operand& at, const std::string& message) {
  throw UserError(fmt::format("[{}] built at {}: {}", function, text(at.where), message));
}

int64_t checked_axis(int64_t axis, const Shape& shape) {
  const auto rank = static_cast<int64_t>(shape.size());
  if (axis >= -rank && axis < rank) return axis < 0 ? axis + rank : axis;
  if (rank == 0) throw UserError(fmt::format("axis {} does not exist: x is a scalar", axis));
  throw UserError(fmt::format("axis {} does not exist: x is {}, so axes run from {} to {}", axis, text(shape),
                              -rank, rank - 1));
}

std::vector<bool> checked_axes(const std::vector<int64_t>& axes, const Shape& shape) {
  std::vector<bool> reduced(shape.size(), axes.empty());
  for (int64_t axis : axes) {
    const int64_t index = checked_axis(axis, shape);
    if (reduced[index]) throw UserError(fmt::format("axis {} is named twice", axis));
    reduced[index] = true;
  }
  return reduced;
}

std::vector<bool> marked_axes(const std::vector<int64_t>& axes, size_t rank) {
  std::vector<bool> reduced(rank, axes.empty());
  for (int64_t axis : axes) reduced[axis < 0 ? axis + rank : axis] = true;
  return reduced;
}

Shape reduced_shape(const Shape& shape, const std::vector<bool>& reduced, bool keep) {
  Shape result;
  for (size_t i = 0; i < shape.size(); ++i) {
    if (!reduced[i]) result.push_back(shape[i]);
    if (reduced[i] && keep) result.push_back(1);
  }
  return result;
}

AxisBlocks blocks_around(const Extents& extents, int64_t axis) {
  const size_t index = axis < 0 ? axis + extents.size() : axis;
  AxisBlocks blocks{.extent = extents[index]};
  for (size_t i = 0; i < extents.size(); ++i) {
    if (i < index) blocks.outer *= extents[i];
    if (i > index) blocks.inner *= extents[i];
  }
  return blocks;
}

void check_one_dtype(const InferContext& c) {
  for (size_t i = 1; i < c.size(); ++i)
    if (c.in(i).dtype != c.in(0).dtype)
      c.fail("takes inputs of one dtype; got " + text(c.in(0)) + " and " + text(c.in(i)) +
             ". Use cast to convert one");
}

void check_float(const InferContext& c, size_t index, std::string_view name) {
  if (!is_float(c.in(index).dtype))
    c.fail(fmt::format("{} is {}; it must be f32 or f64. Use cast", name, text(c.in(index))));
}

void check_integers(const InferContext& c, size_t index, std::string_view name, const Shape& shape) {
  const TensorType wanted{i32, shape};
  if (c.in(index) != wanted)
    c.fail(fmt::format("{} is {}; it must be {}", name, text(c.in(index)), text(wanted)));
}

namespace {

// The place of the first value outside [0, limit), or -1.
int64_t first_outside(const TensorView& values, int64_t limit) {
  const auto* value = values.as<int32_t>();
  const int64_t count = values.count();
  int64_t outside = 0;
  for (int64_t i = 0; i < count; ++i) outside += value[i] < 0 || value[i] >= limit;
  if (outside == 0) return -1;
  return std::find_if(value, value + count, [&](int32_t v) { return v < 0 || v >= limit; }) - value;
}

}  // namespace

void check_indices(const TensorView& values, int64_t limit, std::string_view what, std::string_view things) {
  const int64_t at = first_outside(values, limit);
  if (at < 0) return;
  std::string place;
  if (values.rank() == 1) {
    place = fmt::format(" of row {}", at);
  } else if (values.rank() > 1) {
    Extents index(values.rank());
    int64_t rest = at;
    for (size_t i = index.size(); i-- > 0; rest /= values.extents[i]) index[i] = rest % values.extents[i];
    place = " at " + text(index);
  }
  const std::string range = limit == 0 ? "" : fmt::format(", 0 to {}", limit - 1);
  throw UserError(fmt::format("{} {}{} is out of range: there are {} {}{}", what, values.as<int32_t>()[at],
                              place, limit, things, range));
}

void check_lengths(const TensorView& lengths, int64_t steps) {
  const int64_t row = first_outside(lengths, steps + 1);
  if (row >= 0)
    throw UserError(fmt::format("length {} of row {} is out of range: there are {} steps",
                                lengths.as<int32_t>()[row], row, steps));
}

}  // namespace lariat
