#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace lariat::speech {

/// What the demonstration corpus consists of.
struct DemoCorpusOptions {
  int train_voices = 24;  ///< voices to train on
  int test_voices = 8;    ///< other voices, for the test
  int variations = 3;     ///< clips per voice and digit, of different pitch and speed
  int sample_rate = 8000;
  double noise_snr =
      35;  ///< white noise under the speech, this many dB below it: no recording is digitally silent
  uint64_t seed = 0;
  std::string program = "espeak-ng";
};

struct DemoCorpus {
  std::vector<std::string> train_speakers,
      test_speakers;  ///< test speakers suit DigitsOptions::held_out_speakers
  size_t clips = 0;
  bool generated = true;  ///< false where the folder held this very corpus already
};

/// Has espeak-ng speak the ten digits, and writes `folder`/digit_speaker_index.wav. A speaker is a voice
/// variant with an accent; no variant speaks on both sides of the split. Clips of training voices have the
/// indices 5, 6, …, those of test voices 0 to 4, so that the official split of list_digits() holds the test
/// voices out. Deterministic for one version of espeak-ng. `progress(done, total)` is called after each clip,
/// never by two threads at once. Throws UserError where the program is missing, the options are out of range,
/// or the folder holds something else.
///
/// The speech is synthetic: it serves demonstrations and augmentation, never claims of accuracy.
DemoCorpus generate_demo_corpus(const std::string& folder, const DemoCorpusOptions& options = {},
                                const std::function<void(size_t done, size_t total)>& progress = {});

}  // namespace lariat::speech
