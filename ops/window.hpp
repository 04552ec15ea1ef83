#pragma once

#include "graph/op_def.hpp"

namespace lariat {

/// A window that slides over the time axis of [batch, time, channels]: tap k of step s lies at time
/// s·stride - before + k·dilation; what lies outside is zero.
struct Window {
  int64_t kernel = 1, stride = 1, dilation = 1, before = 0, after = 0;

  /// Time steps from the first tap to behind the last.
  int64_t reach() const { return dilation * (kernel - 1) + 1; }
  Dim steps(Dim time) const { return floor_divide(time + Dim(before + after - reach()), stride) + Dim(1); }
};

/// The attributes `stride`, `dilation`, `pad_before` and `pad_after`.
std::vector<AttributeSpec> window_attributes();
Attributes attributes_of(const Window& window);
Window window_of(const Attributes& attributes, int64_t kernel);
Window window_of(const InferContext& c, int64_t kernel);
/// The window for which `padding` "same" gives ⌈time / stride⌉ steps, with ⌊(reach - 1) / 2⌋ zeros in front;
/// "causal" gives as many and puts all zeros in front; "valid" adds none. Nothing for another word.
std::optional<Window> padded_window(int64_t kernel, int64_t stride, int64_t dilation,
                                    std::string_view padding);

/// Throws UserError unless input 0, called `name`, has the dimensions [batch, time, channels].
void check_sequence(const InferContext& c, std::string_view name);
/// The number of steps. Throws UserError where the window is longer than the time axis with its padding.
Dim checked_steps(const Window& window, Dim time);

/// Rows [begin, end) of the unfolded x, row = (batch, step), each the channels of all taps side by side.
template <class T>
void unfold_rows(const T* x, int64_t time, int64_t channels, const Window& window, int64_t steps,
                 int64_t begin, int64_t end, T* out) {
  for (int64_t row = begin; row < end; ++row) {
    const T* sequence = x + row / steps * time * channels;
    const int64_t first = row % steps * window.stride - window.before;
    for (int64_t k = 0; k < window.kernel; ++k, out += channels) {
      const int64_t t = first + k * window.dilation;
      if (t >= 0 && t < time) {
        std::copy_n(sequence + t * channels, channels, out);
      } else {
        std::fill_n(out, channels, T(0));
      }
    }
  }
}

}  // namespace lariat
