#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "frontends/data/dataset.hpp"
#include "frontends/data/source.hpp"
#include "frontends/speech/augment.hpp"
#include "frontends/speech/features.hpp"

namespace lariat::speech {

/// The labelled recordings of one split of a corpus, not read yet.
struct ClipList {
  struct Entry {
    std::string file;
    int label = 0;  ///< index into classes
    /// What is said in it, where targets are symbols: indices into classes + 1.
    std::vector<int32_t> symbols = {};
    std::string speaker = {};                ///< "" where nobody knows
    std::vector<std::string> followed = {};  ///< recordings that come behind it at once
  };
  std::vector<std::string> classes;
  std::vector<Entry> entries;
  std::vector<std::string> skipped;  ///< "file: reason", for files whose name says no label
  data::Targets targets = {};        ///< symbols, or none
};

/// Recordings with symbols as sequences: each becomes the first of 1 to `most` recordings of its speaker that
/// follow each other, as many as its place in the list says; the others are drawn, the same ones each time.
/// Throws UserError for a `most` below 1.
ClipList joined(const ClipList& list, int64_t most);

/// Recordings in memory, all at one rate.
struct ClipSet {
  struct Clip {
    Audio audio;
    int label = 0;
    std::vector<int32_t> symbols = {};
  };
  std::vector<std::string> classes;
  std::vector<Clip> clips;
  int sample_rate = 0;
  std::vector<std::string> skipped, notices;  ///< as in data::Dataset
  data::Targets targets = {};
};

/// What makes each epoch's examples differ; `seed` and `epoch` fix them.
struct Augmentation {
  AugmentOptions options;
  uint64_t seed = 0;
  uint32_t epoch = 0;
  uint32_t first = 0;  ///< the number of the first clip among all
};

/// The paths of what a folder holds, sorted. Throws UserError where it is missing or cannot be read.
std::vector<std::string> entries_of(const std::string& folder);

/// True for the endings of audio files that can be read.
bool is_audio_file(const std::string& file);

/// Reads the clips in parallel, in the order of the list. `sample_rate` 0 takes that of the first readable
/// file. Files that cannot be used are skipped and named. Throws UserError where none is left.
ClipSet load_clips(const ClipList& list, int sample_rate = 0);

/// Features of every clip, computed in parallel; the result does not depend on the number of threads. Clips
/// too short for one frame are skipped and named; an augmented clip that became too short is used as it was.
/// `statistics` (global CMVN) are applied where given, before the masks of `augmentation`. Throws UserError
/// where no clip is left.
data::Dataset make_dataset(const ClipSet& clips, const FeatureExtractor& extractor,
                           const data::CmvnStatistics* statistics = nullptr,
                           const Augmentation* augmentation = nullptr);

/// Recordings whose samples are in a temporary file.
class StoredClips {
 public:
  StoredClips() = default;
  /// What was read of them is added.
  void add(const ClipSet& clips);
  size_t size() const { return clips_.size(); }
  /// Those from `begin` up to `end`, in memory.
  ClipSet part(size_t begin, size_t end) const;

 private:
  struct Clip {
    std::string source;
    int label = 0;
    std::vector<int32_t> symbols = {};
    uint64_t at = 0;
    size_t samples = 0;
  };
  std::vector<std::string> classes_;
  data::Targets targets_;
  int sample_rate_ = 0;
  std::vector<Clip> clips_;
  std::shared_ptr<data::RandomFile> file_;
};

/// What load_clips and make_dataset give of a list, bit for bit, with few recordings in memory at a time:
/// features are kept in a temporary file, from which they are read when they are needed. `kept`, where given,
/// gets the recordings as well.
data::Dataset stream_dataset(const ClipList& list, const FeatureExtractor& extractor,
                             const data::CmvnStatistics* statistics = nullptr, StoredClips* kept = nullptr,
                             const Augmentation* augmentation = nullptr);
/// The same of recordings that are kept.
data::Dataset stream_dataset(const StoredClips& clips, const FeatureExtractor& extractor,
                             const data::CmvnStatistics* statistics, const Augmentation& augmentation);

/// The rate of the first file of a list that says one, in Hz; 0 where none does.
int first_sample_rate(const ClipList& list);

}  // namespace lariat::speech
