#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "frontends/speech/analysis/feature_options.hpp"

namespace lariat::speech {

/// Frames of samples to rows of features: window, spectrum, mel filters, cepstra. Const use is thread-safe.
class FrameAnalysis {
 public:
  virtual ~FrameAnalysis() = default;

  const FeatureOptions& options() const { return options_; }
  int frame_samples() const { return frame_samples_; }
  int shift_samples() const { return shift_samples_; }
  int fft_samples() const { return fft_samples_; }
  /// Values in a row, without deltas.
  int dimensions() const { return dimensions_; }

  /// Analyses `count` frames into rows [count, dimensions()]: the first begins at `samples` (int16 scale),
  /// each other shift_samples() behind the one before. `first` is its number, which selects the dither.
  /// `filters` stand in for those of the options where they are given. Returns the log energy of each frame
  /// as it came, which tells what is loud.
  virtual std::vector<float> analyse(const float* samples, int64_t first, int64_t count, float* rows,
                                     const std::vector<MelFilter>* filters) const = 0;

 protected:
  explicit FrameAnalysis(const FeatureOptions& resolved);

  const FeatureOptions options_;
  const int frame_samples_, shift_samples_, fft_samples_, dimensions_;
};

/// One by the kernels of the instruction set in use; every automatic option is filled in.
std::shared_ptr<const FrameAnalysis> make_frame_analysis(const FeatureOptions& resolved);

}  // namespace lariat::speech
