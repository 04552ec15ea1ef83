#include "tests/support/tones.hpp"

#include <cmath>
#include <numbers>

#include "tests/support/testing.hpp"

namespace lariat::testing {

const char* const tones_recipe = R"(# tones
[data]
kind = "digits"

[features]
num_mel_bins = 16
cmvn = "utterance"

[[layers]]
kind = "lstm"
units = 12
kernel_penalty = "l1=2e-3"

[[layers]]
kind = "dense"
units = 0

[optimizer]
kind = "adam"
learning_rate = 0.02

[training]
epochs = 2
batch_size = 16
)";

speech::Audio tone(int digit, int voice, int index, int sample_rate) {
  speech::Audio audio;
  audio.sample_rate = sample_rate;
  const double pitch = 300 * std::pow(1.25, digit) * (1 + 0.02 * voice + 0.004 * index);
  for (int i = 0; i < sample_rate * 15 / 100; ++i) {
    const double time = static_cast<double>(i) / sample_rate;
    // A vibrato, so that cmvn over the utterance leaves something to tell.
    audio.samples.push_back(
        static_cast<float>(8000 * std::sin(2 * std::numbers::pi * pitch * time * (1 + 0.4 * time)) +
                           300 * std::sin(2000.0 * i * i)));
  }
  return audio;
}

void write_tones(const std::string& folder) {
  std::filesystem::create_directories(folder);
  for (int digit = 0; digit < 10; ++digit)
    for (int voice = 0; voice < 2; ++voice)
      for (const int index : {0, 5, 6, 7, 8})
        speech::write_wav(folder + "/" + std::to_string(digit) + (voice == 0 ? "_ann_" : "_bob_") +
                              std::to_string(index) + ".wav",
                          tone(digit, voice, index));
}

const Trained& trained() {
  static const Trained* const shared = [] {
    static Trained made;
    made.tones = made.folder / "tones";
    made.recipe = made.folder / "tones.toml";
    made.model = made.folder / "model.safetensors";
    write_tones(made.tones);
    write_file(made.recipe, tones_recipe);
    made.run =
        run_lariat({"train", made.recipe, "--data", made.tones, "--out", made.model, "--json",
                    made.folder / "train.json", "--report", made.folder / "report.html", "--threads", "1"});
    return &made;
  }();
  return *shared;
}

}  // namespace lariat::testing
