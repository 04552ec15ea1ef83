#include "frontends/speech/analysis/frame_tables.hpp"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace lariat::speech {

namespace {

using std::numbers::pi;

// a = 2πn/(N - 1); hanning 0.5 - 0.5·cos a, povey hanning^0.85, hamming 0.54 - 0.46·cos a,
// blackman 0.42 - 0.5·cos a + 0.08·cos 2a. The window of melspectrogram is the periodic hanning, N for N - 1,
// and brings samples to torchaudio's scale of ±1.
std::vector<double> make_window(const FeatureOptions& options, int length) {
  const bool periodic = options.kind == FeatureKind::melspectrogram;
  const WindowType type = periodic ? WindowType::hanning : options.window_type;
  std::vector<double> window(static_cast<size_t>(length));
  for (int n = 0; n < length; ++n) {
    const double cosine = std::cos(2 * pi * n / (periodic ? length : length - 1));
    double value = 1;
    switch (type) {
      case WindowType::povey:
        value = std::pow(std::max(0.0, 0.5 - 0.5 * cosine), 0.85);
        break;
      case WindowType::hanning:
        value = 0.5 - 0.5 * cosine;
        break;
      case WindowType::hamming:
        value = 0.54 - 0.46 * cosine;
        break;
      case WindowType::blackman:
        value = 0.42 - 0.5 * cosine + 0.08 * (2 * cosine * cosine - 1);
        break;
      case WindowType::rectangular:
        break;
    }
    window[static_cast<size_t>(n)] = periodic ? value * 0x1p-15 : value;
  }
  return window;
}

// c_i = l_i·Σ_m √(2/M)·cos(πi(m + ½)/M)·log e_m, with 1 for 2 in c_0 and the lifter l_i = 1 + Q/2·sin(πi/Q).
std::vector<double> make_cosines(const FeatureOptions& options) {
  const int bins = options.num_mel_bins;
  const double q = options.cepstral_lifter;
  std::vector<double> cosines;
  for (int i = 0; i < options.num_ceps; ++i) {
    const double lifter = q == 0 ? 1 : 1 + 0.5 * q * std::sin(pi * i / q);
    const double scale = lifter * std::sqrt((i == 0 ? 1.0 : 2.0) / bins);
    for (int m = 0; m < bins; ++m) cosines.push_back(scale * std::cos(pi * i * (m + 0.5) / bins));
  }
  return cosines;
}

}  // namespace

FrameTables frame_tables(const FeatureOptions& resolved) {
  FrameTables tables{make_window(resolved, frame_samples(resolved)), {}, {}};
  if (resolved.kind != FeatureKind::spectrogram) tables.filters = make_mel_filters(mel_layout(resolved));
  if (resolved.kind == FeatureKind::mfcc) tables.cosines = make_cosines(resolved);
  return tables;
}

}  // namespace lariat::speech
