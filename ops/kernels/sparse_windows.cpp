#include <algorithm>
#include <cstring>
#include <limits>

#include "ops/kernels/simd.hpp"
#include "ops/kernels/sparse_product.hpp"

namespace lariat {

namespace sparse_windows_detail {

using Batch = xsimd::batch<float>;
constexpr int64_t width = Batch::size, window = 2 * width;
constexpr int64_t numbers_of_line = sizeof(SparseWindows::Line) / sizeof(float);

// The elements of a window that `places` names.
Batch looked_up(const float* from, const uint8_t* places) {
#if defined(__AVX512F__)
  const __m512i index = _mm512_cvtepu8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(places)));
  return _mm512_permutex2var_ps(_mm512_loadu_ps(from), index, _mm512_loadu_ps(from + 16));
#elif defined(__AVX2__)
  const __m256i index = _mm256_cvtepu8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(places)));
  const __m256 low = _mm256_permutevar8x32_ps(_mm256_loadu_ps(from), index),
               high = _mm256_permutevar8x32_ps(_mm256_loadu_ps(from + 8), index);
  // The sign of what chooses is bit 3 of the place.
  return _mm256_blendv_ps(low, high, _mm256_castsi256_ps(_mm256_slli_epi32(index, 28)));
#else
  float found[width];
  for (int64_t i = 0; i < width; ++i) found[i] = from[places[i]];
  return Batch::load_unaligned(found);
#endif
}

// Adds up the steps [from, to) for so many rows of a.
template <int rows>
void sum_steps(const SparseWindows& b, int32_t from, int32_t to, const float* a, int64_t lda, Batch* result) {
  Batch sums[rows];
#pragma GCC unroll 4
  for (int r = 0; r < rows; ++r) sums[r] = Batch(0.0f);
  const uint16_t* const windows = b.windows.data();
  const uint8_t* const places = b.places.data();
  const float* const values = b.values.data()->values;
  for (int32_t step = from; step < to; ++step) {
    const Batch weights = Batch::load_aligned(values + step * width);
    const float* const at = a + windows[step];
#pragma GCC unroll 4
    for (int r = 0; r < rows; ++r)
      sums[r] = multiply_add(looked_up(at + r * lda, places + step * width), weights, sums[r]);
  }
#pragma GCC unroll 4
  for (int r = 0; r < rows; ++r) result[r] = sums[r];
}

void sum_steps(int64_t rows, const SparseWindows& b, int32_t from, int32_t to, const float* a, int64_t lda,
               Batch* sums) {
  switch (rows) {
    case 1:
      return sum_steps<1>(b, from, to, a, lda, sums);
    case 2:
      return sum_steps<2>(b, from, to, a, lda, sums);
    case 3:
      return sum_steps<3>(b, from, to, a, lda, sums);
    default:
      return sum_steps<4>(b, from, to, a, lda, sums);
  }
}

}  // namespace sparse_windows_detail

int64_t window_columns() { return sparse_windows_detail::width; }

bool has_window(int64_t inner) { return inner >= sparse_windows_detail::window; }

SparseWindows windows_of(const SparseLists& columns, int64_t inner) {
  using namespace sparse_windows_detail;
  SparseWindows result;
  const auto count = static_cast<int64_t>(columns.size());
  std::vector<size_t> next(columns.size());
  std::vector<float> values;
  for (int64_t first = 0; first < inner; first += inner_block) {
    const auto end = static_cast<int32_t>(std::min(inner, first + inner_block));
    for (int64_t unit = 0; unit < count; unit += width) {
      result.starts.push_back(static_cast<int32_t>(result.windows.size()));
      const auto last = static_cast<size_t>(std::min(unit + width, count));
      for (;;) {
        // The window begins with the first row that is left.
        int32_t begin = end;
        for (auto j = static_cast<size_t>(unit); j < last; ++j)
          if (next[j] < columns[j].size()) begin = std::min(begin, columns[j][next[j]].first);
        if (begin == end) break;
        begin = std::min(begin, static_cast<int32_t>(inner - window));
        result.windows.push_back(static_cast<uint16_t>(begin));
        for (int64_t lane = 0; lane < width; ++lane) {
          const auto j = static_cast<size_t>(unit + lane);
          uint8_t place = 0;
          float value = 0;
          if (j < last && next[j] < columns[j].size()) {
            const auto& [row, weight] = columns[j][next[j]];
            if (row < std::min(end, begin + static_cast<int32_t>(window))) {
              place = static_cast<uint8_t>(row - begin);
              value = weight;
              ++next[j];
            }
          }
          result.places.push_back(place);
          values.push_back(value);
        }
      }
    }
  }
  result.starts.push_back(static_cast<int32_t>(result.windows.size()));
  result.values.resize((values.size() + numbers_of_line - 1) / numbers_of_line);
  if (!values.empty()) std::memcpy(result.values.data(), values.data(), values.size() * sizeof(float));
  return result;
}

void multiply_windows(const SparseProduct& p, int64_t begin, int64_t end) {
  using namespace sparse_windows_detail;
  const int64_t units = (p.b.columns + width - 1) / width;
  for (int64_t block = 0; block < p.b.blocks(); ++block)
    for (int64_t unit = begin; unit < end; ++unit) {
      const int32_t* const start = p.b.windows.starts.data() + block * units + unit;
      const int64_t column = unit * width, count = std::min(width, p.b.columns - column);
      for (int64_t row = 0; row < p.m; row += 4) {
        const int64_t rows = std::min<int64_t>(4, p.m - row);
        Batch sums[4];
        sum_steps(rows, p.b.windows, start[0], start[1], p.a + row * p.lda, p.lda, sums);
        for (int64_t r = 0; r < rows; ++r) {
          const float* const from = p.start(block == 0, row + r, column);
          float* const to = p.c + (row + r) * p.ldc + column;
          if (count == width) {
            (from ? sums[r] + Batch::load_unaligned(from) : sums[r]).store_unaligned(to);
            continue;
          }
          float few[width];
          sums[r].store_unaligned(few);
          for (int64_t i = 0; i < count; ++i) to[i] = from ? few[i] + from[i] : few[i];
        }
      }
    }
}

}  // namespace lariat
