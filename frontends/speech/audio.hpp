#pragma once

#include <string>
#include <vector>

#include "frontends/speech/analysis/feature_options.hpp"

namespace lariat::speech {

/// One channel of sound.
struct Audio {
  std::vector<float> samples;  ///< at the scale of 16-bit integers, ±32768
  int sample_rate = 0;         ///< Hz
  std::string source = {};     ///< the file it came from, for messages; may be empty
};

/// Reads a WAV, FLAC, AIFF or SPHERE file. With `sample_rate` ≠ 0 the audio is resampled to it, and several
/// channels are mixed down to one; `notices`, where given, gets a line about each. Throws UserError naming
/// the file where it is missing, no audio, damaged, without samples, of an absurd sample rate, or holds NaN
/// or infinite samples.
Audio read_audio(const std::string& file, int sample_rate = 0, std::vector<std::string>* notices = nullptr);

/// The same of what `bytes` hold; `file` stands for it in messages.
Audio decode_audio(std::string bytes, const std::string& file, int sample_rate = 0,
                   std::vector<std::string>* notices = nullptr);

/// The sample rate in the header of an audio file, in Hz; throws UserError where there is none.
int sample_rate_of(const std::string& file);

/// Band-limited resampling by `ratio` = new rate / old rate: from n samples to round(n·ratio), at least one.
/// `best` takes libsamplerate's best filter instead of its fastest band-limited one.
std::vector<float> resample(const std::vector<float>& samples, double ratio, bool best = true);

/// Writes 16-bit mono WAV, atomically. Samples are rounded, and clipped to ±32768.
void write_wav(const std::string& file, const Audio& audio);

}  // namespace lariat::speech
