#include "frontends/speech/analysis/frame_analysis.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>

#include "frontends/data/random.hpp"
#include "frontends/speech/analysis/analysis_set.hpp"
#include "frontends/speech/analysis/fft.hpp"
#include "frontends/speech/analysis/frame_tables.hpp"
#include "frontends/speech/analysis/lanes.hpp"
#include "ops/kernels/simd.hpp"

namespace lariat::speech {

namespace {

// The floor under every logarithm: the machine epsilon of float, as in Kaldi.
constexpr double log_floor = 0x1p-23;

// NaN, from samples that are too large, stays NaN.
Lanes at_least(double floor, Lanes x) { return select(x < Lanes(floor), Lanes(floor), x); }

// Infinite where a float could not hold the energy: what is too large without the logarithm is so with it.
Lanes floored_log(Lanes energy) {
  const Lanes too_large(std::numeric_limits<float>::max());
  const Lanes infinity(std::numeric_limits<double>::infinity());
  return log_of(select(energy > too_large, infinity, at_least(log_floor, energy)));
}

// Σ_t term(t) for t < count, as a sum of short sums, whose additions do not wait for each other.
template <class Term>
Lanes sum_of(int count, const Term& term) {
  constexpr int length = 16;
  Lanes sum(0);
  for (int begin = 0; begin < count; begin += length) {
    Lanes part(0);
    for (int t = begin; t < std::min(begin + length, count); ++t) part += term(t);
    sum += part;
  }
  return sum;
}

Lanes energy_of(const Lanes* frame, int count) {
  return sum_of(count, [frame](int t) { return frame[t] * frame[t]; });
}

// The frames of a vector's lanes side by side.
class LaneAnalysis : public FrameAnalysis {
 public:
  explicit LaneAnalysis(const FeatureOptions& resolved);
  std::vector<float> analyse(const float* samples, int64_t first, int64_t count, float* rows,
                             const std::vector<MelFilter>* filters) const override;

 private:
  struct Scratch;
  struct Energies {
    Lanes raw, windowed;
  };
  void add_dither(int64_t first, int64_t count, Lanes* frame) const;
  Energies shape(Lanes* frame) const;
  void fill_row(Scratch& scratch, Lanes log_energy, const std::vector<MelFilter>& filters) const;
  void cepstra(const Lanes* log_mel_energies, Lanes log_energy, Lanes* row) const;

