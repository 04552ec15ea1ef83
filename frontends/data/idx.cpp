#include "frontends/data/idx.hpp"

#include <fmt/format.h>
#include <zlib.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <memory>
#include <span>
#include <string_view>
#include <system_error>

#include "frontends/data/source.hpp"
#include "graph/base/error.hpp"
#include "graph/io/input_file.hpp"

namespace lariat::data {

namespace {

constexpr size_t most_elements = size_t{1} << 40;

// A file's bytes, unpacked where gzip packed them.
class Unpacked {
 public:
  Unpacked(const std::string& file, std::string bytes) : file_(file), bytes_(std::move(bytes)) {
    packed_ = bytes_.starts_with("\x1f\x8b");
    if (!packed_) return;
    require(inflateInit2(&stream_, 15 + 16) == Z_OK, "zlib can unpack");  // 16: gzip's format
    stream_.next_in = reinterpret_cast<unsigned char*>(bytes_.data());
  }
  Unpacked(const Unpacked&) = delete;
  Unpacked& operator=(const Unpacked&) = delete;
  ~Unpacked() {
    if (packed_) inflateEnd(&stream_);
  }

  // As many of the next bytes as there are, at most `limit`. Takes the room that they need rather than what a
  // header promises.
  std::vector<uint8_t> read(size_t limit) {
    std::vector<uint8_t> result;
    while (result.size() < limit && !at_end()) {
      constexpr size_t block = size_t{1} << 20;
      const size_t before = result.size(), wanted = std::min(block, limit - before);
      result.resize(before + wanted);
      result.resize(
          before + (packed_ ? unpack(result.data() + before, wanted) : copy(result.data() + before, wanted)));
    }
    return result;
  }

 private:
  bool at_end() const { return packed_ ? ended_ : at_ == bytes_.size(); }

  size_t copy(uint8_t* to, size_t wanted) {
    const size_t count = bytes_.copy(reinterpret_cast<char*>(to), wanted, at_);
    at_ += count;
    return count;
  }

  size_t unpack(uint8_t* to, size_t wanted) {
    stream_.next_out = to;
    stream_.avail_out = static_cast<unsigned>(wanted);
    while (stream_.avail_out > 0 && !ended_) {
      const auto* const end = reinterpret_cast<const unsigned char*>(bytes_.data() + bytes_.size());
      const auto left = static_cast<size_t>(end - stream_.next_in);
      stream_.avail_in = static_cast<unsigned>(std::min(left, size_t{1} << 30));
      const int status = inflate(&stream_, Z_NO_FLUSH);
      if (status == Z_STREAM_END) {
        // Files that are packed one by one may follow each other; what else follows is not gzip's.
        const std::string_view rest(reinterpret_cast<const char*>(stream_.next_in),
                                    static_cast<size_t>(end - stream_.next_in));
        ended_ = !rest.starts_with("\x1f\x8b");
        inflateReset(&stream_);
      } else if (status != Z_OK) {
        throw UserError(fmt::format("{}: damaged: {}; copy it again", file_,
                                    status == Z_BUF_ERROR    ? "it ends too early"
                                    : stream_.msg == nullptr ? "it cannot be unpacked"
                                                             : stream_.msg));
      }
    }
    return wanted - stream_.avail_out;
  }

