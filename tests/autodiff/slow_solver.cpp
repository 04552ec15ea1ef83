#include "tests/autodiff/slow_solver.hpp"

#include <algorithm>
#include <cmath>

namespace lariat::testing {

namespace {

Wide root(Wide x) {
  if (!(x > 0)) return 0;
  Wide guess = std::sqrt(static_cast<long double>(x));
  for (int i = 0; i < 2; ++i) guess = (guess + x / guess) / 2;
  return guess;
}
Wide magnitude(Wide x) { return x < 0 ? -x : x; }
Wide logarithm(Wide x) { return std::log(static_cast<long double>(x)); }
Wide exponential(Wide x) { return std::exp(static_cast<long double>(x)); }
Wide softplus(Wide x) {
  const auto z = static_cast<long double>(x);
  return std::max(z, 0.0L) + std::log1p(std::exp(-std::abs(z)));
}
Wide sigmoid(Wide x) { return 1 / (1 + exponential(-x)); }

// a·x = b for a symmetric a, positive definite but for rounding; false where it is not.
bool solve_wide(std::vector<Wide> a, std::vector<Wide>& b) {
  const size_t n = b.size();
  for (size_t k = 0; k < n; ++k) {
    if (!(a[k * n + k] > 0)) return false;
    for (size_t i = k + 1; i < n; ++i) {
      const Wide factor = a[i * n + k] / a[k * n + k];
      for (size_t j = k; j < n; ++j) a[i * n + j] -= factor * a[k * n + j];
      b[i] -= factor * b[k];
    }
  }
  for (size_t k = n; k-- > 0;) {
    for (size_t j = k + 1; j < n; ++j) b[k] -= a[k * n + j] * b[j];
    b[k] /= a[k * n + k];
  }
  return true;
}

// |w| smoothed by the barrier −μ·log(t² − w²) of |w| <= t, t at its best.
struct Smoothed {
  Wide value, first, second;
};
Smoothed smoothed(Wide w, Wide l1, Wide mu) {
  const Wide s = root(mu * mu / (l1 * l1) + w * w), t = mu / l1 + s;
  return {l1 * t - mu * logarithm(2 * mu * t / l1), l1 * w / t, l1 / t * (1 - w * w / (t * s))};
}

class Barrier {
 public:
  explicit Barrier(const SmallProblem& problem) : p_(problem), w_(static_cast<size_t>(problem.columns)) {
    for (int64_t j = 0; j < p_.columns; ++j) {
      Wide square = 0;
      for (int64_t i = 0; i < p_.rows; ++i)
        square += Wide(p_.x[i * p_.columns + j]) * p_.x[i * p_.columns + j];
      squares_.push_back(square > 0 ? square : Wide(1));
    }
  }

  void minimise(Wide mu) {
    const size_t n = w_.size();
    Wide damping = 0;
    for (int step = 0; step < 200; ++step) {
      std::vector<Wide> gradient(n), hessian(n * n);
      const Wide before = derivatives(mu, gradient, hessian);
      bool done = false;
      for (int attempt = 0;; ++attempt) {
        if (attempt == 60) return;
        std::vector<Wide> system = hessian, move(n);
        for (size_t j = 0; j < n; ++j) {
          system[j * n + j] += (damping + Wide(1e-30L)) * squares_[j];
          move[j] = -gradient[j];
        }
        Wide expected = 0;
        if (solve_wide(system, move)) {
          for (size_t j = 0; j < n; ++j) expected += gradient[j] * move[j];
          std::vector<Wide> tried = w_;
          for (size_t j = 0; j < n; ++j) tried[j] += move[j];
          const Wide after = value(mu, tried);
          done = -expected <= Wide(1e-16L) * magnitude(before);
          if (after <= before + Wide(1e-17L) * magnitude(before) + expected / 100) {
            w_ = tried;
            damping = damping > Wide(1e-6L) ? damping / 10 : Wide(0);
            break;
          }
          if (done) break;
        }
        damping = damping > 0 ? damping * 10 : Wide(1e-6L);
      }
      if (done) return;
    }
  }
  const std::vector<Wide>& weights() const { return w_; }

