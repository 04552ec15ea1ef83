#include "graph/io/short_numbers.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>

#include "graph/base/error.hpp"

namespace lariat {

namespace {

constexpr float most = 127;
// Below that no scale is kept: what is that small becomes 0.
constexpr float smallest_scale = 0x1p-100f;
constexpr uint32_t scale_step = 1u << 19;  // of floats with 5 significant bits

int64_t channels_of(const Tensor& tensor) { return tensor.extents().empty() ? 1 : tensor.extents().back(); }

std::vector<float> largest_of_channels(const Tensor& tensor) {
  const int64_t channels = channels_of(tensor);
  std::vector<float> largest(static_cast<size_t>(channels), 0);
  int64_t channel = 0;
  for (const float value : tensor.values<float>()) {
    float& most_of_channel = largest[static_cast<size_t>(channel)];
    // NaN stays, for it is no number of any scale.
    if (!(std::fabs(value) <= most_of_channel)) most_of_channel = std::fabs(value);
    if (++channel == channels) channel = 0;
  }
  return largest;
}

bool is_zero(float value) { return std::bit_cast<uint32_t>(value) == 0; }

bool is_multiple(float value, float scale) {
  if (is_zero(value)) return true;
  const float quotient = value / scale;
  return std::fabs(quotient) >= 1 && std::fabs(quotient) <= most && std::nearbyint(quotient) == quotient &&
         quotient * scale == value;
}

bool is_float16(float value) { return std::isfinite(value) && to_float16(value) == value; }

}  // namespace

std::string_view name_of(NumberForm form) {
  return form == NumberForm::int8 ? "int8" : form == NumberForm::float16 ? "f16" : "f32";
}

NumberForm number_form_named(const std::string& name) {
  std::vector<std::string> known;
  for (const NumberForm form : {NumberForm::float32, NumberForm::float16, NumberForm::int8}) {
    if (name_of(form) == name) return form;
    known.emplace_back(name_of(form));
  }
  throw UserError(fmt::format("{}: must be f32, f16 or int8.{}", name, did_you_mean(name, known)));
}

float to_float16(float value) {
  const float magnitude = std::fabs(value);
  if (!(magnitude < 0x1p-14f)) {
    // 13 of float's 23 bits go.
    const uint32_t bits = std::bit_cast<uint32_t>(value);
    if ((bits & 0x7f800000) == 0x7f800000) return value;
    const float near = std::bit_cast<float>((bits + 0xfff + (bits >> 13 & 1)) & ~uint32_t{0x1fff});
    return std::fabs(near) > 65504 ? std::copysign(std::numeric_limits<float>::infinity(), value) : near;
  }
  // Multiples of 2^-24: at 0.5 so much is the last bit of a float.
  return std::copysign((magnitude + 0.5f) - 0.5f, value);
}

float int8_scale(float largest) {
  const float scale = largest / most;
  if (!(scale >= smallest_scale)) return 0;
  const uint32_t bits = std::bit_cast<uint32_t>(scale);
  return std::bit_cast<float>((bits + scale_step - 1) & ~(scale_step - 1));
}

std::optional<std::vector<float>> int8_scales(const Tensor& tensor) {
  const std::vector<float> largest = largest_of_channels(tensor);
  const auto channels = static_cast<int64_t>(largest.size());
  const auto values = tensor.values<float>();
  std::vector<float> scales(largest.size(), 0);
  for (int64_t channel = 0; channel < channels; ++channel) {
    if (is_zero(largest[static_cast<size_t>(channel)])) continue;
    const auto fits = [&](float scale) {
      for (size_t i = static_cast<size_t>(channel); i < values.size(); i += static_cast<size_t>(channels))
        if (!is_multiple(values[i], scale)) return false;
      return true;
    };
    float scale = int8_scale(largest[static_cast<size_t>(channel)]);
    if (scale == 0 || !std::isfinite(scale)) return std::nullopt;
    // Rounding to a scale that was rounded up leaves the largest number between 112 and 127.
    constexpr int candidates = 4;
    int tried = 0;
    while (tried < candidates && !fits(scale)) {
      scale = std::bit_cast<float>(std::bit_cast<uint32_t>(scale) + scale_step);
      ++tried;
    }
    if (tried == candidates) return std::nullopt;
    scales[static_cast<size_t>(channel)] = scale;
  }
  return scales;
}

NumberForm form_of(const Tensor& tensor, std::vector<float>* scales) {
  if (tensor.extents().size() > 1)
    if (std::optional<std::vector<float>> found = int8_scales(tensor)) {
      *scales = std::move(*found);
      return NumberForm::int8;
    }
  const auto values = tensor.values<float>();
  return std::all_of(values.begin(), values.end(), is_float16) ? NumberForm::float16 : NumberForm::float32;
}

Tensor rounded(const Tensor& tensor, NumberForm form) {
  if (form == NumberForm::float32) return tensor;
  if (form == NumberForm::int8 && int8_scales(tensor)) return tensor;
  Tensor result = tensor.clone();
  const auto values = result.values<float>();
  if (form == NumberForm::float16) {
    std::transform(values.begin(), values.end(), values.begin(), to_float16);
    return result;
  }
  std::vector<float> scales = largest_of_channels(tensor);
  std::transform(scales.begin(), scales.end(), scales.begin(), int8_scale);
  size_t channel = 0;
  for (float& value : values) {
    const float scale = scales[channel];
    // The addition makes -0 a plain zero.
    value = scale == 0 ? 0 : std::nearbyint(value / scale) * scale + 0.0f;
    if (++channel == scales.size()) channel = 0;
  }
  return result;
}

}  // namespace lariat
