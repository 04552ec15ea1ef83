#include <fmt/format.h>

#include "ops/kernels/axes.hpp"
#include "ops/kernels/reduction.hpp"
#include "ops/ops.hpp"
#include "ops/records.hpp"

namespace lariat {

namespace scatter_add_rows_detail {

std::vector<TensorType> infer(const InferContext& c) {
  const Shape &values = c.shape(0), &indices = c.shape(1), &rows = c.attribute<Shape>("rows");
  check_integers(c, 1, "indices", indices);
  if (rows.size() != 1) c.fail(fmt::format("'rows' is {}; it must be a shape of one dimension", text(rows)));
  if (values.size() < indices.size() || !std::equal(indices.begin(), indices.end(), values.begin()))
    c.fail(fmt::format("values is {} and indices {}; values must have one row per index", text(values),
                       text(indices)));
  Shape shape{rows[0]};
  shape.insert(shape.end(), values.begin() + static_cast<int64_t>(indices.size()), values.end());
  return {{c.in(0).dtype, shape}};
}

Workspace workspace(const KernelContext& k) {
  return {static_cast<size_t>(k.outputs[0].extents[0] + 1 + k.inputs[1].count()) * sizeof(int64_t), 0};
}

// The values of each row are listed first; a row then adds them up in the order of their indices.
template <class T>
void forward(const KernelContext& k) {
  const int64_t rows = k.outputs[0].extents[0], width = blocks_around(k.outputs[0].extents, 0).inner;
  check_indices(k.inputs[1], rows, "index", "rows");
  const int64_t count = k.inputs[1].count();
  const T* values = k.in<T>(0);
  const int32_t* indices = k.in<int32_t>(1);
  T* out = k.out<T>(0);
  // ends[r] is where the list of row r begins until it is filled, and ends after that.
  int64_t* ends = reinterpret_cast<int64_t*>(k.scratch.shared);
  int64_t* listed = ends + rows + 1;
  std::fill_n(ends, rows + 1, 0);
  for (int64_t i = 0; i < count; ++i) ++ends[indices[i] + 1];
  for (int64_t row = 0; row < rows; ++row) ends[row + 1] += ends[row];
  for (int64_t i = 0; i < count; ++i) listed[ends[indices[i]]++] = i;
  const int64_t each = rows_per_task(width * (1 + count / std::max<int64_t>(1, rows)));
  k.parallel.run(rows, each, [=](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      const int64_t first = row == 0 ? 0 : ends[row - 1];
      sum_in_tiles(ends[row] - first, width, out + row * width,
                   [&](int64_t place) { return Addends<T>{values + listed[first + place] * width}; });
    }
  });
}

}  // namespace scatter_add_rows_detail

// The adjoint of gather_rows.
OpDef records::scatter_add_rows() {
  using namespace scatter_add_rows_detail;
  OpDef def{
      .name = "scatter_add_rows",
      .doc = "Adds each value to the row of a table of zeros that its index names.",
      .inputs = {{"values", "[indices' shape, ...]"}, {"indices", "i32 of any shape, each in [0, rows)"}},
      .outputs = {{"table", "[rows, ...]"}}};
  def.attributes = {{"rows", AttributeKind::shape, "the number of rows, as a shape of one dimension"}};
  def.traits.linear = {true, false};
  def.infer = infer;
  def.kernel = {forward<float>, forward<double>, forward<int32_t>};
  def.workspace = workspace;
  def.vjp = [](const GradContext& g) -> Adjoints { return {gather_rows(g.adjoint(0), g.in(1)), Value()}; };
  def.cost = streaming_cost<1>;
  const auto indices = [](Extents extents, std::vector<double> values) {
    return SampleInput{.extents = std::move(extents), .values = std::move(values), .dtype = i32};
  };
  const auto rows = [](Dim count) -> Attributes { return {{"rows", Shape{count}}}; };
  def.samples = {
      {"repeated", {{{3, 2}, {1, 2, 3, 4, 5, 6}}, indices({3}, {2, 0, 2})}, rows(3), {3, 4, 0, 0, 6, 8}},
      {"scalars", {{{2, 2}, {1, 2, 3, 4}}, indices({2, 2}, {1, 1, 1, 0})}, rows(2), {4, 6}},
      {"one index", {{{3}}, indices({}, {1})}, rows(2)},
      {"rows of matrices", {{{2, 2, 2}}, indices({2}, {0, 2})}, rows(4)},
      {"no indices", {{{0, 2}}, indices({0}, {})}, rows(2), {0, 0, 0, 0}}};
  def.rejects = {{{{f32, {3, 2}}, {i32, {2}}},
                  rows(4),
                  "values is [3, 2] and indices [2]; values must have one row per index"}};
  return def;
}

Value scatter_add_rows(Operand values, Operand indices, Dim rows) {
  return build("scatter_add_rows", {values, indices}, {{"rows", Shape{rows}}});
}

}  // namespace lariat
