#include "frontends/data/libsvm.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <unistd.h>

#include <algorithm>
#include <set>

#include "frontends/data/numbers.hpp"
#include "frontends/data_kinds/data_kind_records.hpp"
#include "frontends/data_kinds/row_files.hpp"
#include "graph/base/error.hpp"

namespace lariat {

namespace {

using data::LabelledRows;
using data::Split;

struct LibsvmData : RowsData {
  bool zero_based = false;
  int64_t columns = 0;
};

const Fields<LibsvmData>& libsvm_fields() {
  static const Fields<LibsvmData> fields =
      number_fields(rows_fields<LibsvmData>("a file, or a folder that holds train.svm, test.svm and perhaps "
                                            "validation.svm (or .libsvm, .txt)"))
          .boolean("zero_based", &LibsvmData::zero_based, "columns are counted from 0, and not from 1")
          .integer("columns", &LibsvmData::columns, 0, int64_t{1} << 30,
                   "how many there are; 0: as many as the rows to train on have");
  return fields;
}

constexpr size_t most_classes = 1000;
// More are taken where data.columns says so: each has weights of its own.
constexpr int64_t most_columns = int64_t{1} << 22;

// Rows that lie in compressed form; what they leave out is 0.
class SparseRows : public data::Source {
 public:
  explicit SparseRows(LabelledRows rows) : rows_(std::move(rows)) {}
  const LabelledRows& rows() const { return rows_; }
  void read(int64_t row, std::span<float> values) const override {
    std::fill(values.begin(), values.end(), 0.0F);
    for (int32_t i = rows_.row_starts[static_cast<size_t>(row)];
         i < rows_.row_starts[static_cast<size_t>(row) + 1]; ++i)
      values[static_cast<size_t>(rows_.entry_columns[static_cast<size_t>(i)])] =
          static_cast<float>(rows_.values[static_cast<size_t>(i)]);
  }

 private:
  LabelledRows rows_;
};

// Throws UserError where a row has an entry behind the last of `columns`, or, if these are 0, behind what is
// likely to be meant.
std::shared_ptr<const SparseRows> sparse_rows(const std::string& file, bool zero_based, int64_t columns) {
  LabelledRows rows = data::read_libsvm(file, zero_based);
  const int64_t most = columns > 0 ? columns : most_columns;
  for (int64_t row = 0; rows.columns > most && row < rows.rows; ++row) {
    const int32_t begin = rows.row_starts[static_cast<size_t>(row)],
                  end = rows.row_starts[static_cast<size_t>(row) + 1];
    const int64_t last = end > begin ? rows.entry_columns[static_cast<size_t>(end) - 1] : 0;
    if (last < most) continue;
    const std::string index =
        fmt::format("{}: has the index {}", rows.place(row), last + (zero_based ? 0 : 1));
    if (columns > 0)
      throw UserError(fmt::format(
          "{}, but there are {} columns, as data.columns says or else the rows to train on have; set "
          "data.columns before the training to as many as there are",
          index, columns));
    throw UserError(
        fmt::format("{}, and a model has weights for each of so many columns; see that it is right, and "
                    "set data.columns = {} where it is",
                    index, rows.columns));
  }
  return std::make_shared<const SparseRows>(std::move(rows));
}

// Throws UserError where so many rows of so many numbers are more than the machine's memory.
void check_size(const LabelledRows& rows, int64_t columns) {
  const double bytes = static_cast<double>(sizeof(float)) * static_cast<double>(rows.rows * columns);
  const double memory =
      static_cast<double>(sysconf(_SC_PHYS_PAGES)) * static_cast<double>(sysconf(_SC_PAGESIZE));
  if (bytes > memory)
    throw UserError(
        fmt::format("{}: {} rows of {} columns with all their zeros take {:.1f} GB; set data.stream = true, "
                    "which keeps them as they are in the file",
                    rows.file, rows.rows, columns, bytes / 1e9));
}

// Without a label.
data::Example example_of(const std::shared_ptr<const SparseRows>& rows, int64_t row, int64_t columns,
                         bool streamed) {
  data::Example example{rows->rows().place(row), 0, 1, columns, {}};
  if (streamed) {
    example.stored = rows;
    example.number = row;
  } else {
    example.values.resize(static_cast<size_t>(columns));
    rows->read(row, example.values);
  }
  return example;
}

class LibsvmReader : public RowFilesReader {
 public:
  LibsvmReader(const LibsvmData& options, const DataRequest& request)
      : RowFilesReader(options, request, {".svm", ".libsvm", ".txt"}),
        options_(options),
        classes_wanted_(request.classes) {}

