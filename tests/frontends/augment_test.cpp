#include "frontends/speech/augment.hpp"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <set>

#include "graph/base/error.hpp"
#include "tests/support/testing.hpp"

namespace lariat::augment_test {

using namespace lariat::speech;
using lariat::UserError;
using lariat::data::RandomPurpose;
using lariat::data::RandomStream;
using lariat::testing::message_of;

namespace {

Audio sine(double hertz, size_t count) {
  Audio audio{std::vector<float>(count), 8000};
  for (size_t t = 0; t < count; ++t)
    audio.samples[t] = float(1000 * std::sin(2 * std::numbers::pi * hertz * t / 8000));
  return audio;
}

double power_of(const std::vector<float>& samples) {
  double sum = 0;
  for (const float sample : samples) sum += double(sample) * sample;
  return sum / double(samples.size());
}

// Rising zero crossings.
int periods_of(const std::vector<float>& samples) {
  int count = 0;
  for (size_t t = 1; t < samples.size(); ++t) count += samples[t - 1] < 0 && samples[t] >= 0;
  return count;
}

// value = 100·frame + dimension
FeatureMatrix grid(int64_t frames, int64_t dimensions) {
  FeatureMatrix features{frames, dimensions, {}};
  for (int64_t t = 0; t < frames; ++t)
    for (int64_t d = 0; d < dimensions; ++d) features.values.push_back(float(100 * t + d));
  return features;
}

AugmentOptions everything() {
  AugmentOptions options;
  options.speed_min = 0.9;
  options.speed_max = 1.1;
  options.time_shift = 50;
  options.pitch_min = options.vtln_min = 0.9;
  options.pitch_max = options.vtln_max = 1.1;
  options.gain_min = -6;
  options.gain_max = 6;
  options.noise_probability = 1;
  options.time_masks = options.frequency_masks = 2;
  return options;
}

}  // namespace

TEST_CASE("augment: speed changes length and pitch together") {
  Audio audio = sine(500, 8000);
  change_speed(audio, 1.25);
  CHECK(audio.samples.size() == 6400);
  CHECK(std::abs(periods_of(audio.samples) - 500) <= 2);
  CHECK(power_of(audio.samples) == doctest::Approx(5e5).epsilon(0.02));
  audio = sine(500, 8000);
  change_speed(audio, 1);
  CHECK(audio.samples == sine(500, 8000).samples);
}

TEST_CASE("augment: tempo changes length alone, pitch pitch alone") {
  for (const double factor : {0.8, 1.25}) {
    Audio audio = sine(200, 8000);
    change_tempo(audio, factor);
    CHECK(audio.samples.size() == std::llround(8000 / factor));
    CHECK(std::abs(periods_of(audio.samples) - 200 / factor) <= 3);
    CHECK(power_of(audio.samples) == doctest::Approx(5e5).epsilon(0.05));
    audio = sine(200, 8000);
    AugmentOptions pitch;
    pitch.pitch_min = pitch.pitch_max = factor;
    CHECK(augment(audio, pitch, 0, 0, 0) == doctest::Approx(1 / factor));
    CHECK(std::abs(std::ssize(audio.samples) - 8000) <= 1);
    CHECK(std::abs(periods_of(audio.samples) - 200 * factor) <= 3);
    CHECK(power_of(audio.samples) == doctest::Approx(5e5).epsilon(0.05));
  }
  // Windows that lie over each other sum to 1: what does not change keeps its bits but for rounding.
  Audio constant{std::vector<float>(3001, 100), 8000};
  change_tempo(constant, 1.1);
  for (size_t t = 0; t < constant.samples.size() - 400; ++t)
    REQUIRE(constant.samples[t] == doctest::Approx(100).epsilon(1e-5));
  Audio same = sine(500, 4000);
  change_tempo(same, 1);
  CHECK(same.samples == sine(500, 4000).samples);
  Audio shortest{{7}, 8000}, none{{}, 8000};
  change_tempo(shortest, 0.5);
  CHECK(shortest.samples.size() == 2);
  change_tempo(none, 0.5);
  CHECK(none.samples.empty());
}

TEST_CASE("augment: features are warped for the vocal tract, and against what pitch does to formants") {
  AugmentOptions options;
  options.vtln_min = 0.9;
  options.vtln_max = 1.2;
  options.pitch_min = 0.8;
  options.pitch_max = 1.25;
  CHECK(warps(options).first == doctest::Approx(0.72));
  CHECK(warps(options).second == doctest::Approx(1.5));
  double least = 9, most = 0;
  for (uint32_t example = 0; example < 300; ++example) {
    Audio audio = sine(500, 800);
    const double warp = augment(audio, options, 0, 0, example);
    least = std::min(least, warp);
    most = std::max(most, warp);
    // What pitch was drawn says how much of the warp is the tract's.
    const double pitch = RandomStream(0, RandomPurpose::pitch, 0, example).uniform(0.8, 1.25);
    const double tract = RandomStream(0, RandomPurpose::vocal_tract, 0, example).uniform(0.9, 1.2);
    CHECK(warp == doctest::Approx(tract / pitch));
  }
  CHECK(least < 0.78);
  CHECK(most > 1.4);
  Audio audio = sine(500, 800);
  CHECK(augment(audio, {}, 0, 0, 0) == 1);
  CHECK(warps({}) == std::pair(1.0, 1.0));
}

TEST_CASE("augment: a shift wraps around, either way") {
  Audio audio{{1, 2, 3, 4, 5}, 8000};
  shift_in_time(audio, 2);
  CHECK(audio.samples == std::vector<float>{4, 5, 1, 2, 3});
  shift_in_time(audio, -2);
  CHECK(audio.samples == std::vector<float>{1, 2, 3, 4, 5});
  shift_in_time(audio, -11);
  CHECK(audio.samples == std::vector<float>{2, 3, 4, 5, 1});
  shift_in_time(audio, 5);
  CHECK(audio.samples == std::vector<float>{2, 3, 4, 5, 1});
}

TEST_CASE("augment: gain and noise are of the size asked for") {
  Audio audio = sine(500, 8000);
  change_gain(audio, 20);
  CHECK(power_of(audio.samples) == doctest::Approx(5e7).epsilon(1e-4));
  const Audio clean = sine(500, 80000);
  Audio noisy = clean;
  RandomStream random(1, RandomPurpose::noise);
  add_noise(noisy, 10, random);
  std::vector<float> noise(clean.samples.size());
  for (size_t t = 0; t < noise.size(); ++t) noise[t] = noisy.samples[t] - clean.samples[t];
  CHECK(power_of(noise) == doctest::Approx(5e4).epsilon(0.03));
  Audio silence{std::vector<float>(100), 8000};
  add_noise(silence, 10, random);
  CHECK(power_of(silence.samples) == 0);
}

TEST_CASE("augment: masks take the mean of their dimension and touch nothing else") {
  FeatureMatrix features = grid(10, 4);
  mask_frames(features, 2, 3);
  for (int64_t t = 0; t < 10; ++t)
    for (int64_t d = 0; d < 4; ++d) {
      CHECK(features.values[t * 4 + d] == (t >= 2 && t < 5 ? 450 + d : 100 * t + d));
    }
  features = grid(10, 4);
  mask_dimensions(features, 1, 2);
  for (int64_t t = 0; t < 10; ++t)
    for (int64_t d = 0; d < 4; ++d) {
      CHECK(features.values[t * 4 + d] == (d == 1 || d == 2 ? 450 + d : 100 * t + d));
    }
}

TEST_CASE("augment: masks stay within their width, and reach every place") {
  AugmentOptions options;
  options.time_masks = 1;
  options.time_mask_width = 3;
  std::set<int64_t> widths, places;
  for (uint32_t example = 0; example < 300; ++example) {
    FeatureMatrix features = grid(20, 1);
    augment(features, options, 0, 0, example);
    int64_t width = 0, first = -1, last = -1;
    for (int64_t t = 0; t < 20; ++t) {
      if (features.values[t] == 100 * t) continue;
      places.insert(t);
      ++width;
      if (first < 0) first = t;
      last = t;
    }
    widths.insert(width);
    if (width > 0) CHECK(last - first + 1 == width);
  }
  CHECK(widths == std::set<int64_t>{0, 1, 2, 3});
  CHECK(places.size() == 20);
  // At most half of a short clip is masked.
  options.time_mask_width = 1000;
  for (uint32_t example = 0; example < 50; ++example) {
    FeatureMatrix features = grid(5, 1);
    augment(features, options, 0, 0, example);
    int masked = 0;
    for (int64_t t = 0; t < 5; ++t) masked += features.values[t] != 100 * t;
    CHECK(masked <= 2);
  }
  FeatureMatrix one = grid(1, 1);
  augment(one, options, 0, 0, 0);
  CHECK(one.values == grid(1, 1).values);
}

TEST_CASE("augment: seed, epoch and example decide, nothing else") {
  const auto audio_of = [](const AugmentOptions& options, uint64_t seed, uint32_t epoch, uint32_t example) {
    Audio audio = sine(500, 4000);
    augment(audio, options, seed, epoch, example);
    return audio.samples;
  };
  const AugmentOptions options = everything();
  const auto base = audio_of(options, 1, 2, 3);
  CHECK(audio_of(options, 1, 2, 3) == base);
  CHECK(audio_of(options, 2, 2, 3) != base);
  CHECK(audio_of(options, 1, 3, 3) != base);
  CHECK(audio_of(options, 1, 2, 4) != base);
  CHECK(audio_of(options, 1, 3, 2) != base);
  CHECK(audio_of({}, 1, 2, 3) == sine(500, 4000).samples);
  FeatureMatrix features = grid(20, 20);
  augment(features, {}, 1, 2, 3);
  CHECK(features.values == grid(20, 20).values);
  // Without noise, gain and shift the same speed is drawn as with them.
  AugmentOptions speed;
  speed.speed_min = options.speed_min;
  speed.speed_max = options.speed_max;
  // (pitch leaves the length as it is, but for rounding)
  CHECK(std::abs(std::ssize(audio_of(speed, 1, 2, 3)) - std::ssize(base)) <= 1);
  CHECK(base.size() != 4000);
}

TEST_CASE("augment: each range is used in full") {
  double slowest = 10, fastest = 0;
  int noisy = 0;
  for (uint32_t example = 0; example < 400; ++example) {
    Audio audio = sine(500, 4000);
    AugmentOptions only_noise;
    only_noise.noise_probability = 0.25;
    augment(audio, only_noise, 0, 0, example);
    noisy += audio.samples != sine(500, 4000).samples;
    audio = sine(500, 4000);
    AugmentOptions only_speed;
    only_speed.speed_min = 0.9;
    only_speed.speed_max = 1.1;
    augment(audio, only_speed, 0, 0, example);
    const double speed = 4000 / double(audio.samples.size());
    slowest = std::min(slowest, speed);
    fastest = std::max(fastest, speed);
  }
  CHECK(slowest >= 0.8999);
  CHECK(slowest < 0.905);
  CHECK(fastest <= 1.1001);
  CHECK(fastest > 1.095);
  CHECK(std::abs(noisy - 100) < 30);
}

TEST_CASE("augment: impossible values") {
  const auto message = [](void (*change)(AugmentOptions&)) {
    AugmentOptions options;
    change(options);
    return message_of<UserError>([&] { check(options); });
  };
  CHECK(message([](AugmentOptions& o) { o.speed_min = 1.2; }) ==
        "speed_min = 1.2: must be at most speed_max = 1");
  CHECK(message([](AugmentOptions& o) { o.tempo_min = 1.2; }) ==
        "tempo_min = 1.2: must be at most tempo_max = 1");
  CHECK(message([](AugmentOptions& o) { o.pitch_max = 0.9; }) ==
        "pitch_min = 1: must be at most pitch_max = 0.9");
  CHECK(message([](AugmentOptions& o) { o.vtln_min = 1.2; }) ==
        "vtln_min = 1.2: must be at most vtln_max = 1");
  CHECK(message([](AugmentOptions& o) { o.gain_min = 3; }) == "gain_min = 3: must be at most gain_max = 0");
  CHECK(message([](AugmentOptions& o) { o.noise_snr_min = 40; }) ==
        "noise_snr_min = 40: must be at most noise_snr_max = 30");
  CHECK(message([](AugmentOptions& o) { o.speed_max = 5; }) ==
        "speed_max = 5: must be a number from 0.25 to 4");
  CHECK(message([](AugmentOptions& o) { o.time_masks = -1; }) ==
        "time_masks = -1: must be an integer from 0 to 100");
}

}  // namespace lariat::augment_test