 private:
  Wide value(Wide mu, const std::vector<Wide>& w) const {
    Wide total = 0;
    for (int64_t i = 0; i < p_.rows; ++i) total += p_.loss->value(prediction(i, w), p_.y[i]);
    for (size_t j = 0; j < w.size(); ++j) {
      total += p_.l2[j] * w[j] * w[j];
      if (p_.l1[j] > 0) total += smoothed(w[j], p_.l1[j], mu).value;
    }
    return total;
  }
  Wide prediction(int64_t i, const std::vector<Wide>& w) const {
    Wide z = 0;
    for (size_t j = 0; j < w.size(); ++j) z += p_.x[i * p_.columns + static_cast<int64_t>(j)] * w[j];
    return z;
  }
  Wide derivatives(Wide mu, std::vector<Wide>& gradient, std::vector<Wide>& hessian) const {
    const size_t n = w_.size();
    for (int64_t i = 0; i < p_.rows; ++i) {
      const Wide z = prediction(i, w_), slope = p_.loss->slope(z, p_.y[i]),
                 curvature = p_.loss->curvature(z, p_.y[i]);
      for (size_t a = 0; a < n; ++a) {
        const Wide x = p_.x[i * p_.columns + static_cast<int64_t>(a)];
        gradient[a] += slope * x;
        for (size_t b = 0; b < n; ++b)
          hessian[a * n + b] += curvature * x * p_.x[i * p_.columns + static_cast<int64_t>(b)];
      }
    }
    for (size_t j = 0; j < n; ++j) {
      gradient[j] += 2 * p_.l2[j] * w_[j];
      hessian[j * n + j] += 2 * p_.l2[j];
      if (!(p_.l1[j] > 0)) continue;
      const Smoothed h = smoothed(w_[j], p_.l1[j], mu);
      gradient[j] += h.first;
      hessian[j * n + j] += h.second;
    }
    return value(mu, w_);
  }

  const SmallProblem& p_;
  std::vector<Wide> w_, squares_;
};

}  // namespace

const std::vector<WideLoss>& wide_losses() {
  static const std::vector<WideLoss> losses{
      {"squared", [](Wide z, Wide y) -> Wide { return (z - y) * (z - y) / 2; },
       [](Wide z, Wide y) -> Wide { return z - y; }, [](Wide, Wide) -> Wide { return 1; }},
      {"logistic", [](Wide z, Wide y) -> Wide { return softplus(-y * z); },
       [](Wide z, Wide y) -> Wide { return -y * sigmoid(-y * z); },
       [](Wide z, Wide y) -> Wide { return sigmoid(y * z) * sigmoid(-y * z); }},
      {"squared hinge",
       [](Wide z, Wide y) -> Wide { return y * z < 1 ? (1 - y * z) * (1 - y * z) : Wide(0); },
       [](Wide z, Wide y) -> Wide { return y * z < 1 ? -2 * y * (1 - y * z) : Wide(0); },
       [](Wide z, Wide y) -> Wide { return y * z < 1 ? 2 * y * y : Wide(0); }},
      {"Huber",
       [](Wide z, Wide y) -> Wide {
         const Wide r = magnitude(z - y);
         return r <= 1 ? r * r / 2 : r - Wide(0.5L);
       },
       [](Wide z, Wide y) -> Wide { return z - y > 1    ? Wide(1)
                                           : z - y < -1 ? Wide(-1)
                                                        : z - y; },
       [](Wide z, Wide y) -> Wide { return magnitude(z - y) <= 1 ? 1 : 0; }},
      {"pseudo-Huber", [](Wide z, Wide y) -> Wide { return root(1 + (z - y) * (z - y)); },
       [](Wide z, Wide y) -> Wide { return (z - y) / root(1 + (z - y) * (z - y)); },
       [](Wide z, Wide y) -> Wide {
         const Wide s = 1 + (z - y) * (z - y);
         return 1 / (s * root(s));
       }},
      {"Poisson", [](Wide z, Wide y) -> Wide { return exponential(z) - (y + Wide(1.5L)) * z; },
       [](Wide z, Wide y) -> Wide { return exponential(z) - (y + Wide(1.5L)); },
       [](Wide z, Wide) -> Wide { return exponential(z); }}};
  return losses;
}

Wide SmallProblem::objective(const std::vector<Wide>& w) const {
  Wide total = 0;
  for (int64_t i = 0; i < rows; ++i) {
    Wide z = 0;
    for (int64_t j = 0; j < columns; ++j) z += x[i * columns + j] * w[j];
    total += loss->value(z, y[i]);
  }
  for (int64_t j = 0; j < columns; ++j) total += l1[j] * magnitude(w[j]) + l2[j] * w[j] * w[j];
  return total;
}

Wide least_objective(const SmallProblem& problem) {
  Barrier barrier(problem);
  const std::vector<Wide> zeros(static_cast<size_t>(problem.columns));
  Wide least = problem.objective(zeros);
  Wide mu = magnitude(least) + Wide(1e-3L);
  for (int round = 0; round < 60; ++round, mu /= 4) {
    barrier.minimise(mu);
    least = std::min(least, problem.objective(barrier.weights()));
    if (mu * 2 * problem.columns < Wide(1e-14L) * magnitude(least)) break;
  }
  return least;
}

}  // namespace lariat::testing
