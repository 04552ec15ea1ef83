#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

namespace lariat::reports {

/// Red, green, blue, opacity.
using Color = std::array<uint8_t, 4>;

/// A picture of `width` columns, row by row; every pixel is an index into the palette of at most 256 colours.
struct IndexedPicture {
  int width = 0, height = 0;
  std::vector<Color> palette;
  std::vector<uint8_t> pixels;
};

/// The bytes of a PNG file (ISO/IEC 15948), 8 bits a pixel.
std::string png(const IndexedPicture& picture);

/// "data:image/png;base64,…".
std::string data_uri(const std::string& bytes, const std::string& type = "image/png");

}  // namespace lariat::reports
