#include "frontends/tables/csv.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "frontends/data/numbers.hpp"
#include "frontends/data/source.hpp"
#include "frontends/data_kinds/data_kind_records.hpp"
#include "frontends/data_kinds/row_files.hpp"
#include "graph/base/error.hpp"

namespace lariat {

namespace {

using data::Split;

struct CsvData : RowsData {
  std::vector<std::string> categories, ignore;
  std::string weight;
  bool standardize = true;
};

const Fields<CsvData>& csv_fields() {
  using C = CsvData;
  static const Fields<C> fields =
      number_fields(
          rows_fields<C>(
              "a file, or a folder that holds train.csv, test.csv and perhaps validation.csv (or .tsv)"))
          .list("target", &C::target, "columns to learn")
          .list("features", &C::features, "columns to learn from; empty: all others")
          .list("ignore", &C::ignore, "columns that are neither, such as identifiers")
          .list("categories", &C::categories, "columns that are categories though they hold numbers")
          .text("weight", &C::weight, "column that says how much a row counts")
          .boolean("standardize", &C::standardize,
                   "bring numbers to learn from to mean 0 and standard deviation 1");
  return fields;
}

// Of targets that are numbers.
void look_at_targets(const data::TextTable& rows, const data::Columns& columns, data::LostDigits& digits) {
  if (!columns.classes.empty()) return;
  for (size_t i = 0; i < columns.targets.size(); ++i) {
    if (i < columns.target_classes.size() && !columns.target_classes[i].empty()) continue;
    const auto found = std::find(rows.names.begin(), rows.names.end(), columns.targets[i]);
    if (found == rows.names.end()) continue;
    const auto place = static_cast<size_t>(found - rows.names.begin());
    for (const auto& row : rows.rows)
      if (const auto number = data::number_in(row[place], rows.decimal_commas)) digits.look(i, *number);
  }
}

data::TextTable chosen_lines(const data::TextTable& all, const std::vector<int64_t>& numbers) {
  data::TextTable table{all.file, all.names, {}, {}, all.decimal_commas};
  for (const int64_t number : numbers) {
    table.rows.push_back(all.rows[static_cast<size_t>(number)]);
    table.lines.push_back(all.lines[static_cast<size_t>(number)]);
  }
  return table;
}

class CsvReader : public RowFilesReader {
 public:
  CsvReader(const CsvData& options, const DataRequest& request)
      : RowFilesReader(options, request, {".csv", ".tsv"}), streamed_(options.stream) {
    columns_of_ = {request.targets, options.features,      options.categories,    options.weight,
                   request.classes, request.class_targets, request.label_targets, options.standardize,
                   options.ignore,  request.shares};
  }

  const std::optional<data::Columns>& columns() const override { return columns_; }
  void set_columns(std::optional<data::Columns> columns) override { columns_ = std::move(columns); }

  void forget() override { table_.reset(); }

  data::Dataset load(Split split) override {
    // What the columns are is said by the rows to train on.
    if (!columns_ && split != Split::train) find_columns();
    if (streamed_) return streamed(split);
    const data::TextTable rows = rows_of(split);
    if (!columns_) columns_ = data::columns_of(rows, columns_of_);
    data::Dataset dataset = data::dataset_of(rows, *columns_);
    if (split != Split::train) return dataset;
    data::LostDigits digits;
    look_at_targets(rows, *columns_, digits);
    note(dataset, digits);
    return dataset;
  }

