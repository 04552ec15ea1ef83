#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace lariat::data {

/// Which part of a corpus: what the model learns from, what choices are made on, and what is reported.
enum class Split { train, validation, test };

/// "train", "validation" or "test".
std::string_view name_of(Split split);

/// Where values of examples are that are not in memory: read when they are needed, ahead of a training. May
/// be asked by many threads at once, and gives the same each time.
class Source {
 public:
  virtual ~Source() = default;
  /// Writes the values of its example `number`, as Example has them: as many as its frames and dimensions
  /// say. Throws UserError naming the file.
  virtual void read(int64_t number, std::span<float> values) const = 0;
};

/// One example: row-major [frames, dimensions], and what is to be learned of it. Data without a time axis has
/// one frame.
struct Example {
  std::string source;  ///< file name, or file and position, for messages
  int label = 0;       ///< index into Dataset::classes, where the dataset has no targets
  int64_t frames = 0, dimensions = 0;
  std::vector<float> values;
  std::vector<float> targets = {};  ///< as Dataset::targets says
  float weight = 1;                 ///< how much it counts, in training and in evaluation
  /// What has the values, as its example `number`, where `values` is empty.
  std::shared_ptr<const Source> stored = {};
  int64_t number = 0;
};

/// Reads the values of an example that are stored. Throws UserError where they cannot be read, or are not
/// finite.
void read_stored(const Example& example, std::span<float> values);
/// The example with its values in memory.
Example loaded(const Example& example);

/// What is learned where it is not a label: numbers, shares of classes, several labels at once, a sequence of
/// symbols.
struct Targets {
  int64_t width = 0;      ///< how many numbers an example has, or each of its frames; 0: labels are learned
  bool by_frame = false;  ///< row-major [frames, width] for each example
  std::vector<std::string> names = {};  ///< of the `width` numbers; none: they are counted from 0
  /// Of numbers that are classes, counted from 0, what these are; empty, or empty for one: numbers.
  std::vector<std::vector<std::string>> classes = {};
  /// Which of an example's numbers are meant, where these are not all.
  std::vector<int64_t> columns = {};
  /// An example has any number of targets, also none: a sequence of the dataset's classes, the first of which
  /// is 1. The width is 1.
  bool symbols = false;
  /// What stands between symbols where a sequence is written.
  std::string between = " ";

  friend bool operator==(const Targets&, const Targets&) = default;
};

/// How a model learns a number: as (number - mean)/deviation.
struct TargetScale {
  float mean = 0, deviation = 1;

  friend bool operator==(const TargetScale&, const TargetScale&) = default;
};

/// Neighbouring values of an example, or of each of its frames, under one name.
struct Column {
  std::string name;
  int64_t width = 1;

  friend bool operator==(const Column&, const Column&) = default;
};

/// Examples, with their values in memory or where a source has them, and what happened while they were read.
struct Dataset {
  std::vector<std::string> classes = {};
  std::vector<Example> examples = {};
  bool sequences = true;  ///< false: every example has one frame, and batches have no time axis
  std::vector<std::string> skipped = {};  ///< "file: reason", for files that could not be used
  std::vector<std::string> notices = {};  ///< conversions, such as "300 files resampled from …"
  Targets targets = {};
  std::vector<Column> columns = {};  ///< that all dimensions are, one behind the other; none: one
  /// The same examples as they are seen in other ways: outputs are averaged over these and the examples where
  /// a model is evaluated or predicts, and not where it is trained.
  std::vector<Dataset> views = {};
  /// Of each target; none: numbers are learned as they are.
  std::vector<TargetScale> target_scales = {};
};

/// Mean and standard deviation of each target, over all examples, or their frames, by their weights. A column
/// that does not vary has the deviation 1; one of classes stays as it is. None where no target is a number.
std::vector<TargetScale> target_scales_of(const Dataset& dataset);
/// Sets them, so that a model that is built for these data learns numbers of any size: losses are of
/// (number - mean)/deviation, predictions and metrics in the units of the data. Throws UserError where no
/// target is a number. Where such a model is a layer of others, it gives them standardised numbers.
void standardize_targets(Dataset& dataset);

/// Makes of `classes` the two "not NAME" and NAME, and returns the place that NAME had. Throws UserError with
/// the nearest one where it is none of them.
int keep_one_class(std::vector<std::string>& classes, const std::string& name);

/// Whether any example's values are read when they are needed.
bool is_streamed(const Dataset& dataset);
/// Whether an example has another weight than 1.
bool is_weighted(const Dataset& dataset);

/// Throws UserError, with the first file that was skipped where one was: there is no example.
[[noreturn]] void fail_without_examples(const Dataset& dataset);
/// Throws UserError, naming the example's source, where its values are not frames × dimensions of them, its
/// dimensions or number of frames are not what the dataset's first example or kind says, or it has another
/// number of targets than the dataset says or a weight below 0.
void check_size(const Example& example, const Dataset& dataset);
/// Throws UserError, naming the example's source, where values in memory are NaN or infinite.
void check_finite(const Example& example);

/// Mean and 1/standard deviation of each dimension, over all frames of a training set.
struct CmvnStatistics {
  std::vector<float> mean, inverse_std;
};

/// Accumulated in double; a dimension that does not vary gets inverse_std = 1. Where `means` or `variances`
/// is false, that part is 0 or 1 and changes nothing. Throws UserError for a dataset without examples.
CmvnStatistics compute_cmvn(const Dataset& dataset, bool means = true, bool variances = true);

/// value = (value - mean)·inverse_std, where values are in memory at once, where not as they are read; for
/// rows of statistics.mean.size() values. Throws UserError where `values` is no whole number of such rows.
void apply_cmvn(const CmvnStatistics& statistics, std::span<float> values);
void apply_cmvn(const CmvnStatistics& statistics, Dataset& dataset);

/// One line for many: messages "FILE: text" that agree in their text become "3 files: text (the first is
/// FILE)"; a text that occurs once stays as it is.
std::vector<std::string> summarised(const std::vector<std::string>& messages);

}  // namespace lariat::data
