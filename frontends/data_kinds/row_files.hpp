#pragma once

#include "frontends/data_kinds/data_kind.hpp"

namespace lariat {

/// Rows in one file that is split by shares, or in one file for each split.
struct RowsData : DataOptions {
  double validation = 0, testing = 10;
};

template <class Options>
Fields<Options> rows_fields(std::string path) {
  return data_fields<Options>(std::move(path))
      .number("validation", &Options::validation, 0, 90,
              "percent of the rows to validate on, and not to train on, where no file holds these")
      .number("testing", &Options::testing, 0, 90, "percent of the rows to test on, where there is one file");
}

/// With the keys of rows that numbers are learned of.
template <class Options>
Fields<Options> number_fields(Fields<Options> fields) {
  // A recipe to begin with learns numbers, whose size nobody knows.
  return std::move(fields)
      .boolean(
          "standardize_targets", &Options::standardize_targets,
          "learn numbers as (number - mean)/deviation of the training rows: losses are of these, all else "
          "is in the units of the data")
      .begin_with("true");
}

class RowFilesReader : public DataReader {
 public:
  /// `endings` are those of files that hold rows, the usual one first. With `whole` the path is one set of
  /// rows though it is a folder.
  RowFilesReader(const RowsData& options, const DataRequest& request, std::vector<std::string> endings,
                 bool whole = false);

  bool holds(const std::filesystem::path& file) const override;
  bool validates() const override;
  bool tests() const override { return !is_one_file() || options_.testing > 0; }

 protected:
  /// Whether all rows are in one place.
  bool is_one_file() const { return one_file_; }
  /// The file that holds a split. Throws UserError where there is none.
  std::string file_of(data::Split split) const;
  /// Whether a row of that file is of that split.
  bool is_of(size_t row, data::Split split) const;

 private:
  std::string found_file(data::Split split) const;

  RowsData options_;
  std::vector<std::string> endings_;
  bool one_file_;
  /// Whether rows to validate on are a share of those of the file to train on.
  bool cuts_validation_ = false;
};

}  // namespace lariat
