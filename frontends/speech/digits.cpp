#include "frontends/speech/digits.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <optional>
#include <tuple>

#include "graph/base/error.hpp"

namespace lariat::speech {

namespace {

constexpr int first_training_index = 5;

struct DigitClip {
  int digit = 0;
  std::string speaker;
  int index = 0;
  std::string file;
};

std::optional<DigitClip> parse_name(const std::filesystem::path& file) {
  const std::string stem = file.stem().string();
  const size_t first = stem.find('_'), last = stem.rfind('_');
  if (first != 1 || last <= first + 1 || stem[0] < '0' || stem[0] > '9') return std::nullopt;
  DigitClip clip{stem[0] - '0', stem.substr(2, last - 2), 0, file.string()};
  const char* end = stem.data() + stem.size();
  const auto [rest, error] = std::from_chars(stem.data() + last + 1, end, clip.index);
  if (error != std::errc{} || rest != end || clip.index < 0) return std::nullopt;
  return clip;
}

std::vector<DigitClip> all_clips(const std::string& folder, std::vector<std::string>* skipped) {
  std::vector<DigitClip> clips;
  for (const std::string& file : entries_of(folder)) {
    if (!is_audio_file(file)) continue;
    if (auto clip = parse_name(file)) {
      clips.push_back(std::move(*clip));
    } else if (skipped != nullptr) {
      skipped->push_back(fmt::format("{}: is not named digit_speaker_index.wav", file));
    }
  }
  if (clips.empty()) {
    throw UserError(
        fmt::format("'{}' holds no digit_speaker_index.wav, such as 7_jackson_32.wav; give the folder that "
                    "holds the recordings",
                    folder));
  }
  // By number: index 10 comes after 9.
  std::sort(clips.begin(), clips.end(), [](const DigitClip& a, const DigitClip& b) {
    return std::tie(a.digit, a.speaker, a.index, a.file) < std::tie(b.digit, b.speaker, b.index, b.file);
  });
  return clips;
}

std::vector<std::string> speakers_of(const std::vector<DigitClip>& clips) {
  std::vector<std::string> speakers;
  for (const DigitClip& clip : clips) speakers.push_back(clip.speaker);
  std::sort(speakers.begin(), speakers.end());
  speakers.erase(std::unique(speakers.begin(), speakers.end()), speakers.end());
  return speakers;
}

}  // namespace

std::vector<std::string> digit_speakers(const std::string& folder) {
  return speakers_of(all_clips(folder, nullptr));
}

ClipList list_digits(const std::string& folder, data::Split split, const DigitsOptions& options) {
  if (options.validation_indices < 0 ||
      (split == data::Split::validation && options.validation_indices == 0)) {
    throw UserError(fmt::format("data.validation = {}: must be an integer from {}",
                                options.validation_indices, split == data::Split::validation ? 1 : 0));
  }
  ClipList list;
  const std::vector<DigitClip> clips = all_clips(folder, &list.skipped);
  const std::vector<std::string> speakers = speakers_of(clips);
  const auto is_held_out = [&](const std::string& speaker) {
    return std::find(options.held_out_speakers.begin(), options.held_out_speakers.end(), speaker) !=
           options.held_out_speakers.end();
  };
  for (const std::string& speaker : options.held_out_speakers) {
    if (std::find(speakers.begin(), speakers.end(), speaker) == speakers.end()) {
      throw UserError(fmt::format("data.held_out: '{}' has no speaker '{}'; it has {}", folder, speaker,
                                  fmt::join(speakers, ", ")));
    }
  }
  const bool official = options.held_out_speakers.empty();
  for (int digit = 0; digit < 10; ++digit) list.classes.push_back(fmt::format("{}", digit));
  for (const DigitClip& clip : clips) {
    data::Split belongs = data::Split::train;
    if (official ? clip.index < first_training_index : is_held_out(clip.speaker)) {
      belongs = data::Split::test;
    } else if (clip.index >= first_training_index &&
               clip.index - first_training_index < options.validation_indices) {
      belongs = data::Split::validation;
    }
    if (belongs == split) list.entries.push_back({clip.file, clip.digit, {}, clip.speaker});
  }
  if (list.entries.empty()) {
    throw UserError(fmt::format(
        "'{}' has no clips for the {} split; {}", folder, data::name_of(split),
        official ? "index 0 to 4 is the test, the rest is for training" : "hold out fewer speakers"));
  }
  return list;
}

}  // namespace lariat::speech
