#include <algorithm>
#include <array>
#include <numeric>
#include <utility>

#include "ops/kernels/simd.hpp"
#include "ops/kernels/sparse_product.hpp"

namespace lariat {

namespace sparse_runs_detail {

#if defined(__AVX512F__)
// Half a vector is a run.
using Part = xsimd::batch<float, xsimd::avx2>;
Part fused(Part x, Part y, Part z) { return _mm256_fmadd_ps(x, y, z); }
#else
using Part = xsimd::batch<float>;
Part fused(Part x, Part y, Part z) { return multiply_add(x, y, z); }
#endif
constexpr int64_t width = Part::size;
constexpr int parts = static_cast<int>(run_columns / width);

// Sums of so many runs side by side hide the latency of one another, and stay in registers for so many rows.
constexpr int group_runs = SparseRuns::group;
#if defined(__AVX512F__)
constexpr int rows_together = 6;
#else
constexpr int rows_together = parts == 1 ? 3 : 1;
#endif

// to = sum + from, for so many columns of a run.
[[gnu::always_inline]] inline void put(const Part (&sums)[parts], const float* from, float* to,
                                       int64_t columns) {
  if (columns >= run_columns) {
#pragma GCC unroll 8
    for (int part = 0; part < parts; ++part) {
      const Part sum = sums[part];
      (from ? sum + Part::load_unaligned(from + part * width) : sum).store_unaligned(to + part * width);
    }
    return;
  }
  alignas(64) float few[run_columns];
  for (int part = 0; part < parts; ++part) sums[part].store_aligned(few + part * width);
  for (int64_t i = 0; i < columns; ++i) to[i] = from ? few[i] + from[i] : few[i];
}

// Of `rows` rows and the groups [begin, end). The product is a copy, which no store of a result changes.
template <int rows>
void multiply_groups(SparseProduct p, int64_t row, int64_t begin, int64_t end) {
  const int64_t blocks = p.b.blocks(), width_of_c = p.b.columns;
  const float* const a = p.a + row * p.lda;
  const int32_t *columns = p.b.runs.columns.data() + begin * group_runs,
                *start = p.b.runs.starts.data() + begin * blocks;
  const uint64_t* const places = p.b.runs.places.data();
  const SparseRuns::Run* const runs = p.b.runs.values.data();
  for (int64_t group = begin; group < end; ++group, columns += group_runs)
    for (int64_t block = 0; block < blocks; ++block, ++start) {
      Part sums[rows][group_runs][parts];
#pragma GCC unroll 8
      for (int r = 0; r < rows; ++r)
#pragma GCC unroll 8
        for (int g = 0; g < group_runs; ++g)
#pragma GCC unroll 8
          for (int part = 0; part < parts; ++part) sums[r][g][part] = Part(0.0f);
      const SparseRuns::Run* run = runs + int64_t{start[0]} * group_runs;
      for (int32_t step = start[0]; step < start[1]; ++step, run += group_runs) {
        // One load for the rows of the group: loads are what a step waits for.
        uint64_t left = places[step];
#pragma GCC unroll 8
        for (int g = 0; g < group_runs; ++g, left >>= 16) {
          const float* const at = a + (left & 0xffff);
          Part weights[parts];
#pragma GCC unroll 8
          for (int part = 0; part < parts; ++part)
            weights[part] = Part::load_aligned(run[g].values + part * width);
#pragma GCC unroll 8
          for (int r = 0; r < rows; ++r) {
            const Part element(at[r * p.lda]);
#pragma GCC unroll 8
            for (int part = 0; part < parts; ++part)
              sums[r][g][part] = fused(element, weights[part], sums[r][g][part]);
          }
        }
      }
#pragma GCC unroll 8
      for (int g = 0; g < group_runs; ++g)
        if (const int32_t column = columns[g]; column >= 0)
#pragma GCC unroll 8
          for (int r = 0; r < rows; ++r)
            put(sums[r][g], p.start(block == 0, row + r, column), p.c + (row + r) * p.ldc + column,
                width_of_c - column);
    }
}

template <int... i>
constexpr auto groups_of(std::integer_sequence<int, i...>) {
  return std::array{multiply_groups<i + 1>...};
}
// Element i is of i + 1 rows.
constexpr auto groups_by_rows = groups_of(std::make_integer_sequence<int, rows_together>());

}  // namespace sparse_runs_detail

SparseRuns runs_of(const SparseLists& columns, int64_t inner) {
  using namespace sparse_runs_detail;
  SparseRuns result;
  const auto count = static_cast<int64_t>(columns.size());
  // Of each run of columns, the rows that hold a weight of it.
  std::vector<std::vector<int32_t>> rows;
  for (int64_t first = 0; first < count; first += run_columns) {
    std::vector<int32_t>& here = rows.emplace_back();
    for (int64_t j = first; j < std::min(count, first + run_columns); ++j)
      for (const auto& [row, value] : columns[static_cast<size_t>(j)]) here.push_back(row);
    std::sort(here.begin(), here.end());
    here.erase(std::unique(here.begin(), here.end()), here.end());
    result.count += static_cast<int64_t>(here.size());
  }
  std::vector<int32_t> order(rows.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](int32_t x, int32_t y) {
    return rows[static_cast<size_t>(x)].size() < rows[static_cast<size_t>(y)].size();
  });
  std::vector<size_t> next(rows.size()), next_weight(columns.size());
  for (size_t first = 0; first < order.size(); first += group_runs) {
    const size_t last = std::min(first + group_runs, order.size());
    for (size_t g = first; g < first + group_runs; ++g)
      result.columns.push_back(g < last ? order[g] * static_cast<int32_t>(run_columns) : -1);
    for (int64_t begin = 0; begin < inner; begin += inner_block) {
      const auto end = static_cast<int32_t>(std::min(inner, begin + inner_block));
      result.starts.push_back(static_cast<int32_t>(result.places.size()));
      const auto left = [&](size_t g) {
        const auto of = static_cast<size_t>(order[g]);
        return g < last && next[of] < rows[of].size() && rows[of][next[of]] < end;
      };
      const auto any_left = [&] {
        for (size_t g = first; g < last; ++g)
          if (left(g)) return true;
        return false;
      };
      while (any_left()) {
        uint64_t places = 0;
        for (size_t g = first; g < first + group_runs; ++g) {
          SparseRuns::Run run = {};
          // What fills a group up adds zeros.
          int32_t row = static_cast<int32_t>(begin);
          if (g < last && left(g)) {
            const auto of = static_cast<size_t>(order[g]);
            row = rows[of][next[of]++];
            for (size_t lane = 0; lane < run_columns; ++lane) {
              const size_t j = of * run_columns + lane;
              if (j >= columns.size() || next_weight[j] >= columns[j].size() ||
                  columns[j][next_weight[j]].first != row)
                continue;
              run.values[lane] = columns[j][next_weight[j]++].second;
            }
          }
          places |= static_cast<uint64_t>(row) << (16 * (g - first));
          result.values.push_back(run);
        }
        result.places.push_back(places);
      }
    }
  }
  result.starts.push_back(static_cast<int32_t>(result.places.size()));
  return result;
}

int64_t run_rows() { return sparse_runs_detail::rows_together; }

void multiply_runs(const SparseProduct& p, int64_t row, int64_t rows, int64_t begin, int64_t end) {
  using namespace sparse_runs_detail;
  for (const int64_t last = row + rows; row < last;) {
    const int64_t together = std::min<int64_t>(rows_together, last - row);
    groups_by_rows[static_cast<size_t>(together - 1)](p, row, begin, end);
    row += together;
  }
}

}  // namespace lariat
