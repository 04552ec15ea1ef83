#include <algorithm>
#include <array>
#include <cmath>
#include <complex>
#include <cstring>
#include <numbers>
#include <span>
#include <vector>

#include "frontends/data/random.hpp"
#include "frontends/speech/analysis/fft.hpp"
#include "frontends/speech/analysis/lanes.hpp"
#include "frontends/speech/features.hpp"
#include "tests/support/testing.hpp"

namespace lariat::frame_analysis_test {

using namespace lariat::speech;

namespace {

std::vector<float> noise(int64_t count, uint64_t seed = 0, double scale = 1000) {
  lariat::data::RandomStream random(seed, lariat::data::RandomPurpose::noise);
  std::vector<float> samples;
  for (int64_t t = 0; t < count; ++t) samples.push_back(float(std::round(scale * random.normal())));
  return samples;
}

// |Σ_j x_j e^(-2πi·jk/n)|² as it is written.
long double power_of(std::span<const float> x, int64_t k) {
  std::complex<long double> sum = 0;
  for (size_t j = 0; j < x.size(); ++j) {
    const size_t turn = j * static_cast<size_t>(k) % x.size();
    sum += static_cast<long double>(x[j]) *
           std::polar(1.0L, -2 * std::numbers::pi_v<long double> * turn / x.size());
  }
  return std::norm(sum);
}

FeatureOptions options_of(const char* text) { return feature_option_table().from_json(text); }

}  // namespace

TEST_CASE("lanes: rows of any length and number go in and come out") {
  for (int64_t count = 1; count <= lane_count; ++count) {
    for (int64_t length = 1; length <= 3 * lane_count + 1; ++length) {
      const int64_t stride = 5;  // rows overlap, as frames do
      const std::vector<float> rows = noise((count - 1) * stride + length);
      std::vector<Lanes> lanes(static_cast<size_t>(length));
      load_lanes(rows.data(), stride, count, length, lanes.data());
      for (int64_t t = 0; t < length; ++t) {
        alignas(Lanes) double column[lane_count];
        lanes[static_cast<size_t>(t)].store_aligned(column);
        for (int64_t j = 0; j < lane_count; ++j)
          REQUIRE(column[j] == rows[static_cast<size_t>(std::min(j, count - 1) * stride + t)]);
      }
      std::vector<float> out(static_cast<size_t>(count * length + 1), -1);
      store_lanes(lanes.data(), count, length, out.data());
      for (int64_t j = 0; j < count; ++j) {
        REQUIRE(std::equal(rows.begin() + j * stride, rows.begin() + j * stride + length,
                           out.begin() + j * length));
      }
      REQUIRE(out.back() == -1);
    }
  }
}

TEST_CASE("fft: the power spectrum is that of the formula, for every kind of size") {
  std::vector<int> sizes = {128, 200, 240, 256, 314, 400, 480, 512, 1024, 2048};
  for (int size = 2; size <= 66; size += 2) sizes.push_back(size);
  for (const int size : sizes) {
    INFO(size);
    const auto bins = static_cast<size_t>(size / 2 + 1);
    std::vector<float> rows = noise(lane_count * size, static_cast<uint64_t>(size));
    // The first lane is a million times as large as the others: none leaks into another.
    for (size_t i = 0; i < rows.size() / lane_count; ++i) rows[i] *= 1e6f;
    std::vector<Lanes> samples(static_cast<size_t>(size)), work(samples), power(bins);
    load_lanes(rows.data(), size, lane_count, size, samples.data());
    RealFft(size).power_spectrum(samples.data(), work.data(), power.data());
    for (const int64_t j : {int64_t{0}, lane_count - 1}) {
      const std::span row(rows.data() + j * size, static_cast<size_t>(size));
      std::vector<long double> wanted;
      for (size_t k = 0; k < bins; ++k) wanted.push_back(power_of(row, static_cast<int64_t>(k)));
      const long double largest = *std::max_element(wanted.begin(), wanted.end());
      for (size_t k = 0; k < bins; ++k) {
        alignas(Lanes) double got[lane_count];
        std::memcpy(got, &power[k], sizeof(got));
        REQUIRE(std::abs(got[j] - wanted[k]) <= 1e-14 * largest);
      }
    }
  }
}

TEST_CASE("features: a frame's bits depend neither on its neighbours nor on its place among them") {
  const Audio audio{noise(200 + 80 * 40), 8000};
  for (const char* text :
       {R"({})", R"({"kind": "mfcc", "use_energy": true, "raw_energy": false})", R"({"kind": "spectrogram"})",
        R"({"use_power": false, "n_fft": 314, "num_mel_bins": 23})"}) {
    INFO(text);
    const FeatureExtractor extractor(options_of(text), 8000);
    const FeatureMatrix whole = extractor.extract(audio);
    for (int64_t t = 0; t < whole.frames; ++t) {
      const auto begin = audio.samples.begin() + 80 * t;
      const FeatureMatrix alone = extractor.extract({std::vector<float>(begin, begin + 200), 8000});
      REQUIRE(alone.frames == 1);
      REQUIRE(
          std::equal(alone.values.begin(), alone.values.end(), whole.values.begin() + t * whole.dimensions));
    }
  }
}

TEST_CASE("features: a large offset changes nothing") {
  Audio audio{noise(4000, 1, 20), 8000}, shifted = audio;
  for (float& sample : shifted.samples) sample += 10000;
  for (const char* text : {R"({"use_energy": true})", R"({"kind": "mfcc"})",
                           R"({"kind": "spectrogram", "trim_silence": true})"}) {
    INFO(text);
    const FeatureMatrix wanted = compute_features(audio, options_of(text)),
                        got = compute_features(shifted, options_of(text));
    REQUIRE(got.frames == wanted.frames);
    for (size_t i = 0; i < got.values.size(); ++i)
      REQUIRE(got.values[i] == doctest::Approx(wanted.values[i]).epsilon(1e-6));
  }
}

TEST_CASE("features: frames over the ends see the audio mirrored, however short it is") {
  for (const int64_t count : {int64_t{45}, int64_t{119}, int64_t{121}, int64_t{500}}) {
    INFO(count);
    const Audio audio{noise(count), 8000};
    const FeatureMatrix got = compute_features(audio, options_of(R"({"snip_edges": false})"));
    // The first frame is centred on sample 40: it starts at -60.
    Audio mirrored{{}, 8000};
    for (int64_t t = -60; t < -60 + 80 * (got.frames - 1) + 200; ++t) {
      const int64_t place = (t + 100 * count) % (2 * count);
      mirrored.samples.push_back(
          audio.samples[static_cast<size_t>(place < count ? place : 2 * count - 1 - place)]);
    }
    CHECK(compute_features(mirrored, {}).values == got.values);
  }
}

}  // namespace lariat::frame_analysis_test
