#pragma once

#include <cstdint>
#include <vector>

#include "frontends/speech/analysis/feature_options.hpp"
#include "frontends/speech/analysis/fft.hpp"
#include "frontends/speech/analysis/lanes.hpp"

namespace lariat::speech {

/// Frames of samples to rows of features: window, spectrum, mel filters, cepstra. Const use is thread-safe.
class FrameAnalysis {
 public:
  explicit FrameAnalysis(const FeatureOptions& resolved);

  const FeatureOptions& options() const { return options_; }
  int frame_samples() const { return frame_samples_; }
  int shift_samples() const { return shift_samples_; }
  int fft_samples() const { return fft_.size(); }
  /// Values in a row, without deltas.
  int dimensions() const { return dimensions_; }

  /// Analyses `count` frames into rows [count, dimensions()]: the first begins at `samples` (int16 scale),
  /// each other shift_samples() behind the one before. `first` is its number, which selects the dither.
  /// Returns the log energy of each frame as it came, for trimming.
  std::vector<float> analyse(const float* samples, int64_t first, int64_t count, float* rows) const;

 private:
  struct Scratch;
  struct Energies {
    Lanes raw, windowed;
  };
  void add_dither(int64_t first, int64_t count, Lanes* frame) const;
  Energies shape(Lanes* frame) const;
  void fill_row(Scratch& scratch, Lanes log_energy) const;
  void cepstra(const Lanes* log_mel_energies, Lanes log_energy, Lanes* row) const;

  FeatureOptions options_;
  int frame_samples_, shift_samples_, dimensions_;
  RealFft fft_;
  std::vector<double> window_;
  std::vector<MelFilter> filters_;
  std::vector<double> cosines_;  // [num_ceps, num_mel_bins], liftering included
};

}  // namespace lariat::speech
