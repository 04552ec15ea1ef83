#pragma once

#include <string>

#include "frontends/speech/audio.hpp"
#include "tests/support/files.hpp"
#include "tests/support/program.hpp"

namespace lariat::testing {

/// A tone of 0.15 s whose pitch tells the digit.
speech::Audio tone(int digit, int voice = 0, int index = 0, int sample_rate = 8000);

/// Ten digits, the speakers ann and bob, index 0 and 5 to 8, as digit_speaker_index.wav.
void write_tones(const std::string& folder);

/// A small recipe for such a folder.
extern const char* const tones_recipe;

/// A folder with recordings ("tones"), the recipe ("tones.toml") and a model that was trained by it
/// ("model"), made at the first call and shared by all tests, which must not change it.
struct Trained {
  TemporaryFolder folder;
  std::string tones, recipe, model;
  ProgramRun run;
};
const Trained& trained();

}  // namespace lariat::testing
