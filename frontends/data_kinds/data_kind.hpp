#pragma once

#include <filesystem>
#include <memory>
#include <optional>

#include "frontends/data/folds.hpp"
#include "frontends/spec/spec.hpp"
#include "frontends/speech/clips.hpp"
#include "frontends/tables/columns.hpp"

namespace lariat {

/// What kinds of [data] have in common; a kind adds its own keys, and may lack some of these.
struct DataOptions {
  std::string path;
  /// The one class that is told from all others; "": each class is one.
  std::string positive;
  /// Whether examples are read when they are needed rather than kept in memory.
  bool stream = false;
  /// As in data::BatchOptions.
  int64_t window = 0;
  std::vector<std::string> labels;
  /// Of rows of a table.
  std::vector<std::string> target, features;
  /// Whether numbers to learn are brought to mean 0 and deviation 1.
  bool standardize_targets = false;
  /// Of recordings that are learned as sequences of symbols: an example is 1 to so many of them.
  int64_t join = 1;
};

/// What is asked of data: where they are, and what is to be learned of them.
struct DataRequest {
  std::string path;
  /// Whether classes are learned, and of several targets, which ones are.
  bool classes = true;
  std::vector<std::string> targets = {}, class_targets = {};
  /// Of the targets, those that are true or not, where several are at once.
  std::vector<std::string> label_targets = {};
  /// Whether folds are held out rather than what the kind sets apart for validation.
  bool folds = false;
  /// Whether the classes are two, of which a number between 0 and 1 may say how probable the second is.
  bool shares = false;
  /// Whether sequences of symbols are learned.
  bool symbols = false;
};

/// Data of one kind, opened: recordings, of which it gives lists, or what needs no features, which it loads.
class DataReader {
 public:
  virtual ~DataReader() = default;
  /// Whether a file that lies in the path of the data is one of them.
  virtual bool holds(const std::filesystem::path& file) const = 0;
  /// Whether examples are set apart for validation, and whether some are for the test.
  virtual bool validates() const = 0;
  virtual bool tests() const { return true; }
  /// The recordings of a split; those for validation are trained on unless they are set apart.
  virtual speech::ClipList list(data::Split split) const;
  virtual data::Dataset load(data::Split split);
  /// Of the examples to train on, those that a fold has for a split.
  virtual data::Dataset fold(const data::FoldChoice& fold, data::Split split);
  /// What the columns of a table are: as a trained model knows them, or as the training rows say when one is
  /// loaded first.
  virtual const std::optional<data::Columns>& columns() const;
  virtual void set_columns(std::optional<data::Columns> columns);
  /// Lets go of what is kept so that the next split need not read it again.
  virtual void forget() {}
  /// Keys whose values the data have decided.
  virtual std::vector<std::pair<std::string, std::string>> found() const { return {}; }
};

/// What examples are: recordings, which [features] and [augment] are for, pictures, or rows.
enum class DataForm { recordings, images, rows };

/// A kind of data: a record in one file, NAME.cpp.
struct DataKind {
  SpecKind spec;
  DataForm form = DataForm::rows;
  std::unique_ptr<DataReader> (*open)(const Spec& spec, const DataRequest& request) = nullptr;
  /// How many values an example has where no data say it; 0: nobody knows.
  int64_t usual_dimensions = 0;
  /// Whether columns may have names that the data alone know.
  bool names_columns = false;
  /// Reads a file as examples to predict, which have no labels; nullptr: as tables and arrays are read.
  data::Dataset (*read_file)(const Spec& spec, const std::string& file) = nullptr;
  /// Whether an example may have a sequence of symbols; recordings always may.
  bool has_symbols = false;
  /// Whether rows to validate on may lie in a file of their own.
  bool has_validation_files = false;
};

const std::vector<DataKind>& data_kinds();
/// The kind of a [data] table.
const DataKind& data_kind_of(const Spec& spec);
/// What a [data] table says that kinds have in common; what its kind lacks keeps its default.
DataOptions data_options(const Spec& spec);

inline constexpr int64_t most_joined = 1000;

/// The keys that every kind has, to which it adds its own: Options is derived from DataOptions.
template <class Options>
Fields<Options> data_fields(std::string path = "folder that holds the data") {
  return Fields<Options>()
      .text("path", &Options::path, std::move(path))
      .text("positive", &Options::positive,
            "of classes, the one that is told from all others, a yes or no; empty: all are")
      .boolean("stream", &Options::stream,
               "read examples when they are needed, ahead of the training, rather than keep them in memory")
      .integer("window", &Options::window, 0, 1000000000,
               "shuffle within so many training examples at a time; 0: all");
}

}  // namespace lariat
