#pragma once

#include <string>
#include <vector>

#include "frontends/speech/clips.hpp"

namespace lariat::speech {

/// How a folder with one folder of recordings per label is split.
struct LabelledFoldersOptions {
  /// Shares of the clips, in percent, where the folder holds neither testing_list.txt nor
  /// validation_list.txt.
  double testing_percentage = 10, validation_percentage = 10;
  std::vector<std::string> labels;  ///< only these; empty: all
  /// Which files are meant, and what a message calls them.
  bool (*accepts)(const std::string& file) = is_audio_file;
  std::string what = "recordings (WAV, FLAC, AIFF or SPHERE)";
};

/// The clips of one split, sorted by label and file name; the classes are the names of the folders, without
/// those that start with '_' or '.'. The lists testing_list.txt and validation_list.txt (lines
/// "label/file.wav", as in Speech Commands) decide the split where there are any. Otherwise a hash of the
/// file name does, up to "_nohash_", so that a speaker stays in one split and added files move no other.
/// A folder that holds the folders train and test, and perhaps validation, with a folder per label in each,
/// is split as these say; what train holds is split further where there is no folder validation. Throws
/// UserError for a folder that is missing or has no labelled clips, a label that is not there, a list that
/// cannot be read, and a split without clips.
ClipList list_labelled_folders(const std::string& folder, data::Split split,
                               const LabelledFoldersOptions& options = {});

}  // namespace lariat::speech
