#include <algorithm>
#include <array>
#include <cstring>
#include <numeric>
#include <utility>

#include "ops/kernels/simd.hpp"
#include "ops/kernels/sparse_product.hpp"
#include "ops/kernels/transpose_square.hpp"

namespace lariat {

namespace sparse_tiles_detail {

using Batch = xsimd::batch<float>;
constexpr int64_t width = Batch::size;
// Rows of a side by side in vectors: one multiply-add for each weight and vector.
constexpr int64_t most_vectors = width == 16 ? 4 : 8, most_rows = most_vectors * width;
constexpr int64_t chunk_columns = 64;
constexpr int group_columns = SparseTiles::group;
// A place is 16 bits.
static_assert(inner_block * sizeof(Batch) <= 65536);
// Numbers of a cache line, all of which are used at once: lines of many rows may push each other out.
constexpr int64_t line = std::max<int64_t>(width, 16);

// The fewer the weights, the more rows of b share the load and store of a column's sums; measured.
int64_t depth_for(double density) {
  if (width == 16) return density > 0.15 ? 128 : inner_block;
  return density > 0.15 ? 128 : density > 0.07 ? 256 : inner_block;
}
// Long stretches of few rows come from a near cache sooner than those of many.
int64_t rows_for(const SparseTiles& b) { return b.depth > 128 ? most_rows / 2 : most_rows; }

// to[k, i] = a[i, k] for `rows` rows and those of `depth` columns that are read; rows up to the next whole
// vector become 0.
void transpose_rows(const float* a, int64_t lda, int64_t rows, int64_t depth, const uint8_t* read, float* to,
                    int64_t to_row) {
  for (int64_t first = 0; first < depth; first += line)
    for (int64_t i = 0; i < rows; i += width)
      for (int64_t k = first; k < std::min(first + line, depth); k += width) {
        if (!read[k / width]) continue;
        const int64_t high = std::min(width, rows - i), deep = std::min(width, depth - k);
        if (high == width && deep == width) {
          transpose_square(a + i * lda + k, lda, to + k * to_row + i, to_row);
          continue;
        }
        alignas(64) float few[width * width] = {};
        for (int64_t h = 0; h < high; ++h)
          std::memcpy(few + h * width, a + (i + h) * lda + k, static_cast<size_t>(deep) * sizeof(float));
        transpose_square(few, width, [&](int64_t d, const auto& column) {
          if (d < deep) std::memcpy(to + (k + d) * to_row + i, &column, sizeof column);
        });
      }
}

// The row that a place names, where a row has so many vectors.
template <int vectors>
[[gnu::always_inline]] inline const float* row_at(const float* rows, uint64_t place) {
  return reinterpret_cast<const float*>(reinterpret_cast<const std::byte*>(rows) + place * vectors);
}

// Adds the terms of one group to its columns' sums, [chunk_columns, vectors · width], or puts them there.
template <int vectors, bool first_terms>
void add_group(const float* rows, const SparseTiles::Group& group, const uint16_t* places,
               const float* values, float* sums) {
  // Sums that hide the latency of one another.
  constexpr int registers = width == 16 ? 16 : 8,
                together = std::min(group_columns, std::max(1, registers / vectors / 2 * 2));
  constexpr int64_t row = vectors * width;
  for (int first = 0; first < group_columns; first += together) {
    Batch sum[together][vectors];
#pragma GCC unroll 8
    for (int j = 0; j < together; ++j)
#pragma GCC unroll 8
      for (int v = 0; v < vectors; ++v)
        sum[j][v] = first_terms ? Batch(0.0f)
                                : Batch::load_aligned(sums + group.columns[first + j] * row + v * width);
    const uint16_t* place = places + first;
    const float* value = values + first;
    for (int i = group.count; i > 0; --i, place += group_columns, value += group_columns) {
      // Loads are what a step waits for: one for all its places.
      uint64_t left = 0;
      std::memcpy(&left, place, together * sizeof(*place));
#pragma GCC unroll 8
      for (int j = 0; j < together; ++j, left >>= 16) {
        const float* const from = row_at<vectors>(rows, left & 0xffff);
        const Batch factor(value[j]);
#pragma GCC unroll 8
        for (int v = 0; v < vectors; ++v)
          sum[j][v] = multiply_add(factor, Batch::load_aligned(from + v * width), sum[j][v]);
      }
    }
#pragma GCC unroll 8
    for (int j = 0; j < together; ++j)
#pragma GCC unroll 8
      for (int v = 0; v < vectors; ++v)
        sum[j][v].store_aligned(sums + group.columns[first + j] * row + v * width);
  }
}

template <bool first_terms, int... i>
constexpr auto group_sums_of(std::integer_sequence<int, i...>) {
  return std::array{add_group<i + 1, first_terms>...};
}
// Element i is of i + 1 vectors.
constexpr auto adding_groups = group_sums_of<false>(std::make_integer_sequence<int, most_vectors>()),
               putting_groups = group_sums_of<true>(std::make_integer_sequence<int, most_vectors>());

// The sums of columns that no group has are 0.
void clear_others(const SparseTiles::Group* group, const SparseTiles::Group* end, int64_t together,
                  float* sums) {
  bool there[chunk_columns + 1] = {};
  for (; group < end; ++group)
    for (const uint8_t column : group->columns) there[column] = true;
  for (int64_t column = 0; column < chunk_columns; ++column)
    if (!there[column])
      std::memset(sums + column * together, 0, static_cast<size_t>(together) * sizeof(float));
}

// c = sums + start for `rows` rows and the chunk's columns, from [columns, together].
void put_sums(SparseProduct p, int64_t block, const float* sums, int64_t together, int64_t row, int64_t rows,
              int64_t begin, int64_t end) {
  for (int64_t first = begin; first < end; first += line)
    for (int64_t i = 0; i < rows; i += width)
      for (int64_t j = first; j < std::min(first + line, end); j += width) {
        const float* const square = sums + (j - begin) * together + i;
        const float* const start = p.start(block == 0, row + i, j);
        const int64_t start_row = block > 0 ? p.ldc : p.addend.row;
        float* const to = p.c + (row + i) * p.ldc + j;
        if (rows - i < width || end - j < width) {
          alignas(64) float turned[width * width];
          transpose_square(square, together, turned, width);
          for (int64_t h = 0; h < std::min(width, rows - i); ++h)
            for (int64_t c = 0; c < std::min(width, end - j); ++c)
              to[h * p.ldc + c] = turned[h * width + c] + (start ? start[h * start_row + c] : 0.0f);
        } else if (start) {
          transpose_square(square, together, [&](int64_t h, auto sum) {
            decltype(sum) from;
            std::memcpy(&from, start + h * start_row, sizeof from);
            sum += from;
            std::memcpy(to + h * p.ldc, &sum, sizeof sum);
          });
        } else {
          transpose_square(square, together, to, p.ldc);
        }
      }
}

}  // namespace sparse_tiles_detail

int64_t tile_chunk_columns() { return sparse_tiles_detail::chunk_columns; }

int64_t tile_rows(const SparseTiles& b, int64_t m) {
  using namespace sparse_tiles_detail;
  return std::min(rows_for(b), (m + width - 1) / width * width);
}

size_t tile_bytes(int64_t m) {
  using namespace sparse_tiles_detail;
  const int64_t rows = std::min(most_rows, (m + width - 1) / width * width);
  return static_cast<size_t>((inner_block + chunk_columns + 1) * rows) * sizeof(float);
}

SparseTiles tiles_of(const SparseLists& columns, int64_t inner) {
  using namespace sparse_tiles_detail;
  SparseTiles result;
  size_t weights = 0;
  for (const auto& column : columns) weights += column.size();
  const auto count = static_cast<int64_t>(columns.size());
  result.depth = depth_for(static_cast<double>(weights) / static_cast<double>(inner * count));
  result.read.resize(static_cast<size_t>((inner + width - 1) / width));
  for (const auto& column : columns)
    for (const auto& [row, value] : column) result.read[static_cast<size_t>(row / width)] = 1;
  // What fills groups up names the first row of a stretch.
  for (int64_t first = 0; first < inner; first += result.depth)
    result.read[static_cast<size_t>(first / width)] = 1;
  const auto start = [&] {
    result.starts.push_back({static_cast<int32_t>(result.groups.size()),
                             static_cast<int32_t>(result.places.size() / group_columns)});
  };
  std::vector<size_t> next(columns.size());
  for (int64_t chunk = 0; chunk < count; chunk += chunk_columns)
    for (int64_t first = 0; first < inner; first += result.depth) {
      start();
      const int64_t here = std::min(chunk_columns, count - chunk);
      // Of each column, where its weights in these rows begin and how many they are.
      struct Run {
        int64_t column;
        size_t begin, count;
      };
      std::vector<Run> runs;
      for (int64_t j = chunk; j < chunk + here; ++j) {
        const auto& column = columns[static_cast<size_t>(j)];
        size_t& at = next[static_cast<size_t>(j)];
        const size_t begin = at;
        while (at < column.size() && column[at].first < first + result.depth) ++at;
        if (at > begin) runs.push_back({j, begin, at - begin});
      }
      std::stable_sort(runs.begin(), runs.end(),
                       [](const Run& x, const Run& y) { return x.count < y.count; });
      for (size_t r = 0; r < runs.size(); r += group_columns) {
        SparseTiles::Group group = {};
        const size_t last = std::min(r + group_columns, runs.size());
        group.count = static_cast<uint16_t>(runs[last - 1].count);
        for (int j = 0; j < group_columns; ++j)
          // What is left of a group adds zeros to a column that no one reads.
          group.columns[j] = static_cast<uint8_t>(r + static_cast<size_t>(j) < last
                                                      ? runs[r + static_cast<size_t>(j)].column - chunk
                                                      : chunk_columns);
        for (size_t i = 0; i < group.count; ++i)
          for (size_t j = 0; j < group_columns; ++j) {
            const bool there = r + j < last && i < runs[r + j].count;
            const auto [row, value] =
                there ? columns[static_cast<size_t>(runs[r + j].column)][runs[r + j].begin + i]
                      : std::pair<int32_t, float>(static_cast<int32_t>(first), 0.0f);
            result.places.push_back(
                static_cast<uint16_t>((row - first) * static_cast<int32_t>(sizeof(Batch))));
            result.values.push_back(value);
          }
        result.groups.push_back(group);
      }
    }
  start();
  return result;
}

void multiply_tiles(const SparseProduct& p, int64_t row, int64_t rows, int64_t begin, int64_t end,
                    float* scratch) {
  using namespace sparse_tiles_detail;
  const SparseTiles& b = p.b.tiles;
  const int64_t vectors = (rows + width - 1) / width, together = vectors * width;
  const int64_t stretches = (p.b.inner + b.depth - 1) / b.depth, in_block = inner_block / b.depth;
  const bool one_stretch = in_block == 1;
  const auto add = (one_stretch ? putting_groups : adding_groups)[static_cast<size_t>(vectors - 1)];
  float *const turned = scratch, *const sums = scratch + inner_block * together;
  for (int64_t block = 0; block < p.b.blocks(); ++block) {
    const int64_t first = block * inner_block;
    transpose_rows(p.a + row * p.lda + first, p.lda, rows, std::min(inner_block, p.b.inner - first),
                   b.read.data() + first / width, turned, together);
    for (int64_t chunk = begin; chunk < end; ++chunk) {
      if (one_stretch) {
        const SparseTiles::Start* const start = b.starts.data() + chunk * stretches + block;
        clear_others(b.groups.data() + start[0].group, b.groups.data() + start[1].group, together, sums);
      } else {
        std::memset(sums, 0, static_cast<size_t>(chunk_columns * together) * sizeof(float));
      }
      const int64_t last = std::min(stretches, (block + 1) * in_block);
      for (int64_t stretch = block * in_block; stretch < last; ++stretch) {
        const SparseTiles::Start* const start = b.starts.data() + chunk * stretches + stretch;
        const float* const from = turned + (stretch - block * in_block) * b.depth * together;
        auto step = static_cast<int64_t>(start->step) * group_columns;
        for (int32_t group = start[0].group; group < start[1].group; ++group) {
          const SparseTiles::Group& one = b.groups[static_cast<size_t>(group)];
          add(from, one, b.places.data() + step, p.values + step, sums);
          step += one.count * group_columns;
        }
      }
      const int64_t column = chunk * chunk_columns;
      put_sums(p, block, sums, together, row, rows, column, std::min(p.b.columns, column + chunk_columns));
    }
  }
}

}  // namespace lariat
