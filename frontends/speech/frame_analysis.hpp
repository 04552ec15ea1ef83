#pragma once

#include <complex>
#include <optional>
#include <vector>

#include "frontends/speech/feature_options.hpp"
#include "frontends/speech/fft.hpp"

namespace lariat::speech {

/// One frame of samples to one row of features: window, spectrum, mel filters, cepstra. Const use is
/// thread-safe.
class FrameAnalysis {
 public:
  /// Work space, so that frames after the first allocate nothing.
  struct Scratch {
    std::vector<double> frame, spectrum, energies;
    std::vector<std::complex<float>> fft;
  };

  explicit FrameAnalysis(const FeatureOptions& resolved);

  const FeatureOptions& options() const { return options_; }
  int frame_samples() const { return frame_samples_; }
  int shift_samples() const { return shift_samples_; }
  int fft_samples() const { return fft_.size(); }
  /// Values in a row, without deltas.
  int dimensions() const { return dimensions_; }

  /// Analyses scratch.frame, which holds frame_samples() samples; `index` counts frames and selects the
  /// dither. Returns the log energy of the samples as they came, for trimming.
  double analyse(Scratch& scratch, int64_t index, float* row) const;

 private:
  void cepstra(Scratch& scratch, double log_energy, float* row) const;

  FeatureOptions options_;
  int frame_samples_, shift_samples_, dimensions_ = 0;
  RealFft fft_;
  std::vector<double> window_;
  std::optional<MelBank> bank_;
  std::vector<double> cosines_;  // [num_ceps, num_mel_bins], liftering included
};

}  // namespace lariat::speech
