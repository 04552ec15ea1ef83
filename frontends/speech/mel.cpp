#include "frontends/speech/mel.hpp"

#include <algorithm>
#include <cmath>

namespace lariat::speech {

namespace {

constexpr double slaney_hertz_per_mel = 200.0 / 3, slaney_break_hertz = 1000;
constexpr double slaney_break_mel = slaney_break_hertz / slaney_hertz_per_mel;
const double slaney_log_step = std::log(6.4) / 27;

}  // namespace

double mel_of(double hertz, MelScale scale) {
  if (scale == MelScale::htk) return 1127 * std::log1p(hertz / 700);
  if (hertz < slaney_break_hertz) return hertz / slaney_hertz_per_mel;
  return slaney_break_mel + std::log(hertz / slaney_break_hertz) / slaney_log_step;
}

double hertz_of(double mel, MelScale scale) {
  if (scale == MelScale::htk) return 700 * std::expm1(mel / 1127);
  if (mel < slaney_break_mel) return mel * slaney_hertz_per_mel;
  return slaney_break_hertz * std::exp(slaney_log_step * (mel - slaney_break_mel));
}

MelBank::MelBank(int filters, int fft_size, double sample_rate, double low, double high, MelScale scale,
                 TriangleAxis axis) {
  const double low_mel = mel_of(low, scale), step = (mel_of(high, scale) - low_mel) / (filters + 1);
  const auto edge = [&](int index) {
    const double mel = low_mel + index * step;
    return axis == TriangleAxis::mel ? mel : hertz_of(mel, scale);
  };
  // Kaldi leaves the bin at the Nyquist frequency out of every filter.
  const int bins = axis == TriangleAxis::mel ? fft_size / 2 : fft_size / 2 + 1;
  for (int m = 0; m < filters; ++m) {
    const double left = edge(m), centre = edge(m + 1), right = edge(m + 2);
    Filter filter;
    for (int k = 0; k < bins; ++k) {
      const double hertz = k * sample_rate / fft_size;
      const double x = axis == TriangleAxis::mel ? mel_of(hertz, scale) : hertz;
      // weight = min((x - left)/(centre - left), (right - x)/(right - centre)), where positive
      const double weight = std::min((x - left) / (centre - left), (right - x) / (right - centre));
      if (weight <= 0) continue;
      if (filter.weights.empty()) filter.first_bin = static_cast<size_t>(k);
      filter.weights.push_back(weight);
    }
    bank_.push_back(std::move(filter));
  }
}

int MelBank::empty_filters() const {
  return static_cast<int>(
      std::count_if(bank_.begin(), bank_.end(), [](const Filter& filter) { return filter.weights.empty(); }));
}

void MelBank::apply(const std::vector<double>& spectrum, double* energies) const {
  for (size_t m = 0; m < bank_.size(); ++m) {
    const Filter& filter = bank_[m];
    double sum = 0;
    for (size_t k = 0; k < filter.weights.size(); ++k) sum += filter.weights[k] * spectrum[filter.first_bin + k];
    energies[m] = sum;
  }
}

}  // namespace lariat::speech
