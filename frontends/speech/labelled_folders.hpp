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
};

/// The clips of one split, sorted by label and file name; the classes are the names of the folders, without
/// those that start with '_' or '.'. The lists testing_list.txt and validation_list.txt (lines
/// "label/file.wav", as in Speech Commands) decide the split where there are any. Otherwise a hash of the
/// file name does, up to "_nohash_", so that a speaker stays in one split and added files move no other.
/// Throws UserError for a folder that is missing or has no labelled clips, a label that is not there, a list
/// that cannot be read, and a split without clips.
ClipList list_labelled_folders(const std::string& folder, data::Split split,
                               const LabelledFoldersOptions& options = {});

}  // namespace lariat::speech
