#include "frontends/speech/audio_chunks.hpp"

#include <algorithm>

namespace lariat::speech {

namespace {

// A length of 0 or near 2³¹ and above is what programs write that cannot know it.
constexpr uint64_t unknown_length = 0x7f000000;

uint64_t number(std::string_view bytes, bool big_endian) {
  uint64_t value = 0;
  for (size_t i = 0; i < bytes.size(); ++i) {
    const size_t at = big_endian ? i : bytes.size() - 1 - i;
    value = value << 8 | static_cast<unsigned char>(bytes[at]);
  }
  return value;
}

}  // namespace

std::optional<SampleBytes> sample_bytes(std::string_view file) {
  constexpr size_t group_header = 12, chunk_header = 8;
  if (file.size() < group_header) return std::nullopt;
  const std::string_view group = file.substr(0, 4), kind = file.substr(8, 4);
  const bool aiff = group == "FORM" && (kind == "AIFF" || kind == "AIFC");
  const bool wave = (group == "RIFF" || group == "RIFX" || group == "RF64") && kind == "WAVE";
  if (!aiff && !wave) return std::nullopt;
  const bool big_endian = aiff || group == "RIFX";
  std::optional<uint64_t> long_length;  // what RF64 says in place of a length of 32 bits
  for (size_t at = group_header; at + chunk_header <= file.size();) {
    const std::string_view name = file.substr(at, 4);
    uint64_t length = number(file.substr(at + 4, 4), big_endian);
    at += chunk_header;
    const uint64_t present = std::min<uint64_t>(length, file.size() - at);
    if (group == "RF64" && name == "ds64" && present >= 16)
      long_length = number(file.substr(at + 8, 8), false);
    if (name == (aiff ? "SSND" : "data")) {
      if (length == 0xffffffff && long_length) {
        length = *long_length;
      } else if (length >= unknown_length) {
        return std::nullopt;
      }
      if (length == 0) return std::nullopt;
      return SampleBytes{length, std::min<uint64_t>(length, file.size() - at)};
    }
    if (present < length) return std::nullopt;
    at += length + length % 2;  // chunks begin at even places
  }
  return std::nullopt;
}

}  // namespace lariat::speech
