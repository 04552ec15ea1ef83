#include "frontends/speech/features.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "frontends/speech/analysis/band_pass.hpp"
#include "frontends/speech/analysis/deltas.hpp"
#include "frontends/speech/analysis/frame_analysis.hpp"
#include "graph/base/error.hpp"

namespace lariat::speech {

namespace {

// Mirrors an index into 0 … count - 1: -1 is 0 and `count` is count - 1.
int64_t mirrored(int64_t index, int64_t count) {
  while (index < 0 || index >= count) index = index < 0 ? -index - 1 : 2 * count - 1 - index;
  return index;
}

// Mirrors without repeating the sample at the edge: -1 is 1 and `count` is count - 2.
int64_t reflected(int64_t index, int64_t count) {
  while (index < 0 || index >= count) index = index < 0 ? -index : 2 * count - 2 - index;
  return index;
}

// The log energy that is so many dB below that of the loudest frame.
double below_loudest(const std::vector<float>& log_energies, double decibels) {
  return *std::max_element(log_energies.begin(), log_energies.end()) - decibels * std::log(10.0) / 10;
}

// Drops frames at both ends that lie `trim_threshold` dB below the loudest one, but for a margin.
void trim(FeatureMatrix& features, std::vector<float>& log_energies, const FeatureOptions& options) {
  const double quiet = below_loudest(log_energies, options.trim_threshold);
  const auto loud = [quiet](double energy) { return energy >= quiet; };
  const int64_t first = std::find_if(log_energies.begin(), log_energies.end(), loud) - log_energies.begin();
  const int64_t behind = log_energies.rend() - std::find_if(log_energies.rbegin(), log_energies.rend(), loud);
  const int64_t begin = std::max<int64_t>(0, first - options.trim_margin);
  const int64_t end = std::min(features.frames, behind + options.trim_margin);
  auto& values = features.values;
  values.erase(values.begin() + end * features.dimensions, values.end());
  values.erase(values.begin(), values.begin() + begin * features.dimensions);
  log_energies = {log_energies.begin() + begin, log_energies.begin() + end};
  features.frames = end - begin;
}

BandPass band_pass_of(const FeatureOptions& options) {
  return {options.band_low, options.band_high, options.band_order, options.sample_frequency};
}

// (x - mean)/standard deviation for each dimension; a dimension that does not vary is left unscaled. With
// cmvn = voiced these are of the loud frames, of which the loudest is always one.
void normalise(FeatureMatrix& features, const std::vector<float>& log_energies,
               const FeatureOptions& options) {
  const bool all = options.cmvn != Cmvn::voiced;
  const double quiet = all ? 0 : below_loudest(log_energies, options.voiced_threshold);
  std::vector<int64_t> counted;
  for (int64_t t = 0; t < features.frames; ++t)
    if (all || double(log_energies[static_cast<size_t>(t)]) >= quiet) counted.push_back(t);
  const auto count = static_cast<double>(counted.size());
  for (int64_t d = 0; d < features.dimensions; ++d) {
    double sum = 0, squares = 0;
    const auto at = [&](int64_t t) -> float& {
      return features.values[static_cast<size_t>(t * features.dimensions + d)];
    };
    for (const int64_t t : counted) sum += at(t);
    const double mean = sum / count;
    for (const int64_t t : counted) squares += (at(t) - mean) * (at(t) - mean);
    const double deviation = std::sqrt(squares / count);
    const double scale = options.norm_vars && deviation > 1e-10 ? 1 / deviation : 1;
    const double kept = options.norm_means ? 0 : mean;
    for (int64_t t = 0; t < features.frames; ++t) at(t) = static_cast<float>((at(t) - mean) * scale + kept);
  }
}

}  // namespace

class FeatureExtractor::Impl {
 public:
  explicit Impl(const FeatureOptions& resolved)
      : shared_analysis(make_frame_analysis(resolved)), analysis(*shared_analysis) {}
  const std::shared_ptr<const FrameAnalysis> shared_analysis;
  const FrameAnalysis& analysis;

  // The audio's name before a message about it.
  static std::string name_of(const Audio& audio) { return audio.source.empty() ? "the audio" : audio.source; }

  int64_t frame_count(int64_t samples) const {
    const int64_t shift = analysis.shift_samples(), frame = analysis.frame_samples();
    if (analysis.options().kind == FeatureKind::melspectrogram) {
      return samples > analysis.fft_samples() / 2 ? 1 + samples / shift : 0;
    }
    if (!analysis.options().snip_edges) return (samples + shift / 2) / shift;
    return samples < frame ? 0 : 1 + (samples - frame) / shift;
  }

  int64_t fewest_samples() const {
    if (analysis.options().kind == FeatureKind::melspectrogram) return analysis.fft_samples() / 2 + 1;
    if (analysis.options().snip_edges) return analysis.frame_samples();
    return analysis.shift_samples() - analysis.shift_samples() / 2;
  }

