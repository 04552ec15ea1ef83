#include <fmt/format.h>

#include "frontends/data/arrays.hpp"
#include "frontends/data_kinds/data_kind_records.hpp"
#include "frontends/data_kinds/row_files.hpp"
#include "graph/base/error.hpp"

namespace lariat {

namespace {

struct NumpyData : RowsData {
  std::vector<std::string> symbols;
};

const Fields<NumpyData>& numpy_fields() {
  static const Fields<NumpyData> fields =
      number_fields(
          rows_fields<NumpyData>(
              "a file, a folder that holds X.npy and y.npy, or one that holds train.npz, test.npz and "
              "perhaps validation.npz"))
          .list("symbols", &NumpyData::symbols,
                "with the loss ctc: the names of the symbols 1, 2, … that y holds, padded with 0; empty: "
                "they are numbers");
  return fields;
}

// Whether a folder holds arrays rather than archives.
bool holds_arrays(const std::filesystem::path& folder) {
  return std::filesystem::exists(folder / "X.npy") || std::filesystem::exists(folder / "y.npy");
}

class NumpyReader : public RowFilesReader {
 public:
  NumpyReader(const NumpyData& options, const DataRequest& request)
      : RowFilesReader(options, request, {".npz", ".npy"}, holds_arrays(request.path)),
        request_(request),
        streamed_(options.stream),
        classes_(options.symbols) {}

  data::Dataset load(data::Split split) override {
    // What the classes are, or that they are shares, is said by the rows to train on.
    if (request_.shares && data::has_shares(file_of(data::Split::train))) request_.classes = false;
    request_.shares = false;
    const bool by_training = request_.classes || request_.symbols;
    if (classes_.empty() && by_training && split != data::Split::train) load(data::Split::train);
    const std::string file = file_of(split);
    data::Dataset dataset =
        request_.symbols ? data::read_sequences(file, streamed_)
                         : data::read_arrays(file, request_.classes, request_.class_targets, streamed_);
    // What the rows to train on say of all is said once.
    if (split != data::Split::train) dataset.notices.clear();
    if (classes_.empty()) classes_ = dataset.classes;
    if (request_.symbols && dataset.classes.size() > classes_.size())
      throw UserError(
          fmt::format("{}: y holds the symbol {}, but there are {}; name all in [data] symbols, or "
                      "train on rows that have it",
                      file, dataset.classes.size(), classes_.size()));
    const bool named = request_.symbols || dataset.classes.size() < classes_.size();
    if (named && !dataset.classes.empty()) dataset.classes = classes_;
    size_t row = 0;
    std::erase_if(dataset.examples, [&](const data::Example&) { return !is_of(row++, split); });
    return dataset;
  }

 private:
  DataRequest request_;
  bool streamed_;
  /// Of the arrays to train on, or as the recipe names them.
  std::vector<std::string> classes_;
};

}  // namespace

DataKind data_kind_records::numpy() {
  return {numpy_fields().kind("numpy",
                              "arrays X and y that numpy.savez or numpy.save wrote: [rows, …] to learn from, "
                              "and what is learned of each row"),
          DataForm::rows,
          [](const Spec& spec, const DataRequest& request) -> std::unique_ptr<DataReader> {
            return std::make_unique<NumpyReader>(numpy_fields().read(spec), request);
          },
          0,
          true,
          nullptr,
          true,
          true};
}

}  // namespace lariat
