#include "frontends/sequential/layers/windows.hpp"

#include <algorithm>

#include "ops/ops.hpp"

namespace lariat {

std::string beside_padding(Padding padding, float value) {
  // What lies outside is 0.
  if (padding == Padding::valid || value == 0) return "";
  return "windows at the edges see zeros beside it (padding = same)";
}

Value SequenceWindow::padded(Value x, int64_t axis) const {
  if (padding == Padding::valid || size == 1) return x;
  return pad(x, axis, (size - 1) / 2, size - 1 - (size - 1) / 2);
}

// valid: ⌊(n - size)/stride⌋ + 1; same: ⌈n/stride⌉.
Value SequenceWindow::lengths(Value lengths) const {
  return scaled_lengths(lengths, padding == Padding::valid ? stride - size : stride - 1, stride);
}

int64_t SequenceWindow::frames_needed(int64_t windows) const {
  return std::min(endless_frames, (windows - 1) * stride + (padding == Padding::valid ? size : 1));
}

const std::vector<std::string>& padding_names() {
  static const std::vector<std::string> names = {"same", "valid"};
  return names;
}

}  // namespace lariat
