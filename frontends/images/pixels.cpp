#include "frontends/images/pixels.hpp"

#include <fmt/format.h>
#include <png.h>
#include <turbojpeg.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <filesystem>
#include <memory>

#include "graph/base/error.hpp"

namespace lariat::data {

namespace {

constexpr int64_t most_pixels = int64_t{1} << 26;

[[noreturn]] void fail_image(const std::string& file, const std::string& why) {
  throw UserError(fmt::format("{}: damaged: {}; leave it out, or copy it again", file, why));
}

void check_extent(const std::string& file, int64_t height, int64_t width) {
  if (height < 1 || width < 1 || height > most_pixels / width)
    throw UserError(fmt::format("{}: is of {} by {} pixels; 2^26 at most can be read", file, width, height));
}

uint32_t number_of_four(std::string_view bytes) {
  uint32_t number = 0;
  for (const char byte : bytes.substr(0, 4)) number = number << 8 | static_cast<unsigned char>(byte);
  return number;
}

// The file without what would have its values changed: for what light they stand, and which of them are
// transparent. A damaged one stays damaged.
std::string values_alone(std::string_view bytes) {
  static constexpr std::array<std::string_view, 5> left_out = {"gAMA", "sRGB", "iCCP", "cHRM", "tRNS"};
  constexpr size_t signature = 8, around = 12;
  std::string kept(bytes.substr(0, signature));
  bytes.remove_prefix(std::min(signature, bytes.size()));
  while (bytes.size() >= around) {
    const std::string_view chunk = bytes.substr(0, around + size_t{number_of_four(bytes)});
    if (std::find(left_out.begin(), left_out.end(), chunk.substr(4, 4)) == left_out.end()) kept += chunk;
    bytes.remove_prefix(chunk.size());
  }
  return kept += bytes;
}

// Interleaved samples as `channels` bytes a pixel: what stands behind colours is alpha, and left out. Gray is
// 0.299·R + 0.587·G + 0.114·B (ITU-R BT.601), in 2^-16, rounded.
std::vector<uint8_t> with_channels(std::vector<uint8_t> samples, int64_t found, int64_t channels) {
  if (found == channels) return samples;
  const bool coloured = found >= 3;
  std::vector<uint8_t> result;
  result.reserve(samples.size() / static_cast<size_t>(found) * static_cast<size_t>(channels));
  for (auto at = samples.begin(); at != samples.end(); at += found) {
    if (coloured && channels == 3)
      result.insert(result.end(), at, at + 3);
    else if (coloured)
      result.push_back(
          static_cast<uint8_t>((19595U * at[0] + 38470U * at[1] + 7471U * at[2] + 32768U) >> 16));
    else
      result.insert(result.end(), static_cast<size_t>(channels), *at);
  }
  return result;
}

// Of libpng's simplified interface.
class PngReader {
 public:
  PngReader(std::string_view bytes, const std::string& file) : bytes_(values_alone(bytes)), file_(file) {
    image_.version = PNG_IMAGE_VERSION;
    if (png_image_begin_read_from_memory(&image_, bytes_.data(), bytes_.size()) == 0)
      fail_image(file, image_.message);
    check_extent(file, image_.height, image_.width);
  }
  PngReader(const PngReader&) = delete;
  PngReader& operator=(const PngReader&) = delete;
  ~PngReader() { png_image_free(&image_); }

  Pixels described() const { return {image_.height, image_.width, is_coloured() ? 3 : 1, {}}; }
  Pixels read(int64_t channels) {
    const bool alpha = (image_.format & PNG_FORMAT_FLAG_ALPHA) != 0;
    const int64_t found = (is_coloured() ? 3 : 1) + (alpha ? 1 : 0);
    image_.format = is_coloured() ? (alpha ? PNG_FORMAT_RGBA : PNG_FORMAT_RGB)
                                  : (alpha ? PNG_FORMAT_GA : PNG_FORMAT_GRAY);
    // Else values of 16 bits would be taken for light, and not for what a screen is given.
    image_.flags |= PNG_IMAGE_FLAG_16BIT_sRGB;
    std::vector<uint8_t> samples(PNG_IMAGE_SIZE(image_));
    if (png_image_finish_read(&image_, nullptr, samples.data(), 0, nullptr) == 0)
      fail_image(file_, image_.message);
    return {image_.height, image_.width, channels, with_channels(std::move(samples), found, channels)};
  }

 private:
  bool is_coloured() const { return (image_.format & PNG_FORMAT_FLAG_COLOR) != 0; }

  std::string bytes_;
  const std::string& file_;
  png_image image_ = {};
};

class JpegReader {
 public:
  JpegReader(std::string_view bytes, const std::string& file) : bytes_(bytes), file_(file) {
    if (!handle_) throw std::bad_alloc();
    int subsampling = 0;
    if (tjDecompressHeader3(handle_.get(), data(), bytes_.size(), &width_, &height_, &subsampling,
                            &colours_) != 0)
      fail_image(file, tjGetErrorStr2(handle_.get()));
    if (width_ < 1 || height_ < 1) fail_image(file, "it ends within its header");
    check_extent(file, height_, width_);
  }

