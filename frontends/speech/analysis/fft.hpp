#pragma once

#include <complex>
#include <vector>

#include "frontends/speech/analysis/lanes.hpp"

namespace lariat::speech {

/// The discrete Fourier transform of `size` (even, ≥ 2) real numbers, of one signal in each lane. Time grows
/// with size·(sum of its prime factors). Planned once; const use is thread-safe.
class RealFft {
 public:
  explicit RealFft(int size);

  int size() const { return size_; }

  /// power[k] = |X_k|² for k = 0 … size/2, X_k = Σ_j x_j e^(-2πi·jk/size). `samples` and `work`, `size`
  /// vectors each, are overwritten.
  void power_spectrum(Lanes* samples, Lanes* work, Lanes* power) const;

 private:
  int size_;
  std::vector<int> radices_;                 // their product is size/2
  std::vector<std::complex<double>> roots_;  // e^(-2πi·k/size), k = 0 … size - 1
};

}  // namespace lariat::speech