  std::vector<std::pair<std::string, std::string>> found() const override {
    return {{"data.columns", fmt::format("{}", options_.columns)}};
  }

  data::Dataset load(Split split) override {
    // What the classes and columns are is said by the rows to train on.
    if (split != Split::train && ((classes_wanted_ && labels_.empty()) || options_.columns == 0))
      load(Split::train);
    const auto rows = sparse_rows(file_of(split), options_.zero_based, options_.columns);
    const LabelledRows& all = rows->rows();
    if (options_.columns == 0) options_.columns = all.columns;
    if (options_.columns == 0)
      throw UserError(fmt::format("{}: no row has an entry; check the file", all.file));
    if (!options_.stream) check_size(all, options_.columns);
    if (classes_wanted_ && labels_.empty()) labels_ = {all.labels.begin(), all.labels.end()};
    if (labels_.size() > most_classes)
      throw UserError(
          fmt::format("{}: its labels have {} different values, which are no classes; learn them as "
                      "numbers, by mean_squared_error",
                      all.file, labels_.size()));
    data::Dataset dataset{.sequences = false};
    for (const double label : labels_) dataset.classes.push_back(fmt::format("{}", label));
    if (!classes_wanted_) dataset.targets = {.width = 1, .names = {"label"}};
    data::LostDigits digits;
    for (int64_t row = 0; row < all.rows; ++row) {
      if (!is_of(static_cast<size_t>(row), split)) continue;
      data::Example example = example_of(rows, row, options_.columns, options_.stream);
      const double label = all.labels[static_cast<size_t>(row)];
      if (classes_wanted_)
        example.label = class_of(label, all.place(row));
      else
        example.targets = {static_cast<float>(label)};
      if (!classes_wanted_) digits.look(0, label);
      dataset.examples.push_back(std::move(example));
    }
    if (split == Split::train) dataset.notices = digits.notices(dataset.targets.names);
    return dataset;
  }

 private:
  int class_of(double label, const std::string& place) const {
    const auto found = labels_.find(label);
    if (found == labels_.end())
      throw UserError(fmt::format("{}: the label {} is none that the rows to train on have: {}", place, label,
                                  fmt::join(labels_, ", ")));
    return static_cast<int>(std::distance(labels_.begin(), found));
  }

  LibsvmData options_;
  bool classes_wanted_;
  std::set<double> labels_;
};

data::Dataset read_libsvm_file(const Spec& spec, const std::string& file) {
  const LibsvmData options = libsvm_fields().read(spec);
  const auto rows = sparse_rows(file, options.zero_based, options.columns);
  data::Dataset dataset{.sequences = false};
  for (int64_t row = 0; row < rows->rows().rows; ++row)
    dataset.examples.push_back(example_of(rows, row, options.columns, true));
  return dataset;
}

}  // namespace

DataKind data_kind_records::libsvm() {
  return {libsvm_fields().kind("libsvm",
                               "LIBSVM text: a label and index:value in each line; numbers that are left out "
                               "are 0"),
          DataForm::rows,
          [](const Spec& spec, const DataRequest& request) -> std::unique_ptr<DataReader> {
            return std::make_unique<LibsvmReader>(libsvm_fields().read(spec), request);
          },
          0,
          false,
          read_libsvm_file,
          false,
          true};
}

}  // namespace lariat
