#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <numeric>

#include "ops/kernels/axes.hpp"
#include "ops/ops.hpp"
#include "ops/records.hpp"

namespace lariat {

namespace transpose_detail {

std::vector<TensorType> infer(const InferContext& c) {
  const Shape& shape = c.shape(0);
  const auto& permutation = c.attribute<std::vector<int64_t>>("permutation");
  std::vector<int64_t> sorted = permutation, axes(shape.size());
  std::sort(sorted.begin(), sorted.end());
  std::iota(axes.begin(), axes.end(), 0);
  if (sorted != axes)
    c.fail(fmt::format("[{}] does not order the axes of {}: name each of 0 to {} once",
                       fmt::join(permutation, ", "), text(shape), static_cast<int64_t>(shape.size()) - 1));
  Shape result;
  for (int64_t axis : permutation) result.push_back(shape[axis]);
  return {{c.in(0).dtype, result}};
}

// The result's dimensions, innermost first, with their strides in the input; dimensions that stay neighbours
// are one.
struct Layout {
  struct Dimension {
    int64_t extent, stride;
  };
  std::vector<Dimension> dimensions;
};

std::shared_ptr<const void> prepare(const KernelContext& k) {
  const auto& permutation = k.attributes.get<std::vector<int64_t>>("permutation");
  const Extents& from = k.inputs[0].extents;
  std::vector<int64_t> strides(from.size(), 1);
  for (size_t i = from.size(); i-- > 1;) strides[i - 1] = strides[i] * from[i];
  Layout layout;
  for (size_t i = from.size(); i-- > 0;) {
    const int64_t extent = from[permutation[i]], stride = strides[permutation[i]];
    if (extent == 1) continue;
    Layout::Dimension* last = layout.dimensions.empty() ? nullptr : &layout.dimensions.back();
    if (last && stride == last->stride * last->extent) {
      last->extent *= extent;
    } else {
      layout.dimensions.push_back({extent, stride});
    }
  }
  if (layout.dimensions.empty()) layout.dimensions.push_back({1, 1});
  return std::make_shared<Layout>(std::move(layout));
}

constexpr int64_t tile = 16;

// result[j, i] = in[i, j] for i < rows, j < columns. Whole tiles pass through registers.
template <class Bits>
void transpose_tile(const Bits* in, int64_t in_stride, Bits* out, int64_t out_stride, int64_t rows,
                    int64_t columns) {
  if (rows == tile && columns == tile) {
    Bits held[tile][tile];
    for (int64_t i = 0; i < tile; ++i)
      for (int64_t j = 0; j < tile; ++j) held[i][j] = in[i * in_stride + j];
    for (int64_t j = 0; j < tile; ++j)
      for (int64_t i = 0; i < tile; ++i) out[j * out_stride + i] = held[i][j];
  } else {
    for (int64_t j = 0; j < columns; ++j)
      for (int64_t i = 0; i < rows; ++i) out[j * out_stride + i] = in[i * in_stride + j];
  }
}

// Copies of whole runs where the innermost dimension stays innermost.
template <class Bits>
void copy_runs(const KernelContext& k, const std::vector<Layout::Dimension>& d) {
  const int64_t run = d[0].extent, runs = k.outputs[0].count() / std::max<int64_t>(1, run);
  k.parallel.run(runs, rows_per_task(run), [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) {
      int64_t from = 0, rest = r;
      for (size_t i = 1; i < d.size(); ++i) {
        from += rest % d[i].extent * d[i].stride;
        rest /= d[i].extent;
      }
      std::copy_n(k.in<Bits>(0) + from, run, k.out<Bits>(0) + r * run);
    }
  });
}

// Tiles of the plane of the result's innermost dimension and the dimension that is innermost in the input.
template <class Bits>
void turn_planes(const KernelContext& k, const std::vector<Layout::Dimension>& d) {
  size_t turned = 1;
  while (d[turned].stride != 1) ++turned;
  const int64_t rows = d[0].extent, columns = d[turned].extent;
  int64_t out_stride = 1;
  for (size_t i = 0; i < turned; ++i) out_stride *= d[i].extent;
  const int64_t planes = k.outputs[0].count() / (rows * columns);
  const int64_t strips = (columns + tile - 1) / tile;
  k.parallel.run(planes * strips, rows_per_task(rows * tile), [&](int64_t begin, int64_t end) {
    for (int64_t task = begin; task < end; ++task) {
      int64_t from = 0, to = 0, rest = task / strips, span = rows;
      for (size_t i = 1; i < d.size(); ++i) {
        if (i != turned) {
          from += rest % d[i].extent * d[i].stride;
          to += rest % d[i].extent * span;
          rest /= d[i].extent;
        }
        span *= d[i].extent;
      }
      const int64_t column = task % strips * tile, width = std::min(tile, columns - column);
      for (int64_t row = 0; row < rows; row += tile)
        transpose_tile(k.in<Bits>(0) + from + row * d[0].stride + column, d[0].stride,
                       k.out<Bits>(0) + to + column * out_stride + row, out_stride,
                       std::min(tile, rows - row), width);
    }
  });
}

template <class Bits>
void forward(const KernelContext& k) {
  if (k.outputs[0].count() == 0) return;
  const auto& dimensions = static_cast<const Layout*>(k.prepared)->dimensions;
  if (dimensions[0].stride == 1) {
    copy_runs<Bits>(k, dimensions);
  } else {
    turn_planes<Bits>(k, dimensions);
  }
}

Adjoints vjp(const GradContext& g) {
  const auto& permutation = g.attributes().get<std::vector<int64_t>>("permutation");
  std::vector<int64_t> inverse(permutation.size());
  for (size_t i = 0; i < permutation.size(); ++i) inverse[permutation[i]] = static_cast<int64_t>(i);
  return {transpose(g.adjoint(0), inverse)};
}

}  // namespace transpose_detail

