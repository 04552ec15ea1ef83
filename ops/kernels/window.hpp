#pragma once

#include "graph/ir/op_def.hpp"

namespace lariat {

/// A window that slides over one axis: tap k of step s lies at place s·stride - before + k·dilation; what
/// lies outside is zero.
struct Window {
  int64_t kernel = 1, stride = 1, dilation = 1, before = 0, after = 0;

  /// Places from the first tap to behind the last.
  int64_t reach() const { return dilation * (kernel - 1) + 1; }
  Dim steps(Dim size) const { return floor_divide(size + Dim(before + after - reach()), stride) + Dim(1); }
};

/// A window that slides down over the rows and across over the columns of [batch, height, width, channels].
struct Window2d {
  Window down, across;
};

/// The attributes `stride`, `dilation`, `pad_before` and `pad_after`; of two dimensions each is a list of two
/// numbers, for height and width.
std::vector<AttributeSpec> window_attributes();
std::vector<AttributeSpec> window2d_attributes();
Attributes attributes_of(const Window& window);
Attributes attributes_of(const Window2d& window);
Window window_of(const Attributes& attributes, int64_t kernel);
Window2d window2d_of(const Attributes& attributes, int64_t kernel_height, int64_t kernel_width);
/// The same while a node is built. Throw UserError for a list that has not two numbers.
Window window_of(const InferContext& c, int64_t kernel);
Window2d window2d_of(const InferContext& c, int64_t kernel_height, int64_t kernel_width);
/// Throws UserError unless the attribute `name` is a list of two numbers, or a shape of two dimensions.
const std::vector<int64_t>& checked_pair(const InferContext& c, std::string_view name);
const Shape& checked_image(const InferContext& c, std::string_view name);

/// The window for which `padding` "same" gives ⌈size / stride⌉ steps, with ⌊(reach - 1) / 2⌋ zeros in front;
/// "causal" gives as many and puts all zeros in front; "valid" adds none. Nothing for another word.
std::optional<Window> padded_window(int64_t kernel, int64_t stride, int64_t dilation,
                                    std::string_view padding);

/// Throws UserError unless input 0, called `name`, has the dimensions [batch, time, channels].
void check_sequence(const InferContext& c, std::string_view name);
/// Throws UserError unless input `index`, called `name`, has the dimensions [batch, height, width, channels].
void check_images(const InferContext& c, size_t index, std::string_view name);
/// The number of steps over an axis of `size` `things`. Throws UserError where the window is longer than the
/// axis with its padding.
Dim checked_steps(const Window& window, Dim size, std::string_view things = "time steps");
/// [rows, columns] of the steps over `image`, [height, width].
Shape checked_steps(const Window2d& window, const Shape& image);

}  // namespace lariat
