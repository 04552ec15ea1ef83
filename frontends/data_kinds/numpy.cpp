#include "frontends/data/arrays.hpp"
#include "frontends/data_kinds/data_kind_records.hpp"
#include "frontends/data_kinds/row_files.hpp"

namespace lariat {

namespace {

const Fields<RowsData>& numpy_fields() {
  static const Fields<RowsData> fields = rows_fields<RowsData>(
      "a file, a folder that holds X.npy and y.npy, or one that holds train.npz, test.npz and "
      "perhaps validation.npz");
  return fields;
}

// Whether a folder holds arrays rather than archives.
bool holds_arrays(const std::filesystem::path& folder) {
  return std::filesystem::exists(folder / "X.npy") || std::filesystem::exists(folder / "y.npy");
}

class NumpyReader : public RowFilesReader {
 public:
  NumpyReader(const RowsData& options, const DataRequest& request)
      : RowFilesReader(options, request, {".npz", ".npy"}, holds_arrays(request.path)),
        request_(request),
        streamed_(options.stream) {}

  data::Dataset load(data::Split split) override {
    // What the classes are, or that they are shares, is said by the rows to train on.
    if (request_.shares && data::has_shares(file_of(data::Split::train))) request_.classes = false;
    request_.shares = false;
    if (classes_.empty() && request_.classes && split != data::Split::train) load(data::Split::train);
    data::Dataset dataset =
        data::read_arrays(file_of(split), request_.classes, request_.class_targets, streamed_);
    if (classes_.empty()) classes_ = dataset.classes;
    if (dataset.classes.size() < classes_.size() && !dataset.classes.empty()) dataset.classes = classes_;
    size_t row = 0;
    std::erase_if(dataset.examples, [&](const data::Example&) { return !is_of(row++, split); });
    return dataset;
  }

 private:
  DataRequest request_;
  bool streamed_;
  /// Of the arrays to train on.
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
          0, true};
}

}  // namespace lariat
