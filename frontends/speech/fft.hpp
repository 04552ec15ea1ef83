#pragma once

#include <complex>
#include <memory>
#include <vector>

namespace lariat::speech {

/// The discrete Fourier transform of `size` (even, ≥ 2) real numbers. Planned once; const use is thread-safe.
class RealFft {
 public:
  explicit RealFft(int size);

  int size() const { return size_; }

  /// |X_k|² for k = 0 … size/2, X_k = Σ_j x_j e^(-2πi·jk/size), into `power`. Work space comes from the
  /// caller.
  void power_spectrum(const double* samples, std::vector<std::complex<float>>& work,
                      std::vector<double>& power) const;

 private:
  int size_;
  std::shared_ptr<const void> plan_;
  std::vector<std::complex<double>> twiddles_;  // e^(-2πi·k/size), k = 0 … size/2
};

}  // namespace lariat::speech
