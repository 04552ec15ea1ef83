#pragma once

#include <cstdint>
#include <string>

#include "frontends/data/option_table.hpp"
#include "frontends/speech/analysis/mel.hpp"

namespace lariat::speech {

/// In Hz; a header that says more is wrong.
inline constexpr int highest_sample_rate = 768000;

enum class FeatureKind { fbank, mfcc, spectrogram, melspectrogram };
enum class WindowType { povey, hanning, hamming, blackman, rectangular };
enum class Cmvn { none, utterance, global, voiced };

/// How audio becomes features. Names, defaults and behaviour are Kaldi's (compute-fbank-feats and its
/// sisters, at the int16 scale); kind = melspectrogram is torchaudio's MelSpectrogram instead. What each
/// means, its range and its default stand in feature_option_table().
struct FeatureOptions {
  FeatureKind kind = FeatureKind::fbank;
  int sample_frequency = 0;
  double band_low = 0, band_high = 0;
  int band_order = 4;
  double frame_length = 25, frame_shift = 10;
  WindowType window_type = WindowType::povey;
  double preemphasis_coefficient = 0.97;
  bool remove_dc_offset = true;
  bool round_to_power_of_two = true;
  int n_fft = 0;
  bool snip_edges = true;
  double dither = 0;
  int64_t dither_seed = 0;
  int num_mel_bins = 0;
  double low_freq = 20, high_freq = 0;
  MelScale mel_scale = MelScale::htk;
  MelNorm mel_norm = MelNorm::none;
  double vtln_warp = 1, vtln_low = 100, vtln_high = -500;
  bool use_log_fbank = true, use_power = true;
  int num_ceps = 13;
  double cepstral_lifter = 22;
  bool use_energy = false;
  double energy_floor = 0;
  bool raw_energy = true;
  bool htk_compat = false;
  bool trim_silence = false;
  double trim_threshold = 40;
  int trim_margin = 5;
  int delta_order = 0, delta_window = 2;
  Cmvn cmvn = Cmvn::none;
  double voiced_threshold = 30;
  bool norm_means = true, norm_vars = true;
};

/// One entry per member of FeatureOptions: it makes the command-line flags, the recipe keys, the JSON of a
/// saved model and the documentation.
const data::OptionTable<FeatureOptions>& feature_option_table();

/// A copy in which "automatic" values have become numbers: the sample frequency (that of the audio at hand),
/// the number of mel bins (MFCC 23; otherwise 40 below 16 kHz and 80 from there) and the upper edge of the
/// mel filters. Throws UserError naming key, value and range where a value is impossible, or has no effect
/// with this kind.
FeatureOptions resolve(FeatureOptions options, int sample_rate);

/// Samples in a frame, samples from one frame to the next, and the size of the FFT.
int frame_samples(const FeatureOptions& resolved);
int shift_samples(const FeatureOptions& resolved);
int fft_samples(const FeatureOptions& resolved);
/// Whether a recording must have come to its end before one of its frames is known.
bool looks_at_all(const FeatureOptions& options);
/// The mel filters; not for kind = spectrogram.
MelLayout mel_layout(const FeatureOptions& resolved);

}  // namespace lariat::speech
