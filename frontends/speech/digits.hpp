#pragma once

#include <string>
#include <vector>

#include "frontends/speech/clips.hpp"

namespace lariat::speech {

/// How a folder of digit_speaker_index.wav files is split.
struct DigitsOptions {
  /// Where empty, the official split: index 0–4 of every speaker is the test, the rest is for training.
  /// Otherwise all clips of these speakers are the test, and all others are for training.
  std::vector<std::string> held_out_speakers = {};
  /// Clips of index 5 … 5 + n - 1 leave the training split and form the validation split; 0: there is none.
  int validation_indices = 0;
};

inline constexpr int usual_validation_indices = 5;

/// The clips of one split, in the order digit, speaker, index; the classes are "0" … "9". Throws UserError
/// for a folder that is missing or holds no such file, a speaker that is not there, and a split without
/// clips.
ClipList list_digits(const std::string& folder, data::Split split, const DigitsOptions& options = {});

/// The speakers in such a folder, sorted.
std::vector<std::string> digit_speakers(const std::string& folder);

}  // namespace lariat::speech