OpDef records::transpose() {
  using namespace transpose_detail;
  OpDef def{.name = "transpose",
            .doc = "Reorders the axes.",
            .inputs = {{"x", "of any shape"}},
            .outputs = {{"result", "axis i is x's axis permutation[i]"}}};
  def.attributes = {{"permutation", AttributeKind::integers, "each axis of x once"}};
  def.traits.selection = true;
  def.traits.linear = {true};
  def.infer = infer;
  def.kernel = {forward<uint32_t>, forward<uint64_t>, forward<uint32_t>};
  def.prepare = prepare;
  def.vjp = vjp;
  def.cost = streaming_cost<0>;
  const auto order = [](std::vector<int64_t> axes) -> Attributes { return {{"permutation", axes}}; };
  def.samples = {
      {"matrix", {{{2, 3}, {1, 2, 3, 4, 5, 6}}}, order({1, 0}), {1, 4, 2, 5, 3, 6}},
      {"unchanged", {{{2, 2}, {1, 2, 3, 4}}}, order({0, 1}), {1, 2, 3, 4}},
      {"integers", {{.extents = {2, 2}, .values = {1, 2, 3, 4}, .dtype = i32}}, order({1, 0}), {1, 3, 2, 4}},
      {"batch and time", {{{2, 3, 4}}}, order({1, 0, 2})},
      {"last two", {{{2, 3, 4}}}, order({0, 2, 1})},
      {"four axes", {{{2, 3, 1, 4}}}, order({3, 1, 0, 2})},
      {"larger than a tile", {{{20, 37}}}, order({1, 0})},
      {"no elements", {{{0, 3}}}, order({1, 0})},
      {"scalar", {{{}, {2}}}, order({}), {2}}};
  def.rejects = {
      {{{f32, {2, 3}}}, order({0, 0}), "[0, 0] does not order the axes of [2, 3]: name each of 0 to 1 once"},
      {{{f32, {2, 3, 4}}},
       order({1, 0}),
       "[1, 0] does not order the axes of [2, 3, 4]: name each of 0 to 2 once"}};
  return def;
}

Value transpose(Operand x, std::vector<int64_t> permutation) {
  const int64_t rank = x.value ? x.value.rank() : 0;
  if (permutation.empty()) {
    for (int64_t axis = rank; axis-- > 0;) permutation.push_back(axis);
  } else {
    for (int64_t& axis : permutation) axis += axis < 0 ? rank : 0;
  }
  return build("transpose", {x}, {{"permutation", std::move(permutation)}});
}

}  // namespace lariat
