#include "tests/support/toy_runs.hpp"

#include <cmath>
#include <filesystem>
#include <fstream>
#include <numbers>

#include "frontends/data/random.hpp"

namespace fs = std::filesystem;

namespace lariat::testing {

speech::Audio noisy_tone(int label, uint64_t seed, int samples) {
  speech::Audio audio{std::vector<float>(static_cast<size_t>(samples)), 8000};
  data::RandomStream random(seed, data::RandomPurpose::noise);
  const double phase = random.uniform(0, 6), frequency = 300 + 350 * label + random.uniform(-30, 30);
  for (int t = 0; t < samples; ++t)
    audio.samples[static_cast<size_t>(t)] = static_cast<float>(
        6000 * std::sin(phase + 2 * std::numbers::pi * frequency * t / 8000) + 300 * random.normal());
  return audio;
}

std::string write_digits(const TemporaryFolder& folder, int count) {
  const fs::path path = folder.path() / "digits";
  fs::create_directories(path);
  uint64_t seed = 0;
  for (int digit = 0; digit < 10; ++digit)
    for (const char* speaker : {"ann", "bob"})
      for (int i = 0; i < count; ++i, ++seed)
        speech::write_wav(
            (path / (std::to_string(digit) + "_" + speaker + "_" + std::to_string(i) + ".wav")).string(),
            noisy_tone(digit, seed, 2000 + 37 * static_cast<int>(seed % 11)));
  return path.string();
}

std::string write_images(const TemporaryFolder& folder) {
  const fs::path path = folder.path() / "images";
  fs::create_directories(path);
  const auto write = [&](const std::string& name, int count, uint64_t seed) {
    std::ofstream images(path / (name + "-images-idx3-ubyte"), std::ios::binary),
        labels(path / (name + "-labels-idx1-ubyte"), std::ios::binary);
    const auto number = [](std::ofstream& out, int value) {
      out << '\0' << '\0' << static_cast<char>(value >> 8) << static_cast<char>(value);
    };
    images.write("\0\0\x08\x03", 4);
    labels.write("\0\0\x08\x01", 4);
    number(images, count);
    number(images, 4);
    number(images, 4);
    number(labels, count);
    data::RandomStream random(seed, data::RandomPurpose::noise);
    for (int i = 0; i < count; ++i) {
      labels << static_cast<char>(i % 4);
      for (int pixel = 0; pixel < 16; ++pixel)
        images << static_cast<char>(pixel / 4 == i % 4 ? 100 + random.below(100) : random.below(100));
    }
  };
  write("train", 120, 1);
  write("t10k", 40, 2);
  return path.string();
}

const char* const speech_recipe = R"([data]
kind = "digits"
[features]
num_mel_bins = 20
cmvn = "global"
[[layers]]
kind = "stack_frames"
frames = 3
[[layers]]
kind = "bidirectional_lstm"
units = 10
dropout = 0.1
kernel_penalty = "l1=1e-3"
recurrent_penalty = "l1=1e-3"
[[layers]]
kind = "dense"
units = 0
[optimizer]
learning_rate = 0.02
[schedule]
kind = "cosine"
[training]
epochs = 3
batch_size = 16
clip_norm = 1
seed = 5
)";

const char* const image_recipe = R"([data]
kind = "idx"
[[layers]]
kind = "dense"
units = 12
activation = "relu"
kernel_penalty = "l1=2e-3"
[[layers]]
kind = "dense"
units = 4
[optimizer]
learning_rate = 0.02
[training]
epochs = 12
batch_size = 16
)";

Recipe recipe_of(const char* text) { return Recipe::parse(text, "recipe.toml"); }

}  // namespace lariat::testing
