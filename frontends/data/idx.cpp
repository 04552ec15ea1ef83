#include "frontends/data/idx.hpp"

#include <fmt/format.h>
#include <zlib.h>

#include <algorithm>
#include <filesystem>
#include <memory>

#include "graph/base/error.hpp"

namespace lariat::data {

namespace {

constexpr size_t most_elements = size_t{1} << 40;

// The file's bytes, unpacked; gzopen passes plain files through. At most `limit` bytes are read.
std::vector<uint8_t> read_bytes(const std::string& file, gzFile stream, size_t limit) {
  std::vector<uint8_t> bytes;
  constexpr size_t block = size_t{1} << 20;
  // Grows with the data rather than with what a header promises.
  while (bytes.size() < limit) {
    const size_t before = bytes.size(), wanted = std::min(block, limit - before);
    bytes.resize(before + wanted);
    const int count = gzread(stream, bytes.data() + before, static_cast<unsigned>(wanted));
    int status = Z_OK;
    std::string reason = gzerror(stream, &status);
    if (count < 0 || (status != Z_OK && status != Z_STREAM_END)) {
      reason = reason.substr(reason.rfind(": ") + 2);  // zlib puts the file's name in front
      if (status == Z_ERRNO) reason = "it cannot be read";
      if (status == Z_BUF_ERROR) reason = "it ends too early";
      throw UserError(fmt::format("{}: damaged: {}; copy it again", file, reason));
    }
    bytes.resize(before + static_cast<size_t>(count));
    if (static_cast<size_t>(count) < wanted) break;
  }
  return bytes;
}

}  // namespace

IdxArray read_idx(const std::string& file) {
  std::error_code none;
  if (!std::filesystem::is_regular_file(file, none)) {
    throw UserError(fmt::format("{}: there is no such file; check the path", file));
  }
  const std::unique_ptr<gzFile_s, int (*)(gzFile)> stream(gzopen(file.c_str(), "rb"), gzclose);
  if (!stream) throw UserError(fmt::format("{}: cannot be opened; check its permissions", file));
  // Two zero bytes, the element type, the number of dimensions, then each extent as a big-endian 32-bit
  // integer.
  const std::vector<uint8_t> magic = read_bytes(file, stream.get(), 4);
  if (magic.size() < 4 || magic[0] != 0 || magic[1] != 0 || magic[3] == 0) {
    throw UserError(
        fmt::format("{}: is no IDX file: it does not start with two zero bytes, a type and a rank", file));
  }
  if (magic[2] != 8) {
    throw UserError(fmt::format("{}: holds elements of type {:#04x}; only unsigned bytes (0x08) can be read",
                                file, magic[2]));
  }
  IdxArray array;
  const std::vector<uint8_t> header = read_bytes(file, stream.get(), size_t{4} * magic[3]);
  size_t expected = 1;
  for (size_t i = 0; i + 4 <= header.size(); i += 4) {
    const uint32_t extent = uint32_t{header[i]} << 24 | uint32_t{header[i + 1]} << 16 |
                            uint32_t{header[i + 2]} << 8 | header[i + 3];
    array.extents.push_back(extent);
    if (extent != 0 && expected > most_elements / extent) {
      throw UserError(
          fmt::format("{}: damaged: its header promises more than 2^40 elements; copy it again", file));
    }
    expected *= extent;
  }
  if (array.extents.size() < magic[3]) {
    throw UserError(fmt::format("{}: damaged: it ends within its header; copy it again", file));
  }
  array.bytes = read_bytes(file, stream.get(), expected + 1);
  if (array.bytes.size() != expected) {
    throw UserError(
        fmt::format("{}: damaged: its header promises {} bytes and {} follow; copy it again", file, expected,
                    array.bytes.size() > expected ? "more" : fmt::format("{}", array.bytes.size())));
  }
  return array;
}

namespace {

// Both spellings are about: "train-images-idx3-ubyte" and "train-images.idx3-ubyte".
std::string find_file(const std::string& folder, const std::string& name) {
  std::string dotted = name;
  dotted.replace(name.rfind("-idx"), 1, ".");
  for (const std::string& spelling : {name, dotted})
    for (const char* ending : {"", ".gz"}) {
      const std::string file = (std::filesystem::path(folder) / (spelling + ending)).string();
      if (std::filesystem::exists(file)) return file;
    }
  throw UserError(
      fmt::format("'{}' holds no {} (plain or .gz); it should hold the four files of MNIST", folder, name));
}

IdxArray read_labels(const std::string& file) {
  IdxArray labels = read_idx(file);
  if (labels.extents.size() != 1 || labels.bytes.empty()) {
    throw UserError(fmt::format("{}: holds an array of {} dimensions and {} bytes; labels are a list", file,
                                labels.extents.size(), labels.bytes.size()));
  }
  return labels;
}

}  // namespace

Dataset load_idx(const std::string& folder, Split split, int64_t validation_count) {
  if (!std::filesystem::is_directory(folder)) {
    throw UserError(fmt::format("'{}': there is no such folder; check the path", folder));
  }
  const std::string part = split == Split::test ? "t10k" : "train";
  const std::string train_label_file = find_file(folder, "train-labels-idx1-ubyte");
  const IdxArray train_labels = read_labels(train_label_file);
  const int classes = *std::max_element(train_labels.bytes.begin(), train_labels.bytes.end()) + 1;
  const std::string image_file = find_file(folder, part + "-images-idx3-ubyte");
  const std::string label_file =
      split == Split::test ? find_file(folder, "t10k-labels-idx1-ubyte") : train_label_file;
  const IdxArray labels = split == Split::test ? read_labels(label_file) : train_labels;
  const IdxArray images = read_idx(image_file);
  if (images.extents.size() < 2 || images.bytes.empty()) {
    throw UserError(
        fmt::format("{}: holds an array of {} dimensions and {} bytes; images are [count, rows, columns]",
                    image_file, images.extents.size(), images.bytes.size()));
  }
  const int64_t count = images.extents.front(), pixels = static_cast<int64_t>(images.bytes.size()) / count;
  if (count != labels.extents.front()) {
    throw UserError(fmt::format("{}: holds {} images where {} holds {} labels", image_file, count, label_file,
                                labels.extents.front()));
  }
  int64_t begin = 0, end = count;
  if (split != Split::test) {
    const bool validation = split == Split::validation;
    if (validation_count < (validation ? 1 : 0) || validation_count >= count) {
      throw UserError(
          fmt::format("data.validation = {}: must be an integer from {} to {}, so that images are left to "
                      "train on",
                      validation_count, validation ? 1 : 0, count - 1));
    }
    (validation ? begin : end) = count - validation_count;
  }
  Dataset dataset;
  dataset.sequences = false;
  for (int label = 0; label < classes; ++label) dataset.classes.push_back(fmt::format("{}", label));
  dataset.examples.reserve(static_cast<size_t>(end - begin));
  for (int64_t i = begin; i < end; ++i) {
    const int label = labels.bytes[static_cast<size_t>(i)];
    if (label >= classes) {
      throw UserError(fmt::format("{}: label {} is {}, but the training labels end at {}", label_file, i,
                                  label, classes - 1));
    }
    Example example{fmt::format("{} {}", image_file, i), label, 1, pixels,
                    std::vector<float>(static_cast<size_t>(pixels))};
    std::transform(images.bytes.begin() + i * pixels, images.bytes.begin() + (i + 1) * pixels,
                   example.values.begin(), [](uint8_t pixel) { return static_cast<float>(pixel) / 255.0f; });
    dataset.examples.push_back(std::move(example));
  }
  return dataset;
}

}  // namespace lariat::data
