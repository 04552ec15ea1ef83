#include "ops/kernels/window.hpp"

#include <fmt/format.h>

#include "graph/base/error.hpp"

namespace lariat {

namespace window_detail {

using Pair = std::vector<int64_t>;

// The attributes of a window by their names, with what reads one of them.
template <class Read>
Window window_from(int64_t kernel, const Read& read) {
  return {kernel, read("stride"), read("dilation"), read("pad_before"), read("pad_after")};
}

template <class Read>
Window2d window2d_from(int64_t kernel_height, int64_t kernel_width, const Read& read) {
  const auto along = [&](size_t axis) {
    return [&read, axis](std::string_view name) { return read(name)[axis]; };
  };
  return {window_from(kernel_height, along(0)), window_from(kernel_width, along(1))};
}

}  // namespace window_detail

std::vector<AttributeSpec> window_attributes() {
  return {{"stride", AttributeKind::integer, "time steps from one window to the next", Attribute(int64_t{1}),
           1, 1e9},
          {"dilation", AttributeKind::integer, "time steps from one tap to the next", Attribute(int64_t{1}),
           1, 1e9},
          {"pad_before", AttributeKind::integer, "zeros in front of the time axis", Attribute(int64_t{0}), 0,
           1e9},
          {"pad_after", AttributeKind::integer, "zeros behind the time axis", Attribute(int64_t{0}), 0, 1e9}};
}

std::vector<AttributeSpec> window2d_attributes() {
  using namespace window_detail;
  const auto pair = [](std::string name, std::string doc, int64_t otherwise) -> AttributeSpec {
    return {std::move(name),
            AttributeKind::integers,
            std::move(doc),
            Attribute(Pair{otherwise, otherwise}),
            static_cast<double>(otherwise),
            1e9};
  };
  return {pair("stride", "rows and columns from one window to the next", 1),
          pair("dilation", "rows and columns from one tap to the next", 1),
          pair("pad_before", "zeros above and to the left", 0),
          pair("pad_after", "zeros below and to the right", 0)};
}

Attributes attributes_of(const Window& window) {
  return {{"stride", window.stride},
          {"dilation", window.dilation},
          {"pad_before", window.before},
          {"pad_after", window.after}};
}

Attributes attributes_of(const Window2d& window) {
  using namespace window_detail;
  const auto pair = [&](int64_t Window::*member) { return Pair{window.down.*member, window.across.*member}; };
  return {{"stride", pair(&Window::stride)},
          {"dilation", pair(&Window::dilation)},
          {"pad_before", pair(&Window::before)},
          {"pad_after", pair(&Window::after)}};
}

Window window_of(const Attributes& attributes, int64_t kernel) {
  using namespace window_detail;
  return window_from(kernel, [&](std::string_view name) { return attributes.get<int64_t>(name); });
}

Window window_of(const InferContext& c, int64_t kernel) {
  using namespace window_detail;
  return window_from(kernel, [&](std::string_view name) { return c.attribute<int64_t>(name); });
}

Window2d window2d_of(const Attributes& attributes, int64_t kernel_height, int64_t kernel_width) {
  using namespace window_detail;
  return window2d_from(kernel_height, kernel_width,
                       [&](std::string_view name) -> const Pair& { return attributes.get<Pair>(name); });
}

Window2d window2d_of(const InferContext& c, int64_t kernel_height, int64_t kernel_width) {
  using namespace window_detail;
  return window2d_from(kernel_height, kernel_width,
                       [&](std::string_view name) -> const Pair& { return checked_pair(c, name); });
}

const window_detail::Pair& checked_pair(const InferContext& c, std::string_view name) {
  using namespace window_detail;
  const Pair& pair = c.attribute<Pair>(name);
  if (pair.size() != 2)
    c.fail(fmt::format("'{}' is {}; it must be two numbers, for height and width", name, text(pair)));
  return pair;
}

const Shape& checked_image(const InferContext& c, std::string_view name) {
  const Shape& image = c.attribute<Shape>(name);
  if (image.size() != 2)
    c.fail(fmt::format("'{}' is {}; it must be a shape of two dimensions", name, text(image)));
  return image;
}

std::optional<Window> padded_window(int64_t kernel, int64_t stride, int64_t dilation,
                                    std::string_view padding) {
  Window window{kernel, stride, dilation, 0, 0};
  const int64_t zeros = window.reach() - 1;
  if (padding == "same") {
    window.before = zeros / 2;
    window.after = zeros - window.before;
  } else if (padding == "causal") {
    window.before = zeros;
  } else if (padding != "valid") {
    return std::nullopt;
  }
  return window;
}

void check_sequence(const InferContext& c, std::string_view name) {
  if (c.shape(0).size() != 3)
    c.fail(fmt::format("takes {} [batch, time, channels]; got {}", name, text(c.shape(0))));
}

void check_images(const InferContext& c, size_t index, std::string_view name) {
  if (c.shape(index).size() != 4)
    c.fail(fmt::format("takes {} [batch, height, width, channels]; got {}", name, text(c.shape(index))));
}

Dim checked_steps(const Window& window, Dim size, std::string_view things) {
  const Dim padded = size + Dim(window.before + window.after);
  if (padded.known() && padded.size() < window.reach())
    throw UserError(fmt::format("the window spans {} {}, but there are {} with padding", window.reach(),
                                things, padded.text()));
  return window.steps(size);
}

Shape checked_steps(const Window2d& window, const Shape& image) {
  return {checked_steps(window.down, image[0], "rows"), checked_steps(window.across, image[1], "columns")};
}

}  // namespace lariat
