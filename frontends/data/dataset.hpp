#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace lariat::data {

/// Which part of a corpus: what the model learns from, what choices are made on, and what is reported.
enum class Split { train, validation, test };

/// "train", "validation" or "test".
std::string_view name_of(Split split);

/// One labelled example: row-major [frames, dimensions]. Data without a time axis has one frame.
struct Example {
  std::string source;  ///< file name, or file and position, for messages
  int label = 0;       ///< index into Dataset::classes
  int64_t frames = 0, dimensions = 0;
  std::vector<float> values;
};

/// Examples in memory, and what happened while they were read.
struct Dataset {
  std::vector<std::string> classes;
  std::vector<Example> examples;
  bool sequences = true;             ///< false: every example has one frame, and batches have no time axis
  std::vector<std::string> skipped;  ///< "file: reason", for files that could not be used
  std::vector<std::string> notices;  ///< conversions, such as "300 files resampled from …"
};

/// Throws UserError, naming the example's source, where its values are not frames × dimensions of them, or
/// its dimensions or number of frames are not what the dataset's first example or kind says.
void check_size(const Example& example, const Dataset& dataset);

/// Mean and 1/standard deviation of each dimension, over all frames of a training set.
struct CmvnStatistics {
  std::vector<float> mean, inverse_std;
};

/// Accumulated in double; a dimension that does not vary gets inverse_std = 1. Where `means` or `variances`
/// is false, that part is 0 or 1 and changes nothing. Throws UserError for a dataset without examples.
CmvnStatistics compute_cmvn(const Dataset& dataset, bool means = true, bool variances = true);

/// value = (value - mean)·inverse_std, for rows of statistics.mean.size() values. Throws UserError where
/// `values` is no whole number of such rows.
void apply_cmvn(const CmvnStatistics& statistics, std::vector<float>& values);
void apply_cmvn(const CmvnStatistics& statistics, Dataset& dataset);

/// One line for many: messages "FILE: text" that agree in their text become "3 files: text (the first is
/// FILE)"; a text that occurs once stays as it is.
std::vector<std::string> summarised(const std::vector<std::string>& messages);

}  // namespace lariat::data
