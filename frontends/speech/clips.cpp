#include "frontends/speech/clips.hpp"

#include <fmt/format.h>
#include <tbb/parallel_for.h>

#include <algorithm>
#include <array>
#include <filesystem>

#include "graph/base/error.hpp"

namespace lariat::speech {

namespace {

// `skipped` lists `earlier` files that are none of the clips, then the clips.
[[noreturn]] void throw_none_left(size_t count, const std::vector<std::string>& skipped, size_t earlier) {
  throw UserError(fmt::format("none of {} clips can be used; the first: {}", count,
                              count == 0 ? "none was given" : skipped.at(earlier)));
}

// The rate of the first file that has one. Where none has, any will do: loading will say what is wrong with
// them.
int first_sample_rate(const ClipList& list) {
  for (const ClipList::Entry& entry : list.entries) {
    try {
      return sample_rate_of(entry.file);
    } catch (const UserError&) {
      continue;
    }
  }
  return 0;
}

}  // namespace

std::vector<std::string> entries_of(const std::string& folder) {
  if (!std::filesystem::is_directory(folder)) {
    throw UserError(fmt::format("'{}': there is no such folder; check the path", folder));
  }
  std::error_code failure;
  std::vector<std::string> entries;
  for (std::filesystem::directory_iterator at(folder, failure), end; !failure && at != end;
       at.increment(failure)) {
    entries.push_back(at->path().string());
  }
  if (failure) throw UserError(fmt::format("'{}': {}; check its permissions", folder, failure.message()));
  std::sort(entries.begin(), entries.end());
  return entries;
}

bool is_audio_file(const std::string& file) {
  static constexpr std::array<std::string_view, 6> endings = {".wav", ".flac", ".aiff",
                                                              ".aif", ".sph",  ".nist"};
  std::string ending = std::filesystem::path(file).extension().string();
  for (char& letter : ending)
    letter = letter >= 'A' && letter <= 'Z' ? static_cast<char>(letter - 'A' + 'a') : letter;
  return std::find(endings.begin(), endings.end(), ending) != endings.end();
}

ClipSet load_clips(const ClipList& list, int sample_rate) {
  ClipSet set;
  set.classes = list.classes;
  set.skipped = list.skipped;
  set.sample_rate = sample_rate != 0 ? sample_rate : first_sample_rate(list);
  struct Result {
    Audio audio;
    std::string failure;
    std::vector<std::string> notices;
  };
  std::vector<Result> results(list.entries.size());
  tbb::parallel_for(size_t{0}, results.size(), [&](size_t i) {
    try {
      results[i].audio = read_audio(list.entries[i].file, set.sample_rate, &results[i].notices);
    } catch (const UserError& error) {
      results[i].failure = error.what();
    }
  });
  std::vector<std::string> notices;
  for (size_t i = 0; i < results.size(); ++i) {
    notices.insert(notices.end(), results[i].notices.begin(), results[i].notices.end());
    if (results[i].failure.empty()) {
      set.clips.push_back({std::move(results[i].audio), list.entries[i].label});
    } else {
      set.skipped.push_back(std::move(results[i].failure));
    }
  }
  if (set.clips.empty()) throw_none_left(results.size(), set.skipped, list.skipped.size());
  set.notices = data::summarised(notices);
  return set;
}

namespace {

FeatureMatrix features_of(const ClipSet::Clip& clip, uint32_t index, const FeatureExtractor& extractor,
                          const data::CmvnStatistics* statistics, const Augmentation* augmentation) {
  FeatureMatrix features;
  if (augmentation == nullptr) {
    features = extractor.extract(clip.audio);
  } else {
    Audio audio = clip.audio;
    augment(audio, augmentation->options, augmentation->seed, augmentation->epoch, index);
    features = extractor.extract(extractor.frames_in(audio) > 0 ? audio : clip.audio);
  }
  if (statistics != nullptr) data::apply_cmvn(*statistics, features.values);
  if (augmentation != nullptr) {
    augment(features, augmentation->options, augmentation->seed, augmentation->epoch, index);
  }
  return features;
}

}  // namespace

data::Dataset make_dataset(const ClipSet& clips, const FeatureExtractor& extractor,
                           const data::CmvnStatistics* statistics, const Augmentation* augmentation) {
  if (augmentation != nullptr) check(augmentation->options);
  struct Result {
    FeatureMatrix features;
    std::string failure;
  };
  std::vector<Result> results(clips.clips.size());
  tbb::parallel_for(size_t{0}, results.size(), [&](size_t i) {
    try {
      results[i].features =
          features_of(clips.clips[i], static_cast<uint32_t>(i), extractor, statistics, augmentation);
    } catch (const UserError& error) {
      results[i].failure = error.what();
    }
  });
  data::Dataset dataset;
  dataset.classes = clips.classes;
  dataset.skipped = clips.skipped;
  dataset.notices = clips.notices;
  for (size_t i = 0; i < results.size(); ++i) {
    FeatureMatrix& features = results[i].features;
    if (results[i].failure.empty()) {
      dataset.examples.push_back({clips.clips[i].audio.source, clips.clips[i].label, features.frames,
                                  features.dimensions, std::move(features.values)});
    } else {
      dataset.skipped.push_back(std::move(results[i].failure));
    }
  }
  if (dataset.examples.empty()) throw_none_left(results.size(), dataset.skipped, clips.skipped.size());
  return dataset;
}

}  // namespace lariat::speech
