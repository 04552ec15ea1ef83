#include "frontends/speech/clips.hpp"

#include <fmt/format.h>
#include <tbb/parallel_for.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <map>

#include "frontends/data/random.hpp"
#include "graph/base/error.hpp"

namespace lariat::speech {

namespace {

// `skipped` lists `earlier` files that are none of the clips, then the clips.
[[noreturn]] void throw_none_left(size_t count, const std::vector<std::string>& skipped, size_t earlier) {
  throw UserError(fmt::format("none of {} clips can be used; the first: {}", count,
                              count == 0 ? "none was given" : skipped.at(earlier)));
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

// Where no file has a rate, any will do: loading will say what is wrong with them.
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

ClipList joined(const ClipList& list, int64_t most) {
  if (most < 1) throw UserError(fmt::format("join = {}: must be an integer from 1", most));
  std::map<std::string, std::vector<size_t>> of_speaker;
  for (size_t i = 0; i < list.entries.size(); ++i) of_speaker[list.entries[i].speaker].push_back(i);
  ClipList result = list;
  for (size_t i = 0; i < list.entries.size(); ++i) {
    ClipList::Entry& entry = result.entries[i];
    const std::vector<size_t>& known = of_speaker[entry.speaker];
    data::RandomStream random(0, data::RandomPurpose::joining, static_cast<uint32_t>(i));
    for (int64_t more = static_cast<int64_t>(i) % most; more > 0; --more) {
      const ClipList::Entry& next = list.entries[known[random.below(static_cast<uint32_t>(known.size()))]];
      entry.followed.push_back(next.file);
      entry.symbols.insert(entry.symbols.end(), next.symbols.begin(), next.symbols.end());
    }
  }
  return result;
}

namespace {

Audio read_joined(const ClipList::Entry& entry, int sample_rate, std::vector<std::string>* notices) {
  Audio audio = read_audio(entry.file, sample_rate, notices);
  for (const std::string& file : entry.followed) {
    const Audio next = read_audio(file, sample_rate, notices);
    audio.samples.insert(audio.samples.end(), next.samples.begin(), next.samples.end());
    // Of the same folder by its name alone.
    const std::filesystem::path path = file;
    const bool beside = path.parent_path() == std::filesystem::path(entry.file).parent_path();
    audio.source += " + " + (beside ? path.filename() : path).string();
  }
  return audio;
}

// All clips that can be read, be it none; notices are one for each file.
ClipSet read_clips(const ClipList& list, int sample_rate) {
  ClipSet set;
  set.classes = list.classes;
  set.skipped = list.skipped;
  set.targets = list.targets;
  set.sample_rate = sample_rate != 0 ? sample_rate : first_sample_rate(list);
  struct Result {
    Audio audio;
    std::string failure;
    std::vector<std::string> notices;
  };
  std::vector<Result> results(list.entries.size());
  tbb::parallel_for(size_t{0}, results.size(), [&](size_t i) {
    try {
      results[i].audio = read_joined(list.entries[i], set.sample_rate, &results[i].notices);
    } catch (const UserError& error) {
      results[i].failure = error.what();
    }
  });
  for (size_t i = 0; i < results.size(); ++i) {
    set.notices.insert(set.notices.end(), results[i].notices.begin(), results[i].notices.end());
    if (results[i].failure.empty()) {
      set.clips.push_back({std::move(results[i].audio), list.entries[i].label, list.entries[i].symbols});
    } else {
      set.skipped.push_back(std::move(results[i].failure));
    }
  }
  return set;
}

}  // namespace

ClipSet load_clips(const ClipList& list, int sample_rate) {
  ClipSet set = read_clips(list, sample_rate);
  if (set.clips.empty()) throw_none_left(list.entries.size(), set.skipped, list.skipped.size());
  set.notices = data::summarised(set.notices);
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
    const double warp = augment(audio, augmentation->options, augmentation->seed, augmentation->epoch, index);
    features = extractor.extract(extractor.frames_in(audio) > 0 ? audio : clip.audio, warp);
  }
  if (statistics != nullptr) data::apply_cmvn(*statistics, features.values);
  if (augmentation != nullptr) {
    augment(features, augmentation->options, augmentation->seed, augmentation->epoch, index);
  }
  return features;
}

// As make_dataset; there may be no clip left.
data::Dataset features_of_all(const ClipSet& clips, const FeatureExtractor& extractor,
                              const data::CmvnStatistics* statistics, const Augmentation* augmentation) {
  if (augmentation != nullptr) check(augmentation->options);
  const uint32_t first = augmentation == nullptr ? 0 : augmentation->first;
  struct Result {
    FeatureMatrix features;
    std::string failure;
  };
  std::vector<Result> results(clips.clips.size());
  tbb::parallel_for(size_t{0}, results.size(), [&](size_t i) {
    try {
      results[i].features =
          features_of(clips.clips[i], first + static_cast<uint32_t>(i), extractor, statistics, augmentation);
    } catch (const UserError& error) {
      results[i].failure = error.what();
    }
  });
  data::Dataset dataset;
  dataset.classes = clips.classes;
  dataset.skipped = clips.skipped;
  dataset.notices = clips.notices;
  dataset.targets = clips.targets;
  for (size_t i = 0; i < results.size(); ++i) {
    FeatureMatrix& features = results[i].features;
    if (results[i].failure.empty()) {
      dataset.examples.push_back({clips.clips[i].audio.source, clips.clips[i].label, features.frames,
                                  features.dimensions, std::move(features.values)});
      dataset.examples.back().targets.assign(clips.clips[i].symbols.begin(), clips.clips[i].symbols.end());
    } else {
      dataset.skipped.push_back(std::move(results[i].failure));
    }
  }
  return dataset;
}

// How many recordings are in memory at a time.
constexpr size_t clips_at_once = 256;

// Adds examples, whose values go to a file.
void keep_all(data::Dataset&& some, data::Dataset& all, data::KeptValues& values) {
  for (data::Example& example : some.examples) {
    values.keep(example);
    all.examples.push_back(std::move(example));
  }
  all.skipped.insert(all.skipped.end(), some.skipped.begin(), some.skipped.end());
  all.notices.insert(all.notices.end(), some.notices.begin(), some.notices.end());
}

}  // namespace

data::Dataset make_dataset(const ClipSet& clips, const FeatureExtractor& extractor,
                           const data::CmvnStatistics* statistics, const Augmentation* augmentation) {
  data::Dataset dataset = features_of_all(clips, extractor, statistics, augmentation);
  if (dataset.examples.empty()) throw_none_left(clips.clips.size(), dataset.skipped, clips.skipped.size());
  return dataset;
}

void StoredClips::add(const ClipSet& clips) {
  if (!file_) file_ = data::RandomFile::temporary();
  classes_ = clips.classes;
  targets_ = clips.targets;
  sample_rate_ = clips.sample_rate;
  for (const ClipSet::Clip& clip : clips.clips)
    clips_.push_back({clip.audio.source, clip.label, clip.symbols,
                      file_->append(clip.audio.samples.data(), clip.audio.samples.size() * sizeof(float)),
                      clip.audio.samples.size()});
}

ClipSet StoredClips::part(size_t begin, size_t end) const {
  ClipSet set{classes_, {}, sample_rate_, {}, {}, targets_};
  for (size_t i = begin; i < std::min(end, clips_.size()); ++i) {
    const Clip& clip = clips_[i];
    set.clips.push_back(
        {{std::vector<float>(clip.samples), sample_rate_, clip.source}, clip.label, clip.symbols});
    file_->read(clip.at, set.clips.back().audio.samples.data(), clip.samples * sizeof(float));
  }
  return set;
}

data::Dataset stream_dataset(const ClipList& list, const FeatureExtractor& extractor,
                             const data::CmvnStatistics* statistics, StoredClips* kept,
                             const Augmentation* augmentation) {
  const auto values = std::make_shared<data::KeptValues>();
  data::Dataset dataset;
  dataset.classes = list.classes;
  dataset.targets = list.targets;
  // As if all recordings had been read before the first features are computed.
  std::vector<std::string> unread = list.skipped;
  for (size_t begin = 0; begin < list.entries.size(); begin += clips_at_once) {
    const auto first = list.entries.begin() + static_cast<std::ptrdiff_t>(begin);
    const size_t count = std::min(clips_at_once, list.entries.size() - begin);
    ClipSet clips =
        read_clips({list.classes, {first, first + static_cast<std::ptrdiff_t>(count)}, {}, list.targets},
                   extractor.options().sample_frequency);
    unread.insert(unread.end(), clips.skipped.begin(), clips.skipped.end());
    clips.skipped.clear();
    keep_all(features_of_all(clips, extractor, statistics, augmentation), dataset, *values);
    if (kept != nullptr) kept->add(clips);
  }
  dataset.skipped.insert(dataset.skipped.begin(), unread.begin(), unread.end());
  if (dataset.examples.empty()) throw_none_left(list.entries.size(), dataset.skipped, list.skipped.size());
  dataset.notices = data::summarised(dataset.notices);
  return dataset;
}

data::Dataset stream_dataset(const StoredClips& clips, const FeatureExtractor& extractor,
                             const data::CmvnStatistics* statistics, const Augmentation& augmentation) {
  const auto values = std::make_shared<data::KeptValues>();
  data::Dataset dataset;
  for (size_t begin = 0; begin < clips.size(); begin += clips_at_once) {
    Augmentation part = augmentation;
    part.first = static_cast<uint32_t>(begin);
    const ClipSet some = clips.part(begin, begin + clips_at_once);
    dataset.classes = some.classes;
    dataset.targets = some.targets;
    keep_all(features_of_all(some, extractor, statistics, &part), dataset, *values);
  }
  if (dataset.examples.empty()) throw_none_left(clips.size(), dataset.skipped, 0);
  return dataset;
}

}  // namespace lariat::speech
