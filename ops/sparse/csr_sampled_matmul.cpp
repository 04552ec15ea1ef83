#include <fmt/format.h>

#include "ops/kernels/product_kernel.hpp"
#include "ops/kernels/simd.hpp"
#include "ops/kernels/transpose_square.hpp"
#include "ops/ops.hpp"
#include "ops/records.hpp"
#include "ops/sparse/csr.hpp"

namespace lariat {

namespace csr_sampled_matmul_detail {

std::vector<TensorType> infer(const InferContext& c) {
  check_float(c, 2, "a");
  check_csr(c, 0, c.shape(0).empty() ? Dim(0) : c.shape(0)[0]);
  for (const size_t index : {2, 3}) check_factor(c, index, index == 2 ? "a" : "b", c.in(2).dtype);
  const Shape &a = c.shape(2), &b = c.shape(3);
  if (!(a[0] == c.shape(1)[0] - 1))
    c.fail(fmt::format("a is {}, but row_starts {} says {} rows", text(a), text(c.shape(1)),
                       (c.shape(1)[0] - 1).text()));
  if (a.size() != b.size() || (a.size() == 2 && !(a[1] == b[1])))
    c.fail(fmt::format("a is {} and b is {}; they must be two vectors, or matrices of one width", text(a),
                       text(b)));
  return {{c.in(2).dtype, c.shape(0)}};
}

using Batch = xsimd::batch<float>;
constexpr int64_t lanes = Batch::size;

// Products with one row of a, of `count` rows of b: vectors of partial sums.
template <int count>
void multiply_places(int64_t width, const float* a, const float* b, const int32_t* columns, float* sums) {
  const float* from[count];
  Batch sum[count];
#pragma GCC unroll 8
  for (int c = 0; c < count; ++c) {
    from[c] = b + columns[c] * width;
    sum[c] = Batch(0.0f);
  }
  int64_t j = 0;
  for (; j + lanes <= width; j += lanes) {
    const Batch x = Batch::load_unaligned(a + j);
#pragma GCC unroll 8
    for (int c = 0; c < count; ++c) sum[c] = multiply_add(x, Batch::load_unaligned(from[c] + j), sum[c]);
  }
  if (j < width) {
    float rest[lanes] = {};
    std::copy(a + j, a + width, rest);
    const Batch x = Batch::load_unaligned(rest);
#pragma GCC unroll 8
    for (int c = 0; c < count; ++c) {
      std::copy(from[c] + j, from[c] + width, rest);
      sum[c] = multiply_add(x, Batch::load_unaligned(rest), sum[c]);
    }
  }
#pragma GCC unroll 8
  for (int c = 0; c < count; ++c) sum[c].store_aligned(sums + c * lanes);
}

constexpr int64_t together = 8;

void multiply_places(int64_t count, int64_t width, const float* a, const float* b, const int32_t* columns,
                     float* sums) {
  for (; count >= together; count -= together, columns += together, sums += together * lanes)
    multiply_places<together>(width, a, b, columns, sums);
  if (count & 4) {
    multiply_places<4>(width, a, b, columns, sums);
    columns += 4, sums += 4 * lanes;
  }
  if (count & 2) {
    multiply_places<2>(width, a, b, columns, sums);
    columns += 2, sums += 2 * lanes;
  }
  if (count & 1) multiply_places<1>(width, a, b, columns, sums);
}

// Along rows of a vector or more, but of no more than products sum up as floats, partial sums lie side by
// side; those of as many places as a vector has elements are turned and added up together.
void multiply_rows_of(const KernelContext& k, int64_t begin, int64_t end) {
  const int32_t *columns = k.in<int32_t>(0), *starts = k.in<int32_t>(1);
  const float *a = k.in<float>(2), *b = k.in<float>(3);
  const int64_t width = width_of(k.inputs[2]);
  alignas(64) float sums[lanes * lanes] = {}, turned[lanes * lanes];
  int64_t held = 0;
  float* out = k.out<float>(0) + starts[begin];
  const auto put = [&] {
    transpose_square(sums, lanes, turned, lanes);
    for (int64_t half = lanes / 2; half > 0; half /= 2)
      for (int64_t i = 0; i < half; ++i)
        (Batch::load_aligned(turned + i * lanes) + Batch::load_aligned(turned + (i + half) * lanes))
            .store_aligned(turned + i * lanes);
    std::copy_n(turned, held, out);
    out += held;
    held = 0;
  };
  for (int64_t row = begin; row < end; ++row)
    for (int64_t i = starts[row]; i < starts[row + 1];) {
      const int64_t count = std::min(lanes - held, starts[row + 1] - i);
      multiply_places(count, width, a + row * width, b, columns + i, sums + held * lanes);
      i += count, held += count;
      if (held == lanes) put();
    }
  if (held > 0) put();
}

// Σ a·b as doubles, of which as many run side by side as two vectors hold.
template <class T>
double exact_sum(int64_t width, const T* a, const T* b) {
  double sums[lanes] = {}, total = 0;
  int64_t j = 0;
  for (; j + lanes <= width; j += lanes)
    for (int64_t l = 0; l < lanes; ++l)
      sums[l] += static_cast<double>(a[j + l]) * static_cast<double>(b[j + l]);
  for (; j < width; ++j) total += static_cast<double>(a[j]) * static_cast<double>(b[j]);
  for (const double sum : sums) total += sum;
  return total;
}

template <class T>
void forward(const KernelContext& k) {
  const int64_t rows = k.inputs[1].count() - 1, entries = k.inputs[0].count(), width = width_of(k.inputs[2]);
  check_csr(k.inputs[0], k.inputs[1], k.inputs[3].extents[0]);
  const int64_t grain = csr_rows_per_task(rows, entries, width);
  if constexpr (std::is_same_v<T, float>)
    if (width >= lanes && width <= inner_block)
      return k.parallel.run(rows, grain,
                            [&](int64_t begin, int64_t end) { multiply_rows_of(k, begin, end); });
  const int32_t *columns = k.in<int32_t>(0), *starts = k.in<int32_t>(1);
  const T *a = k.in<T>(2), *b = k.in<T>(3);
  T* out = k.out<T>(0);
  k.parallel.run(rows, grain, [=](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row)
      for (int32_t i = starts[row]; i < starts[row + 1]; ++i) {
        out[i] = static_cast<T>(exact_sum(width, a + row * width, b + columns[i] * width));
      }
  });
}

// y_i = Σ a_r·b_c for the entry i = (r, c):  da = Y·b and db = Yᵀ·a, Y holding dy at the same places.
Adjoints vjp(const GradContext& g) {
  const Value columns = g.in(0), starts = g.in(1), a = g.in(2), b = g.in(3), d = g.adjoint(0);
  return {Value(), Value(), g.needs(2) ? csr_matmul(d, columns, starts, b) : Value(),
          g.needs(3) ? csr_transposed_matmul(d, columns, starts, a, b.shape()[0]) : Value()};
}

}  // namespace csr_sampled_matmul_detail

