#include "autodiff/convex/coordinate_descent.hpp"

#include <algorithm>

namespace lariat::convex {

namespace {

// Keeps coordinates without curvature in place; relative to the largest diagonal element.
constexpr double ridge = 1e-12;

// XᵀDX in full, and q = g + XᵀDX·d kept up to date.
class GramModel {
 public:
  GramModel(const QuadraticModel& model, const ParallelFor& parallel)
      : size_(static_cast<int64_t>(model.set.size())), gram_(static_cast<size_t>(size_ * size_)) {
    fill(model, parallel);
    for (const int64_t j : model.set) slope_.push_back(model.gradient[j]);
    double largest = 0;
    for (int64_t k = 0; k < size_; ++k) largest = std::max(largest, gram_[k * size_ + k]);
    for (int64_t k = 0; k < size_; ++k) gram_[k * size_ + k] += ridge * std::max(largest, 1e-300);
  }

  double curvature(int64_t k) const { return gram_[k * size_ + k]; }
  double slope(int64_t k) const { return slope_[k]; }
  void move(int64_t k, double by) {
    const double* row = gram_.data() + k * size_;
    double* slope = slope_.data();
    for (int64_t i = 0; i < size_; ++i) slope[i] += by * row[i];
  }

 private:
  // Row by row of X: each adds the products of its entries. Blocks of rows have tables of their own, added in
  // order; their number follows from the sizes.
  void fill(const QuadraticModel& model, const ParallelFor& parallel) {
    const ColumnMatrix& x = model.matrix;
    std::vector<int64_t> starts(static_cast<size_t>(x.rows) + 1);
    for (const int64_t j : model.set)
      for (int64_t k = x.starts[j]; k < x.starts[j + 1]; ++k) ++starts[x.entry_rows[k] + 1];
    double products = 0;
    for (int64_t r = 0; r < x.rows; ++r) {
      products += static_cast<double>(starts[r + 1]) * static_cast<double>(starts[r + 1]);
      starts[r + 1] += starts[r];
    }
    std::vector<int32_t> places(static_cast<size_t>(starts.back()));
    std::vector<double> values(places.size());
    std::vector<int64_t> next(starts.begin(), starts.end() - 1);
    for (int64_t k = 0; k < size_; ++k)
      for (int64_t e = x.starts[model.set[k]]; e < x.starts[model.set[k] + 1]; ++e) {
        const int64_t at = next[x.entry_rows[e]]++;
        places[at] = static_cast<int32_t>(k);
        values[at] = x.values[e];
      }
    constexpr int64_t most_blocks = 8;
    const auto table = static_cast<double>(size_ * size_);
    const int64_t blocks =
        std::clamp<int64_t>(static_cast<int64_t>(products / (8 * std::max(1.0, table))), 1, most_blocks);
    std::vector<double> tables(static_cast<size_t>((blocks - 1) * size_ * size_));
    const int64_t each = (x.rows + blocks - 1) / blocks;
    parallel.run(blocks, 1, [&](int64_t begin, int64_t end) {
      for (int64_t block = begin; block < end; ++block) {
        double* sums = block == 0 ? gram_.data() : tables.data() + (block - 1) * size_ * size_;
        for (int64_t r = block * each; r < std::min(x.rows, (block + 1) * each); ++r)
          for (int64_t a = starts[r]; a < starts[r + 1]; ++a) {
            const double scaled = model.curvature[r] * values[a];
            double* row = sums + places[a] * size_;
            for (int64_t b = a; b < starts[r + 1]; ++b) row[places[b]] += scaled * values[b];
          }
      }
    });
    for (int64_t block = 1; block < blocks; ++block)
      for (int64_t i = 0; i < size_ * size_; ++i) gram_[i] += tables[(block - 1) * size_ * size_ + i];
    for (int64_t i = 0; i < size_; ++i)
      for (int64_t j = 0; j < i; ++j) gram_[i * size_ + j] = gram_[j * size_ + i];
  }