  const std::string& file_;
  std::string bytes_;
  size_t at_ = 0;  // of a plain file
  bool packed_ = false, ended_ = false;
  z_stream stream_ = {};
};

}  // namespace

namespace {

struct IdxHeader {
  std::vector<int64_t> extents;
  size_t elements = 1;
};

// What an IDX file begins with, of which `read` gives as many of the next bytes as there are, at most
// `limit`.
template <class Read>
IdxHeader read_idx_header(const std::string& file, Read&& read) {
  // Two zero bytes, the element type, the number of dimensions, then each extent as a big-endian 32-bit
  // integer.
  const std::vector<uint8_t> magic = read(4);
  if (magic.size() < 4 || magic[0] != 0 || magic[1] != 0 || magic[3] == 0) {
    throw UserError(
        fmt::format("{}: is no IDX file: it does not start with two zero bytes, a type and a rank", file));
  }
  if (magic[2] != 8) {
    throw UserError(fmt::format("{}: holds elements of type {:#04x}; only unsigned bytes (0x08) can be read",
                                file, magic[2]));
  }
  IdxHeader array;
  const std::vector<uint8_t> header = read(size_t{4} * magic[3]);
  for (size_t i = 0; i + 4 <= header.size(); i += 4) {
    const uint32_t extent = uint32_t{header[i]} << 24 | uint32_t{header[i + 1]} << 16 |
                            uint32_t{header[i + 2]} << 8 | header[i + 3];
    array.extents.push_back(extent);
    if (extent != 0 && array.elements > most_elements / extent) {
      throw UserError(
          fmt::format("{}: damaged: its header promises more than 2^40 elements; copy it again", file));
    }
    array.elements *= extent;
  }
  if (array.extents.size() < magic[3]) {
    throw UserError(fmt::format("{}: damaged: it ends within its header; copy it again", file));
  }
  return array;
}

// The array that a file holds, of which these are the bytes.
IdxArray idx_array_of(const std::string& file, std::string packed) {
  Unpacked bytes(file, std::move(packed));
  const IdxHeader header = read_idx_header(file, [&](size_t limit) { return bytes.read(limit); });
  const size_t expected = header.elements;
  IdxArray array{header.extents, {}};
  array.bytes = bytes.read(expected + 1);
  if (array.bytes.size() != expected) {
    throw UserError(
        fmt::format("{}: damaged: its header promises {} bytes and {} follow; copy it again", file, expected,
                    array.bytes.size() > expected ? "more" : fmt::format("{}", array.bytes.size())));
  }
  return array;
}

}  // namespace

IdxArray read_idx(const std::string& file) {
  try {
    return idx_array_of(file, InputFile(file).rest());
  } catch (const std::system_error& error) {
    throw UserError(fmt::format("{}: {}", file, reason_of(error)));
  }
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

// The images of an IDX file, of which not the pixels are in memory.
class IdxImages : public Source {
 public:
  explicit IdxImages(const std::string& file) : file_(RandomFile::unpacked(file)) {
    uint64_t at = 0;
    const IdxHeader header = read_idx_header(file, [&](size_t limit) {
      std::vector<uint8_t> bytes(std::min<uint64_t>(limit, file_->size() - at));
      file_->read(at, bytes.data(), bytes.size());
      at += bytes.size();
      return bytes;
    });
    if (file_->size() - at != header.elements)
      throw UserError(fmt::format("{}: damaged: its header promises {} bytes and {} follow; copy it again",
                                  file, header.elements, file_->size() - at));
    begin_ = at;
    extents_ = header.extents;
    pixels_ = extents_.front() == 0 ? 0 : static_cast<int64_t>(header.elements) / extents_.front();
  }
  const std::vector<int64_t>& extents() const { return extents_; }
  size_t bytes() const { return file_->size() - begin_; }
  void read(int64_t number, std::span<float> values) const override {
    std::vector<uint8_t> bytes(values.size());
    file_->read(begin_ + static_cast<uint64_t>(number * pixels_), bytes.data(), bytes.size());
    write_shades(bytes, values);
  }
  static void write_shades(std::span<const uint8_t> bytes, std::span<float> values) {
    static const std::array<float, 256> shades = [] {
      std::array<float, 256> all = {};
      for (size_t pixel = 0; pixel < all.size(); ++pixel) all[pixel] = static_cast<float>(pixel) / 255.0f;
      return all;
    }();
    std::transform(bytes.begin(), bytes.end(), values.begin(), [](uint8_t pixel) { return shades[pixel]; });
  }

 private:
  std::shared_ptr<const RandomFile> file_;
  std::vector<int64_t> extents_;
  uint64_t begin_ = 0;
  int64_t pixels_ = 0;
};

void check_images(const std::vector<int64_t>& extents, size_t bytes, const std::string& file) {
  if (extents.size() < 2 || bytes == 0)
    throw UserError(
        fmt::format("{}: holds an array of {} dimensions and {} bytes; images are [count, rows, columns]",
                    file, extents.size(), bytes));
}

// The pixels of one image as values.
std::vector<float> shades_of(const IdxArray& images, int64_t image, int64_t pixels) {
  std::vector<float> values(static_cast<size_t>(pixels));
  IdxImages::write_shades(std::span(images.bytes).subspan(static_cast<size_t>(image * pixels), values.size()),
                          values);
  return values;
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

Dataset load_idx(const std::string& folder, Split split, int64_t validation_count, bool streamed) {
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
  const std::shared_ptr<const IdxImages> stored =
      streamed ? std::make_shared<const IdxImages>(image_file) : nullptr;
  const IdxArray images = streamed ? IdxArray{stored->extents(), {}} : read_idx(image_file);
  const size_t bytes = streamed ? stored->bytes() : images.bytes.size();
  check_images(images.extents, bytes, image_file);
  const int64_t count = images.extents.front(), pixels = static_cast<int64_t>(bytes) / count;
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
    Example example{fmt::format("{} {}", image_file, i), label, 1, pixels, {}};
    if (streamed) {
      example.stored = stored;
      example.number = i;
    } else {
      example.values = shades_of(images, i, pixels);
    }
    dataset.examples.push_back(std::move(example));
  }
  return dataset;
}

Dataset unlabelled_idx(std::string bytes, const std::string& file) {
  const IdxArray images = idx_array_of(file, std::move(bytes));
  check_images(images.extents, images.bytes.size(), file);
  const int64_t count = images.extents.front(), pixels = static_cast<int64_t>(images.bytes.size()) / count;
  Dataset dataset{.sequences = false};
  for (int64_t i = 0; i < count; ++i)
    dataset.examples.push_back({fmt::format("{} {}", file, i), 0, 1, pixels, shades_of(images, i, pixels)});
  return dataset;
}

}  // namespace lariat::data
