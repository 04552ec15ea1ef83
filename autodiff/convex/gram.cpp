#include "autodiff/convex/gram.hpp"

#include <algorithm>
#include <iterator>
#include <numeric>

#include "graph/base/blas.hpp"
#include "ops/kernels/gemm.hpp"

// LAPACK, which OpenBLAS holds.
extern "C" {
void dpotrf_(const char* part, const int* n, double* a, const int* stride, int* info);
void dpotrs_(const char* part, const int* n, const int* columns, const double* a, const int* stride,
             double* b, const int* b_stride, int* info);
}

namespace lariat::convex {

namespace {

// The product of the columns `fresh`, places in `set`, with all of `set`: [fresh, set] row-major. Where every
// column is fresh only the upper half is meant.
struct Task {
  const ColumnMatrix& matrix;
  std::span<const int64_t> set, fresh;
  std::span<const double> curvature;
  const ParallelFor& parallel;

  int64_t size() const { return static_cast<int64_t>(set.size()); }
  int64_t rows() const { return static_cast<int64_t>(fresh.size()); }
};

// The columns' entries by rows, with places in the set for columns.
struct Rows {
  std::vector<int64_t> starts;
  std::vector<int32_t> places;
  std::vector<double> values;
  double products = 0;  // Σ over rows of entries²

