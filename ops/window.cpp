#include "ops/window.hpp"

#include <fmt/format.h>

#include "graph/error.hpp"

namespace lariat {

std::vector<AttributeSpec> window_attributes() {
  return {{"stride", AttributeKind::integer, "time steps from one window to the next", Attribute(int64_t{1}),
           1, 1e9},
          {"dilation", AttributeKind::integer, "time steps from one tap to the next", Attribute(int64_t{1}),
           1, 1e9},
          {"pad_before", AttributeKind::integer, "zeros in front of the time axis", Attribute(int64_t{0}), 0,
           1e9},
          {"pad_after", AttributeKind::integer, "zeros behind the time axis", Attribute(int64_t{0}), 0, 1e9}};
}

Attributes attributes_of(const Window& window) {
  return {{"stride", window.stride},
          {"dilation", window.dilation},
          {"pad_before", window.before},
          {"pad_after", window.after}};
}

Window window_of(const Attributes& attributes, int64_t kernel) {
  const auto get = [&](std::string_view name) { return attributes.get<int64_t>(name); };
  return {kernel, get("stride"), get("dilation"), get("pad_before"), get("pad_after")};
}

Window window_of(const InferContext& c, int64_t kernel) {
  const auto get = [&](std::string_view name) { return c.attribute<int64_t>(name); };
  return {kernel, get("stride"), get("dilation"), get("pad_before"), get("pad_after")};
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

Dim checked_steps(const Window& window, Dim time) {
  const Dim padded = time + Dim(window.before + window.after);
  if (padded.known() && padded.size() < window.reach())
    throw UserError(fmt::format("the window spans {} time steps, but there are {} with padding",
                                window.reach(), padded.text()));
  return window.steps(time);
}

}  // namespace lariat
