#include "frontends/speech/features.hpp"

#include <tbb/parallel_for.h>

#include <algorithm>
#include <cmath>
#include <numbers>
#include <string>
#include <vector>

#include "frontends/data/random.hpp"
#include "frontends/speech/analysis/deltas.hpp"
#include "graph/base/error.hpp"
#include "tests/support/testing.hpp"

namespace lariat::features_test {

using namespace lariat::speech;
using lariat::UserError;
using lariat::testing::message_of;

namespace {

// Noise with a slow swell: something that every filter hears.
Audio speech(size_t samples, uint64_t seed = 0) {
  Audio audio{std::vector<float>(samples), 8000};
  lariat::data::RandomStream random(seed, lariat::data::RandomPurpose::noise);
  for (size_t t = 0; t < samples; ++t)
    audio.samples[t] = float((600 + 500 * std::sin(t / 700.0)) * random.normal());
  return audio;
}

}  // namespace

TEST_CASE("features: frame counts at the edges") {
  FeatureOptions options;
  const auto frames = [&](size_t samples) { return compute_features(speech(samples), options).frames; };
  CHECK(frames(200) == 1);
  CHECK(frames(279) == 1);
  CHECK(frames(280) == 2);
  options.snip_edges = false;
  CHECK(frames(40) == 1);
  CHECK(frames(119) == 1);
  CHECK(frames(120) == 2);
  options = {};
  options.kind = FeatureKind::melspectrogram;
  CHECK(frames(129) == 2);
  CHECK(frames(160) == 3);
}

TEST_CASE("features: dimensions follow the options") {
  FeatureOptions options;
  CHECK(FeatureExtractor(options, 8000).dimensions() == 40);
  CHECK(FeatureExtractor(options, 16000).dimensions() == 80);
  options.use_energy = true;
  options.delta_order = 2;
  CHECK(FeatureExtractor(options, 8000).dimensions() == 123);
  options = {};
  options.kind = FeatureKind::mfcc;
  CHECK(FeatureExtractor(options, 8000).dimensions() == 13);
  CHECK(FeatureExtractor(options, 8000).options().num_mel_bins == 23);
  options.kind = FeatureKind::spectrogram;
  CHECK(FeatureExtractor(options, 16000).dimensions() == 257);
  CHECK(FeatureExtractor(options, 16000).options().sample_frequency == 16000);
}

TEST_CASE("features: a sine lands in the mel filter that holds it, with the energy of its samples") {
  Audio audio{std::vector<float>(8000), 8000};
  for (size_t t = 0; t < 8000; ++t)
    audio.samples[t] = float(1000 * std::sin(2 * std::numbers::pi * 1000 * t / 8000));
  FeatureOptions options;
  options.num_mel_bins = 23;
  options.use_energy = true;
  const FeatureMatrix features = compute_features(audio, options);
  const float* row = features.values.data() + 10 * features.dimensions;
  // Σ over 200 samples of (1000 sin)² = 200·10⁶/2
  CHECK(row[0] == doctest::Approx(std::log(1e8)).epsilon(1e-6));
  const double step = (mel_of(4000, MelScale::htk) - mel_of(20, MelScale::htk)) / 24;
  const auto filter = std::lround((mel_of(1000, MelScale::htk) - mel_of(20, MelScale::htk)) / step) - 1;
  CHECK(std::max_element(row + 1, row + 24) - (row + 1) == filter);
  options.htk_compat = true;
  const FeatureMatrix htk = compute_features(audio, options);
  CHECK(htk.values[10 * 24 + 23] == row[0]);
  CHECK(htk.values[10 * 24] == row[1]);
}

TEST_CASE("features: each window is what its formula says") {
  // One sample in a frame: every bin of the power spectrum is the square of it times the window there.
  const auto window_at = [](WindowType type, size_t n) {
    FeatureOptions options;
    options.kind = FeatureKind::spectrogram;
    options.window_type = type;
    options.preemphasis_coefficient = 0;
    options.remove_dc_offset = false;
    Audio audio{std::vector<float>(200), 8000};
    audio.samples[n] = 1000;
    return std::exp(compute_features(audio, options).values[5] / 2) / 1000;
  };
  const struct {
    size_t n;
    double povey, hanning, hamming, blackman;
  } rows[] = {{20, 0.13694545, 0.09642145, 0.16870773, 0.04066186},
              {50, 0.55850479, 0.50394668, 0.54363095, 0.34395665},
              {100, 0.99994704, 0.99993769, 0.99994268, 0.99989782}};
  for (const auto& row : rows) {
    CHECK(window_at(WindowType::povey, row.n) == doctest::Approx(row.povey).epsilon(1e-5));
    CHECK(window_at(WindowType::hanning, row.n) == doctest::Approx(row.hanning).epsilon(1e-5));
    CHECK(window_at(WindowType::hamming, row.n) == doctest::Approx(row.hamming).epsilon(1e-5));
    CHECK(window_at(WindowType::blackman, row.n) == doctest::Approx(row.blackman).epsilon(1e-5));
    CHECK(window_at(WindowType::rectangular, row.n) == doctest::Approx(1).epsilon(1e-5));
  }
}

TEST_CASE("features: power or magnitude, with or without logarithm") {
  Audio audio = speech(1000), loud = audio;
  for (float& sample : loud.samples) sample *= 2;
  const auto ratio = [&](bool power, bool logarithm) {
    FeatureOptions options;
    options.use_power = power;
    options.use_log_fbank = logarithm;
    const float a = compute_features(audio, options).values[100],
                b = compute_features(loud, options).values[100];
    return logarithm ? std::exp(b - a) : b / a;
  };
  CHECK(ratio(true, true) == doctest::Approx(4).epsilon(1e-4));
  CHECK(ratio(true, false) == doctest::Approx(4).epsilon(1e-4));
  CHECK(ratio(false, true) == doctest::Approx(2).epsilon(1e-4));
  CHECK(ratio(false, false) == doctest::Approx(2).epsilon(1e-4));
}

TEST_CASE("features: the energy before and after the window, and its floor") {
  Audio audio{std::vector<float>(200), 8000};
  audio.samples[50] = 1000;
  FeatureOptions options;
  options.use_energy = true;
  options.remove_dc_offset = false;
  options.preemphasis_coefficient = 0;
  options.window_type = WindowType::hanning;
  CHECK(compute_features(audio, options).values[0] == doctest::Approx(std::log(1e6)));
  options.raw_energy = false;
  const double window = 0.5 - 0.5 * std::cos(2 * std::numbers::pi * 50 / 199);
  CHECK(compute_features(audio, options).values[0] == doctest::Approx(std::log(1e6 * window * window)));
  options.energy_floor = 5e6;
  CHECK(compute_features(audio, options).values[0] == doctest::Approx(std::log(5e6)));
}

TEST_CASE("features: HTK's order of cepstra, and the lifter") {
  const Audio audio = speech(2000);
  FeatureOptions options;
  options.kind = FeatureKind::mfcc;
  const FeatureMatrix kaldi = compute_features(audio, options);
  options.htk_compat = true;
  const FeatureMatrix htk = compute_features(audio, options);
  options.htk_compat = false;
  options.cepstral_lifter = 0;
  const FeatureMatrix plain = compute_features(audio, options);
  for (int64_t t = 0; t < kaldi.frames; ++t) {
    const float *k = kaldi.values.data() + t * 13, *h = htk.values.data() + t * 13,
                *p = plain.values.data() + t * 13;
    REQUIRE(h[12] == doctest::Approx(k[0] * std::numbers::sqrt2));
    for (int i = 1; i < 13; ++i) {
      REQUIRE(h[i - 1] == k[i]);
      REQUIRE(k[i] == doctest::Approx(p[i] * (1 + 11 * std::sin(std::numbers::pi * i / 22))).epsilon(1e-4));
    }
  }
}

TEST_CASE("features: deltas of a ramp are its slope, of a parabola its curvature") {
  std::vector<float> rows(40);
  for (int t = 0; t < 20; ++t) {
    rows[2 * t] = 3.0f * t;
    rows[2 * t + 1] = float(t * t);
  }
  const Deltas deltas(2, 2, 2);
  CHECK(deltas.dimensions() == 6);
  CHECK(deltas.context() == 4);
  float row[6];
  deltas.apply(rows.data(), 0, 20, 10, row);
  const float wanted[6] = {30, 100, 3, 20, 0, 2};
  for (int d = 0; d < 6; ++d) CHECK(row[d] == doctest::Approx(wanted[d]));
  // At the end frame 19 stands for those behind it: Δ = (1·(57 - 54) + 2·(57 - 51))/10.
  deltas.apply(rows.data(), 0, 20, 19, row);
  CHECK(row[2] == doctest::Approx(1.5));
}

TEST_CASE("features: utterance CMVN gives mean 0 and variance 1, and each part can be left out") {
  const Audio audio = speech(8000);
  FeatureOptions options;
  const FeatureMatrix raw = compute_features(audio, options);
  const auto moments = [&](bool means, bool vars) {
    options.cmvn = Cmvn::utterance;
    options.norm_means = means;
    options.norm_vars = vars;
    const FeatureMatrix features = compute_features(audio, options);
    double sum = 0, squares = 0;
    for (int64_t t = 0; t < features.frames; ++t) sum += features.values[t * features.dimensions + 7];
    const double mean = sum / features.frames;
    for (int64_t t = 0; t < features.frames; ++t) {
      squares += std::pow(features.values[t * features.dimensions + 7] - mean, 2);
    }
    return std::pair(mean, squares / features.frames);
  };
  const auto [raw_mean, raw_variance] = moments(false, false);
  CHECK(std::abs(raw_mean) > 1);
  CHECK(std::abs(raw_variance - 1) > 0.05);
  const auto [mean, variance] = moments(true, true);
  CHECK(std::abs(mean) < 1e-5);
  CHECK(variance == doctest::Approx(1).epsilon(1e-4));
  const auto [kept_mean, one] = moments(false, true);
  CHECK(kept_mean == doctest::Approx(raw_mean).epsilon(1e-5));
  CHECK(one == doctest::Approx(1).epsilon(1e-4));
  const auto [zero, kept_variance] = moments(true, false);
  CHECK(std::abs(zero) < 1e-5);
  CHECK(kept_variance == doctest::Approx(raw_variance).epsilon(1e-4));
  // Digital silence does not vary: nothing is divided by 0.
  options.norm_means = options.norm_vars = true;
  for (const float value : compute_features({std::vector<float>(4000), 8000}, options).values)
    REQUIRE(value == 0);
}

TEST_CASE("features: voiced CMVN takes its statistics from the loud frames") {
  // Speech, with near silence before and behind.
  Audio audio = speech(8000);
  for (size_t t = 0; t < audio.samples.size(); ++t)
    if (t < 2000 || t >= 7000) audio.samples[t] *= 1e-4f;
  FeatureOptions options;
  options.use_energy = true;  // in front: the energies that tell what is loud
  const FeatureMatrix raw = compute_features(audio, options);
  options.cmvn = Cmvn::voiced;
  options.voiced_threshold = 25;
  const FeatureMatrix features = compute_features(audio, options);
  REQUIRE(features.frames == raw.frames);
  float loudest = raw.values[0];
  for (int64_t t = 0; t < raw.frames; ++t) loudest = std::max(loudest, raw.values[t * raw.dimensions]);
  for (const int64_t d : {0, 5, 40}) {
    std::vector<double> loud;
    for (int64_t t = 0; t < raw.frames; ++t)
      if (raw.values[t * raw.dimensions] >= loudest - 25 * std::log(10.0) / 10)
        loud.push_back(raw.values[t * raw.dimensions + d]);
    REQUIRE(loud.size() > 40);
    REQUIRE(loud.size() < static_cast<size_t>(raw.frames) - 20);
    double mean = 0, variance = 0;
    for (const double value : loud) mean += value / double(loud.size());
    for (const double value : loud) variance += (value - mean) * (value - mean) / double(loud.size());
    for (int64_t t = 0; t < raw.frames; ++t)
      CHECK(features.values[t * raw.dimensions + d] ==
            doctest::Approx((raw.values[t * raw.dimensions + d] - mean) / std::sqrt(variance)).epsilon(1e-4));
  }
  // Trimming takes what is quiet away first.
  options.trim_silence = true;
  options.trim_threshold = 25;
  options.trim_margin = 0;
  CHECK(compute_features(audio, options).frames < features.frames - 20);
}

TEST_CASE("features: filters are warped as Kaldi warps them") {
  MelLayout layout{.filters = 40, .fft_size = 256, .sample_rate = 8000, .low = 20, .high = 4000};
  CHECK(warped(1000, layout) == 1000);
  layout.warp_low = 100;
  layout.warp_high = 3500;
  layout.warp = 0.8;  // between 100 and 2800: f/0.8
  CHECK(warped(1000, layout) == doctest::Approx(1250));
  CHECK(warped(50, layout) == doctest::Approx(20 + 105.0 / 80 * 30));
  CHECK(warped(3400, layout) == doctest::Approx(4000 - 500.0 / 1200 * 600));
  layout.warp = 1.25;  // between 125 and 3500: f/1.25
  CHECK(warped(1000, layout) == doctest::Approx(800));
  CHECK(warped(60, layout) == doctest::Approx(20 + 80.0 / 105 * 40));
  CHECK(warped(3800, layout) == doctest::Approx(4000 - 1200.0 / 500 * 200));
  for (const double edge : {20.0, 4000.0, 10.0, 5000.0}) CHECK(warped(edge, layout) == edge);

  // A tone is seen where one at warp times its frequency is without.
  const auto loudest = [](double hertz, double warp, double own) {
    Audio audio{std::vector<float>(400), 8000};
    for (size_t t = 0; t < 400; ++t)
      audio.samples[t] = float(1000 * std::sin(2 * std::numbers::pi * hertz * t / 8000));
    FeatureOptions options;
    options.vtln_warp = own;
    const std::vector<float> row = FeatureExtractor(options, 8000).extract(audio, warp).values;
    return std::max_element(row.begin(), row.begin() + 40) - row.begin();
  };
  CHECK(loudest(1000, 1, 0.8) == loudest(800, 1, 1));
  CHECK(loudest(1000, 1.25, 1) == loudest(1250, 1, 1));
  CHECK(loudest(1000, 1.25, 0.8) == loudest(1000, 1, 1));
  CHECK(loudest(1000, 1, 1) != loudest(1250, 1, 1));
  const auto refused = [](FeatureKind kind, double warp) {
    FeatureOptions options;
    options.kind = kind;
    return message_of<UserError>([&] { FeatureExtractor(options, 8000).check_warp(warp); });
  };
  CHECK_NOTHROW(FeatureExtractor({}, 8000).check_warp(1.3));
  CHECK(refused(FeatureKind::fbank, 5) == "vtln_warp = 5: must be a number from 0.25 to 4");
  CHECK(refused(FeatureKind::spectrogram, 1.1) ==
        "kind = spectrogram: has no mel filters that could be warped; take another kind");
}

TEST_CASE("features: trimming drops quiet ends, keeps the margin and what is quiet within") {
  Audio audio{std::vector<float>(8000), 8000};
  lariat::data::RandomStream random(1, lariat::data::RandomPurpose::noise);
  for (size_t t = 0; t < 8000; ++t) {
    const bool loud = (t >= 2400 && t < 3200) || (t >= 4800 && t < 5600);
    audio.samples[t] = float((loud ? 3000 : 3) * random.normal());
  }
  FeatureOptions options;
  const FeatureMatrix whole = compute_features(audio, options);
  options.trim_silence = true;
  options.trim_margin = 0;
  const FeatureMatrix trimmed = compute_features(audio, options);
  // The first frame that reaches sample 2400 by more than 1e-4 of a frame starts at 2240; the last starts at
  // 5520.
  CHECK(trimmed.frames == 5520 / 80 - 2240 / 80 + 1);
  CHECK(std::equal(trimmed.values.begin(), trimmed.values.end(), whole.values.begin() + 2240 / 80 * 40));
  options.trim_margin = 5;
  CHECK(compute_features(audio, options).frames == trimmed.frames + 10);
  options.trim_margin = 1000;
  CHECK(compute_features(audio, options).frames == whole.frames);
  options.trim_margin = 5;
  options.trim_threshold = 100;
  CHECK(compute_features(audio, options).frames == whole.frames);
  // Silence throughout is not quiet compared with itself.
  CHECK(compute_features({std::vector<float>(8000), 8000}, options).frames == whole.frames);
}

TEST_CASE("features: dither is off by default, seeded when on, and of the size asked for") {
  const Audio silence{std::vector<float>(80000), 8000};
  FeatureOptions options;
  options.num_mel_bins = 23;
  options.use_energy = true;
  CHECK(compute_features(silence, options).values[0] == doctest::Approx(std::log(0x1p-23)));
  options.dither = 2;
  const FeatureMatrix first = compute_features(silence, options), again = compute_features(silence, options);
  CHECK(first.values == again.values);
  double energy = 0;
  for (int64_t t = 0; t < first.frames; ++t) energy += std::exp(first.values[t * first.dimensions]);
  CHECK(energy / first.frames / 200 == doctest::Approx(4).epsilon(0.03));
  options.dither_seed = 1;
  CHECK(compute_features(silence, options).values != first.values);
}

TEST_CASE("features: a stream gives the bits of the whole, however it is cut") {
  const Audio audio = speech(5000);
  for (const char* text :
       {R"({})", R"({"kind": "mfcc", "delta_order": 2, "use_energy": true})",
        R"({"kind": "spectrogram", "dither": 1})", R"({"delta_order": 1, "delta_window": 9})",
        R"({"frame_length": 5, "frame_shift": 20, "num_mel_bins": 10, "n_fft": 256})"}) {
    INFO(text);
    const FeatureExtractor extractor(feature_option_table().from_json(text), 8000);
    const FeatureMatrix whole = extractor.extract(audio);
    StreamingExtractor stream(extractor);
    // The second round shows that finish() leaves nothing behind.
    for (const size_t chunk : {size_t{1}, size_t{7}, size_t{80}, size_t{333}, size_t{5000}, size_t{1}}) {
      FeatureMatrix joined;
      const auto append = [&](const FeatureMatrix& part) {
        REQUIRE(part.dimensions == whole.dimensions);
        REQUIRE(static_cast<int64_t>(part.values.size()) == part.frames * part.dimensions);
        joined.frames += part.frames;
        joined.values.insert(joined.values.end(), part.values.begin(), part.values.end());
      };
      int64_t early = 0;
      for (size_t begin = 0; begin < 5000; begin += chunk) {
        append(stream.push(std::span(audio.samples).subspan(begin, std::min(chunk, 5000 - begin))));
        early = joined.frames;
      }
      append(stream.finish());
      CHECK(early > 0);
      CHECK(joined.frames == whole.frames);
      CHECK(joined.values == whole.values);
    }
  }
}

TEST_CASE("features: what a stream cannot know is refused") {
  const auto message = [](const char* text) {
    const FeatureExtractor extractor(feature_option_table().from_json(text), 8000);
    return message_of<UserError>([&] { StreamingExtractor stream(extractor); });
  };
  CHECK(message(R"({"snip_edges": false})") ==
        "snip_edges = false: must be true in a stream, which never sees the whole utterance");
  CHECK(message(R"({"trim_silence": true})") ==
        "trim_silence = true: must be false in a stream, which never sees the whole utterance");
  CHECK(message(R"({"cmvn": "utterance"})") ==
        "cmvn = utterance: must be none or global in a stream, which never sees the whole utterance");
  CHECK(message(R"({"cmvn": "voiced"})") ==
        "cmvn = voiced: must be none or global in a stream, which never sees the whole utterance");
  CHECK(message(R"({"kind": "melspectrogram"})") ==
        "kind = melspectrogram: must be one of fbank, mfcc, spectrogram in a stream, which never sees the "
        "whole "
        "utterance");
}

TEST_CASE("features: audio that does not fit is refused by name") {
  Audio audio = speech(199);
  audio.source = "seven.wav";
  FeatureOptions options;
  CHECK(message_of<UserError>([&] { compute_features(audio, options); }) ==
        "seven.wav: too short: 199 samples at 8000 Hz where features take at least 200; record more or leave "
        "it out");
  audio.source.clear();
  options.snip_edges = false;
  CHECK(compute_features(audio, options).frames == 2);
  audio.samples.resize(39);
  CHECK(message_of<UserError>([&] { compute_features(audio, options); }) ==
        "the audio: too short: 39 samples at 8000 Hz where features take at least 40; record more or leave "
        "it out");
  options = {};
  options.kind = FeatureKind::melspectrogram;
  audio.samples.resize(128);
  CHECK(message_of<UserError>([&] { compute_features(audio, options); }) ==
        "the audio: too short: 128 samples at 8000 Hz where features take at least 129; record more or leave "
        "it out");
  options = {};
  options.sample_frequency = 16000;
  audio.source = "seven.wav";
  CHECK(message_of<UserError>([&] { compute_features(audio, options); }) ==
        "seven.wav: has 8000 Hz where sample_frequency = 16000; resample it or set sample_frequency = 8000");
  audio.sample_rate = 8000;
  audio.samples.assign(400, 0);
  for (size_t t = 200; t < 400; ++t) audio.samples[t] = t % 2 == 0 ? 3e38f : -3e38f;
  const std::string too_large = ": its samples are too large; scale it down or leave it out";
  CHECK(message_of<UserError>([&] { compute_features(audio, {.use_log_fbank = false}); }) ==
        "seven.wav: frame 1 gives a feature that is not finite" + too_large);
  CHECK(message_of<UserError>([&] {
          compute_features(audio, {.cmvn = Cmvn::utterance});
        }).ends_with(too_large));
}

TEST_CASE("features: an extractor that threads share gives what one thread gets") {
  const FeatureExtractor extractor({}, 8000);
  std::vector<Audio> recordings;
  for (size_t i = 0; i < 64; ++i) recordings.push_back(speech(1000 + 37 * i, i));
  std::vector<FeatureMatrix> serial, parallel(recordings.size());
  for (const Audio& audio : recordings) serial.push_back(extractor.extract(audio));
  tbb::parallel_for(size_t{0}, recordings.size(),
                    [&](size_t i) { parallel[i] = extractor.extract(recordings[i]); });
  for (size_t i = 0; i < recordings.size(); ++i) CHECK(parallel[i].values == serial[i].values);
}

}  // namespace lariat::features_test