  // What is a category and which there are is said by all rows, since a fold may lack a rare one; means and
  // deviations by the rows to train on.
  data::Dataset fold(const data::FoldChoice& fold, Split split) override {
    const data::TextTable all = rows_of(Split::train);
    const data::Columns whole = data::columns_of(all, columns_of_);
    const data::Dataset rows = data::dataset_of(all, whole);
    std::vector<int64_t> present;
    for (size_t row = 0, example = 0; row < all.rows.size() && example < rows.examples.size(); ++row)
      if (rows.examples[example].source == all.place(row))
        present.push_back(static_cast<int64_t>(row)), ++example;
    require(present.size() == rows.examples.size(), "an example is named by its row");
    const std::vector<int64_t> folds = data::fold_numbers(rows, fold.count, fold.seed);
    const auto lines_of = [&](Split part) {
      std::vector<int64_t> numbers = data::part_of(folds, fold, part);
      for (int64_t& number : numbers) number = present[static_cast<size_t>(number)];
      return chosen_lines(all, numbers);
    };
    const data::TextTable fitted = lines_of(Split::train);
    columns_ = data::with_numbers_of(whole, fitted, columns_of_.standardize);
    return data::dataset_of(split == Split::train ? fitted : lines_of(split), *columns_);
  }

 private:
  data::TextTable rows_of(Split split) {
    const std::string file = file_of(split);
    // Of one file, each split is a part: it is read once.
    if (!table_) table_ = data::read_csv(file);
    std::vector<int64_t> numbers;
    for (size_t row = 0; row < table_->rows.size(); ++row)
      if (is_of(row, split)) numbers.push_back(static_cast<int64_t>(row));
    data::TextTable rows = chosen_lines(*table_, numbers);
    if (!is_one_file()) table_.reset();
    return rows;
  }

  void each_part(Split split, const std::function<void(const data::TextTable&)>& take) const {
    data::each_csv_part(file_of(split), [&](int64_t first, const data::TextTable& rows) {
      std::vector<int64_t> numbers;
      for (size_t row = 0; row < rows.rows.size(); ++row)
        if (is_of(static_cast<size_t>(first) + row, split)) numbers.push_back(static_cast<int64_t>(row));
      if (!numbers.empty()) take(chosen_lines(rows, numbers));
    });
  }

  void find_columns() {
    const auto each = [&](const std::function<void(const data::TextTable&)>& take) {
      each_part(Split::train, take);
    };
    columns_ = streamed_ ? data::columns_of(each, columns_of_)
                         : data::columns_of(rows_of(Split::train), columns_of_);
  }

  data::Dataset streamed(Split split) {
    if (!columns_) find_columns();
    const auto values = std::make_shared<data::KeptValues>();
    data::Dataset dataset;
    data::LostDigits digits;
    bool first = true;
    each_part(split, [&](const data::TextTable& rows) {
      if (split == Split::train) look_at_targets(rows, *columns_, digits);
      data::Dataset some = data::dataset_of(rows, *columns_);
      std::vector<data::Example> examples = std::move(some.examples);
      std::vector<std::string> skipped = std::move(some.skipped);
      if (first) dataset = std::move(some);
      if (first) dataset.examples.clear(), dataset.skipped.clear();
      first = false;
      for (data::Example& example : examples) {
        values->keep(example);
        dataset.examples.push_back(std::move(example));
      }
      dataset.skipped.insert(dataset.skipped.end(), skipped.begin(), skipped.end());
    });
    if (split == Split::train) note(dataset, digits);
    return dataset;
  }

  void note(data::Dataset& dataset, const data::LostDigits& digits) const {
    dataset.notices.insert(dataset.notices.end(), columns_->notices.begin(), columns_->notices.end());
    const std::vector<std::string> lines = digits.notices(columns_->targets);
    dataset.notices.insert(dataset.notices.end(), lines.begin(), lines.end());
  }

  bool streamed_;
  data::ColumnOptions columns_of_;
  std::optional<data::Columns> columns_;
  std::optional<data::TextTable> table_;
};

}  // namespace

DataKind data_kind_records::csv() {
  return {csv_fields().kind(
              "csv",
              "rows of numbers and categories under a line of names; what is learned follows from the loss"),
          DataForm::rows,
          [](const Spec& spec, const DataRequest& request) -> std::unique_ptr<DataReader> {
            return std::make_unique<CsvReader>(csv_fields().read(spec), request);
          },
          0,
          true,
          nullptr,
          false,
          true};
}

}  // namespace lariat