  explicit Rows(const Task& task) : starts(static_cast<size_t>(task.matrix.rows) + 1) {
    const ColumnMatrix& x = task.matrix;
    for (const int64_t j : task.set)
      for (int64_t e = x.starts[j]; e < x.starts[j + 1]; ++e) ++starts[x.entry_rows[e] + 1];
    for (int64_t r = 0; r < x.rows; ++r) {
      products += static_cast<double>(starts[r + 1]) * static_cast<double>(starts[r + 1]);
      starts[r + 1] += starts[r];
    }
    places.resize(static_cast<size_t>(starts.back()));
    values.resize(places.size());
    std::vector<int64_t> next(starts.begin(), starts.end() - 1);
    for (int64_t k = 0; k < task.size(); ++k)
      for (int64_t e = x.starts[task.set[k]]; e < x.starts[task.set[k] + 1]; ++e) {
        const int64_t at = next[x.entry_rows[e]]++;
        places[at] = static_cast<int32_t>(k);
        values[at] = x.values[e];
      }
  }
};

// Each row adds the products of its entries. Blocks of rows have tables of their own, added in order; their
// number follows from the sizes.
std::vector<double> sparse_product(const Task& task, const Rows& rows) {
  constexpr double most_blocks = 8;
  const int64_t n = task.size(), table = task.rows() * n;
  const auto blocks = static_cast<int64_t>(
      std::clamp(rows.products / (8 * std::max(1.0, static_cast<double>(table))), 1.0, most_blocks));
  std::vector<int64_t> fresh_row(static_cast<size_t>(n), -1);
  for (int64_t f = 0; f < task.rows(); ++f) fresh_row[task.fresh[f]] = f;
  const bool half = task.rows() == n;
  std::vector<double> tables(static_cast<size_t>(blocks * table));
  const int64_t each = (task.matrix.rows + blocks - 1) / blocks;
  task.parallel.run(blocks, 1, [&](int64_t begin, int64_t end) {
    for (int64_t block = begin; block < end; ++block) {
      double* sums = tables.data() + block * table;
      for (int64_t r = block * each; r < std::min(task.matrix.rows, (block + 1) * each); ++r) {
        const double curvature = task.curvature[r];
        if (curvature == 0) continue;
        const int64_t first = rows.starts[r], last = rows.starts[r + 1];
        for (int64_t a = first; a < last; ++a) {
          const int64_t f = fresh_row[rows.places[a]];
          if (f < 0) continue;
          const double scaled = curvature * rows.values[a];
          double* row = sums + f * n;
          for (int64_t b = half ? a : first; b < last; ++b) row[rows.places[b]] += scaled * rows.values[b];
        }
      }
    }
  });
  for (int64_t block = 1; block < blocks; ++block)
    for (int64_t i = 0; i < table; ++i) tables[i] += tables[block * table + i];
  tables.resize(static_cast<size_t>(table));
  return tables;
}

// The same by dense products, a block of rows at a time.
std::vector<double> dense_product(const Task& task) {
  constexpr int64_t rows_per_block = 2048;
  const ColumnMatrix& x = task.matrix;
  const int64_t n = task.size(), m = task.rows(), width = std::min(x.rows, rows_per_block);
  std::vector<double> result(static_cast<size_t>(m * n)), all(static_cast<size_t>(n * width)),
      scaled(static_cast<size_t>(m * width));
  std::vector<int64_t> next;
  for (const int64_t j : task.set) next.push_back(x.starts[j]);
  Product product{false, true, m, n, width, width, width};
  const OwnScratch scratch(gemm_workspace<double>(product), task.parallel.threads());
  for (int64_t begin = 0; begin < x.rows; begin += width) {
    const int64_t end = std::min(x.rows, begin + width);
    std::fill(all.begin(), all.end(), 0.0);
    for (int64_t k = 0; k < n; ++k)
      for (int64_t& e = next[k]; e < x.starts[task.set[k] + 1] && x.entry_rows[e] < end; ++e)
        all[k * width + x.entry_rows[e] - begin] = x.values[e];
    for (int64_t f = 0; f < m; ++f)
      for (int64_t r = 0; r < end - begin; ++r)
        scaled[f * width + r] = task.curvature[begin + r] * all[task.fresh[f] * width + r];
    product.k = end - begin;
    gemm<double>(task.parallel, product, scaled.data(), all.data(), {result.data(), n}, result.data(), n,
                 scratch);
  }
  return result;
}

std::vector<double> product_of(const Task& task) {
  // A dense product does about ten times as many steps in the same time.
  constexpr double dense_speed = 10;
  const Rows rows(task);
  const bool dense = dense_speed * rows.products > static_cast<double>(task.matrix.rows) *
                                                       static_cast<double>(task.size()) *
                                                       static_cast<double>(task.size());
  return dense ? dense_product(task) : sparse_product(task, rows);
}

// The columns `set`, of the rows from `begin` to `end`.
ColumnMatrix part_of(const ColumnMatrix& matrix, std::span<const int64_t> set, int64_t begin, int64_t end) {
  ColumnMatrix part{end - begin};
  for (const int64_t j : set) {
    const auto [first, last] = matrix.entries_within(j, begin, end);
    for (int64_t e = first; e < last; ++e)
      part.entry_rows.push_back(matrix.entry_rows[e] - static_cast<int32_t>(begin));
    part.values.insert(part.values.end(), matrix.values.begin() + first, matrix.values.begin() + last);
    part.starts.push_back(static_cast<int64_t>(part.values.size()));
  }
  return part;
}

// The same over the rows of all ranks.
std::vector<double> product_of_parts(const Task& task) {
  if (task.matrix.parts.is_one()) return product_of(task);
  std::vector<int64_t> places(task.set.size());
  std::iota(places.begin(), places.end(), int64_t{0});
  return task.matrix.parts.sum(
      task.matrix.rows, static_cast<size_t>(task.rows() * task.size()),
      [&](int64_t begin, int64_t end, std::span<double> to) {
        const ColumnMatrix part = part_of(task.matrix, task.set, begin, end);
        const std::vector<double> product =
            product_of({part, places, task.fresh,
                        task.curvature.subspan(static_cast<size_t>(begin), static_cast<size_t>(end - begin)),
                        task.parallel});
        std::copy(product.begin(), product.end(), to.begin());
      });
}

}  // namespace

Gram::Gram(const ColumnMatrix& matrix, std::span<const int64_t> set, std::span<const double> curvature,
           const Gram& known, std::span<const int64_t> known_set, const ParallelFor& parallel)
    : size_(static_cast<int64_t>(set.size())), values_(static_cast<size_t>(size_ * size_)) {
  std::vector<int64_t> fresh, old, old_place;
  for (int64_t k = 0; k < size_; ++k) {
    const auto at = std::lower_bound(known_set.begin(), known_set.end(), set[k]);
    if (at == known_set.end() || *at != set[k]) {
      fresh.push_back(k);
    } else {
      old.push_back(k);
      old_place.push_back(at - known_set.begin());
    }
  }
  for (size_t a = 0; a < old.size(); ++a)
    for (size_t b = 0; b < old.size(); ++b)
      values_[old[a] * size_ + old[b]] = known.at(old_place[a], old_place[b]);
  if (fresh.empty()) return;
  const std::vector<double> product = product_of_parts({matrix, set, fresh, curvature, parallel});
  const bool half = fresh.size() == set.size();
  for (size_t f = 0; f < fresh.size(); ++f)
    for (int64_t k = half ? fresh[f] : 0; k < size_; ++k)
      values_[fresh[f] * size_ + k] = values_[k * size_ + fresh[f]] =
          product[f * static_cast<size_t>(size_) + k];
}

Gram::Gram(const Gram& whole, std::span<const int64_t> places)
    : size_(static_cast<int64_t>(places.size())), values_(static_cast<size_t>(size_ * size_)) {
  for (int64_t i = 0; i < size_; ++i) {
    const double* from = whole.row(places[i]);
    for (int64_t j = 0; j < size_; ++j) values_[i * size_ + j] = from[places[j]];
  }
}

Gram GramCache::get(const ColumnMatrix& matrix, std::span<const int64_t> set,
                    std::span<const double> curvature, const ParallelFor& parallel) {
  constexpr int64_t most_at_once = 1000, most_kept = 3000;
  if (!matrix.parts.all(
          std::equal(curvature.begin(), curvature.end(), curvature_.begin(), curvature_.end()))) {
    // Whether it will stay is seen the next time.
    curvature_.assign(curvature.begin(), curvature.end());
    set_.assign(set.begin(), set.end());
    return gram_ = Gram(matrix, set, curvature, Gram(), {}, parallel);
  }
  if (!std::includes(set_.begin(), set_.end(), set.begin(), set.end())) {
    std::vector<int64_t> wider;
    if (matrix.columns() <= most_at_once) {
      for (int64_t j = 0; j < matrix.columns(); ++j) wider.push_back(j);
    } else {
      std::set_union(set_.begin(), set_.end(), set.begin(), set.end(), std::back_inserter(wider));
      if (static_cast<int64_t>(wider.size()) > most_kept) wider.assign(set.begin(), set.end());
    }
    gram_ = Gram(matrix, wider, curvature, gram_, set_, parallel);
    set_ = std::move(wider);
  }
  std::vector<int64_t> places;
  for (const int64_t j : set) places.push_back(std::lower_bound(set_.begin(), set_.end(), j) - set_.begin());
  return Gram(gram_, places);
}

bool solve_positive(std::vector<double>& a, std::vector<double>& b, int count) {
  use_one_blas_thread();
  const int n = static_cast<int>(b.size()) / count;
  int info = 0;
  dpotrf_("L", &n, a.data(), &n, &info);
  if (info != 0) return false;
  dpotrs_("L", &n, &count, a.data(), &n, b.data(), &n, &info);
  return info == 0;
}

}  // namespace lariat::convex
