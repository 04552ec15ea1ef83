#include "frontends/images/pixels.hpp"

#include <fmt/format.h>
#include <tbb/parallel_for.h>

#include <algorithm>

#include "frontends/data/labelled_rows.hpp"
#include "frontends/data_kinds/data_kind_records.hpp"
#include "frontends/speech/labelled_folders.hpp"
#include "graph/base/error.hpp"

namespace lariat {

namespace {

enum class Colour { automatic, gray, rgb };

struct ImagesData : DataOptions {
  double validation = 0, testing = 10;
  int64_t height = 0, width = 0;
  Colour colour = Colour::automatic;
};

const Fields<ImagesData>& images_fields() {
  using I = ImagesData;
  static const std::string listed = ", where the folder has neither lists nor a folder for each";
  static const Fields<I> fields =
      data_fields<I>(
          "folder that holds a folder of PNG or JPEG files for each class, or train and test with these")
          .number("validation", &I::validation, 0, 90,
                  "percent of the images to validate on, and not to train on" + listed)
          .number("testing", &I::testing, 0, 90, "percent of the images to test on" + listed)
          .list("labels", &I::labels, "only these folders; empty: all")
          .integer("height", &I::height, 0, 16384,
                   "rows of pixels that images are brought to; 0: those of the first")
          .integer("width", &I::width, 0, 16384,
                   "columns of pixels that images are brought to; 0: those of the first")
          .choice("colour", &I::colour, {"automatic", "gray", "rgb"},
                  "gray: one value a pixel, rgb: three; automatic: that of the first");
  return fields;
}

// [height, width, channels] of one file, from 0 to 1.
std::vector<float> values_of(const std::string& file, const data::Pixels& wanted) {
  const data::Pixels picture = data::resized(
      data::decode_image(data::read_whole_file(file), file, wanted.channels), wanted.height, wanted.width);
  std::vector<float> values(picture.bytes.size());
  std::transform(picture.bytes.begin(), picture.bytes.end(), values.begin(),
                 [](uint8_t pixel) { return static_cast<float>(pixel) / 255.0f; });
  return values;
}

class ImageFiles : public data::Source {
 public:
  ImageFiles(std::vector<std::string> files, const data::Pixels& wanted)
      : files_(std::move(files)), wanted_(wanted) {}
  void read(int64_t number, std::span<float> values) const override {
    const std::vector<float> found = values_of(files_.at(static_cast<size_t>(number)), wanted_);
    std::copy(found.begin(), found.end(), values.begin());
  }

 private:
  std::vector<std::string> files_;
  data::Pixels wanted_;
};

data::Pixels size_asked(const ImagesData& options) {
  return {options.height,
          options.width,
          options.colour == Colour::automatic ? 0
          : options.colour == Colour::gray    ? 1
                                              : 3,
          {}};
}

class ImagesReader : public DataReader {
 public:
  ImagesReader(const ImagesData& options, const DataRequest& request)
      : path_(request.path), streamed_(options.stream), wanted_(size_asked(options)) {
    folders_.testing_percentage = options.testing;
    folders_.validation_percentage = request.folds ? 0 : options.validation;
    folders_.labels = options.labels;
    folders_.accepts = data::is_image_file;
    folders_.what = "images (PNG or JPEG)";
  }

  bool holds(const std::filesystem::path& file) const override { return data::is_image_file(file.string()); }
  bool validates() const override { return folders_.validation_percentage > 0; }
  bool tests() const override {
    return folders_.testing_percentage > 0 ||
           std::filesystem::is_directory(std::filesystem::path(path_) / "test");
  }