  int64_t size_;
  std::vector<double> gram_, slope_;
};

// The columns of X and D·X·d.
class ColumnModel {
 public:
  explicit ColumnModel(const QuadraticModel& model)
      : model_(model), product_(static_cast<size_t>(model.matrix.rows)) {
    double largest = 0;
    for (const int64_t j : model.set) {
      const ColumnMatrix& x = model.matrix;
      double sum = 0;
      for (int64_t k = x.starts[j]; k < x.starts[j + 1]; ++k)
        sum += x.values[k] * x.values[k] * model.curvature[x.entry_rows[k]];
      diagonal_.push_back(sum);
      largest = std::max(largest, sum);
    }
    for (double& value : diagonal_) value += ridge * std::max(largest, 1e-300);
  }
  double curvature(int64_t k) const { return diagonal_[k]; }
  double slope(int64_t k) const {
    const int64_t j = model_.set[k];
    return model_.gradient[j] + model_.matrix.dot(j, product_.data());
  }
  void move(int64_t k, double by) {
    const ColumnMatrix& x = model_.matrix;
    const int64_t j = model_.set[k];
    for (int64_t e = x.starts[j]; e < x.starts[j + 1]; ++e)
      product_[x.entry_rows[e]] += by * x.values[e] * model_.curvature[x.entry_rows[e]];
  }

 private:
  const QuadraticModel& model_;
  std::vector<double> product_, diagonal_;
};

template <class Model>
std::vector<double> sweep(const QuadraticModel& problem, Model&& model, double tolerance, int most_sweeps) {
  const auto size = static_cast<int64_t>(problem.set.size());
  std::vector<double> weights;
  for (const int64_t j : problem.set) weights.push_back(problem.weights[j]);
  // Coordinates that a sweep leaves at zero wait until those that move have settled.
  std::vector<int64_t> all(problem.set.size()), moving;
  for (int64_t k = 0; k < size; ++k) all[k] = k;
  bool whole = true;
  for (int count = 0; count < most_sweeps; ++count) {
    const std::vector<int64_t>& visited = whole ? all : moving;
    std::vector<int64_t> next;
    double worst = 0;
    for (const int64_t k : visited) {
      const int64_t j = problem.set[k];
      const double curvature = model.curvature(k), before = weights[k];
      const double after = problem.penalty.prox(j, before - model.slope(k) / curvature, 1 / curvature);
      const double by = after - before;
      if (by != 0) {
        model.move(k, by);
        weights[k] = after;
        worst = std::max(worst, std::abs(by) * curvature);
      }
      if (whole && (by != 0 || after != 0)) next.push_back(k);
    }
    if (whole) moving = std::move(next);
    if (worst > tolerance) {
      whole = false;
    } else if (whole) {
      break;
    } else {
      whole = true;
    }
  }
  return weights;
}

}  // namespace

std::vector<double> descend(const QuadraticModel& model, double tolerance, int most_sweeps,
                            const ParallelFor& parallel) {
  constexpr int64_t largest_gram = 3000;
  constexpr double expected_sweeps = 30;
  const auto size = static_cast<double>(model.set.size());
  double entries = 0;
  for (const int64_t j : model.set) entries += static_cast<double>(model.matrix.entries(j));
  // Filling XᵀDX takes about entries²/rows steps; a sweep over columns touches each entry twice, at random.
  const double gram = entries * entries / static_cast<double>(std::max<int64_t>(1, model.matrix.rows)) +
                      expected_sweeps * size * size / 4;
  const double columns = expected_sweeps * 4 * entries;
  if (size <= largest_gram && gram <= columns)
    return sweep(model, GramModel(model, parallel), tolerance, most_sweeps);
  return sweep(model, ColumnModel(model), tolerance, most_sweeps);
}

}  // namespace lariat::convex