  void check(const Audio& audio) const {
    const FeatureOptions& options = analysis.options();
    const auto samples = static_cast<int64_t>(audio.samples.size());
    if (audio.sample_rate != options.sample_frequency) {
      throw UserError(
          fmt::format("{}: has {} Hz where sample_frequency = {}; resample it or set sample_frequency = {}",
                      name_of(audio), audio.sample_rate, options.sample_frequency, audio.sample_rate));
    }
    if (samples < fewest_samples()) {
      throw UserError(
          fmt::format("{}: too short: {} samples at {} Hz where features take at least {}; record more or "
                      "leave it out",
                      name_of(audio), samples, audio.sample_rate, fewest_samples()));
    }
  }

  void check(const Audio& audio, const FeatureMatrix& features) const {
    const auto bad = std::find_if_not(features.values.begin(), features.values.end(),
                                      [](float value) { return std::isfinite(value); });
    if (bad == features.values.end()) return;
    throw UserError(
        fmt::format("{}: frame {} gives a feature that is not finite: its samples are too large; scale it "
                    "down or leave it out",
                    name_of(audio), (bad - features.values.begin()) / features.dimensions));
  }

  // Whether no frame reaches over an end of the audio.
  bool frames_fit() const {
    return analysis.options().kind != FeatureKind::melspectrogram && analysis.options().snip_edges;
  }

  // The samples that `frames` frames see where they reach over both ends, from the first frame's first on.
  std::vector<float> with_mirrored_ends(const std::vector<float>& samples, int64_t frames) const {
    const auto count = static_cast<int64_t>(samples.size());
    const int64_t shift = analysis.shift_samples(), length = analysis.frame_samples();
    const int64_t fft = analysis.fft_samples();
    const bool centred = analysis.options().kind == FeatureKind::melspectrogram;
    // torchaudio centres frames of the FFT's size on multiples of the shift, the window in their middle;
    // Kaldi centres the window itself half a shift further on.
    const int64_t begin = centred ? (fft - length) / 2 - fft / 2 : shift / 2 - length / 2;
    const int64_t end = begin + (frames - 1) * shift + length;
    const int64_t inner_begin = std::clamp<int64_t>(0, begin, end), inner_end = std::clamp(count, begin, end);
    std::vector<float> seen;
    seen.reserve(static_cast<size_t>(end - begin));
    const auto mirror = [&](int64_t from, int64_t to) {
      for (int64_t t = from; t < to; ++t)
        seen.push_back(samples[static_cast<size_t>(centred ? reflected(t, count) : mirrored(t, count))]);
    };
    mirror(begin, inner_begin);
    seen.insert(seen.end(), samples.begin() + inner_begin, samples.begin() + inner_end);
    mirror(inner_end, end);
    return seen;
  }
};

FeatureExtractor::FeatureExtractor(const FeatureOptions& options, int sample_rate)
    : impl_(std::make_shared<Impl>(resolve(options, sample_rate))) {}

const FeatureOptions& FeatureExtractor::options() const { return impl_->analysis.options(); }

int64_t FeatureExtractor::dimensions() const {
  return int64_t{impl_->analysis.dimensions()} * (1 + options().delta_order);
}

int64_t FeatureExtractor::frames_in(const Audio& audio) const {
  return impl_->frame_count(static_cast<int64_t>(audio.samples.size()));
}

namespace {

FeatureOptions with_warp(FeatureOptions options, double warp) {
  options.vtln_warp *= warp;
  return options;
}

}  // namespace

void FeatureExtractor::check_warp(double warp) const {
  if (options().kind == FeatureKind::spectrogram)
    throw UserError("kind = spectrogram: has no mel filters that could be warped; take another kind");
  resolve(with_warp(options(), warp), options().sample_frequency);
}

FeatureMatrix FeatureExtractor::extract(const Audio& audio, double warp) const {
  impl_->check(audio);
  const FrameAnalysis& analysis = impl_->analysis;
  FeatureMatrix features;
  features.frames = impl_->frame_count(static_cast<int64_t>(audio.samples.size()));
  features.dimensions = analysis.dimensions();
  features.values.resize(static_cast<size_t>(features.frames * features.dimensions));
  std::vector<float> filtered, seen;
  if (BandPass filter = band_pass_of(options()); !filter.is_empty()) {
    filtered = audio.samples;
    filter.apply(filtered);
  }
  const std::vector<float>& heard = filtered.empty() ? audio.samples : filtered;
  if (!impl_->frames_fit()) seen = impl_->with_mirrored_ends(heard, features.frames);
  const float* samples = seen.empty() ? heard.data() : seen.data();
  std::vector<MelFilter> filters;
  if (warp != 1 && options().kind != FeatureKind::spectrogram)
    filters = make_mel_filters(mel_layout(with_warp(options(), warp)));
  std::vector<float> log_energies = analysis.analyse(samples, 0, features.frames, features.values.data(),
                                                     filters.empty() ? nullptr : &filters);
  if (options().trim_silence) trim(features, log_energies, options());
  if (options().delta_order > 0) {
    const Deltas deltas(options().delta_order, options().delta_window, features.dimensions);
    std::vector<float> with_deltas(static_cast<size_t>(features.frames * deltas.dimensions()));
    for (int64_t t = 0; t < features.frames; ++t) {
      deltas.apply(features.values.data(), 0, features.frames, t,
                   with_deltas.data() + t * deltas.dimensions());
    }
    features.values = std::move(with_deltas);
    features.dimensions = deltas.dimensions();
  }
  if (looks_at_all(options())) normalise(features, log_energies, options());
  impl_->check(audio, features);
  return features;
}

FeatureMatrix compute_features(const Audio& audio, const FeatureOptions& options) {
  return FeatureExtractor(options, audio.sample_rate).extract(audio);
}

namespace {

void check_streamable(const FeatureOptions& options) {
  const data::OptionTable<FeatureOptions>& table = feature_option_table();
  const auto refuse = [&](const char* name, const char* instead) {
    throw UserError(fmt::format("{} = {}: must be {} in a stream, which never sees the whole utterance", name,
                                table.at(name).get(options), instead));
  };
  if (options.kind == FeatureKind::melspectrogram) refuse("kind", "one of fbank, mfcc, spectrogram");
  if (!options.snip_edges) refuse("snip_edges", "true");
  if (options.trim_silence) refuse("trim_silence", "false");
  if (looks_at_all(options)) refuse("cmvn", "none or global");
}

}  // namespace

class StreamingExtractor::Impl {
 public:
  explicit Impl(std::shared_ptr<const FrameAnalysis> analysis)
      : shared_analysis_(std::move(analysis)),
        analysis_(*shared_analysis_),
        filter_(band_pass_of(analysis_.options())),
        deltas_(analysis_.options().delta_order, analysis_.options().delta_window, analysis_.dimensions()) {}

