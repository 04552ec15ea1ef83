#include "frontends/data/idx.hpp"

#include <fmt/format.h>

#include <filesystem>

#include "frontends/data/arrays.hpp"
#include "frontends/data/labelled_rows.hpp"
#include "frontends/data/npy.hpp"
#include "frontends/data_kinds/data_kind_records.hpp"
#include "graph/base/error.hpp"

namespace lariat {

namespace {

struct IdxData : DataOptions {
  int64_t validation = 0;
};

const Fields<IdxData>& idx_fields() {
  static const Fields<IdxData> fields = data_fields<IdxData>().integer(
      "validation", &IdxData::validation, 0, 1000000, "training images to validate on, and not to train on");
  return fields;
}

class IdxReader : public DataReader {
 public:
  IdxReader(const IdxData& options, const DataRequest& request)
      : path_(request.path), validation_(request.folds ? 0 : options.validation), streamed_(options.stream) {}

  bool holds(const std::filesystem::path& file) const override {
    return file.filename().string().find("-ubyte") != std::string::npos;
  }
  bool validates() const override { return validation_ > 0; }
  data::Dataset load(data::Split split) override {
    return data::load_idx(path_, split, validation_, streamed_);
  }

 private:
  std::string path_;
  int64_t validation_;
  bool streamed_;
};

data::Dataset read_idx_file(const Spec&, const std::string& file) {
  if (std::filesystem::is_directory(file))
    throw UserError(
        fmt::format("'{}' is a folder; give one file of images, such as t10k-images-idx3-ubyte", file));
  std::string bytes = data::read_whole_file(file);
  if (data::is_numpy(bytes)) return data::unlabelled_arrays(std::move(bytes), file);
  return data::unlabelled_idx(std::move(bytes), file);
}

}  // namespace

DataKind data_kind_records::idx() {
  return {idx_fields().kind("idx", "the four files of MNIST or a relative"),
          DataForm::images,
          [](const Spec& spec, const DataRequest& request) -> std::unique_ptr<DataReader> {
            return std::make_unique<IdxReader>(idx_fields().read(spec), request);
          },
          28 * 28,
          false,
          read_idx_file};
}

}  // namespace lariat
