#pragma once

#include <functional>

#include "frontends/data/dataset.hpp"
#include "frontends/tables/csv.hpp"
#include "frontends/tables/number_notation.hpp"

namespace lariat::data {

/// What the columns of a table are, as the training rows say it: all that is needed to read others alike.
struct Columns {
  /// A number, (number - centre)·scale, or its mean where it is missing; or a category, one of its values as
  /// so many zeros and a one, none where it is missing.
  struct Feature {
    std::string name;
    double mean = 0, centre = 0, scale = 1;
    std::vector<std::string> values = {};
    bool is_category = false;

    int64_t width() const { return is_category ? static_cast<int64_t>(values.size()) : 1; }
  };
  std::vector<Feature> features;
  /// One column whose values are the classes, or columns of numbers.
  std::vector<std::string> targets;
  std::vector<std::string> classes = {};
  /// The column of weights, or "".
  std::string weight = {};
  /// Of several targets, the classes of each, none where it is of numbers; empty: all are.
  std::vector<std::vector<std::string>> target_classes = {};
  /// Of several targets, those that are true or not: 1 and 0, and words for it.
  std::vector<std::string> label_targets = {};
  /// What a table says that may not be meant; no part of a model.
  std::vector<std::string> notices = {};

  /// How the training rows write numbers: others are read alike.
  NumberForms number_forms = {};

  int64_t dimensions() const;
  /// Features, targets and weight that are numbers.
  std::vector<std::string> numbers() const;
};

/// What to make of a table.
struct ColumnOptions {
  std::vector<std::string> targets;
  /// Columns that are features; empty: all others but those that are ignored.
  std::vector<std::string> features = {};
  /// Columns that are categories though they hold numbers.
  std::vector<std::string> categories = {};
  std::string weight = {};
  /// Whether the one target is a class, whatever it looks like.
  bool classes = false;
  /// Of several targets, those that are classes.
  std::vector<std::string> class_targets = {};
  /// Of several targets, those that are true or not.
  std::vector<std::string> label_targets = {};
  /// Whether numbers are brought to mean 0 and standard deviation 1.
  bool standardize = true;
  std::vector<std::string> ignored = {};
  /// Whether the one target may say how probable something is, by numbers from 0 to 1, rather than be a
  /// class.
  bool shares = false;
};

/// Throws UserError naming the file, and the column with the nearest name, where one is not there, and for a
/// columns of text in which nearly every row has a value of its own.
Columns columns_of(const TextTable& table, const ColumnOptions& options);

/// Calls its argument with all rows of a table that need not fit into memory, some at a time.
using EachPart = std::function<void(const std::function<void(const TextTable& part)>& take)>;
/// The same of such rows, which are gone through twice.
Columns columns_of(const EachPart& each, const ColumnOptions& options);

/// The same columns with the means and deviations that numbers have in these rows.
Columns with_numbers_of(Columns columns, const TextTable& rows, bool standardize);

/// The rows as examples; those whose target is missing are skipped. Without `labelled` targets need not be
/// there. Throws UserError with file, line and column for a number that is none or may be two, and for a
/// category that was never seen.
Dataset dataset_of(const TextTable& table, const Columns& columns, bool labelled = true);

/// {"features": […], …} and back. Throws UserError for what to_json did not write.
std::string to_json(const Columns& columns);
Columns columns_from_json(std::string_view json);

}  // namespace lariat::data
