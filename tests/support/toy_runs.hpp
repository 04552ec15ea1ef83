#pragma once

#include <cstdint>
#include <string>

#include "frontends/recipe/recipe.hpp"
#include "frontends/speech/audio.hpp"
#include "tests/support/files.hpp"

namespace lariat::testing {

/// A tone whose pitch says the class, with a little noise.
speech::Audio noisy_tone(int label, uint64_t seed, int samples = 2400);

/// A folder of digits 0 to 9 of the speakers ann and bob, indices 0 to `count` - 1.
std::string write_digits(const TemporaryFolder& folder, int count);

/// A folder of 120 images of 4 × 4 to train on and 40 to test on, in which the row of the label is bright.
std::string write_images(const TemporaryFolder& folder);

/// Recipes for the two.
extern const char *const speech_recipe, *const image_recipe;

Recipe recipe_of(const char* text);

}  // namespace lariat::testing
