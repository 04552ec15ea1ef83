#include <fmt/format.h>

#include "ops/ops.hpp"
#include "ops/records.hpp"
#include "ops/sparse/csr.hpp"

namespace lariat {

namespace csr_matmul_detail {

std::vector<TensorType> infer(const InferContext& c) {
  check_float(c, 0, "values");
  if (c.shape(0).size() != 1) c.fail(fmt::format("values is {}; it must be [entries]", text(c.shape(0))));
  check_csr(c, 1, c.shape(0)[0]);
  check_factor(c, 3, "w", c.in(0).dtype);
  return {{c.in(0).dtype, product_shape(c.shape(2)[0] - 1, c.shape(3))}};
}

template <class T>
void forward(const KernelContext& k) {
  const int64_t rows = k.inputs[2].count() - 1, entries = k.inputs[0].count(), width = width_of(k.inputs[3]);
  check_csr(k.inputs[1], k.inputs[2], k.inputs[3].extents[0]);
  const T *values = k.in<T>(0), *w = k.in<T>(3);
  const int32_t *columns = k.in<int32_t>(1), *starts = k.in<int32_t>(2);
  T* out = k.out<T>(0);
  k.parallel.run(rows, csr_rows_per_task(rows, entries, width), [=](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      if (width == 1) {
        double total = 0;
        for (int32_t i = starts[row]; i < starts[row + 1]; ++i)
          total += static_cast<double>(values[i]) * w[columns[i]];
        out[row] = static_cast<T>(total);
        continue;
      }
      sum_in_tiles(starts[row + 1] - starts[row], width, out + row * width, [&](int64_t entry) {
        const int32_t i = starts[row] + static_cast<int32_t>(entry);
        return Addends<T>{w + columns[i] * width, values[i]};
      });
    }
  });
}

// y = X·w:  dw = Xᵀ·dy;  the entry (r, c) of X gets dy_r·w_c.
Adjoints vjp(const GradContext& g) {
  const Value values = g.in(0), columns = g.in(1), starts = g.in(2), w = g.in(3), d = g.adjoint(0);
  return {g.needs(0) ? csr_sampled_matmul(columns, starts, d, w) : Value(), Value(), Value(),
          g.needs(3) ? csr_transposed_matmul(values, columns, starts, d, w.shape()[0]) : Value()};
}

}  // namespace csr_matmul_detail

OpDef records::csr_matmul() {
  using namespace csr_matmul_detail;
  OpDef def{
      .name = "csr_matmul",
      .doc = "The product X·w of a sparse matrix in compressed rows (CSR) and a dense vector or matrix.",
      .inputs = csr_inputs(true),
      .outputs = {{"product", "[rows] or [rows, k]"}}};
  def.inputs.push_back({"w", "[columns] or [columns, k]; each column of X lies in [0, columns)"});
  def.traits.linear = {true, false, false, true};
  def.traits.product = true;
  def.infer = infer;
  def.kernel = {forward<float>, forward<double>, nullptr};
  def.vjp = vjp;
  def.cost = csr_cost;
  const auto integers = csr_sample_integers;
  const SampleInput columns = integers({0, 2, 1, 2}), starts = integers({0, 2, 2, 4});
  def.samples = {{"vector", {csr_sample_values(), columns, starts, {{3}, {1, 2, 3}}}, {}, {7, 0, 3}},
                 {"matrix",
                  {csr_sample_values(), columns, starts, {{3, 2}, {1, 2, 3, 4, 5, 6}}},
                  {},
                  {11, 14, 0, 0, 4, 6}},
                 {"random values", {{{4}}, columns, starts, {{3, 2}}}},
                 {"a column twice in a row",
                  {{{3}, {1, 2, 4}}, integers({1, 1, 0}), integers({0, 2, 3}), {{2}, {1, 10}}},
                  {},
                  {30, 4}},
                 {"no entries", {{{0}}, integers({}), integers({0, 0}), {{2}}}, {}, {0}},
                 {"no rows", {{{0}}, integers({}), integers({0}), {{2, 3}}}}};
  def.rejects = {
      {{{f32, {4}}, {i32, {3}}, {i32, {4}}, {f32, {3}}}, {}, "columns is i32[3]; it must be i32[4]"},
      {{{f32, {4}}, {i32, {4}}, {i32, {0}}, {f32, {3}}},
       {},
       "row_starts is i32[0]; it must be i32[rows + 1]"},
      {{{f32, {2, 2}}, {i32, {4}}, {i32, {4}}, {f32, {3}}}, {}, "values is [2, 2]; it must be [entries]"},
      {{{f32, {4}}, {i32, {4}}, {i32, {4}}, {f64, {3}}},
       {},
       "w is f64[3]; it must be a vector or matrix of f32"}};
  return def;
}

Value csr_matmul(Operand values, Operand columns, Operand row_starts, Operand w) {
  return build("csr_matmul", {values, columns, row_starts, w});
}

}  // namespace lariat
