#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace lariat::speech {

struct SampleBytes {
  uint64_t promised = 0, present = 0;
};

/// How many bytes of samples the chunks of a WAV (RIFF, RIFX, RF64) or AIFF file promise, and how many are
/// there; nothing for other files, and for those whose writer could not know the length.
std::optional<SampleBytes> sample_bytes(std::string_view file);

}  // namespace lariat::speech
