#include "frontends/speech/fft.hpp"

#include <kiss_fft.h>

#include <cstdlib>
#include <numbers>

#include "graph/error.hpp"

namespace lariat::speech {

static_assert(sizeof(kiss_fft_cpx) == sizeof(std::complex<float>), "kissfft is the single-precision one");

RealFft::RealFft(int size) : size_(size) {
  require(size >= 2 && size % 2 == 0, "the FFT size is even");
  // kiss_fftr keeps its work space inside the plan, so that threads cannot share it; the complex transform
  // does not.
  plan_ = std::shared_ptr<const void>(kiss_fft_alloc(size / 2, 0, nullptr, nullptr), kiss_fft_free);
  require(plan_ != nullptr, "the FFT is planned");
  for (int k = 0; k <= size / 2; ++k) twiddles_.push_back(std::polar(1.0, -2 * std::numbers::pi * k / size));
}

void RealFft::power_spectrum(const double* samples, std::vector<std::complex<float>>& work,
                             std::vector<double>& power) const {
  // Even samples become real parts, odd ones imaginary parts: z_j = x_2j + i·x_2j+1, Z = DFT(z) of half the
  // size n, and X_k = (Z_k + Z*_n-k)/2 + e^(-2πi·k/size)·(Z_k - Z*_n-k)/2i.
  const int half = size_ / 2;
  work.resize(static_cast<size_t>(size_));
  power.resize(static_cast<size_t>(half) + 1);
  for (int j = 0; j < half; ++j) {
    work[j] = {static_cast<float>(samples[2 * j]), static_cast<float>(samples[2 * j + 1])};
  }
  const std::complex<float>* transformed = work.data() + half;
  kiss_fft(static_cast<kiss_fft_cfg>(const_cast<void*>(plan_.get())),
           reinterpret_cast<kiss_fft_cpx*>(work.data()), reinterpret_cast<kiss_fft_cpx*>(work.data() + half));
  for (int k = 0; k <= half; ++k) {
    const std::complex<double> left = transformed[k % half],
                               right = std::conj(transformed[(half - k) % half]);
    const std::complex<double> even = (left + right) * 0.5, odd = (left - right) * 0.5;
    const std::complex<double> rotated = odd * twiddles_[static_cast<size_t>(k)];
    power[static_cast<size_t>(k)] = std::norm(even + std::complex<double>(rotated.imag(), -rotated.real()));
  }
}

}  // namespace lariat::speech
