#include "autodiff/convex/row_kernel.hpp"

#include <algorithm>
#include <cmath>

#include "autodiff/convex/gram.hpp"
#include "ops/kernels/gemm.hpp"

namespace lariat::convex {

namespace {

constexpr int64_t most_rows = 2500;
constexpr int64_t most_free = 64;

}  // namespace

bool RowKernel::is_cheaper(const ColumnMatrix& matrix, std::span<const int64_t> columns,
                           const SeparablePenalty& penalty) {
  const auto count = static_cast<int64_t>(columns.size());
  if (!matrix.parts.is_one() || matrix.rows > most_rows || count <= matrix.rows) return false;
  return std::count_if(columns.begin(), columns.end(),
                       [&](int64_t j) { return !(penalty.derivatives(j, 0).second > 0); }) <= most_free;
}

void RowKernel::update(const ColumnMatrix& matrix, std::span<const int64_t> columns,
                       std::span<const double> q, const ParallelFor& parallel) {
  if (std::equal(columns.begin(), columns.end(), columns_.begin(), columns_.end()) &&
      std::equal(q.begin(), q.end(), q_.begin(), q_.end()))
    return;
  columns_.assign(columns.begin(), columns.end());
  q_.assign(q.begin(), q.end());
  constexpr int64_t columns_per_block = 1024;
  const int64_t rows = matrix.rows;
  kernel_.assign(static_cast<size_t>(rows * rows), 0);
  std::vector<double> block(static_cast<size_t>(columns_per_block * rows));
  for (size_t begin = 0; begin < columns.size(); begin += columns_per_block) {
    const size_t end = std::min(columns.size(), begin + columns_per_block);
    std::fill(block.begin(), block.end(), 0.0);
    for (size_t a = begin; a < end; ++a)
      if (q[a] > 0)
        matrix.add_column(columns[a], 1 / std::sqrt(q[a]),
                          block.data() + static_cast<int64_t>(a - begin) * rows);
    const Product product{true, false, rows, rows, static_cast<int64_t>(end - begin), rows, rows};
    const OwnScratch scratch(gemm_workspace<double>(product), parallel.threads());
    gemm<double>(parallel, product, block.data(), block.data(), {kernel_.data(), rows}, kernel_.data(), rows,
                 scratch);
  }
}

std::vector<double> RowKernel::solve(const RowSystem& m, const ParallelFor& parallel) {
  const int64_t rows = m.matrix.rows;
  const size_t count = m.columns.size();
  std::vector<size_t> free;
  for (size_t a = 0; a < count; ++a)
    if (!(m.second[a] > 0)) free.push_back(a);
  if (rows > most_rows || static_cast<int64_t>(count) <= rows ||
      static_cast<int64_t>(free.size()) > most_free)
    return {};
  update(m.matrix, m.columns, m.second, parallel);
  // A row without curvature keeps its slope; the others have u⁺ = √D·t.
  const auto size = static_cast<size_t>(rows);
  std::vector<double> root(size), right((free.size() + 1) * size), system(kernel_.size());
  for (size_t i = 0; i < size; ++i) root[i] = std::sqrt(std::max(m.curvature[i], 0.0));
  for (size_t a = 0; a < count; ++a) {
    // v + c/Q = h'/Q
    if (m.second[a] > 0 && m.first[a] != 0)
      m.matrix.add_column(m.columns[a], -m.first[a] / m.second[a], right.data());
  }
  for (size_t f = 0; f < free.size(); ++f)
    m.matrix.add_column(m.columns[free[f]], 1, right.data() + (f + 1) * size);
  // What the slopes that stay give to the others, and to the columns of F.
  std::vector<double> moves(free.size());
  for (size_t f = 0; f < free.size(); ++f) moves[f] = -m.first[free[f]];
  for (size_t i = 0; i < size; ++i) {
    if (root[i] > 0) continue;
    for (size_t k = 0; k < size; ++k) right[k] -= kernel_[k * size + i] * m.slopes[i];
    for (size_t f = 0; f < free.size(); ++f) moves[f] -= right[(f + 1) * size + i] * m.slopes[i];
  }
  for (size_t i = 0; i < size; ++i) {
    for (size_t k = 0; k < size; ++k) system[i * size + k] = root[i] * kernel_[i * size + k] * root[k];
    system[i * size + i] += 1;
    for (size_t f = 0; f <= free.size(); ++f) right[f * size + i] *= root[i];
    if (root[i] > 0) right[i] += m.slopes[i] / root[i];
  }
  std::vector<double> solved = right;
  if (!solve_positive(system, solved, static_cast<int>(free.size()) + 1)) return {};
  const auto product = [&](size_t a, size_t b) {
    double sum = 0;
    for (size_t i = 0; i < size; ++i) sum += right[a * size + i] * solved[b * size + i];
    return sum;
  };
  const size_t n = free.size();
  std::vector<double> t(solved.begin(), solved.begin() + rows);
  if (n > 0) {
    // Schur's complement of the free columns.
    std::vector<double> schur(n * n);
    for (size_t a = 0; a < n; ++a) {
      moves[a] -= product(a + 1, 0);
      for (size_t b = 0; b < n; ++b) schur[a * n + b] = product(a + 1, b + 1);
      schur[a * n + a] *= 1 + 1e-13;
    }
    if (!solve_positive(schur, moves)) return {};
    for (size_t a = 0; a < n; ++a)
      for (size_t i = 0; i < size; ++i) t[i] += moves[a] * solved[(a + 1) * size + i];
  }
  for (size_t i = 0; i < size; ++i) t[i] = root[i] > 0 ? root[i] * t[i] : m.slopes[i];
  std::vector<double> goal(count);
  parallel.run(static_cast<int64_t>(count), 64, [&](int64_t begin, int64_t end) {
    for (int64_t a = begin; a < end; ++a) {
      const double q = m.second[a];
      if (q > 0) goal[a] = -(m.matrix.dot(m.columns[a], t.data()) + m.first[a] - q * m.weights[a]) / q;
    }
  });
  for (size_t f = 0; f < n; ++f) goal[free[f]] = m.weights[free[f]] + moves[f];
  return goal;
}

}  // namespace lariat::convex
