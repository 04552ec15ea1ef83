#include "frontends/report/png.hpp"

#include <zlib.h>

#include "graph/base/error.hpp"

namespace lariat::reports {

namespace {

void put_big_endian(std::string& out, uint32_t value) {
  for (int shift = 24; shift >= 0; shift -= 8) out.push_back(static_cast<char>(value >> shift));
}

void put_chunk(std::string& out, const std::string& type, const std::string& data) {
  put_big_endian(out, static_cast<uint32_t>(data.size()));
  const std::string checked = type + data;
  out += checked;
  put_big_endian(out, static_cast<uint32_t>(crc32(0, reinterpret_cast<const Bytef*>(checked.data()),
                                                  static_cast<uInt>(checked.size()))));
}

std::string compressed(const std::string& data) {
  uLongf size = compressBound(static_cast<uLong>(data.size()));
  std::string out(size, '\0');
  const int status =
      compress2(reinterpret_cast<Bytef*>(out.data()), &size, reinterpret_cast<const Bytef*>(data.data()),
                static_cast<uLong>(data.size()), 9);
  require(status == Z_OK, "zlib compresses a picture");
  out.resize(size);
  return out;
}

}  // namespace

std::string png(const IndexedPicture& picture) {
  require(picture.pixels.size() == static_cast<size_t>(picture.width) * static_cast<size_t>(picture.height),
          "a picture has width x height pixels");
  std::string header;
  put_big_endian(header, static_cast<uint32_t>(picture.width));
  put_big_endian(header, static_cast<uint32_t>(picture.height));
  header +=
      std::string("\x08\x03\x00\x00\x00", 5);  // 8 bits, palette, deflate, filtered by row, not interlaced
  std::string colors, opacities, rows;
  for (const Color& color : picture.palette) {
    colors.append(color.begin(), color.begin() + 3);
    opacities.push_back(static_cast<char>(color[3]));
  }
  for (int row = 0; row < picture.height; ++row) {
    rows.push_back('\0');  // this row is not filtered
    rows.append(reinterpret_cast<const char*>(picture.pixels.data()) + int64_t{row} * picture.width,
                static_cast<size_t>(picture.width));
  }
  std::string out = "\x89PNG\r\n\x1a\n";
  put_chunk(out, "IHDR", header);
  put_chunk(out, "PLTE", colors);
  put_chunk(out, "tRNS", opacities);
  put_chunk(out, "IDAT", compressed(rows));
  put_chunk(out, "IEND", "");
  return out;
}

std::string data_uri(const std::string& bytes, const std::string& type) {
  static constexpr char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out = "data:" + type + ";base64,";
  for (size_t i = 0; i < bytes.size(); i += 3) {
    const size_t count = std::min<size_t>(3, bytes.size() - i);
    uint32_t group = 0;
    for (size_t j = 0; j < 3; ++j) group = group << 8 | (j < count ? static_cast<uint8_t>(bytes[i + j]) : 0);
    for (size_t j = 0; j < 4; ++j) out.push_back(j <= count ? digits[group >> (18 - 6 * j) & 63] : '=');
  }
  return out;
}

}  // namespace lariat::reports
