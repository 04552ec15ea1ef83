#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "autodiff/training/joint_method.hpp"
#include "autodiff/training/optimizer_records.hpp"
#include "graph/base/error.hpp"
#include "ops/ops.hpp"

namespace lariat {

namespace {

using Vector = std::vector<double>;

double dot(const double* a, const double* b, size_t n) {
  double sum = 0;
  for (size_t i = 0; i < n; ++i) sum += a[i] * b[i];
  return sum;
}
double dot(const Vector& a, const Vector& b) { return dot(a.data(), b.data(), a.size()); }

// The latest pairs of steps and changes of the gradient: a state of the store.
class Pairs {
 public:
  static constexpr const char *steps = "optimizer/lbfgs/steps", *changes = "optimizer/lbfgs/changes",
                              *count = "optimizer/lbfgs/count";
  Pairs(Store& store, int64_t history)
      : s_(store.get(steps)), y_(store.get(changes)), count_(store.get(count)), history_(history) {}

  // -H·g by the two loops of algorithm 7.4.
  Vector direction(const Vector& g) const {
    Vector d = g;
    const size_t n = d.size();
    const int64_t known = std::min<int64_t>(count_.data<int32_t>()[0], history_);
    const int64_t next = count_.data<int32_t>()[0];
    Vector alpha(static_cast<size_t>(known));
    for (int64_t k = 0; k < known; ++k) {
      const double *s = row(s_, next - 1 - k, n), *y = row(y_, next - 1 - k, n);
      const double a = dot(s, d.data(), n) / dot(s, y, n);
      for (size_t i = 0; i < n; ++i) d[i] -= a * y[i];
      alpha[static_cast<size_t>(k)] = a;
    }
    if (known > 0) {
      const double *s = row(s_, next - 1, n), *y = row(y_, next - 1, n);
      const double scale = dot(s, y, n) / dot(y, y, n);
      for (double& x : d) x *= scale;
    }
    for (int64_t k = known; k-- > 0;) {
      const double *s = row(s_, next - 1 - k, n), *y = row(y_, next - 1 - k, n);
      const double b = dot(y, d.data(), n) / dot(s, y, n);
      for (size_t i = 0; i < n; ++i) d[i] += (alpha[static_cast<size_t>(k)] - b) * s[i];
    }
    for (double& x : d) x = -x;
    return d;
  }
  bool empty() const { return count_.data<int32_t>()[0] == 0; }
  void forget() { count_.data<int32_t>()[0] = 0; }
  // Only of positive curvature, by more than rounding.
  void add(const Vector& s, const Vector& y) {
    if (!(dot(s, y) > 1e-10 * std::sqrt(dot(s, s) * dot(y, y)))) return;
    int32_t& next = count_.data<int32_t>()[0];
    std::copy(s.begin(), s.end(), row(s_, next, s.size()));
    std::copy(y.begin(), y.end(), row(y_, next, y.size()));
    ++next;
    // Far from the largest number, at the same place of the ring.
    if (next == 2000 * history_) next -= static_cast<int32_t>(1000 * history_);
  }

 private:
  double* row(const Tensor& of, int64_t number, size_t n) const {
    return of.data<double>() + (number % history_) * static_cast<int64_t>(n);
  }
  Tensor s_, y_, count_;
  int64_t history_;
};

// What a step starts from, all parameters in a row.
struct Point {
  Vector w, gradient, l1;
};

Point point_of(const JointMethod::Problem& problem) {
  Point point;
  for (size_t p = 0; p < problem.weights.size(); ++p) {
    const Tensor& weights = problem.weights[p];
    for (int64_t i = 0; i < weights.count(); ++i) point.w.push_back(weights.at(i));
    point.gradient.insert(point.gradient.end(), problem.gradients[p].begin(), problem.gradients[p].end());
    point.l1.insert(point.l1.end(), problem.l1[p].begin(), problem.l1[p].end());
  }
  return point;
}

// Writes the weights, and returns them as their type has them.
Vector move_to(const Vector& w, JointMethod::Problem& problem) {
  Vector rounded;
  size_t next = 0;
  for (const Tensor& weights : problem.weights)
    with_type(weights.dtype(), [&](auto zero) {
      using T = decltype(zero);
      for (int64_t i = 0; i < weights.count(); ++i) {
        weights.data<T>()[i] = static_cast<T>(w[next++]);
        rounded.push_back(static_cast<double>(weights.data<T>()[i]));
      }
    });
  return rounded;
}

// The direction of steepest descent of f + Σ l1|w|, times -1: Andrew and Gao (2007), equation 4.
double pseudo_gradient(double w, double g, double l1) {
  if (w > 0) return g + l1;
  if (w < 0) return g - l1;
  return g + l1 < 0 ? g + l1 : g - l1 > 0 ? g - l1 : 0;
}

class LbfgsMethod final : public JointMethod {
 public:
  explicit LbfgsMethod(int64_t history) : history_(history) {}

