#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "frontends/speech/analysis/feature_options.hpp"
#include "frontends/speech/audio.hpp"

namespace lariat::speech {

/// Row-major [frames, dimensions].
struct FeatureMatrix {
  int64_t frames = 0, dimensions = 0;
  std::vector<float> values;
};

/// Turns audio into features. The window, the FFT plan, the mel filters and the cosine transform are prepared
/// once; const use is thread-safe.
class FeatureExtractor {
 public:
  /// `sample_rate` (Hz) stands in where options.sample_frequency is 0. Throws UserError for impossible
  /// options.
  explicit FeatureExtractor(const FeatureOptions& options, int sample_rate = 0);

  /// The options with every automatic value filled in: what a saved model keeps.
  const FeatureOptions& options() const;
  int64_t dimensions() const;

  /// How many frames extract() sees in the audio, before trimming; 0 where it is too short.
  int64_t frames_in(const Audio& audio) const;

  /// [frames, dimensions()]. Global CMVN is left to the caller, who has the statistics. `warp` is multiplied
  /// into vtln_warp, and means nothing to kind = spectrogram. Throws UserError where the sample rate is
  /// another than the options' or the audio is shorter than one frame; the message names audio.source.
  FeatureMatrix extract(const Audio& audio, double warp = 1) const;
  /// Throws UserError where filters cannot be warped so.
  void check_warp(double warp) const;

 private:
  friend class StreamingExtractor;
  class Impl;
  std::shared_ptr<const Impl> impl_;
};

/// The features of one recording.
FeatureMatrix compute_features(const Audio& audio, const FeatureOptions& options);

/// The same features, bit for bit, from audio that arrives in pieces. Deltas arrive delta_order·delta_window
/// frames late. Throws UserError where the options look at the whole utterance: snip_edges = false,
/// trim_silence = true, cmvn = utterance or voiced, kind = melspectrogram.
class StreamingExtractor {
 public:
  explicit StreamingExtractor(const FeatureExtractor& extractor);
  ~StreamingExtractor();

  /// The frames that `samples` (int16 scale) complete; there may be none.
  FeatureMatrix push(std::span<const float> samples);
  /// The remaining frames. The stream is over; the next push() starts another.
  FeatureMatrix finish();

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace lariat::speech
