#include "frontends/speech/analysis/feature_options.hpp"

#include <limits>
#include <set>
#include <string>

#include "frontends/speech/augment.hpp"
#include "graph/base/error.hpp"
#include "tests/support/testing.hpp"

namespace lariat::feature_options_test {

using namespace lariat::speech;
using lariat::UserError;
using lariat::testing::message_of;

namespace {

std::string refusal(const char* json, int rate = 8000) {
  return message_of<UserError>([&] { resolve(feature_option_table().from_json(json), rate); });
}

// A value of the option's range other than the default.
template <class Options>
std::string other_value(const lariat::data::Option<Options>& option) {
  if (option.type == "boolean") return option.default_value == "true" ? "false" : "true";
  if (option.type == "choice") return option.range.substr(option.range.rfind(' ') + 1);
  return option.default_value == "1" ? "2" : "1";
}

template <class Options>
void check_table(const lariat::data::OptionTable<Options>& table, size_t count) {
  std::set<std::string> names;
  for (const auto& option : table.options()) {
    INFO(option.name);
    names.insert(option.name);
    CHECK_FALSE(option.doc.empty());
    CHECK_FALSE(option.range.empty());
    CHECK(option.get(Options{}) == option.default_value);
    Options options;
    const std::string value = other_value(option);
    CHECK(value != option.default_value);
    table.set(options, lariat::data::flag_of(option.name), value);
    CHECK(option.get(options) == value);
    // No other option moved, and JSON brings the same options back.
    for (const auto& other : table.options()) {
      CHECK((other.get(options) == other.default_value) == (other.name != option.name));
    }
    const Options back = table.from_json(table.to_json(options));
    for (const auto& other : table.options()) CHECK(other.get(back) == other.get(options));
  }
  CHECK(names.size() == count);
}

}  // namespace

TEST_CASE("options: every feature option has a name, a default, a range, and travels through text and JSON") {
  check_table(feature_option_table(), 40);
}

TEST_CASE("options: every augmentation option likewise") { check_table(augment_option_table(), 18); }

TEST_CASE("options: flags and keys name the same option") {
  FeatureOptions options;
  feature_option_table().set(options, "--num-mel-bins", "64");
  CHECK(options.num_mel_bins == 64);
  feature_option_table().set(options, "num_mel_bins", "32");
  CHECK(options.num_mel_bins == 32);
  feature_option_table().set(options, "window_type", "hamming");
  CHECK(options.window_type == WindowType::hamming);
  CHECK(lariat::data::flag_of("num_mel_bins") == "--num-mel-bins");
  CHECK(lariat::data::key_of("--num-mel-bins") == "num_mel_bins");
}

TEST_CASE("options: a bad value names key, value and range") {
  const auto message = [](const char* name, const char* value) {
    FeatureOptions options;
    return message_of<UserError>([&] { feature_option_table().set(options, name, value); });
  };
  CHECK(message("num_mel_bins", "abc") == "num_mel_bins = abc: must be an integer from 0 to 4096");
  CHECK(message("num_mel_bins", "40.5") == "num_mel_bins = 40.5: must be an integer from 0 to 4096");
  CHECK(message("num_mel_bins", "-1") == "num_mel_bins = -1: must be an integer from 0 to 4096");
  CHECK(message("num_mel_bins", "99999999999999999999") ==
        "num_mel_bins = 99999999999999999999: must be an integer from 0 to 4096");
  CHECK(message("num_mel_bins", "") == "num_mel_bins = '': must be an integer from 0 to 4096");
  CHECK(message("preemphasis_coefficient", "1.5") ==
        "preemphasis_coefficient = 1.5: must be a number from 0 to 1");
  CHECK(message("preemphasis_coefficient", "nan") ==
        "preemphasis_coefficient = nan: must be a number from 0 to 1");
  CHECK(message("preemphasis_coefficient", "0,97") ==
        "preemphasis_coefficient = 0,97: must be a number from 0 to 1");
  CHECK(message("low_freq", "-20") == "low_freq = -20: must be a number from 0");
  CHECK(message("high_freq", "inf") == "high_freq = inf: must be a number");
  CHECK(message("snip_edges", "maybe") == "snip_edges = maybe: must be true or false");
  CHECK(message("window_type", "hannning") ==
        "window_type = hannning: must be one of povey, hanning, hamming, blackman, rectangular. Did you mean "
        "'hanning'?");
  CHECK(message("cmvn", "") == "cmvn = '': must be one of none, utterance, global, voiced");
  CHECK(message("num_mel_bin", "40") == "unknown option 'num_mel_bin'. Did you mean 'num_mel_bins'?");
  CHECK(message("--num-mel-bin", "40") == "unknown option '--num-mel-bin'. Did you mean '--num-mel-bins'?");
}

TEST_CASE("options: JSON that is none, or holds what is no option") {
  const auto message = [](const char* text) {
    return message_of<UserError>([&] { feature_option_table().from_json(text); });
  };
  CHECK(message("[1, 2]") == "the options are not a JSON object such as {\"num_mel_bins\": 40}");
  CHECK(message("{\"num_mel_bins\": ") == "the options are not a JSON object such as {\"num_mel_bins\": 40}");
  CHECK(message("{\"dithr\": 1}") == "unknown option 'dithr'. Did you mean 'dither'?");
  CHECK(message("{\"num_mel_bins\": [40]}") == "num_mel_bins = [40]: must be an integer from 0 to 4096");
}

TEST_CASE("options: impossible combinations") {
  CHECK(message_of<UserError>([] { resolve({}, 0); }) ==
        "sample_frequency = 0: must be known here; give an integer from 1 to 768000, such as 8000");
  CHECK(message_of<UserError>([] { resolve({}, 2147483647); }) ==
        "sample_frequency = 2147483647: must be an integer from 0 to 768000");
  CHECK(refusal(R"({"low_freq": 3999.9})") ==
        "num_mel_bins = 40: 40 of the filters would be empty at 8000 Hz with an FFT of 256 points; lower "
        "low_freq, raise high_freq or lengthen the frames");
  CHECK(refusal(R"({"low_freq": 4000})") ==
        "low_freq = 4000: must be a number from 0 to below 4000, the Nyquist frequency");
  CHECK(refusal(R"({"high_freq": 5000})") ==
        "high_freq = 5000: must be a number from above 20 (low_freq) to 4000, the Nyquist frequency");
  CHECK(refusal(R"({"high_freq": -3990})") ==
        "high_freq = 10: must be a number from above 20 (low_freq) to 4000, the Nyquist frequency");
  CHECK(refusal(R"({"num_mel_bins": 128})") ==
        "num_mel_bins = 128: 4 of the filters would be empty at 8000 Hz with an FFT of 256 points; must be "
        "an integer "
        "from 1 to 95, or lengthen the frames");
  CHECK(refusal(R"({"kind": "mfcc", "num_ceps": 24})") ==
        "num_ceps = 24: must be an integer from 1 to 23, the number of mel bins");
  CHECK(refusal(R"({"frame_length": 0.2})") ==
        "frame_length = 0.2: must be a number from 0.25 at 8000 Hz, so that a frame has 2 samples");
  CHECK(refusal(R"({"frame_shift": 0.1})") ==
        "frame_shift = 0.1: must be a number from 0.125 at 8000 Hz, so that frames move on");
  CHECK(refusal(R"({"round_to_power_of_two": false})", 11025) ==
        "round_to_power_of_two = false: must be true where a frame is an odd number of samples (275 of 25 ms "
        "at 11025 "
        "Hz)");
  CHECK(refusal(R"({"n_fft": 128})") ==
        "n_fft = 128: must be an even integer from 200, the samples in a frame, to 1048576");
  CHECK(refusal(R"({"vtln_warp": 1.1, "low_freq": 100})") ==
        "vtln_low = 100: must be above 100 (low_freq) where filters are warped");
  CHECK(refusal(R"({"vtln_warp": 1.1, "high_freq": 3400})") ==
        "vtln_high = 3500: must be below 3400 (high_freq) where filters are warped");
  CHECK(refusal(R"({"vtln_warp": 0.25, "vtln_low": 1000})") ==
        "vtln_warp = 0.25: leaves nothing between vtln_low = 1000 and vtln_high = 3500; take one that is "
        "nearer "
        "to 1");
  CHECK_NOTHROW(resolve(feature_option_table().from_json(R"({"vtln_low": 10})"), 8000));
  FeatureOptions options;
  options.preemphasis_coefficient = std::numeric_limits<double>::quiet_NaN();
  CHECK(message_of<UserError>([&] { resolve(options, 8000); }) ==
        "preemphasis_coefficient = nan: must be a number from 0 to 1");
}

TEST_CASE("options: one that has no effect is refused rather than ignored") {
  CHECK(refusal(R"({"num_ceps": 20})") == "num_ceps = 20: has no effect with kind = fbank; leave it out");
  CHECK(refusal(R"({"kind": "spectrogram", "num_mel_bins": 40})") ==
        "num_mel_bins = 40: has no effect with kind = spectrogram; leave it out");
  CHECK(refusal(R"({"kind": "melspectrogram", "snip_edges": false})") ==
        "snip_edges = false: has no effect with kind = melspectrogram; leave it out");
  CHECK(refusal(R"({"kind": "spectrogram", "vtln_warp": 1.1})") ==
        "vtln_warp = 1.1: has no effect with kind = spectrogram; leave it out");
  CHECK(refusal(R"({"cmvn": "utterance", "voiced_threshold": 20})") ==
        "voiced_threshold = 20: has no effect without cmvn = voiced; leave it out");
  CHECK(refusal(R"({"kind": "mfcc", "use_power": false})") ==
        "use_power = false: has no effect with kind = mfcc; leave it out");
}

TEST_CASE("options: resolving fills in what is automatic, and changes nothing the second time") {
  for (const char* kind : {"fbank", "mfcc", "spectrogram", "melspectrogram"}) {
    FeatureOptions options;
    feature_option_table().set(options, "kind", kind);
    const FeatureOptions once = resolve(options, 16000);
    CHECK(once.sample_frequency == 16000);
    CHECK(feature_option_table().to_json(resolve(once, 8000)) == feature_option_table().to_json(once));
  }
  CHECK(resolve({}, 8000).num_mel_bins == 40);
  CHECK(resolve({}, 8000).high_freq == 4000);
  CHECK(resolve({}, 16000).num_mel_bins == 80);
  CHECK(resolve(feature_option_table().from_json(R"({"high_freq": -400})"), 8000).high_freq == 3600);
  CHECK(fft_samples(resolve({}, 8000)) == 256);
  CHECK(fft_samples(resolve(feature_option_table().from_json(R"({"round_to_power_of_two": false})"), 8000)) ==
        200);
}

}  // namespace lariat::feature_options_test