  void prepare(Store& store, int64_t elements) const override {
    store.set(Pairs::steps, Tensor(f64, {history_, elements}));
    store.set(Pairs::changes, Tensor(f64, {history_, elements}));
    store.set(Pairs::count, Tensor::scalar(0, i32));
  }

  void step(Problem& problem) const override {
    const double loss = problem.evaluate();
    if (!std::isfinite(loss) || problem.learning_rate == 0) return;
    const Point from = point_of(problem);
    const size_t n = from.w.size();
    Vector pseudo(n);
    for (size_t i = 0; i < n; ++i) pseudo[i] = pseudo_gradient(from.w[i], from.gradient[i], from.l1[i]);
    const double size = std::sqrt(dot(pseudo, pseudo));
    if (!(size > 0 && std::isfinite(size))) return;
    Pairs pairs(problem.store, history_);
    // Once more along the gradient where the pairs lead nowhere.
    for (int attempt = 0; attempt < 2; ++attempt) {
      if (search(problem, from, pseudo, loss, pairs, size)) return;
      if (pairs.empty()) break;
      pairs.forget();
    }
    move_to(from.w, problem);
  }

 private:
  // Backtracks from the first step until the loss is less by a share of what the slope promises.
  static bool search(Problem& problem, const Point& from, const Vector& pseudo, double loss, Pairs& pairs,
                     double size) {
    constexpr double promised = 1e-4, shorter = 0.5;
    constexpr int tries = 40;
    const size_t n = from.w.size();
    Vector direction = pairs.direction(pseudo);
    for (size_t i = 0; i < n; ++i)
      if (from.l1[i] > 0 && direction[i] * pseudo[i] >= 0) direction[i] = 0;
    if (!(dot(direction, pseudo) < 0)) return false;
    double step = problem.learning_rate * (pairs.empty() ? 1 / size : 1);
    // What a loss of this size could show.
    if (!(-step * dot(direction, pseudo) > std::numeric_limits<double>::epsilon() * std::abs(loss)))
      return false;
    Vector to(n);
    for (int trial = 0; trial < tries; ++trial, step *= shorter) {
      for (size_t i = 0; i < n; ++i) {
        to[i] = from.w[i] + step * direction[i];
        // Not beyond the orthant: that of w, or where w is 0 that of the way down.
        const double side = from.w[i] != 0 ? from.w[i] : -pseudo[i];
        if (from.l1[i] > 0 && to[i] * side <= 0) to[i] = 0;
      }
      const Vector there = move_to(to, problem);
      const double next = problem.evaluate();
      Vector moved(n);
      for (size_t i = 0; i < n; ++i) moved[i] = there[i] - from.w[i];
      const double slope = dot(pseudo, moved);
      // Less by more than rounding, too.
      if (!std::isfinite(next) || !(next <= loss + promised * slope) || !(next < loss)) continue;
      Vector change = point_of(problem).gradient;
      for (size_t i = 0; i < n; ++i) change[i] -= from.gradient[i];
      pairs.add(moved, change);
      return true;
    }
    return false;
  }

  int64_t history_;
};

}  // namespace

OptimizerKind optimizer_records::lbfgs() {
  using namespace optimizer_parts;
  OptimizerRecord<Lbfgs> record{
      "lbfgs",
      "steps by curvature and a line search, for large batches; OWL-QN with L1, Andrew and Gao (2007)",
      rate_option<Lbfgs>()};
  record.options.push_back({"history", &Lbfgs::history, 1, 1000, "steps that curvature is taken from"});
  return record.kind();
}

Lbfgs::operator Optimizer() const {
  using namespace optimizer_parts;
  check_rate("Lbfgs", learning_rate);
  if (history < 1 || history > 1000)
    throw UserError(fmt::format("Lbfgs: history is {}; it must be an integer from 1 to 1000", history));
  // What trials on copies take in its place: Adam with small steps.
  const AdamConstants constants{"Lbfgs", 0.9, 0.999, 1e-8};
  return {"Lbfgs",
          learning_rate,
          "OWL-QN: the orthant of the pseudo-gradient",
          [constants](UpdateContext& c) -> ProxPoint {
            const AdamMeans means = adam_means(c, constants);
            const Value step = 0.01 * c.learning_rate / means.root;
            return {multiply_add(step, means.mean * -reciprocal(bias_correction(constants.beta1, c.count)),
                                 c.parameter),
                    step};
          },
          0,
          {},
          std::make_shared<LbfgsMethod>(history)};
}

}  // namespace lariat
