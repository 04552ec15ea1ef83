#include "frontends/speech/analysis/feature_options.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <limits>
#include <utility>
#include <vector>

#include "graph/base/error.hpp"

namespace lariat::speech {

namespace {

using Table = data::OptionTable<FeatureOptions>;

const std::vector<std::string> kind_names = {"fbank", "mfcc", "spectrogram", "melspectrogram"};

Table make_feature_table() {
  using O = FeatureOptions;
  constexpr int64_t any_seed = std::numeric_limits<int64_t>::max();
  constexpr double any = std::numeric_limits<double>::max();
  Table table;
  table.choice("kind", &O::kind, kind_names,
               "log mel filter bank, cepstra, log spectrum, or torchaudio's mel spectrogram");
  table.integer("sample_frequency", &O::sample_frequency, 0, highest_sample_rate,
                "rate of the audio in Hz; 0: that of the audio");
  table.number("band_low", &O::band_low, 0, any,
               "edge in Hz below which a Butterworth filter takes the sound out first; 0: none");
  table.number("band_high", &O::band_high, 0, any, "the same above an edge; 0: none");
  table.integer("band_order", &O::band_order, 1, 16,
                "order of both, an even number: 6 dB an octave beyond the edge each");
  table.number("frame_length", &O::frame_length, 0.1, 10000, "length of a frame in milliseconds");
  table.number("frame_shift", &O::frame_shift, 0.1, 10000, "from one frame to the next, in milliseconds");
  table.choice("window_type", &O::window_type, {"povey", "hanning", "hamming", "blackman", "rectangular"},
               "what each frame is multiplied by; povey is hanning to the power of 0.85");
  table.number("preemphasis_coefficient", &O::preemphasis_coefficient, 0, 1, "c in x[t] - c·x[t-1]");
  table.boolean("remove_dc_offset", &O::remove_dc_offset, "subtract the mean of each frame");
  table.boolean("round_to_power_of_two", &O::round_to_power_of_two,
                "pad the FFT with zeros to a power of two");
  table.integer("n_fft", &O::n_fft, 0, 1 << 20, "points of the FFT; 0: as round_to_power_of_two says");
  table.boolean("snip_edges", &O::snip_edges, "only frames that fit; otherwise the ends are mirrored");
  table.number("dither", &O::dither, 0, 32768,
               "standard deviation of added noise at the int16 scale; 0: none");
  table.integer("dither_seed", &O::dither_seed, 0, any_seed, "seed of that noise");
  table.integer("num_mel_bins", &O::num_mel_bins, 0, 4096,
                "mel filters; 0: MFCC 23, else 40, 80 from 16 kHz");
  table.number("low_freq", &O::low_freq, 0, any, "lower edge of the mel filters in Hz");
  table.number("high_freq", &O::high_freq, -any, any,
               "their upper edge in Hz; 0 or less: relative to Nyquist");
  table.choice("mel_scale", &O::mel_scale, {"htk", "slaney"}, "which mel scale the filters are spaced on");
  table.choice("mel_norm", &O::mel_norm, {"none", "slaney"}, "filters of height 1, or of equal area");
  table.number("vtln_warp", &O::vtln_warp, 0.25, 4,
               "warps the filters for another length of the vocal tract: formants are seen at so many times "
               "their frequency; 1: none");
  table.number("vtln_low", &O::vtln_low, 0, any, "that warping is linear from here on, in Hz");
  table.number("vtln_high", &O::vtln_high, -any, any,
               "and up to here, in Hz; 0 or less: relative to Nyquist");
  table.boolean("use_log_fbank", &O::use_log_fbank, "take the logarithm of the filters' energies");
  table.boolean("use_power", &O::use_power, "filter the power spectrum rather than the magnitudes");
  table.integer("num_ceps", &O::num_ceps, 1, 4096, "cepstra kept, the zeroth included");
  table.number("cepstral_lifter", &O::cepstral_lifter, 0, 4096,
               "Q in 1 + Q/2·sin(πi/Q), which scales cepstra; 0: off");
  table.boolean("use_energy", &O::use_energy, "MFCC: log energy replaces c0; fbank: it is put in front");
  table.number("energy_floor", &O::energy_floor, 0, any, "floor of the energy, at the int16 scale; 0: none");
  table.boolean("raw_energy", &O::raw_energy, "measure the energy before pre-emphasis and window");
  table.boolean("htk_compat", &O::htk_compat, "HTK's order: the energy or c0 comes last");
  table.boolean("trim_silence", &O::trim_silence, "drop quiet frames at both ends");
  table.number("trim_threshold", &O::trim_threshold, 0, 200, "quiet is this many dB below the loudest frame");
  table.integer("trim_margin", &O::trim_margin, 0, 10000, "quiet frames kept at either end");
  table.integer("delta_order", &O::delta_order, 0, 4, "append differences up to this order");
  table.integer("delta_window", &O::delta_window, 1, 1000,
                "frames on either side that a difference looks at");
  table.choice(
      "cmvn", &O::cmvn, {"none", "utterance", "global", "voiced"},
      "normalise mean and variance: over each utterance, with statistics of the training set, or over "
      "the loud frames of each utterance");
  table.number("voiced_threshold", &O::voiced_threshold, 0, 200,
               "for cmvn = voiced: loud is within this many dB of the loudest frame");
  table.boolean("norm_means", &O::norm_means, "cmvn subtracts the mean");
  table.boolean("norm_vars", &O::norm_vars, "cmvn divides by the standard deviation");
  return table;
}

struct Scope {
  const char* name;
  std::vector<FeatureKind> kinds;
};

// Options that some kinds have no use for. Setting one of them there is an error rather than silently
// nothing.
const std::vector<Scope>& scopes() {
  using enum FeatureKind;
  static const std::vector<Scope> list = {
      {"window_type", {fbank, mfcc, spectrogram}},
      {"preemphasis_coefficient", {fbank, mfcc, spectrogram}},
      {"remove_dc_offset", {fbank, mfcc, spectrogram}},
      {"snip_edges", {fbank, mfcc, spectrogram}},
      {"num_mel_bins", {fbank, mfcc, melspectrogram}},
      {"low_freq", {fbank, mfcc, melspectrogram}},
      {"high_freq", {fbank, mfcc, melspectrogram}},
      {"mel_scale", {fbank, mfcc, melspectrogram}},
      {"mel_norm", {melspectrogram}},
      {"vtln_warp", {fbank, mfcc, melspectrogram}},
      {"vtln_low", {fbank, mfcc, melspectrogram}},
      {"vtln_high", {fbank, mfcc, melspectrogram}},
      {"use_log_fbank", {fbank, melspectrogram}},
      {"use_power", {fbank, melspectrogram}},
      {"num_ceps", {mfcc}},
      {"cepstral_lifter", {mfcc}},
      {"use_energy", {fbank, mfcc}},
      {"energy_floor", {fbank, mfcc, spectrogram}},
      {"raw_energy", {fbank, mfcc, spectrogram}},
      {"htk_compat", {fbank, mfcc}},
  };
  return list;
}

void check_scopes(const FeatureOptions& options) {
  for (const Scope& scope : scopes()) {
    const auto& option = feature_option_table().at(scope.name);
    const bool applies = std::find(scope.kinds.begin(), scope.kinds.end(), options.kind) != scope.kinds.end();
    if (applies || option.get(options) == option.default_value) continue;
    throw UserError(fmt::format("{} = {}: has no effect with kind = {}; leave it out", option.name,
                                option.get(options), kind_names.at(static_cast<size_t>(options.kind))));
  }
}

void check_mel_filters(const FeatureOptions& options) {
  const int fft = fft_samples(options);
  const auto empty_filters = [&](int filters) {
    MelLayout layout = mel_layout(options);
    layout.filters = filters;
    const std::vector<MelFilter> bank = make_mel_filters(layout);
    return static_cast<int>(std::count_if(bank.begin(), bank.end(),
                                          [](const MelFilter& filter) { return filter.weights.empty(); }));
  };
  const int empty = empty_filters(options.num_mel_bins);
  if (empty == 0) return;
  int most = std::min(options.num_mel_bins - 1, fft / 2);
  while (most > 0 && empty_filters(most) > 0) --most;
  throw UserError(
      fmt::format("num_mel_bins = {}: {} of the filters would be empty at {} Hz with an FFT of {} points; "
                  "{}",
                  options.num_mel_bins, empty, options.sample_frequency, fft,
                  most > 0 ? fmt::format("must be an integer from 1 to {}, or lengthen the frames", most)
                           : "lower low_freq, raise high_freq or lengthen the frames"));
}

}  // namespace

const Table& feature_option_table() {
  static const Table table = make_feature_table();
  return table;
}

int frame_samples(const FeatureOptions& resolved) {
  return static_cast<int>(resolved.sample_frequency * resolved.frame_length / 1000);
}

int shift_samples(const FeatureOptions& resolved) {
  return static_cast<int>(resolved.sample_frequency * resolved.frame_shift / 1000);
}

int fft_samples(const FeatureOptions& resolved) {
  if (resolved.n_fft > 0) return resolved.n_fft;
  const int frame = frame_samples(resolved);
  return resolved.round_to_power_of_two ? static_cast<int>(std::bit_ceil(static_cast<unsigned>(frame)))
                                        : frame;
}

MelLayout mel_layout(const FeatureOptions& resolved) {
  MelLayout layout;
  layout.filters = resolved.num_mel_bins;
  layout.fft_size = fft_samples(resolved);
  layout.sample_rate = resolved.sample_frequency;
  layout.low = resolved.low_freq;
  layout.high = resolved.high_freq;
  layout.scale = resolved.mel_scale;
  layout.axis = resolved.kind == FeatureKind::melspectrogram ? TriangleAxis::hertz : TriangleAxis::mel;
  layout.norm = resolved.mel_norm;
  layout.warp = resolved.vtln_warp;
  layout.warp_low = resolved.vtln_low;
  layout.warp_high = resolved.vtln_high + (resolved.vtln_high > 0 ? 0 : resolved.sample_frequency * 0.5);
  return layout;
}

bool looks_at_all(const FeatureOptions& options) {
  return options.cmvn == Cmvn::utterance || options.cmvn == Cmvn::voiced;
}

namespace {

void check_band(const FeatureOptions& options) {
  const double nyquist = options.sample_frequency * 0.5;
  const auto refuse = [](const char* name, double value, const std::string& range) {
    throw UserError(fmt::format("{} = {}: must be {}", name, value, range));
  };
  const bool filters = options.band_low > 0 || options.band_high > 0;
  if (!filters && options.band_order != FeatureOptions{}.band_order)
    throw UserError(fmt::format("band_order = {}: has no effect without band_low or band_high; leave it out",
                                options.band_order));
  if (options.band_order % 2 != 0) refuse("band_order", options.band_order, "an even number from 2 to 16");
  if (options.band_low >= nyquist)
    refuse("band_low", options.band_low,
           fmt::format("0 or a number below {}, the Nyquist frequency", nyquist));
  if (options.band_high >= nyquist || (options.band_high > 0 && options.band_high <= options.band_low))
    refuse("band_high", options.band_high,
           fmt::format("0 or a number between {} (band_low) and {}, the Nyquist frequency", options.band_low,
                       nyquist));
}

// The part of the warping that is f/warp lies within the filters' edges.
void check_warping(const FeatureOptions& options) {
  const double warp = options.vtln_warp, low = options.vtln_low, high = mel_layout(options).warp_high;
  if (warp == 1) return;
  if (low <= options.low_freq)
    throw UserError(fmt::format("vtln_low = {}: must be above {} (low_freq) where filters are warped", low,
                                options.low_freq));
  if (high >= options.high_freq)
    throw UserError(fmt::format("vtln_high = {}: must be below {} (high_freq) where filters are warped", high,
                                options.high_freq));
  if (low * std::max(1.0, warp) >= high * std::min(1.0, warp))
    throw UserError(
        fmt::format("vtln_warp = {}: leaves nothing between vtln_low = {} and vtln_high = {}; take "
                    "one that is nearer to 1",
                    warp, low, high));
}

}  // namespace

FeatureOptions resolve(FeatureOptions options, int sample_rate) {
  if (options.sample_frequency == 0) options.sample_frequency = sample_rate;
  feature_option_table().check(options);
  check_scopes(options);
  if (options.sample_frequency == 0) {
    throw UserError(
        "sample_frequency = 0: must be known here; give an integer from 1 to 768000, such as 8000");
  }
  const int rate = options.sample_frequency;
  check_band(options);
  if (options.cmvn != Cmvn::voiced && options.voiced_threshold != FeatureOptions{}.voiced_threshold)
    throw UserError(fmt::format("voiced_threshold = {}: has no effect without cmvn = voiced; leave it out",
                                options.voiced_threshold));
  if (frame_samples(options) < 2) {
    throw UserError(
        fmt::format("frame_length = {}: must be a number from {} at {} Hz, so that a frame has 2 samples",
                    options.frame_length, 2000.0 / rate, rate));
  }
  if (shift_samples(options) < 1) {
    throw UserError(fmt::format("frame_shift = {}: must be a number from {} at {} Hz, so that frames move on",
                                options.frame_shift, 1000.0 / rate, rate));
  }
  if (options.n_fft > 0 && (options.n_fft < frame_samples(options) || options.n_fft % 2 != 0)) {
    throw UserError(
        fmt::format("n_fft = {}: must be an even integer from {}, the samples in a frame, to 1048576",
                    options.n_fft, frame_samples(options)));
  }
  if (fft_samples(options) % 2 != 0) {
    throw UserError(
        fmt::format("round_to_power_of_two = false: must be true where a frame is an odd number of samples "
                    "({} of {} ms at {} Hz)",
                    frame_samples(options), options.frame_length, rate));
  }
  if (options.kind == FeatureKind::spectrogram) return options;
  const double nyquist = rate * 0.5;
  if (options.high_freq <= 0) options.high_freq += nyquist;
  if (options.low_freq >= nyquist) {
    throw UserError(fmt::format("low_freq = {}: must be a number from 0 to below {}, the Nyquist frequency",
                                options.low_freq, nyquist));
  }
  if (options.high_freq <= options.low_freq || options.high_freq > nyquist) {
    throw UserError(
        fmt::format("high_freq = {}: must be a number from above {} (low_freq) to {}, the Nyquist frequency",
                    options.high_freq, options.low_freq, nyquist));
  }
  check_warping(options);
  if (options.num_mel_bins == 0) {
    options.num_mel_bins = options.kind == FeatureKind::mfcc ? 23 : rate < 16000 ? 40 : 80;
  }
  check_mel_filters(options);
  if (options.kind == FeatureKind::mfcc && options.num_ceps > options.num_mel_bins) {
    throw UserError(fmt::format("num_ceps = {}: must be an integer from 1 to {}, the number of mel bins",
                                options.num_ceps, options.num_mel_bins));
  }
  return options;
}

}  // namespace lariat::speech