  FeatureMatrix push(std::span<const float> samples) {
    std::vector<float> heard(samples.begin(), samples.end());
    filter_.apply(heard);
    pending_.insert(pending_.end(), heard.begin(), heard.end());
    const auto count = static_cast<int64_t>(pending_.size());
    const int64_t length = analysis_.frame_samples(), shift = analysis_.shift_samples();
    int64_t begin = std::min(skip_, count);
    skip_ -= begin;
    if (begin + length <= count) {
      const int64_t frames = 1 + (count - begin - length) / shift;
      const size_t before = rows_.size();
      rows_.resize(before + static_cast<size_t>(frames * analysis_.dimensions()));
      analysis_.analyse(pending_.data() + begin, analysed_, frames, rows_.data() + before, nullptr);
      analysed_ += frames;
      begin += frames * shift;
    }
    // With a shift longer than the frame, the next one can begin beyond what has arrived.
    if (begin > count) skip_ = begin - count;
    pending_.erase(pending_.begin(), pending_.begin() + std::min(begin, count));
    return emit(analysed_ - deltas_.context());
  }

  FeatureMatrix finish() {
    FeatureMatrix last = emit(analysed_);
    filter_.reset();
    pending_.clear();
    rows_.clear();
    skip_ = analysed_ = emitted_ = first_row_ = 0;
    return last;
  }

 private:
  // The frames up to `end`, whose neighbours are all known; then forgets rows that no later frame looks at.
  FeatureMatrix emit(int64_t end) {
    FeatureMatrix features{std::max<int64_t>(0, end - emitted_), deltas_.dimensions(), {}};
    features.values.resize(static_cast<size_t>(features.frames * features.dimensions));
    for (int64_t i = 0; i < features.frames; ++i, ++emitted_) {
      deltas_.apply(rows_.data(), first_row_, analysed_, emitted_,
                    features.values.data() + i * features.dimensions);
    }
    const int64_t keep_from = std::max(first_row_, emitted_ - deltas_.context());
    rows_.erase(rows_.begin(), rows_.begin() + (keep_from - first_row_) * analysis_.dimensions());
    first_row_ = keep_from;
    return features;
  }

  const std::shared_ptr<const FrameAnalysis> shared_analysis_;
  const FrameAnalysis& analysis_;
  BandPass filter_;
  Deltas deltas_;
  std::vector<float> pending_;  // samples from the next frame's first on
  std::vector<float> rows_;     // analysed frames, from first_row_ on
  int64_t skip_ = 0, analysed_ = 0, emitted_ = 0, first_row_ = 0;
};

StreamingExtractor::StreamingExtractor(const FeatureExtractor& extractor) {
  check_streamable(extractor.options());
  impl_ = std::make_unique<Impl>(extractor.impl_->shared_analysis);
}

StreamingExtractor::~StreamingExtractor() = default;

FeatureMatrix StreamingExtractor::push(std::span<const float> samples) { return impl_->push(samples); }

FeatureMatrix StreamingExtractor::finish() { return impl_->finish(); }

}  // namespace lariat::speech
