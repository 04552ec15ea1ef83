#pragma once

#include <optional>

#include "frontends/data_kinds/data_kind.hpp"
#include "frontends/recipe/recipe.hpp"

namespace lariat {

/// The data that a recipe's [data] table names, split as it says.
class Corpus {
 public:
  /// `folder` stands in for the recipe's path where it is not empty. Throws UserError where there is neither.
  /// With a fold, its examples are those to validate on, and all others those to train on, whatever the
  /// recipe sets apart; the test stays what it is.
  Corpus(const Recipe& recipe, const std::string& folder, const std::optional<data::FoldChoice>& fold = {});

  /// Recordings, or data that need no features.
  bool is_audio() const { return kind_.form == DataForm::recordings; }
  const DataOptions& options() const { return options_; }
  /// Whether `file` is there and one of the data's: a recording or an IDX file in the folder.
  bool holds(const std::string& file) const;
  /// Whether examples are set apart for validation.
  bool validates() const { return fold_ || reader_->validates(); }
  /// Whether some are for the test.
  bool tests() const { return is_of_fold(data::Split::test) || reader_->tests(); }

  /// The recordings of a split; those for validation are trained on unless they are set apart.
  speech::ClipList list(data::Split split) const;
  /// The examples of a split, where they are no recordings.
  data::Dataset load(data::Split split);
  /// The kind's reader, for what is its own.
  DataReader& reader() { return *reader_; }

 private:
  // Whether a split is made of folds of the examples to train on.
  bool is_of_fold(data::Split split) const { return fold_ && (split != data::Split::test || fold_->watched); }
  // Those of a split, each by itself.
  speech::ClipList single(data::Split split) const;

  const DataKind& kind_;
  DataOptions options_;
  bool symbols_ = false;
  std::optional<data::FoldChoice> fold_;
  std::unique_ptr<DataReader> reader_;
};

/// Whether an output of a recipe learns numbers.
bool learns_numbers(const Recipe& recipe);

/// Standardises the targets of data to train on that are numbers, where [data] standardize_targets says so;
/// else notes in the dataset which of them are learned badly.
void prepare_targets(const Recipe& recipe, data::Dataset& train);

/// Turns recordings into examples: what a saved model keeps of its [features].
struct FrontEnd {
  speech::FeatureExtractor extractor;
  /// Where cmvn = global.
  std::optional<data::CmvnStatistics> statistics = {};
  /// How recordings are heard besides, where a model is evaluated or recognises: see Dataset::views.
  std::vector<speech::AugmentOptions> views = {};

  data::Dataset examples(const speech::ClipSet& clips,
                         const speech::Augmentation* augmentation = nullptr) const;
  /// Of recordings that are not read yet, with their views; streamed, with few of them in memory at a time.
  data::Dataset examples(const speech::ClipList& list, bool streamed) const;
  /// One recording. Throws UserError, naming it, where it has no features.
  data::Example example(const speech::Audio& audio, const speech::AugmentOptions* view = nullptr) const;
};

/// Throws UserError where filters cannot be warped as far as [augment] or a view asks.
void check_warps(const FrontEnd& front_end, const speech::AugmentOptions& augment);

/// Throws UserError where a layer takes columns of a table for symbols that are standardised or categories.
void check_symbol_columns(const std::vector<LayerSpec>& layers, const data::Dataset& dataset,
                          const data::Columns& columns);

/// Moves examples of fewer frames than the layers need, be it in a view, to the dataset's skipped ones.
/// `output` is the layer whose outputs are learned; empty: the last one. Throws UserError where none is left.
void skip_short(data::Dataset& dataset, const std::vector<LayerSpec>& layers, const std::string& output = {});

/// Runs `action` so that parallel loops in it use `threads` threads; 0: what the machine allows.
void with_threads(int threads, const std::function<void()>& action);

}  // namespace lariat
