#include "frontends/speech/analysis/fft.hpp"

#include <numbers>
#include <utility>

#include "graph/base/error.hpp"
#include "ops/kernels/simd.hpp"

namespace lariat::speech {

namespace {

// std::complex of vectors is not specified.
struct Complex {
  Lanes real, imaginary;
};

Complex operator+(Complex a, Complex b) { return {a.real + b.real, a.imaginary + b.imaginary}; }
Complex operator-(Complex a, Complex b) { return {a.real - b.real, a.imaginary - b.imaginary}; }
Complex operator*(Complex a, std::complex<double> w) {
  return {multiply_add(a.imaginary, Lanes(-w.imag()), a.real * Lanes(w.real())),
          multiply_add(a.imaginary, Lanes(w.real()), a.real * Lanes(w.imag()))};
}
Complex times_i(Complex a) { return {-a.imaginary, a.real}; }
Complex conjugate(Complex a) { return {a.real, -a.imaginary}; }
Lanes squared_magnitude(Complex a) { return multiply_add(a.imaginary, a.imaginary, a.real * a.real); }

Complex load(const Lanes* z, int64_t k) { return {z[2 * k], z[2 * k + 1]}; }
void store(Lanes* z, int64_t k, Complex value) {
  z[2 * k] = value.real;
  z[2 * k + 1] = value.imaginary;
}

// One pass of Stockham's transform, which leaves its result in order (Van Loan 1992, 1.7): of n numbers, in
// `stride` interleaved sequences of radix·count each,
//   y_(q + s(rp + k)) = w^pk·Σ_j x_(q + s(p + jm))·e^(-2πi·jk/r),  w = e^(-2πi·s/n),
// for radix r, stride s, m = count, p < m, q < s, k < r.
struct Pass {
  const Lanes* x;
  Lanes* y;
  const std::complex<double>* roots;  // e^(-2πi·k/2n)
  int64_t radix, count, stride;

  // w^k for k < radix·count
  std::complex<double> root(int64_t k) const { return roots[2 * k * stride]; }

  void radix_2() const {
    for (int64_t p = 0; p < count; ++p) {
      const std::complex<double> w = root(p);
      for (int64_t q = 0; q < stride; ++q) {
        const Complex a = load(x, q + stride * p), b = load(x, q + stride * (p + count));
        store(y, q + stride * 2 * p, a + b);
        store(y, q + stride * (2 * p + 1), (a - b) * w);
      }
    }
  }

  void radix_4() const {
    for (int64_t p = 0; p < count; ++p) {
      const std::complex<double> w = root(p), w2 = root(2 * p), w3 = root(3 * p);
      for (int64_t q = 0; q < stride; ++q) {
        const auto in = [&](int64_t j) { return load(x, q + stride * (p + j * count)); };
        const Complex even_sum = in(0) + in(2), even_difference = in(0) - in(2);
        const Complex odd_sum = in(1) + in(3), odd_difference = times_i(in(1) - in(3));
        const auto out = [&](int64_t k, Complex value) { store(y, q + stride * (4 * p + k), value); };
        out(0, even_sum + odd_sum);
        out(1, (even_difference - odd_difference) * w);
        out(2, (even_sum - odd_sum) * w2);
        out(3, (even_difference + odd_difference) * w3);
      }
    }
  }

  // Both exponentials in one: w^(k(p + jm)).
  void any_radix() const {
    const int64_t length = radix * count;
    for (int64_t p = 0; p < count; ++p) {
      for (int64_t k = 0; k < radix; ++k) {
        for (int64_t q = 0; q < stride; ++q) {
          Complex sum = load(x, q + stride * p) * root(k * p);
          int64_t power = k * p;  // modulo length
          for (int64_t j = 1; j < radix; ++j) {
            power += k * count;
            if (power >= length) power -= length;
            sum = sum + load(x, q + stride * (p + j * count)) * root(power);
          }
          store(y, q + stride * (radix * p + k), sum);
        }
      }
    }
  }
};

}  // namespace

RealFft::RealFft(int size) : size_(size) {
  require(size >= 2 && size % 2 == 0, "the FFT size is even");
  const auto next = [](int radix) { return radix == 4 ? 2 : radix == 2 ? 3 : radix + 2; };
  for (int radix = 4, left = size / 2; left > 1; radix = next(radix)) {
    for (; left % radix == 0; left /= radix) radices_.push_back(radix);
  }
  for (int k = 0; k < size; ++k) {
    roots_.push_back(std::complex<double>(std::polar(1.0, -2 * std::numbers::pi * k / size)));
  }
}

void RealFft::power_spectrum(Lanes* samples, Lanes* work, Lanes* power) const {
  // Even samples are real parts, odd ones imaginary parts: z_j = x_2j + i·x_2j+1, Z = DFT(z) of half the size
  // n. With E = (Z_k + Z*_n-k)/2, O = (Z_k - Z*_n-k)/2i and w = e^(-2πi·k/size), X_k = E + w·O and
  // X_n-k = (E - w·O)*.
  const int64_t half = size_ / 2;
  int64_t stride = 1;
  for (const int radix : radices_) {
    const Pass pass{samples, work, roots_.data(), radix, half / (stride * radix), stride};
    radix == 4 ? pass.radix_4() : radix == 2 ? pass.radix_2() : pass.any_radix();
    stride *= radix;
    std::swap(samples, work);
  }
  for (int64_t k = 0; k <= half / 2; ++k) {
    const Complex left = load(samples, k), right = conjugate(load(samples, k == 0 ? 0 : half - k));
    const Complex even = left + right, odd = times_i(right - left) * roots_[static_cast<size_t>(k)];
    power[k] = squared_magnitude(even + odd) * Lanes(0.25);
    power[half - k] = squared_magnitude(even - odd) * Lanes(0.25);
  }
}

}  // namespace lariat::speech
