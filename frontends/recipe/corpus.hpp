#pragma once

#include <optional>

#include "frontends/data/columns.hpp"
#include "frontends/data/folds.hpp"
#include "frontends/recipe/recipe.hpp"
#include "frontends/speech/clips.hpp"

namespace lariat {

/// The data that a recipe's [data] table names, split as it says.
class Corpus {
 public:
  /// `folder` stands in for the recipe's path where it is not empty. Throws UserError where there is neither.
  Corpus(const Recipe& recipe, const std::string& folder);
  /// With a fold, its examples are those to validate on, and all others those to train on, whatever the
  /// recipe sets apart; the test stays what it is.
  Corpus(const Recipe& recipe, const std::string& folder, const std::optional<data::FoldChoice>& fold);

  /// Recordings, or data that need no features.
  bool is_audio() const { return audio_; }
  const std::string& folder() const { return options_.path; }
  /// Whether `file` is there and one of the data's: a recording or an IDX file in the folder.
  bool holds(const std::string& file) const;
  /// Whether examples are set apart for validation.
  bool validates() const;
  /// Whether some are for the test.
  bool tests() const { return !is_one_file() || options_.testing > 0; }

  /// The recordings of a split; those for validation are trained on unless they are set apart.
  speech::ClipList list(data::Split split) const;
  /// The examples of a split, where they are no recordings.
  data::Dataset load(data::Split split);

  /// What the columns of a table are: as a trained model knows them, or as the training rows say when one is
  /// loaded first.
  const std::optional<data::Columns>& columns() const { return columns_; }
  void set_columns(std::optional<data::Columns> columns) { columns_ = std::move(columns); }

 private:
  /// The same with all classes apart.
  speech::ClipList all_clips(data::Split split) const;
  data::Dataset all_examples(data::Split split);
  /// Whether all rows are in one file.
  bool is_one_file() const;
  data::Dataset rows(const std::string& file, std::optional<data::Split> split);
  data::TextTable table(const std::string& file, std::optional<data::Split> split) const;
  data::ColumnOptions column_options() const;
  data::Dataset fold_of_table(const data::TextTable& all, data::Split part);
  data::Dataset load_whole(data::Split split);
  speech::ClipList list_whole(data::Split split) const;

  DataOptions options_;
  std::optional<data::FoldChoice> fold_;
  std::string kind_;
  bool audio_ = true;
  /// What the loss learns, and whether that is classes; of several outputs, the last one's.
  std::string task_;
  bool classes_ = true;
  /// The targets that are classes to one of several outputs.
  std::vector<std::string> class_targets_;
  std::optional<data::Columns> columns_;
  /// Of arrays: those of the ones to train on.
  std::vector<std::string> array_classes_;
};

/// Turns recordings into examples: what a saved model keeps of its [features].
struct FrontEnd {
  speech::FeatureExtractor extractor;
  /// Where cmvn = global.
  std::optional<data::CmvnStatistics> statistics = {};

  data::Dataset examples(const speech::ClipSet& clips,
                         const speech::Augmentation* augmentation = nullptr) const;
};

/// Moves examples of fewer than `frames` frames to the dataset's skipped ones. Throws UserError where none is
/// left.
void skip_short(data::Dataset& dataset, int64_t frames);

/// Runs `action` so that parallel loops in it use `threads` threads; 0: what the machine allows.
void with_threads(int threads, const std::function<void()>& action);

}  // namespace lariat
