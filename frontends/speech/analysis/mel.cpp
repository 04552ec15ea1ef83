#include "frontends/speech/analysis/mel.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

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

double warped(double hertz, const MelLayout& layout) {
  const double warp = layout.warp, from = layout.low, to = layout.high;
  if (warp == 1 || hertz <= from || hertz >= to) return hertz;
  const double left = layout.warp_low * std::max(1.0, warp), right = layout.warp_high * std::min(1.0, warp);
  if (hertz < left) return from + (left / warp - from) / (left - from) * (hertz - from);
  if (hertz < right) return hertz / warp;
  return to + (to - right / warp) / (to - right) * (hertz - to);
}

std::vector<MelFilter> make_mel_filters(const MelLayout& layout) {
  std::vector<MelFilter> filters;
  const MelScale scale = layout.scale;
  const double low_mel = mel_of(layout.low, scale);
  const double step = (mel_of(layout.high, scale) - low_mel) / (layout.filters + 1);
  const bool linear_in_mel = layout.axis == TriangleAxis::mel;
  // Kaldi leaves the bin at the Nyquist frequency out of every filter.
  const int bins = layout.fft_size / 2 + (linear_in_mel ? 0 : 1);
  std::vector<double> places;
  for (int k = 0; k < bins; ++k) {
    const double hertz = k * layout.sample_rate / layout.fft_size;
    places.push_back(linear_in_mel ? mel_of(hertz, scale) : hertz);
  }
  // An edge or a centre, where triangles are linear.
  const auto place_of = [&](double mel) {
    if (layout.warp == 1 && linear_in_mel) return mel;
    const double hertz = warped(hertz_of(mel, scale), layout);
    return linear_in_mel ? mel_of(hertz, scale) : hertz;
  };
  for (int m = 0; m < layout.filters; ++m) {
    const double left_mel = low_mel + m * step, right_mel = left_mel + 2 * step;
    const double left = place_of(left_mel), right = place_of(right_mel), centre = place_of(left_mel + step);
    const double width = linear_in_mel ? hertz_of(right, scale) - hertz_of(left, scale) : right - left;
    const double height = layout.norm == MelNorm::slaney ? 2 / width : 1;
    MelFilter filter;
    for (int k = 0; k < bins; ++k) {
      const double x = places[static_cast<size_t>(k)];
      // weight = height·min((x - left)/(centre - left), (right - x)/(right - centre)), where positive
      const double weight = height * std::min((x - left) / (centre - left), (right - x) / (right - centre));
      if (weight <= 0) continue;
      if (filter.weights.empty()) filter.first_bin = k;
      filter.weights.push_back(weight);
    }
    filters.push_back(std::move(filter));
  }
  return filters;
}

}  // namespace lariat::speech