  data::Dataset load(data::Split split) override {
    const speech::ClipList list = speech::list_labelled_folders(path_, split, folders_);
    find_size(split == data::Split::train
                  ? list
                  : speech::list_labelled_folders(path_, data::Split::train, folders_));
    data::Dataset dataset;
    dataset.sequences = false;
    dataset.classes = list.classes;
    std::vector<data::Example> examples(list.entries.size());
    std::vector<std::string> files, failures(list.entries.size());
    for (const auto& entry : list.entries) files.push_back(entry.file);
    const auto source = std::make_shared<const ImageFiles>(files, wanted_);
    tbb::parallel_for(size_t{0}, examples.size(), [&](size_t i) {
      data::Example& example = examples[i];
      example = {files[i], list.entries[i].label, 1, wanted_.height * wanted_.width * wanted_.channels, {}};
      try {
        if (streamed_) {
          data::describe_image(data::read_whole_file(files[i]), files[i]);
          example.stored = source;
          example.number = static_cast<int64_t>(i);
        } else {
          example.values = values_of(files[i], wanted_);
        }
      } catch (const UserError& error) {
        failures[i] = error.what();
      }
    });
    for (size_t i = 0; i < examples.size(); ++i) {
      if (failures[i].empty())
        dataset.examples.push_back(std::move(examples[i]));
      else
        dataset.skipped.push_back(failures[i]);
    }
    if (dataset.examples.empty())
      throw UserError(fmt::format("none of {} images can be used; the first: {}", examples.size(),
                                  dataset.skipped.front()));
    return dataset;
  }

  std::vector<std::pair<std::string, std::string>> found() const override {
    if (wanted_.channels == 0 || wanted_.height == 0) return {};
    return {{"data.height", fmt::format("{}", wanted_.height)},
            {"data.width", fmt::format("{}", wanted_.width)},
            {"data.colour", wanted_.channels == 1 ? "gray" : "rgb"}};
  }

 private:
  // What is not said is that of the first image to train on that can be read.
  void find_size(const speech::ClipList& list) {
    if (wanted_.height > 0 && wanted_.width > 0 && wanted_.channels > 0) return;
    for (const auto& entry : list.entries) {
      try {
        const data::Pixels first = data::describe_image(data::read_whole_file(entry.file), entry.file);
        if (wanted_.height == 0) wanted_.height = first.height;
        if (wanted_.width == 0) wanted_.width = first.width;
        if (wanted_.channels == 0) wanted_.channels = first.channels;
        return;
      } catch (const UserError&) {
        continue;
      }
    }
  }

  std::string path_;
  bool streamed_;
  data::Pixels wanted_;
  speech::LabelledFoldersOptions folders_;
};

// The images in a folder and in those within it, by their names.
std::vector<std::string> images_in(const std::string& folder) {
  std::vector<std::string> files;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder))
    if (entry.is_regular_file() && data::is_image_file(entry.path().string()))
      files.push_back(entry.path().string());
  if (files.empty())
    throw UserError(fmt::format("'{}' holds no images (PNG or JPEG); give a folder of them, or one", folder));
  std::sort(files.begin(), files.end());
  return files;
}

data::Dataset read_images(const Spec& spec, const std::string& path) {
  const data::Pixels wanted = size_asked(images_fields().read(spec));
  const std::vector<std::string> files =
      std::filesystem::is_directory(path) ? images_in(path) : std::vector<std::string>{path};
  data::Dataset dataset{.sequences = false};
  dataset.examples.resize(files.size());
  tbb::parallel_for(size_t{0}, files.size(), [&](size_t i) {
    dataset.examples[i] = {files[i], 0, 1, wanted.height * wanted.width * wanted.channels,
                           values_of(files[i], wanted)};
  });
  return dataset;
}

}  // namespace

DataKind data_kind_records::images() {
  return {images_fields().kind("images", "one folder of PNG or JPEG files per class"),
          DataForm::images,
          [](const Spec& spec, const DataRequest& request) -> std::unique_ptr<DataReader> {
            return std::make_unique<ImagesReader>(images_fields().read(spec), request);
          },
          0,
          false,
          read_images};
}

}  // namespace lariat
