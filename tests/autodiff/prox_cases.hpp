#pragma once

#include <functional>
#include <string>

#include "tests/ops/kernel_runner.hpp"
#include "tests/support/testing.hpp"

namespace lariat::testing {

// Random problems argmin_w weight·φ(w) + Σ (w − v)²/(2 step) for the proximal operators, of all sizes and
// scales.

/// How many of a kind: ten thousand, or a million by night.
inline int64_t random_cases() { return testing::is_nightly() ? 1'000'000 : 10'000; }

/// The optimality residual, relative to the problem's size, that an answer may leave.
template <class T>
constexpr double prox_tolerance = std::is_same_v<T, float> ? 1e-6 : 1e-12;

class Draw {
 public:
  explicit Draw(uint64_t seed) : engine_(seed) {}
  double uniform(double low, double high) {
    return low + (high - low) * static_cast<double>(engine_() >> 11) * 0x1p-53;
  }
  int64_t below(int64_t n) { return static_cast<int64_t>(engine_() % static_cast<uint64_t>(n)); }
  bool one_in(int64_t n) { return below(n) == 0; }
  double power_of_ten(double low, double high) { return std::pow(10, uniform(low, high)); }
  /// A problem's size: 1, or anything from 1e-30 to 1e30.
  double scale(double digits = 30) { return one_in(2) ? 1 : power_of_ten(-digits, digits); }
  /// A multiple of what just makes the answer 0: none, tiny, about that, or huge.
  double pressure() {
    const int64_t kind = below(10);
    return kind == 0   ? 0
           : kind == 1 ? power_of_ten(-6, -2)
           : kind == 2 ? power_of_ten(0, 6)
                       : uniform(0, 1.2);
  }
  /// About `scale` in size, or 0, or the last one's size again.
  double element(double scale, double last) {
    const int64_t kind = below(8);
    if (kind == 0) return one_in(2) ? 0.0 : -0.0;
    if (kind == 1) return one_in(2) ? last : -last;
    return uniform(-1, 1) * scale * (kind == 2 ? power_of_ten(-2, 0) : 1);
  }

 private:
  std::mt19937_64 engine_;
};

/// One group's problem and an answer, in long double.
struct GroupProblem {
  std::vector<long double> v, metric, weight, w;
  /// Σ dᵢ|vᵢ|
  long double size() const {
    long double total = 0;
    for (size_t i = 0; i < v.size(); ++i) total += metric[i] * std::fabs(v[i]);
    return total;
  }
};

/// A tensor of several groups: rows, columns, or blocks of the outer and the last axis.
struct GroupLayout {
  int64_t groups, outer, inner;
  Extents extents;
  std::vector<int64_t> axes;

  GroupLayout(int64_t kind, int64_t groups, int64_t size) : groups(groups), outer(1), inner(size) {
    if (kind == 1) std::swap(outer, inner);
    if (kind == 2 && size % 2 == 0) outer = 2, inner = size / 2;
    extents = kind == 2   ? Extents{outer, groups, inner}
              : kind == 1 ? Extents{outer, groups}
                          : Extents{groups, inner};
    axes = kind == 2 ? std::vector<int64_t>{0, 2} : std::vector<int64_t>{kind == 1 ? 0 : 1};
  }
  int64_t size() const { return outer * inner; }
  int64_t place(int64_t group, int64_t i) const { return (i / inner * groups + group) * inner + i % inner; }
};

template <class T>
Tensor tensor_of(const Extents& extents, const std::function<double(int64_t)>& element) {
  Tensor result(dtype_of<T>, extents);
  for (int64_t i = 0; i < result.count(); ++i) result.data<T>()[i] = static_cast<T>(element(i));
  return result;
}

/// How random problems came out.
struct Outcome {
  int64_t cases = 0, zeros = 0, negative_zeros = 0;
  double worst = 0;
  std::string worst_case;

  void note(long double residual, const std::function<std::string()>& describe) {
    ++cases;
    const double value = std::isnan(residual) ? INFINITY : static_cast<double>(residual);
    if (value <= worst) return;
    worst = value;
    worst_case = describe();
  }
  template <class T>
  void note_zeros(const Tensor& w) {
    for (T value : w.values<T>())
      if (value == 0) ++(std::signbit(value) ? negative_zeros : zeros);
  }
};

inline void check(const Outcome& outcome, double tolerance) {
  CAPTURE(outcome.worst_case);
  CHECK(outcome.worst <= tolerance);
  CHECK(outcome.cases >= random_cases());
  CHECK(outcome.zeros > outcome.cases / 100);
  CHECK(outcome.negative_zeros == 0);
}

// Solves a symmetric positive definite system that has been factored into LLᵀ.
struct Cholesky {
  std::vector<std::vector<double>> l;
  explicit Cholesky(std::vector<std::vector<double>> m) : l(std::move(m)) {
    for (size_t j = 0; j < l.size(); ++j)
      for (size_t i = j; i < l.size(); ++i) {
        double sum = l[i][j];
        for (size_t k = 0; k < j; ++k) sum -= l[i][k] * l[j][k];
        l[i][j] = i == j ? std::sqrt(sum) : sum / l[j][j];
      }
  }
  void solve(std::vector<double>& x) const {
    for (size_t i = 0; i < x.size(); ++i) {
      for (size_t k = 0; k < i; ++k) x[i] -= l[i][k] * x[k];
      x[i] /= l[i][i];
    }
    for (size_t i = x.size(); i-- > 0;) {
      for (size_t k = i + 1; k < x.size(); ++k) x[i] -= l[k][i] * x[k];
      x[i] /= l[i][i];
    }
  }
};

}  // namespace lariat::testing
