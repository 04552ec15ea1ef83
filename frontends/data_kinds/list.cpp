#include <fmt/format.h>

#include <algorithm>

#include "frontends/data/csv.hpp"
#include "frontends/data_kinds/data_kind_records.hpp"
#include "frontends/data_kinds/recordings.hpp"
#include "frontends/data_kinds/row_files.hpp"
#include "graph/base/error.hpp"

namespace lariat {

namespace {

struct ListData : RowsData {
  std::string file = "file", label = "label";
};

const Fields<ListData>& list_fields() {
  using L = ListData;
  static const Fields<L> fields =
      rows_fields<L>(
          "a table of recordings (.csv or .tsv), or a folder that holds train.csv, test.csv and perhaps "
          "validation.csv")
          .text("file", &L::file,
                "column that names each recording; relative names begin where the table lies")
          .text("label", &L::label, "column that says what it is");
  return fields;
}

class ListReader : public RowFilesReader {
 public:
  ListReader(const ListData& options, const DataRequest& request)
      : RowFilesReader(options, request, {".csv", ".tsv"}), options_(options) {}

  bool holds(const std::filesystem::path& file) const override {
    return RowFilesReader::holds(file) || speech::is_audio_file(file.string());
  }

  speech::ClipList list(data::Split split) const override {
    speech::ClipList list;
    // Which labels there are is said by what is trained on.
    each_row(data::Split::train,
             [&](const std::string&, const std::string& label) { list.classes.push_back(label); });
    std::sort(list.classes.begin(), list.classes.end());
    list.classes.erase(std::unique(list.classes.begin(), list.classes.end()), list.classes.end());
    const std::string table = file_of(split);
    each_row(split, [&](const std::string& file, const std::string& label) {
      const auto place = std::lower_bound(list.classes.begin(), list.classes.end(), label);
      if (place == list.classes.end() || *place != label)
        throw UserError(fmt::format("{}: '{}' is labelled '{}', which training never saw.{}", table, file,
                                    label, did_you_mean(label, list.classes)));
      list.entries.push_back({file, static_cast<int>(place - list.classes.begin())});
    });
    if (list.entries.empty())
      throw UserError(
          fmt::format("'{}' has no clips for the {} split; change data.testing and data.validation", table,
                      data::name_of(split)));
    return list;
  }

 private:
  template <class Take>
  void each_row(data::Split split, Take&& take) const {
    const std::string file = file_of(split);
    const data::TextTable table = data::read_csv(file);
    const auto column = [&](const std::string& key, const std::string& name) {
      const auto found = std::find(table.names.begin(), table.names.end(), name);
      if (found == table.names.end())
        throw UserError(fmt::format("{}: has no column '{}' ([data] {}).{}", file, name, key,
                                    did_you_mean(name, table.names)));
      return static_cast<size_t>(found - table.names.begin());
    };
    const size_t files = column("file", options_.file), labels = column("label", options_.label);
    for (size_t row = 0; row < table.rows.size(); ++row) {
      if (!is_of(row, split)) continue;
      const std::string& label = table.rows[row][labels];
      if (data::is_missing(label))
        throw UserError(
            fmt::format("{}: has no '{}'; give each recording one", table.place(row), options_.label));
      take((std::filesystem::path(file).parent_path() / table.rows[row][files]).string(), label);
    }
  }

  ListData options_;
};

}  // namespace

DataKind data_kind_records::list() {
  return {list_fields().kind("list", "recordings that a table names, with a label for each"),
          DataForm::recordings,
          [](const Spec& spec, const DataRequest& request) -> std::unique_ptr<DataReader> {
            return std::make_unique<ListReader>(list_fields().read(spec), request);
          }};
}

}  // namespace lariat
