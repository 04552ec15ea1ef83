// The band-pass filter of [features].
#include <cmath>
#include <complex>
#include <numbers>

#include "frontends/speech/analysis/band_pass.hpp"
#include "frontends/speech/features.hpp"
#include "graph/base/error.hpp"
#include "tests/support/testing.hpp"
#include "tests/support/toy_runs.hpp"

namespace lariat::band_pass_test {

using namespace lariat::speech;
using lariat::testing::message_of;

namespace {

// |H| at `frequency`, from the answer to one sample of 1.
double gain(double low, double high, int order, double frequency) {
  std::vector<float> response(8000);
  response[0] = 1;
  BandPass(low, high, order, 8000).apply(response);
  std::complex<double> sum = 0;
  for (size_t t = 0; t < response.size(); ++t)
    sum += double(response[t]) * std::polar(1.0, -2 * std::numbers::pi * frequency * double(t) / 8000);
  return std::abs(sum);
}

// Butterworth's 1/√(1 + (Ω/Ω₀)²ⁿ), Ω = tan(πf/8000).
double butterworth(double ratio, int order) { return 1 / std::sqrt(1 + std::pow(ratio, 2 * order)); }
double warped(double frequency) { return std::tan(std::numbers::pi * frequency / 8000); }

std::string refusal(const char* json) {
  return message_of<UserError>([&] { resolve(feature_option_table().from_json(json), 8000); });
}

}  // namespace

TEST_CASE("band-pass: both filters have Butterworth's response") {
  for (const int order : {2, 4, 8})
    for (const double frequency : {50.0, 100.0, 400.0, 1000.0, 3000.0, 3600.0}) {
      CAPTURE(order);
      CAPTURE(frequency);
      const double low = butterworth(warped(200) / warped(frequency), order),
                   high = butterworth(warped(frequency) / warped(3000), order);
      CHECK(gain(200, 0, order, frequency) == doctest::Approx(low).epsilon(1e-3).scale(1e-3));
      CHECK(gain(0, 3000, order, frequency) == doctest::Approx(high).epsilon(1e-3).scale(1e-3));
      CHECK(gain(200, 3000, order, frequency) == doctest::Approx(low * high).epsilon(1e-3).scale(1e-3));
    }
  CHECK(BandPass(0, 0, 4, 8000).is_empty());
}

TEST_CASE("band-pass: features of filtered audio, whole and in pieces") {
  const Audio audio = lariat::testing::noisy_tone(3, 1, 4000);
  Audio filtered = audio;
  BandPass(200, 3000, 4, 8000).apply(filtered.samples);
  const FeatureOptions with{.band_low = 200, .band_high = 3000};
  const FeatureMatrix expected = compute_features(filtered, {}), found = compute_features(audio, with);
  CHECK(found.values == expected.values);
  CHECK(found.values != compute_features(audio, {}).values);

  const FeatureExtractor extractor(with, 8000);
  StreamingExtractor stream(extractor);
  for (int round = 0; round < 2; ++round) {
    std::vector<float> values;
    const auto take = [&](const FeatureMatrix& part) {
      values.insert(values.end(), part.values.begin(), part.values.end());
    };
    for (size_t begin = 0; begin < audio.samples.size(); begin += 333)
      take(stream.push(
          std::span(audio.samples).subspan(begin, std::min<size_t>(333, audio.samples.size() - begin))));
    take(stream.finish());
    CHECK(values == found.values);
  }
}

TEST_CASE("band-pass: edges that cannot be") {
  CHECK(refusal(R"({"band_low": 4000})") ==
        "band_low = 4000: must be 0 or a number below 4000, the Nyquist frequency");
  CHECK(refusal(R"({"band_low": 300, "band_high": 200})") ==
        "band_high = 200: must be 0 or a number between 300 (band_low) and 4000, the Nyquist frequency");
  CHECK(refusal(R"({"band_high": 5000})") ==
        "band_high = 5000: must be 0 or a number between 0 (band_low) and 4000, the Nyquist frequency");
  CHECK(refusal(R"({"band_low": 300, "band_order": 3})") ==
        "band_order = 3: must be an even number from 2 to 16");
  CHECK(refusal(R"({"band_order": 2})") ==
        "band_order = 2: has no effect without band_low or band_high; leave it out");
}

}  // namespace lariat::band_pass_test
