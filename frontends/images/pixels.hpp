#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace lariat::data {

/// A picture, [height, width, channels] of bytes: one channel of gray, or red, green and blue.
struct Pixels {
  int64_t height = 0, width = 0, channels = 1;
  std::vector<uint8_t> bytes;
};

/// True for the endings .png, .jpg and .jpeg.
bool is_image_file(const std::string& file);

/// What a PNG or JPEG file says of itself, without its pixels. Throws UserError naming the file where it is
/// neither, or claims to be of more than 2^26 pixels.
Pixels describe_image(std::string_view bytes, const std::string& file);

/// Decodes a PNG or JPEG file to 1 or 3 channels, of 8 bits each, as the file has them: 16 bits are rounded
/// to 8 (value/257), a gamma or a profile changes nothing, and alpha is left out. Gray of colours is 0.299·R
/// + 0.587·G + 0.114·B, as ITU-R BT.601 has it. Throws UserError naming the file where it is damaged.
Pixels decode_image(std::string_view bytes, const std::string& file, int64_t channels);

/// The picture in another size: each pixel is the mean of the area that it covers.
Pixels resized(const Pixels& picture, int64_t height, int64_t width);

}  // namespace lariat::data
