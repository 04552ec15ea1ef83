#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "frontends/data/dataset.hpp"
#include "frontends/speech/augment.hpp"
#include "frontends/speech/features.hpp"

namespace lariat::speech {

/// The labelled recordings of one split of a corpus, not read yet.
struct ClipList {
  struct Entry {
    std::string file;
    int label = 0;  ///< index into classes
  };
  std::vector<std::string> classes;
  std::vector<Entry> entries;
  std::vector<std::string> skipped;  ///< "file: reason", for files whose name says no label
};

/// Recordings in memory, all at one rate.
struct ClipSet {
  struct Clip {
    Audio audio;
    int label = 0;
  };
  std::vector<std::string> classes;
  std::vector<Clip> clips;
  int sample_rate = 0;
  std::vector<std::string> skipped, notices;  ///< as in data::Dataset
};

/// What makes each epoch's examples differ; `seed` and `epoch` fix them.
struct Augmentation {
  AugmentOptions options;
  uint64_t seed = 0;
  uint32_t epoch = 0;
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

}  // namespace lariat::speech
