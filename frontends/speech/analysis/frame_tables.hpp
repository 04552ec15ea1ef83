#pragma once

#include <vector>

#include "frontends/speech/analysis/feature_options.hpp"

namespace lariat::speech {

/// The numbers that the analysis of a frame multiplies by.
struct FrameTables {
  /// One for each sample of a frame.
  std::vector<double> window;
  /// None for kind = spectrogram.
  std::vector<MelFilter> filters;
  /// For kind = mfcc: [num_ceps, num_mel_bins], liftering included.
  std::vector<double> cosines;
};

FrameTables frame_tables(const FeatureOptions& resolved);

}  // namespace lariat::speech
