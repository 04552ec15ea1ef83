
#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "frontends/speech/feature_files.hpp"
#include "frontends/speech/features.hpp"
#include "tests/support/files.hpp"
#include "tests/support/testing.hpp"

namespace lariat::golden_features_test {

using namespace lariat::speech;

namespace {

FeatureMatrix read_csv(const std::string& file) {
  std::ifstream stream(file);
  REQUIRE(stream);
  FeatureMatrix matrix;
  for (std::string line; std::getline(stream, line); ++matrix.frames) {
    const char *begin = line.data(), *end = begin + line.size();
    while (begin < end) {
      float value = 0;
      const auto [rest, error] = std::from_chars(begin, end, value);
      REQUIRE(error == std::errc{});
      matrix.values.push_back(value);
      begin = rest + 1;
    }
  }
  matrix.dimensions = static_cast<int64_t>(matrix.values.size()) / matrix.frames;
  return matrix;
}

// The options under which an entry of the manifest was made; the file name says what the manifest leaves out.
FeatureOptions options_of(const nlohmann::json& item) {
  const std::string op = item["op"], file = item["file"];
  FeatureOptions options;
  options.energy_floor = 1;  // torchaudio's default
  options.num_mel_bins = 23;
  if (op == "fbank") {
    options.num_mel_bins = item["num_mel_bins"];
    options.window_type = item["window"] == "povey" ? WindowType::povey : WindowType::hanning;
    options.snip_edges = item["snip_edges"];
  } else if (op == "mfcc" || op == "delta of mfcc13") {
    options.kind = FeatureKind::mfcc;
    options.use_energy = item.value("use_energy", false);
    options.delta_order = op == "mfcc" ? 0 : 1;
  } else if (op == "spectrogram") {
    options.kind = FeatureKind::spectrogram;
    options.num_mel_bins = 0;
  } else {
    options.kind = FeatureKind::melspectrogram;
    options.energy_floor = 0;
    options.num_mel_bins = 40;
    options.low_freq = 0;
    options.use_log_fbank = false;
    options.n_fft = 512;
    const bool slaney = item["mel_scale"] == "slaney";
    options.mel_scale = slaney ? MelScale::slaney : MelScale::htk;
    options.mel_norm = slaney ? MelNorm::slaney : MelNorm::none;
  }
  return options;
}

}  // namespace

TEST_CASE("features: the 47 golden files of torchaudio, every value within 1e-3") {
  const char* folder = std::getenv("LARIAT_DATA");
  if (folder == nullptr) return lariat::testing::skip("LARIAT_DATA names no folder with the golden features");
  const std::string data = folder;
  std::ifstream stream(data + "/golden/manifest.json");
  REQUIRE(stream);
  const nlohmann::json items = nlohmann::json::parse(stream)["items"];
  int compared = 0;
  for (const auto& item : items) {
    const std::string file = item["file"];
    const FeatureMatrix golden = read_csv(data + "/golden/" + file);
    FeatureMatrix ours =
        compute_features(read_audio(data + "/" + std::string(item["wav"])), options_of(item));
    const bool delta = item["op"] == "delta of mfcc13";
    INFO(file);
    REQUIRE(golden.frames == item["shape"][0]);
    REQUIRE(golden.dimensions == item["shape"][1]);
    if (item.contains("rows")) {
      REQUIRE(ours.frames >= golden.frames);
    } else {
      REQUIRE(ours.frames == golden.frames);
    }
    REQUIRE(ours.dimensions == golden.dimensions * (delta ? 2 : 1));
    double worst = 0;
    for (int64_t t = 0; t < golden.frames; ++t) {
      for (int64_t d = 0; d < golden.dimensions; ++d) {
        const float wanted = golden.values[t * golden.dimensions + d];
        const float value = ours.values[t * ours.dimensions + d + (delta ? golden.dimensions : 0)];
        const double error = std::abs(static_cast<double>(value) - wanted);
        REQUIRE(!std::isnan(error));
        worst = std::max(worst, error);
      }
    }
    CHECK(worst <= 1e-3);
    ++compared;
  }
  CHECK(compared == 47);
}

TEST_CASE("features: CSV and npy hold the very floats") {
  const lariat::testing::TemporaryFolder folder;
  const std::string csv = folder / "a.csv", npy = folder / "a.npy";
  Audio audio{std::vector<float>(1000), 8000};
  for (size_t t = 0; t < 1000; ++t) audio.samples[t] = float(t * t % 977) - 488;
  const FeatureMatrix features = compute_features(audio, {});
  write_csv(csv, features);
  const FeatureMatrix read = read_csv(csv);
  CHECK(read.frames == features.frames);
  CHECK(read.dimensions == features.dimensions);
  CHECK(read.values == features.values);
  write_npy(npy, features);
  const std::string bytes = lariat::testing::read_file(npy);
  CHECK(bytes.substr(0, 8) == std::string("\x93NUMPY\x01\x00", 8));
  const size_t header = static_cast<unsigned char>(bytes[8]) + 256u * static_cast<unsigned char>(bytes[9]);
  CHECK((header + 10) % 64 == 0);
  CHECK(bytes.substr(10, 59) == "{'descr': '<f4', 'fortran_order': False, 'shape': (11, 40),");
  CHECK(bytes[10 + header - 1] == '\n');
  REQUIRE(bytes.size() == 10 + header + 4 * features.values.size());
  CHECK(std::memcmp(bytes.data() + 10 + header, features.values.data(), 4 * features.values.size()) == 0);
}

}  // namespace lariat::golden_features_test