  Pixels described() const { return {height_, width_, colours_ == TJCS_GRAY ? 1 : 3, {}}; }
  Pixels read(int64_t channels) {
    if (colours_ == TJCS_CMYK || colours_ == TJCS_YCCK)
      throw UserError(fmt::format("{}: is in the colours of print (CMYK); save it as RGB", file_));
    const int64_t found = colours_ == TJCS_GRAY ? 1 : 3;
    std::vector<uint8_t> samples(static_cast<size_t>(height_ * width_ * found));
    if (tjDecompress2(handle_.get(), data(), bytes_.size(), samples.data(), width_, 0, height_,
                      found == 1 ? TJPF_GRAY : TJPF_RGB, TJFLAG_ACCURATEDCT) != 0)
      fail_image(file_, tjGetErrorStr2(handle_.get()));
    return {height_, width_, channels, with_channels(std::move(samples), found, channels)};
  }

 private:
  const unsigned char* data() const { return reinterpret_cast<const unsigned char*>(bytes_.data()); }

  std::string_view bytes_;
  const std::string& file_;
  std::unique_ptr<void, int (*)(tjhandle)> handle_{tjInitDecompress(), tjDestroy};
  int width_ = 0, height_ = 0, colours_ = 0;
};

template <class Use>
Pixels with_reader(std::string_view bytes, const std::string& file, Use&& use) {
  if (bytes.starts_with("\x89PNG\r\n\x1a\n")) return use(PngReader(bytes, file));
  if (bytes.starts_with("\xff\xd8\xff")) return use(JpegReader(bytes, file));
  throw UserError(fmt::format("{}: {}; give PNG or JPEG files", file,
                              bytes.empty() ? "is empty" : "is no PNG and no JPEG file"));
}

// The share of the old pixels [first, first + weights) in a new one, along one axis.
struct Cover {
  int64_t first = 0;
  std::vector<double> weights;
};

std::vector<Cover> covers(int64_t before, int64_t after) {
  std::vector<Cover> result;
  const double scale = static_cast<double>(before) / static_cast<double>(after);
  for (int64_t i = 0; i < after; ++i) {
    const double begin = static_cast<double>(i) * scale, end = static_cast<double>(i + 1) * scale;
    Cover cover{static_cast<int64_t>(begin), {}};
    const int64_t last = std::min(before, static_cast<int64_t>(std::ceil(end)));
    for (int64_t j = cover.first; j < last; ++j)
      cover.weights.push_back(
          (std::min(end, static_cast<double>(j + 1)) - std::max(begin, static_cast<double>(j))) / scale);
    result.push_back(std::move(cover));
  }
  return result;
}

}  // namespace

bool is_image_file(const std::string& file) {
  static constexpr std::array<std::string_view, 3> endings = {".png", ".jpg", ".jpeg"};
  std::string ending = std::filesystem::path(file).extension().string();
  for (char& letter : ending)
    letter = letter >= 'A' && letter <= 'Z' ? static_cast<char>(letter - 'A' + 'a') : letter;
  return std::find(endings.begin(), endings.end(), ending) != endings.end();
}

Pixels describe_image(std::string_view bytes, const std::string& file) {
  return with_reader(bytes, file, [](const auto& reader) { return reader.described(); });
}

Pixels decode_image(std::string_view bytes, const std::string& file, int64_t channels) {
  return with_reader(bytes, file, [&](auto&& reader) { return reader.read(channels); });
}

Pixels resized(const Pixels& picture, int64_t height, int64_t width) {
  if (picture.height == height && picture.width == width) return picture;
  const std::vector<Cover> rows = covers(picture.height, height), columns = covers(picture.width, width);
  Pixels result{height, width, picture.channels, {}};
  result.bytes.reserve(static_cast<size_t>(height * width * picture.channels));
  for (const Cover& row : rows)
    for (const Cover& column : columns)
      for (int64_t channel = 0; channel < picture.channels; ++channel) {
        double sum = 0;
        for (size_t i = 0; i < row.weights.size(); ++i)
          for (size_t j = 0; j < column.weights.size(); ++j) {
            const int64_t y = row.first + static_cast<int64_t>(i), x = column.first + static_cast<int64_t>(j);
            sum += row.weights[i] * column.weights[j] *
                   picture.bytes[static_cast<size_t>((y * picture.width + x) * picture.channels + channel)];
          }
        result.bytes.push_back(static_cast<uint8_t>(std::lround(std::clamp(sum, 0.0, 255.0))));
      }
  return result;
}

}  // namespace lariat::data
