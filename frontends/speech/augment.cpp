#include "frontends/speech/augment.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numbers>

#include "graph/base/error.hpp"

namespace lariat::speech {

namespace {

using data::RandomPurpose;
using data::RandomStream;

data::OptionTable<AugmentOptions> make_augment_table() {
  using O = AugmentOptions;
  data::OptionTable<AugmentOptions> table;
  table.number("speed_min", &O::speed_min, 0.25, 4, "slowest speed, as a factor; pitch follows");
  table.number("speed_max", &O::speed_max, 0.25, 4, "fastest speed");
  table.number("tempo_min", &O::tempo_min, 0.25, 4, "slowest tempo, as a factor; pitch and formants stay");
  table.number("tempo_max", &O::tempo_max, 0.25, 4, "fastest tempo");
  table.number("pitch_min", &O::pitch_min, 0.5, 2,
               "lowest pitch, as a factor; length stays, and formants do but for the spread of the filters");
  table.number("pitch_max", &O::pitch_max, 0.5, 2, "highest pitch");
  table.number(
      "vtln_min", &O::vtln_min, 0.5, 2,
      "lowest formants, as a factor that vtln_warp is multiplied by: a vocal tract of another length");
  table.number("vtln_max", &O::vtln_max, 0.5, 2, "highest formants");
  table.number("time_shift", &O::time_shift, 0, 10000, "largest shift, either way, in milliseconds");
  table.number("gain_min", &O::gain_min, -60, 60, "least change of loudness, in dB");
  table.number("gain_max", &O::gain_max, -60, 60, "greatest change of loudness, in dB");
  table.number("noise_probability", &O::noise_probability, 0, 1, "how often white noise is added");
  table.number("noise_snr_min", &O::noise_snr_min, -40, 100, "least signal-to-noise ratio then, in dB");
  table.number("noise_snr_max", &O::noise_snr_max, -40, 100, "greatest signal-to-noise ratio then, in dB");
  table.integer("time_masks", &O::time_masks, 0, 100, "runs of frames to mask");
  table.integer("time_mask_width", &O::time_mask_width, 0, 10000, "most frames in one");
  table.integer("frequency_masks", &O::frequency_masks, 0, 100, "bands of dimensions to mask");
  table.integer("frequency_mask_width", &O::frequency_mask_width, 0, 10000, "most dimensions in one");
  return table;
}

void check_order(const AugmentOptions& options, const char* lower, const char* upper, bool in_order) {
  if (in_order) return;
  const auto& table = augment_option_table();
  throw UserError(fmt::format("{} = {}: must be at most {} = {}", lower, table.at(lower).get(options), upper,
                              table.at(upper).get(options)));
}

}  // namespace

const data::OptionTable<AugmentOptions>& augment_option_table() {
  static const data::OptionTable<AugmentOptions> table = make_augment_table();
  return table;
}

void check(const AugmentOptions& options) {
  augment_option_table().check(options);
  check_order(options, "speed_min", "speed_max", options.speed_min <= options.speed_max);
  check_order(options, "tempo_min", "tempo_max", options.tempo_min <= options.tempo_max);
  check_order(options, "pitch_min", "pitch_max", options.pitch_min <= options.pitch_max);
  check_order(options, "vtln_min", "vtln_max", options.vtln_min <= options.vtln_max);
  check_order(options, "gain_min", "gain_max", options.gain_min <= options.gain_max);
  check_order(options, "noise_snr_min", "noise_snr_max", options.noise_snr_min <= options.noise_snr_max);
}

void change_speed(Audio& audio, double factor) {
  if (factor != 1) audio.samples = resample(audio.samples, 1 / factor, false);
}

namespace {

// Of the places from `first` on, `count` of them, the one where `audio` is most like the `length` samples at
// `like`: that of the largest normalised correlation. There are zeros beyond the ends.
int64_t most_alike(const std::vector<float>& audio, int64_t like, int64_t first, int64_t count,
                   int64_t length) {
  const auto size = static_cast<int64_t>(audio.size());
  const auto at = [&](int64_t t) { return t >= 0 && t < size ? audio[static_cast<size_t>(t)] : 0.0F; };
  std::vector<float> heard(static_cast<size_t>(count + length));
  for (size_t t = 0; t < heard.size(); ++t) heard[t] = at(first + static_cast<int64_t>(t));
  std::vector<float> products(static_cast<size_t>(count));
  float* product = products.data();
  for (int64_t j = 0; j < length; ++j) {
    const float wanted = at(like + j);
    const float* here = heard.data() + j;
    for (int64_t d = 0; d < count; ++d) product[d] += wanted * here[d];
  }
  const auto square = [&](int64_t t) {
    return static_cast<double>(heard[static_cast<size_t>(t)]) * heard[static_cast<size_t>(t)];
  };
  double energy = 0;
  for (int64_t j = 0; j < length; ++j) energy += square(j);
  int64_t best = count / 2;
  double most = 0;
  for (int64_t d = 0; d < count; ++d) {
    // Where all is silent, rounding may leave less than nothing of a running sum.
    const double alike = energy > 1e-6 ? static_cast<double>(product[d]) / std::sqrt(energy) : 0;
    if (alike > most) {
      most = alike;
      best = d;
    }
    energy += square(d + length) - square(d);
  }
  return first + best;
}

}  // namespace

void change_tempo(Audio& audio, double factor) {
  if (factor == 1 || audio.samples.empty()) return;
  const std::vector<float>& from = audio.samples;
  const auto size = static_cast<int64_t>(from.size());
  const int64_t half = std::max(1, audio.sample_rate * 15 / 1000), reach = audio.sample_rate * 75 / 10000;
  const int64_t count = std::max<int64_t>(1, std::llround(static_cast<double>(size) / factor));
  std::vector<float> to(static_cast<size_t>(count)), window(static_cast<size_t>(2 * half));
  for (size_t j = 0; j < window.size(); ++j)
    window[j] = static_cast<float>(
        0.5 - 0.5 * std::cos(std::numbers::pi * (static_cast<double>(j) + 0.5) / static_cast<double>(half)));
  // Windows begin at -half, 0, half, … and sum to 1 everywhere.
  int64_t place = 0;
  for (int64_t begin = -half; begin < count; begin += half) {
    const int64_t here = std::llround(static_cast<double>(begin) * factor);
    place = begin <= 0 ? begin : most_alike(from, place + half, here - reach, 2 * reach + 1, 2 * half);
    for (int64_t j = 0; j < 2 * half; ++j) {
      const int64_t t = begin + j, source = place + j;
      if (t < 0 || t >= count || source < 0 || source >= size) continue;
      to[static_cast<size_t>(t)] += window[static_cast<size_t>(j)] * from[static_cast<size_t>(source)];
    }
  }
  audio.samples = std::move(to);
}

void shift_in_time(Audio& audio, int64_t samples) {
  const auto count = static_cast<int64_t>(audio.samples.size());
  if (count == 0) return;
  const int64_t left = ((-samples % count) + count) % count;
  std::rotate(audio.samples.begin(), audio.samples.begin() + left, audio.samples.end());
}

void change_gain(Audio& audio, double decibels) {
  const auto factor = static_cast<float>(std::pow(10, decibels / 20));
  for (float& sample : audio.samples) sample *= factor;
}

void add_noise(Audio& audio, double snr, RandomStream& random) {
  double energy = 0;
  for (const float sample : audio.samples) energy += static_cast<double>(sample) * sample;
  // noise power = signal power / 10^(snr/10)
  const double deviation =
      std::sqrt(energy / static_cast<double>(audio.samples.size()) / std::pow(10, snr / 10));
  for (float& sample : audio.samples) sample += static_cast<float>(deviation * random.normal());
}

namespace {

// Sets `rows` × `columns` of the features to the means of those columns.
void mask(FeatureMatrix& features, int64_t first_row, int64_t rows, int64_t first_column, int64_t columns) {
  for (int64_t d = first_column; d < first_column + columns; ++d) {
    const auto at = [&](int64_t t) -> float& {
      return features.values[static_cast<size_t>(t * features.dimensions + d)];
    };
    double sum = 0;
    for (int64_t t = 0; t < features.frames; ++t) sum += at(t);
    const auto mean = static_cast<float>(sum / static_cast<double>(features.frames));
    for (int64_t t = first_row; t < first_row + rows; ++t) at(t) = mean;
  }
}

struct Span {
  int64_t first, width;
};

// A run of up to `widest` places, at most half of `count`, anywhere among them.
Span draw_span(RandomStream& random, int64_t count, int64_t widest) {
  const int64_t width = random.below(static_cast<uint32_t>(std::min(widest, count / 2) + 1));
  return {random.below(static_cast<uint32_t>(count - width + 1)), width};
}

}  // namespace

void mask_frames(FeatureMatrix& features, int64_t first, int64_t width) {
  require(first >= 0 && width >= 0 && first + width <= features.frames, "the mask lies within the frames");
  mask(features, first, width, 0, features.dimensions);
}

void mask_dimensions(FeatureMatrix& features, int64_t first, int64_t width) {
  require(first >= 0 && width >= 0 && first + width <= features.dimensions,
          "the mask lies within the dimensions");
  mask(features, 0, features.frames, first, width);
}

double augment(Audio& audio, const AugmentOptions& options, uint64_t seed, uint32_t epoch, uint32_t example) {
  // Each change has its own stream: turning one off leaves what the others draw as it was.
  const auto stream = [&](RandomPurpose purpose) { return RandomStream(seed, purpose, epoch, example); };
  const double speed = stream(RandomPurpose::speed).uniform(options.speed_min, options.speed_max);
  const double tempo = stream(RandomPurpose::tempo).uniform(options.tempo_min, options.tempo_max);
  const double pitch = stream(RandomPurpose::pitch).uniform(options.pitch_min, options.pitch_max);
  // Another pitch is a slower tempo played faster, or the other way round.
  change_tempo(audio, tempo / pitch);
  change_speed(audio, speed * pitch);
  if (options.time_shift > 0) {
    const double most = options.time_shift * audio.sample_rate / 1000;
    shift_in_time(audio, std::llround(stream(RandomPurpose::shift).uniform(-most, most)));
  }
  const double gain = stream(RandomPurpose::gain).uniform(options.gain_min, options.gain_max);
  if (gain != 0) change_gain(audio, gain);
  RandomStream noise = stream(RandomPurpose::noise);
  if (noise.uniform() < options.noise_probability) {
    add_noise(audio, noise.uniform(options.noise_snr_min, options.noise_snr_max), noise);
  }
  return stream(RandomPurpose::vocal_tract).uniform(options.vtln_min, options.vtln_max) / pitch;
}

std::pair<double, double> warps(const AugmentOptions& options) {
  return {options.vtln_min / options.pitch_max, options.vtln_max / options.pitch_min};
}

void augment(FeatureMatrix& features, const AugmentOptions& options, uint64_t seed, uint32_t epoch,
             uint32_t example) {
  RandomStream time(seed, RandomPurpose::time_mask, epoch, example);
  for (int i = 0; i < options.time_masks; ++i) {
    const Span span = draw_span(time, features.frames, options.time_mask_width);
    mask_frames(features, span.first, span.width);
  }
  RandomStream frequency(seed, RandomPurpose::frequency_mask, epoch, example);
  for (int i = 0; i < options.frequency_masks; ++i) {
    const Span span = draw_span(frequency, features.dimensions, options.frequency_mask_width);
    mask_dimensions(features, span.first, span.width);
  }
}

}  // namespace lariat::speech