// What the gradient of csr_matmul by the matrix's values is.
OpDef records::csr_sampled_matmul() {
  using namespace csr_sampled_matmul_detail;
  OpDef def{.name = "csr_sampled_matmul",
            .doc = "The elements of a·bᵀ at the places of a sparse matrix's entries.",
            .inputs = csr_inputs(false),
            .outputs = {{"values", "[entries]"}}};
  def.inputs.push_back({"a", "[rows] or [rows, k]"});
  def.inputs.push_back({"b", "[columns] or [columns, k]"});
  def.traits.linear = {false, false, true, true};
  def.traits.product = true;
  def.infer = infer;
  def.kernel = {forward<float>, forward<double>, nullptr};
  def.vjp = vjp;
  def.cost = csr_cost;
  const auto integers = csr_sample_integers;
  const SampleInput columns = integers({0, 2, 1, 2}), starts = integers({0, 2, 2, 4});
  def.samples = {{"vectors", {columns, starts, {{3}, {1, 2, 3}}, {{3}, {4, 5, 6}}}, {}, {4, 6, 15, 18}},
                 {"matrices", {columns, starts, {{3, 2}}, {{3, 2}}}},
                 {"wide matrices", {columns, starts, {{3, 37}}, {{3, 37}}}},
                 {"no entries", {integers({}), integers({0, 0}), {{1}}, {{2}}}}};
  def.rejects = {
      {{{i32, {4}}, {i32, {4}}, {f32, {2}}, {f32, {3}}}, {}, "a is [2], but row_starts [4] says 3 rows"},
      {{{i32, {4}}, {i32, {4}}, {f32, {3, 2}}, {f32, {3, 1}}},
       {},
       "a is [3, 2] and b is [3, 1]; they must be two vectors, or matrices of one width"}};
  return def;
}

Value csr_sampled_matmul(Operand columns, Operand row_starts, Operand a, Operand b) {
  return build("csr_sampled_matmul", {columns, row_starts, a, b});
}

}  // namespace lariat