  RealFft fft_;
  const FrameTables tables_;
};

struct LaneAnalysis::Scratch {
  explicit Scratch(const LaneAnalysis& analysis)
      : frame(static_cast<size_t>(analysis.fft_samples())),
        work(frame.size()),
        spectrum(frame.size() / 2 + 1),
        log_mel_energies(analysis.tables_.filters.size()),
        row(static_cast<size_t>(analysis.dimensions())) {}
  std::vector<Lanes> frame, work, spectrum, log_mel_energies, row;
};

LaneAnalysis::LaneAnalysis(const FeatureOptions& resolved)
    : FrameAnalysis(resolved), fft_(fft_samples_), tables_(frame_tables(resolved)) {}

std::vector<float> LaneAnalysis::analyse(const float* samples, int64_t first, int64_t count, float* rows,
                                         const std::vector<MelFilter>* filters) const {
  std::vector<float> raw_log_energies(static_cast<size_t>(count));
  Scratch scratch(*this);
  Lanes* frame = scratch.frame.data();
  for (int64_t t = 0; t < count; t += lane_count) {
    const int64_t frames = std::min(lane_count, count - t);
    load_lanes(samples + t * shift_samples_, shift_samples_, frames, frame_samples_, frame);
    if (options_.dither > 0) add_dither(first + t, frames, frame);
    const Energies energies = shape(frame);
    // Kaldi pads a frame with zeros behind it; torchaudio puts it in the middle: the same power spectrum.
    std::fill(frame + frame_samples_, frame + fft_.size(), Lanes(0));
    fft_.power_spectrum(frame, scratch.work.data(), scratch.spectrum.data());
    Lanes log_energy = floored_log(options_.raw_energy ? energies.raw : energies.windowed);
    if (options_.energy_floor > 0) log_energy = at_least(std::log(options_.energy_floor), log_energy);
    fill_row(scratch, log_energy, filters == nullptr ? tables_.filters : *filters);
    store_lanes(scratch.row.data(), frames, dimensions_, rows + t * dimensions_);
    const Lanes raw_log_energy = floored_log(energies.raw);
    store_lanes(&raw_log_energy, frames, 1, raw_log_energies.data() + t);
  }
  return raw_log_energies;
}

void LaneAnalysis::add_dither(int64_t first, int64_t count, Lanes* frame) const {
  std::vector<float> noise;
  for (int64_t j = 0; j < count; ++j) {
    data::RandomStream random(static_cast<uint64_t>(options_.dither_seed), data::RandomPurpose::dither,
                              static_cast<uint32_t>(first + j));
    for (int t = 0; t < frame_samples_; ++t)
      noise.push_back(static_cast<float>(options_.dither * random.normal()));
  }
  std::vector<Lanes> lanes(static_cast<size_t>(frame_samples_));
  load_lanes(noise.data(), frame_samples_, count, frame_samples_, lanes.data());
  for (int t = 0; t < frame_samples_; ++t) frame[t] += lanes[static_cast<size_t>(t)];
}

// Removes the mean, pre-emphasises (x_t - c·x_(t-1), and x_0 - c·x_0) and multiplies by the window; the
// energies are those before and after the last two.
LaneAnalysis::Energies LaneAnalysis::shape(Lanes* frame) const {
  const bool kaldi = options_.kind != FeatureKind::melspectrogram;
  if (kaldi && options_.remove_dc_offset) {
    const Lanes mean = sum_of(frame_samples_, [=](int t) { return frame[t]; }) / Lanes(frame_samples_);
    for (int t = 0; t < frame_samples_; ++t) frame[t] -= mean;
  }
  const Lanes raw = energy_of(frame, frame_samples_);
  const Lanes minus_c(kaldi ? -options_.preemphasis_coefficient : 0);
  Lanes previous = frame[0];
  for (int t = 0; t < frame_samples_; ++t) {
    const Lanes sample = frame[t];
    frame[t] = multiply_add(minus_c, previous, sample) * Lanes(tables_.window[static_cast<size_t>(t)]);
    previous = sample;
  }
  return {raw, options_.raw_energy ? raw : energy_of(frame, frame_samples_)};
}

void LaneAnalysis::fill_row(Scratch& scratch, Lanes log_energy, const std::vector<MelFilter>& filters) const {
  Lanes* row = scratch.row.data();
  std::vector<Lanes>& spectrum = scratch.spectrum;
  if (options_.kind == FeatureKind::spectrogram) {
    std::transform(spectrum.begin(), spectrum.end(), row, floored_log);
    row[0] = log_energy;  // in the place of the bin at 0 Hz, as in Kaldi
    return;
  }
  if (!options_.use_power) {
    for (Lanes& power : spectrum) power = sqrt(power);
  }
  const bool energy_in_front = options_.use_energy && !options_.htk_compat;
  const bool mfcc = options_.kind == FeatureKind::mfcc;
  Lanes* energies = mfcc ? scratch.log_mel_energies.data() : row + energy_in_front;
  for (size_t m = 0; m < filters.size(); ++m) {
    const MelFilter& filter = filters[m];
    Lanes energy(0);
    for (size_t k = 0; k < filter.weights.size(); ++k)
      energy = multiply_add(Lanes(filter.weights[k]), spectrum[filter.first_bin + k], energy);
    energies[m] = options_.use_log_fbank ? floored_log(energy) : energy;
  }
  if (mfcc) {
    cepstra(energies, log_energy, row);
  } else if (options_.use_energy) {
    row[energy_in_front ? 0 : dimensions_ - 1] = log_energy;
  }
}

void LaneAnalysis::cepstra(const Lanes* log_mel_energies, Lanes log_energy, Lanes* row) const {
  const int bins = options_.num_mel_bins;
  for (int i = 0; i < options_.num_ceps; ++i) {
    const double* cosine = tables_.cosines.data() + i * bins;
    row[i] = sum_of(bins, [=](int m) { return Lanes(cosine[m]) * log_mel_energies[m]; });
  }
  if (options_.use_energy) row[0] = log_energy;
  if (!options_.htk_compat) return;
  // HTK puts c0 last and scales it by √2.
  if (!options_.use_energy) row[0] *= Lanes(std::numbers::sqrt2);
  std::rotate(row, row + 1, row + options_.num_ceps);
}

std::shared_ptr<const FrameAnalysis> make_lane_analysis(const FeatureOptions& resolved) {
  return std::make_shared<LaneAnalysis>(resolved);
}

}  // namespace

extern "C" const AnalysisSet LARIAT_OF_SET(lariat_analysis);
const AnalysisSet LARIAT_OF_SET(lariat_analysis){make_lane_analysis};

}  // namespace lariat::speech
