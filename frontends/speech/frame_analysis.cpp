#include "frontends/speech/frame_analysis.hpp"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "frontends/data/random.hpp"

namespace lariat::speech {

namespace {

using std::numbers::pi;

// The floor under every logarithm: the machine epsilon of float, as in Kaldi.
constexpr double log_floor = 0x1p-23;

double floored_log(double energy) { return std::log(std::max(energy, log_floor)); }

// a = 2πn/(N - 1); hanning 0.5 - 0.5·cos a, povey hanning^0.85, hamming 0.54 - 0.46·cos a,
// blackman 0.42 - 0.5·cos a + 0.08·cos 2a. The window of melspectrogram is the periodic hanning: N for N - 1.
std::vector<double> make_window(const FeatureOptions& options, int length) {
  const bool periodic = options.kind == FeatureKind::melspectrogram;
  const WindowType type = periodic ? WindowType::hanning : options.window_type;
  std::vector<double> window(static_cast<size_t>(length));
  for (int n = 0; n < length; ++n) {
    const double cosine = std::cos(2 * pi * n / (periodic ? length : length - 1));
    double& value = window[static_cast<size_t>(n)];
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
        value = 1;
        break;
    }
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

int dimensions_of(const FeatureOptions& options, int fft_size) {
  switch (options.kind) {
    case FeatureKind::mfcc:
      return options.num_ceps;
    case FeatureKind::spectrogram:
      return fft_size / 2 + 1;
    default:
      return options.num_mel_bins + (options.use_energy ? 1 : 0);
  }
}

double energy_of(const std::vector<double>& frame) {
  double sum = 0;
  for (const double sample : frame) sum += sample * sample;
  return sum;
}

}  // namespace

FrameAnalysis::FrameAnalysis(const FeatureOptions& resolved)
    : options_(resolved),
      frame_samples_(speech::frame_samples(resolved)),
      shift_samples_(speech::shift_samples(resolved)),
      fft_(speech::fft_samples(resolved)),
      window_(make_window(resolved, frame_samples_)) {
  dimensions_ = dimensions_of(options_, fft_.size());
  if (options_.kind == FeatureKind::spectrogram) return;
  bank_.emplace(mel_layout(options_));
  if (options_.kind == FeatureKind::mfcc) cosines_ = make_cosines(options_);
}

double FrameAnalysis::analyse(Scratch& scratch, int64_t index, float* row) const {
  std::vector<double>& frame = scratch.frame;
  if (options_.dither > 0) {
    data::RandomStream noise(static_cast<uint64_t>(options_.dither_seed), data::RandomPurpose::dither,
                             static_cast<uint32_t>(index));
    for (double& sample : frame) sample += options_.dither * noise.normal();
  }
  const bool kaldi = options_.kind != FeatureKind::melspectrogram;
  if (kaldi && options_.remove_dc_offset) {
    double mean = 0;
    for (const double sample : frame) mean += sample;
    mean /= frame_samples_;
    for (double& sample : frame) sample -= mean;
  }
  const double raw_energy = energy_of(frame);
  if (kaldi && options_.preemphasis_coefficient != 0) {
    for (size_t t = frame.size() - 1; t > 0; --t) frame[t] -= options_.preemphasis_coefficient * frame[t - 1];
    frame[0] -= options_.preemphasis_coefficient * frame[0];
  }
  for (size_t t = 0; t < frame.size(); ++t) frame[t] *= window_[t];
  double log_energy = floored_log(options_.raw_energy ? raw_energy : energy_of(frame));
  if (options_.energy_floor > 0) log_energy = std::max(log_energy, std::log(options_.energy_floor));

  // Kaldi pads a frame with zeros behind it; torchaudio puts it in the middle, which no power spectrum shows.
  frame.resize(static_cast<size_t>(fft_.size()), 0.0);
  fft_.power_spectrum(frame.data(), scratch.fft, scratch.spectrum);
  frame.resize(static_cast<size_t>(frame_samples_));

  if (options_.kind == FeatureKind::spectrogram) {
    for (int k = 0; k < dimensions_; ++k)
      row[k] = static_cast<float>(floored_log(scratch.spectrum[static_cast<size_t>(k)]));
    row[0] = static_cast<float>(log_energy);  // in the place of the bin at 0 Hz, as in Kaldi
    return floored_log(raw_energy);
  }
  if (!kaldi) {
    // torchaudio's samples lie in [-1, 1]: the power spectrum shrinks by 2³⁰.
    for (double& power : scratch.spectrum) power *= 0x1p-30;
  }
  if (!options_.use_power) {
    for (double& power : scratch.spectrum) power = std::sqrt(power);
  }
  scratch.energies.resize(static_cast<size_t>(bank_->filters()));
  bank_->apply(scratch.spectrum, scratch.energies.data());
  if (options_.use_log_fbank) {
    for (double& energy : scratch.energies) energy = floored_log(energy);
  }
  if (options_.kind == FeatureKind::mfcc) {
    cepstra(scratch, log_energy, row);
  } else {
    const bool in_front = options_.use_energy && !options_.htk_compat;
    std::transform(scratch.energies.begin(), scratch.energies.end(), row + in_front,
                   [](double energy) { return static_cast<float>(energy); });
    if (options_.use_energy) row[in_front ? 0 : dimensions_ - 1] = static_cast<float>(log_energy);
  }
  return floored_log(raw_energy);
}

void FrameAnalysis::cepstra(Scratch& scratch, double log_energy, float* row) const {
  const size_t bins = scratch.energies.size();
  for (int i = 0; i < options_.num_ceps; ++i) {
    const double* cosine = cosines_.data() + static_cast<size_t>(i) * bins;
    double sum = 0;
    for (size_t m = 0; m < bins; ++m) sum += cosine[m] * scratch.energies[m];
    row[i] = static_cast<float>(sum);
  }
  if (options_.use_energy) row[0] = static_cast<float>(log_energy);
  if (!options_.htk_compat) return;
  // HTK puts c0 last and scales it by √2.
  if (!options_.use_energy) row[0] *= static_cast<float>(std::numbers::sqrt2);
  std::rotate(row, row + 1, row + options_.num_ceps);
}

}  // namespace lariat::speech
