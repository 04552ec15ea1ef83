#include "ops/kernels/coded_product.hpp"

#include <algorithm>

#include "graph/io/short_numbers.hpp"
#include "ops/kernels/product_blocks.hpp"
#include "ops/kernels/product_kernel.hpp"
#include "ops/kernels/simd.hpp"

namespace lariat {

namespace coded_product_detail {

using Batch = xsimd::batch<float>;
constexpr int64_t width = Batch::size;
constexpr int vectors = product_kernel_detail::vectors;
constexpr int64_t panel = product_kernel_detail::panel<float>;
// The sums of so many rows and panels stay in registers.
constexpr int64_t few_rows = 3, few_panels = 2;
// Up to so many rows, expanding a code once for each few of them costs less than keeping its float: measured.
constexpr int64_t rows_by_blocks = width == 16 ? 8 : 24;
// Of fewer elements, caches feed floats as fast as codes are expanded: measured, batches of 1 to 24 rows.
constexpr int64_t least_elements = int64_t{1} << 22;
// Rows for which floats are made once, and codes that are worth a task.
constexpr int64_t rows_together = 256, codes_per_task = 100'000;

struct CodedProduct : ProductByBlocks {
  const CodedMatrix& b;

  const int8_t* codes(int64_t column, int64_t k) const {
    return b.codes.get() + column * b.inner + k * panel;
  }
};

// The sums of `rows` rows over `depth` elements of the inner dimension from k on, for the panels at `column`.
template <int rows, int panels>
void sum_panels(const CodedProduct& p, int64_t row, int64_t column, int64_t k, int64_t depth) {
  constexpr int across = panels * vectors;
  Batch sums[rows][across], scales[across];
#pragma GCC unroll 4
  for (int v = 0; v < across; ++v) {
    scales[v] = Batch::load_unaligned(p.b.scales.data() + column + v * width);
#pragma GCC unroll 4
    for (int i = 0; i < rows; ++i) sums[i][v] = Batch(0.0f);
  }
  const int8_t* codes = p.codes(column, k);
  const int64_t apart = p.b.inner * panel;
  const float* a = p.a + row * p.lda + k;
  for (int64_t d = 0; d < depth; ++d, codes += panel) {
    Batch element[rows];
#pragma GCC unroll 4
    for (int i = 0; i < rows; ++i) element[i] = Batch(a[i * p.lda + d]);
#pragma GCC unroll 4
    for (int v = 0; v < across; ++v) {
      const Batch weight = scales[v] * from_bytes(codes + v / vectors * apart + v % vectors * width);
#pragma GCC unroll 4
      for (int i = 0; i < rows; ++i) sums[i][v] = multiply_add(element[i], weight, sums[i][v]);
    }
  }
  const int64_t count = std::min(panels * panel, p.b.columns - column);
  for (int i = 0; i < rows; ++i) {
    float* const to = p.c + (row + i) * p.ldc + column;
    const float* const from = p.start(k == 0, row + i, column);
    alignas(64) float values[across * width];
#pragma GCC unroll 4
    for (int v = 0; v < across; ++v) sums[i][v].store_aligned(values + v * width);
    for (int64_t j = 0; j < count; ++j) to[j] = from ? from[j] + values[j] : values[j];
  }
}

template <int panels>
void sum_panels(const CodedProduct& p, int64_t row, int64_t rows, int64_t column, int64_t k, int64_t depth) {
  static_assert(few_rows == 3);
  if (rows == 1) return sum_panels<1, panels>(p, row, column, k, depth);
  if (rows == 2) return sum_panels<2, panels>(p, row, column, k, depth);
  sum_panels<3, panels>(p, row, column, k, depth);
}

// A panel of floats as multiply_packed() reads it, `across` vectors wide.
template <int across>
void expand_panel(const CodedProduct& p, int64_t column, int64_t k, int64_t depth, float* to) {
  const int8_t* codes = p.codes(column, k);
  Batch scales[across];
#pragma GCC unroll 4
  for (int v = 0; v < across; ++v) scales[v] = Batch::load_unaligned(p.b.scales.data() + column + v * width);
  for (int64_t d = 0; d < depth; ++d, codes += panel, to += across * width)
#pragma GCC unroll 4
    for (int v = 0; v < across; ++v)
      (scales[v] * from_bytes(codes + v * width)).store_unaligned(to + v * width);
}

// Rows [row, row + rows) of a column's panels up to `end`.
void multiply_blocks(const CodedProduct& p, int64_t row, int64_t rows, int64_t column, int64_t end) {
  for (int64_t k = 0; k < p.b.inner; k += inner_block)
    for (int64_t i = 0; i < rows; i += few_rows) {
      const int64_t high = std::min(few_rows, rows - i), depth = std::min(inner_block, p.b.inner - k);
      if (end - column > panel) {
        sum_panels<few_panels>(p, row + i, high, column, k, depth);
      } else {
        sum_panels<1>(p, row + i, high, column, k, depth);
      }
    }
}

void multiply_panel(const CodedProduct& p, int64_t row, int64_t rows, int64_t column, int64_t end,
                    float* floats) {
  for (int64_t k = 0; k < p.b.inner; k += inner_block) {
    const int64_t depth = std::min(inner_block, p.b.inner - k);
    if (end - column > width) {
      expand_panel<vectors>(p, column, k, depth, floats);
    } else {
      expand_panel<1>(p, column, k, depth, floats);
    }
    multiply_packed<float>(rows, depth, 0, end - column, {p.a + row * p.lda + k, p.lda, 1}, floats,
                           {p.start(k == 0, row, column), k > 0 ? p.ldc : p.addend.row, 1},
                           p.c + row * p.ldc + column, p.ldc);
  }
}

// Rows [row, row + rows) of columns [begin, end).
void multiply(const CodedProduct& p, int64_t row, int64_t rows, int64_t begin, int64_t end, float* floats) {
  const bool by_blocks = rows <= rows_by_blocks;
  const int64_t step = by_blocks ? few_panels * panel : panel;
  for (int64_t column = begin; column < end; column += step) {
    const int64_t last = std::min(column + step, end);
    if (by_blocks) {
      multiply_blocks(p, row, rows, column, last);
    } else {
      multiply_panel(p, row, rows, column, last, floats);
    }
  }
}

}  // namespace coded_product_detail

std::shared_ptr<const CodedMatrix> code_matrix(int64_t n, int64_t k, const float* b, int64_t ldb) {
  using namespace coded_product_detail;
  if (n < 2 || k == 0 || k > inner_stretch) return {};
  const auto columns = [&](int64_t count) {
    Tensor result(f32, {k, count});
    for (int64_t i = 0; i < k; ++i) std::copy_n(b + i * ldb, count, result.data<float>() + i * count);
    return result;
  };
  // A few columns tell most that are not.
  if (n > panel && !int8_scales(columns(panel))) return {};
  const Tensor matrix = columns(n);
  std::optional<std::vector<float>> scales = int8_scales(matrix);
  if (!scales) return {};
  const int64_t wide = (n + panel - 1) / panel * panel;
  const auto memory = allocate_bytes(static_cast<size_t>(wide * k));
  auto* const codes = reinterpret_cast<int8_t*>(memory.get());
  std::fill_n(codes, wide * k, int8_t{0});
  for (int64_t i = 0; i < k; ++i)
    for (int64_t j = 0; j < n; ++j) {
      const float value = matrix.data<float>()[i * n + j];
      if (value != 0)
        codes[j / panel * panel * k + i * panel + j % panel] =
            static_cast<int8_t>(value / (*scales)[static_cast<size_t>(j)]);
    }
  scales->resize(static_cast<size_t>(wide));
  return std::make_shared<CodedMatrix>(CodedMatrix{k, n, {memory, codes}, std::move(*scales)});
}

std::shared_ptr<const CodedMatrix> pack_coded(int64_t n, int64_t k, const float* b, int64_t ldb) {
  return n * k < coded_product_detail::least_elements ? nullptr : code_matrix(n, k, b, ldb);
}

void multiply_coded(const ParallelFor& parallel, int64_t m, const float* a, int64_t lda, const CodedMatrix& b,
                    Addend<float> addend, float* c, int64_t ldc, const Scratch& scratch) {
  using namespace coded_product_detail;
  if (m == 0) return;
  const CodedProduct p{{m, a, lda, addend, c, ldc}, b};
  // A task takes panels of some rows, which no other task has in common with it.
  constexpr int64_t unit = few_panels * panel;
  const int64_t across = (b.columns + unit - 1) / unit, down = (m + rows_together - 1) / rows_together;
  const int64_t rows = (m + down - 1) / down, codes = unit * b.inner * ((rows + few_rows - 1) / few_rows);
  parallel.run(across * down, std::max<int64_t>(1, codes_per_task / codes), [&](int64_t from, int64_t to) {
    float* const floats = reinterpret_cast<float*>(scratch.own(parallel));
    for (int64_t tile = from; tile < to; ++tile) {
      const int64_t row = tile / across * rows, column = tile % across * unit;
      if (row < m)
        multiply(p, row, std::min(rows, m - row), column, std::min(column + unit, b.columns), floats);
    }
  });
}

void multiply_coded_columns(int64_t m, const float* a, int64_t lda, const CodedMatrix& b, int64_t begin,
                            int64_t end, Addend<float> addend, float* c, int64_t ldc, std::byte* scratch) {
  using namespace coded_product_detail;
  if (m > 0) multiply({{m, a, lda, addend, c, ldc}, b}, 0, m, begin, end, reinterpret_cast<float*>(scratch));
}

Workspace coded_workspace(int64_t m) {
  using namespace coded_product_detail;
  return {0, m <= rows_by_blocks ? 0 : static_cast<size_t>(inner_block * panel) * sizeof(float)};
}

}  // namespace lariat
