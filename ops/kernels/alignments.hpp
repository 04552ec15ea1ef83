#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>

namespace lariat::alignments {

// The ways to spread labels over frames, in logarithms of probabilities: A. Graves, S. Fernández, F. Gomez
// and J. Schmidhuber, "Connectionist temporal classification: labelling unsegmented sequence data with
// recurrent neural networks", ICML 2006, whose numbers the equations have.

constexpr double impossible = -std::numeric_limits<double>::infinity();

/// log(e^a + e^b + e^c)
inline double add_logarithms(double a, double b, double c = impossible) {
  const double largest = std::max(std::max(a, b), c);
  // The sum hands NaN on.
  if (!(largest > impossible)) return a + b + c;
  return largest + std::log(std::exp(a - largest) + std::exp(b - largest) + std::exp(c - largest));
}

/// The labels, from 1, with a blank, class 0, before, between and behind them: l'.
class States {
 public:
  States(const int32_t* labels, int64_t count) : labels_(labels), count_(2 * count + 1) {}

  int64_t count() const { return count_; }
  int64_t class_of(int64_t state) const { return state % 2 == 0 ? 0 : labels_[state / 2]; }
  /// Whether a path may go from the state two before this one to it: past a blank, to another label.
  bool skips(int64_t state) const {
    return state % 2 == 1 && state > 1 && labels_[state / 2] != labels_[state / 2 - 1];
  }

  /// α_t(s) = (α_{t-1}(s) + α_{t-1}(s - 1) + α_{t-1}(s - 2))·y_t(l'_s), the last one where s skips  (5 to 7),
  /// and 0 where too few of the `frames` are left to end from s. `log_output(s)` is log y_t of the class of a
  /// state; `before` is not read at t = 0.
  template <class LogOutput>
  void forward(int64_t t, int64_t frames, const double* before, double* now,
               const LogOutput& log_output) const {
    std::fill_n(now, count_, impossible);
    const int64_t first = std::max<int64_t>(0, count_ - 2 * (frames - t)),
                  end = std::min(count_, 2 * (t + 1));
    for (int64_t s = first; s < end; ++s)
      now[s] = log_output(s) + (t == 0 ? 0
                                       : add_logarithms(before[s], s > 0 ? before[s - 1] : impossible,
                                                        skips(s) ? before[s - 2] : impossible));
  }

  /// p(l|x) = α_T(|l'|) + α_T(|l'| - 1)  (8), of the last frame's.
  double log_probability(const double* last) const {
    return count_ == 1 ? last[0] : add_logarithms(last[count_ - 1], last[count_ - 2]);
  }

 private:
  const int32_t* labels_;
  int64_t count_;
};

}  // namespace lariat::alignments
