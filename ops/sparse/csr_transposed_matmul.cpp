#include <fmt/format.h>

#include "ops/ops.hpp"
#include "ops/records.hpp"
#include "ops/sparse/csr.hpp"

namespace lariat {

namespace csr_transposed_matmul_detail {

std::vector<TensorType> infer(const InferContext& c) {
  check_float(c, 0, "values");
  if (c.shape(0).size() != 1) c.fail(fmt::format("values is {}; it must be [entries]", text(c.shape(0))));
  check_csr(c, 1, c.shape(0)[0]);
  check_factor(c, 3, "d", c.in(0).dtype);
  const Dim rows = c.shape(2)[0] - 1;
  if (!(c.shape(3)[0] == rows))
    c.fail(fmt::format("d is {}, but row_starts {} says {} rows", text(c.shape(3)), text(c.shape(2)),
                       rows.text()));
  const Shape& columns = c.attribute<Shape>("columns");
  if (columns.size() != 1)
    c.fail(fmt::format("'columns' is {}; it must be a shape of one dimension", text(columns)));
  return {{c.in(0).dtype, product_shape(columns[0], c.shape(3))}};
}

// Blocks of rows add into tables of doubles of their own, and the tables are added in order: as many as pay
// for the tables, and for the same shapes always the same number.
struct Blocks {
  int64_t count, rows;
};
Blocks blocks_of(int64_t rows, int64_t entries, int64_t columns) {
  constexpr int64_t most = 16;
  const int64_t wanted = std::clamp<int64_t>(entries / (4 * std::max<int64_t>(1, columns)), 1, most);
  const int64_t each = std::max<int64_t>(1, (rows + wanted - 1) / wanted);
  return {std::max<int64_t>(1, (rows + each - 1) / each), each};
}

Workspace workspace(const KernelContext& k) {
  const int64_t blocks =
      blocks_of(k.inputs[2].count() - 1, k.inputs[0].count(), k.outputs[0].extents[0]).count;
  return {static_cast<size_t>(blocks * k.outputs[0].count()) * sizeof(double), 0};
}

template <class T>
void forward(const KernelContext& k) {
  const int64_t rows = k.inputs[2].count() - 1, width = width_of(k.inputs[3]);
  const int64_t size = k.outputs[0].count();
  check_csr(k.inputs[1], k.inputs[2], k.outputs[0].extents[0]);
  const T *values = k.in<T>(0), *d = k.in<T>(3);
  const int32_t *columns = k.in<int32_t>(1), *starts = k.in<int32_t>(2);
  T* out = k.out<T>(0);
  const Blocks blocks = blocks_of(rows, k.inputs[0].count(), k.outputs[0].extents[0]);
  double* tables = reinterpret_cast<double*>(k.scratch.shared);
  k.parallel.run(blocks.count, 1, [=](int64_t begin, int64_t end) {
    for (int64_t block = begin; block < end; ++block) {
      double* table = tables + block * size;
      std::fill_n(table, size, 0.0);
      for (int64_t row = block * blocks.rows; row < std::min(rows, (block + 1) * blocks.rows); ++row)
        for (int32_t i = starts[row]; i < starts[row + 1]; ++i)
          for (int64_t j = 0; j < width; ++j)
            table[columns[i] * width + j] += static_cast<double>(values[i]) * d[row * width + j];
    }
  });
  k.parallel.run(size, elements_per_task, [=](int64_t begin, int64_t end) {
    for (int64_t block = 1; block < blocks.count; ++block)
      for (int64_t i = begin; i < end; ++i) tables[i] += tables[block * size + i];
    for (int64_t i = begin; i < end; ++i) out[i] = static_cast<T>(tables[i]);
  });
}

// y = Xᵀ·d:  dd = X·dy;  the entry (r, c) of X gets d_r·dy_c.
Adjoints vjp(const GradContext& g) {
  const Value values = g.in(0), columns = g.in(1), starts = g.in(2), d = g.in(3), a = g.adjoint(0);
  return {g.needs(0) ? csr_sampled_matmul(columns, starts, d, a) : Value(), Value(), Value(),
          g.needs(3) ? csr_matmul(values, columns, starts, a) : Value()};
}

}  // namespace csr_transposed_matmul_detail

// What the gradient of csr_matmul by its factor is.
OpDef records::csr_transposed_matmul() {
  using namespace csr_transposed_matmul_detail;
  OpDef def{
      .name = "csr_transposed_matmul",
      .doc =
          "The product Xᵀ·d of a transposed sparse matrix in compressed rows and a dense vector or matrix.",
      .inputs = csr_inputs(true),
      .outputs = {{"product", "[columns] or [columns, k]"}}};
  def.inputs.push_back({"d", "[rows] or [rows, k]"});
  def.attributes = {
      {"columns", AttributeKind::shape, "the number of columns of X, as a shape of one dimension"}};
  def.traits.linear = {true, false, false, true};
  def.traits.product = true;
  def.infer = infer;
  def.kernel = {forward<float>, forward<double>, nullptr};
  def.workspace = workspace;
  def.vjp = vjp;
  def.cost = csr_cost;
  const auto integers = csr_sample_integers;
  const auto count = [](Dim columns) -> Attributes { return {{"columns", Shape{columns}}}; };
  const SampleInput columns = integers({0, 2, 1, 2}), starts = integers({0, 2, 2, 4});
  def.samples = {{"vector", {csr_sample_values(), columns, starts, {{3}, {1, 2, 3}}}, count(3), {1, 9, -1}},
                 {"matrix",
                  {csr_sample_values(), columns, starts, {{3, 2}, {1, 2, 3, 4, 5, 6}}},
                  count(3),
                  {1, 2, 15, 18, -3, -2}},
                 {"random values", {{{4}}, columns, starts, {{3, 2}}}, count(4)},
                 {"several blocks of rows",
                  {{{8}}, integers({0, 0, 0, 0, 0, 0, 0, 0}), integers({0, 1, 4, 6, 8}), {{4}}},
                  count(1)},
                 {"no entries", {{{0}}, integers({}), integers({0, 0}), {{1}}}, count(2), {0, 0}}};
  def.rejects = {{{{f32, {4}}, {i32, {4}}, {i32, {4}}, {f32, {2}}},
                  count(3),
                  "d is [2], but row_starts [4] says 3 rows"},
                 {{{f32, {4}}, {i32, {4}}, {i32, {4}}, {f32, {}}},
                  count(3),
                  "d is f32[]; it must be a vector or matrix of f32"}};
  return def;
}

Value csr_transposed_matmul(Operand values, Operand columns, Operand row_starts, Operand d, Dim count) {
  return build("csr_transposed_matmul", {values, columns, row_starts, d}, {{"columns", Shape{count}}});
}

}  // namespace lariat
