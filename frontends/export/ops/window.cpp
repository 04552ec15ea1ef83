#include <fmt/format.h>

#include "frontends/export/c_op.hpp"
#include "ops/convolution/pooling.hpp"

namespace lariat::to_c {

namespace {

// Windows over [height, width, channels]; of a sequence, time is the height of an image one column wide.
struct Image {
  int64_t height, width, channels, rows, columns;
  Window2d window;
};

bool is_sequence(const CNode& node) { return node.inputs[0].extents.size() == 3; }

Image image_of(const CNode& node, const Window2d& window) {
  const Extents &x = node.inputs[0].extents, &y = node.outputs[0].extents;
  if (is_sequence(node)) return {x[1], 1, x[2], y[1], 1, window};
  return {x[1], x[2], x[3], y[1], y[2], window};
}

Window2d convolution_window(const CNode& node) {
  const Extents& w = node.inputs[1].extents;
  if (is_sequence(node)) return {window_of(node.node.attributes, w[0]), {}};
  return window2d_of(node.node.attributes, w[0], w[1]);
}

Window2d pool_window(const CNode& node) {
  if (is_sequence(node)) return {pool_of(node.node.attributes), {}};
  return pool2d_of(node.node.attributes);
}

// a·i + b, as short as it may be.
std::string linear(int64_t a, const std::string& i, int64_t b) {
  if (i == "0" || a == 0) return fmt::format("{}", b);
  std::string text = a == 1 ? i : fmt::format("{} * {}", a, i);
  if (b > 0) text += fmt::format(" + {}", b);
  if (b < 0) text += fmt::format(" - {}", -b);
  return text;
}

// Of images that lie one after the other, one, in a loop over all; rows of frames are such a batch.
struct OneImage {
  std::string x;
  CValue y;
  bool is_of_several = false;

  OneImage(CBlock& block, const CNode& node) : x(block.pointer(node.inputs[0])), y(node.outputs[0]) {
    const int64_t images = node.inputs[0].extents[0];
    if (images == 1) return;
    is_of_several = true;
    const std::string image = block.loop(images);
    block.line(
        fmt::format("const float *seen = {} + {};", x, linear(node.inputs[0].count() / images, image, 0)));
    block.line(fmt::format("float *made = {} + {};", y.pointer, linear(y.count() / images, image, 0)));
    x = "seen";
    y.pointer = "made";
  }
  void end(CBlock& block) const {
    if (is_of_several) block.end();
  }
};

// The row's taps are gathered, then multiplied by the kernel as a matrix [taps·channels, filters].
void emit_convolution(CBlock& block, const CNode& node) {
  const Image image = image_of(node, convolution_window(node));
  const CValue& w = node.inputs[1];
  const Window &down = image.window.down, &across = image.window.across;
  const int64_t filters = w.extents.back(), width = across.kernel * image.channels;
  const OneImage one(block, node);
  const std::string& x = one.x;
  const std::string row = block.loop(image.rows), column = block.loop(image.columns);
  const std::string place = image.columns == 1 ? linear(filters, row, 0)
                            : row == "0"
                                ? linear(filters, column, 0)
                                : fmt::format("({} * {} + {}) * {}", image.columns, row, column, filters);
  const std::string y = place == "0" ? one.y.pointer : one.y.pointer + " + " + place;
  std::string taps = node.scratch;
  const std::string first = linear(down.stride, row, -down.before);
  if (image.width == 1 && across.kernel == 1) {
    if (down.before == 0 && down.after == 0 && down.dilation == 1) {
      const std::string begin = linear(down.stride * image.channels, row, 0);
      taps = begin == "0" ? x : x + " + " + begin;
    } else {
      block.line(fmt::format("{}({}, {}, {}, {}, {}, {}, {});", block.unit.helper("gather_window"), taps, x,
                             image.height, image.channels, first, down.kernel, down.dilation));
    }
  } else {
    const std::string tap = block.loop(down.kernel);
    const std::string line = tap == "0" ? first : first + " + " + linear(down.dilation, tap, 0);
    const std::string to = tap == "0" ? taps : fmt::format("{} + {} * {}", taps, width, tap);
    block.line("{");
    block.line(fmt::format("const int32_t line = {};", line));
    block.line(fmt::format("if (line >= 0 && line < {})", image.height));
    block.line(fmt::format("  {}({}, {} + line * {}, {}, {}, {}, {}, {});",
                           block.unit.helper("gather_window"), to, x, image.width * image.channels,
                           image.width, image.channels, linear(across.stride, column, -across.before),
                           across.kernel, across.dilation));
    block.line("else");
    block.line(fmt::format("  {}({}, {});", block.unit.helper("clear"), to, width));
    block.close();
    block.end();
  }
  block.clear(y, filters);
  if (w.constant) {
    block.product(w, static_cast<int64_t>(w.extents.size()) - 1, taps, y);
  } else {
    block.line(fmt::format("{}({}, 0, 1, {}, {}, 1, {}, 1, {}, {});", block.unit.helper("any_product"), taps,
                           block.pointer(w), filters, y, down.kernel * width, filters));
  }
  block.end();
  block.end();
  one.end(block);
}

int64_t convolution_scratch(const CNode& node) {
  const Window2d window = convolution_window(node);
  return window.down.kernel * window.across.kernel * node.inputs[0].extents.back();
}

void emit_pool(CBlock& block, const CNode& node) {
  const Image image = image_of(node, pool_window(node));
  const bool largest = node.node.op->name.starts_with("max");
  const Window &down = image.window.down, &across = image.window.across;
  const OneImage one(block, node);
  const std::string& x = one.x;
  const std::string row = block.loop(image.rows), column = block.loop(image.columns),
                    channel = block.loop(image.channels);
  const auto plus = [](const std::string& a, const std::string& b) {
    return a == "0" ? b : b == "0" ? a : a + " + " + b;
  };
  const std::string place =
      plus(plus(linear(image.columns * image.channels, row, 0), linear(image.channels, column, 0)), channel);
  const std::string first = plus(plus(linear(down.stride * image.width * image.channels, row, 0),
                                      linear(across.stride * image.channels, column, 0)),
                                 channel);
  block.line("{");
  block.line(fmt::format("const float *from = {};", first == "0" ? x : x + " + " + first));
  block.line(fmt::format("float value = {};", largest ? "from[0]" : "0.0F"));
  const std::string i = block.loop(down.kernel), j = block.loop(across.kernel);
  const std::string tap = plus(linear(image.width * image.channels, i, 0), linear(image.channels, j, 0));
  if (largest) {
    block.line(fmt::format("if (from[{0}] > value || from[{0}] != from[{0}]) value = from[{0}];", tap));
  } else {
    block.line(fmt::format("value += from[{}];", tap));
  }
  block.end();
  block.end();
  const int64_t taps = down.kernel * across.kernel;
  block.line(fmt::format("{} = {};", block.element(one.y, place),
                         largest ? "value" : fmt::format("value / {}.0F", taps)));
  block.close();
  for (int k = 0; k < 3; ++k) block.end();
  one.end(block);
}

std::vector<COp::Weights> kernel(const Node& node) {
  return {{1, static_cast<int64_t>(node.outputs[0].shape.size()) - 1}};
}

TimeUse convolution_time(const Node& node, const Graph& graph, const std::vector<bool>& streams) {
  const Shape& w = graph.type(node.inputs[1]).shape;
  if (streams[1]) return {};
  return {TimeUse::window, w.size() == 3 ? window_of(node.attributes, w[0].size())
                                         : window2d_of(node.attributes, w[0].size(), w[1].size()).down};
}

TimeUse pool_time(const Node& node, const Graph& graph, const std::vector<bool>&) {
  const bool sequence = graph.type(node.inputs[0]).shape.size() == 3;
  return {TimeUse::window, sequence ? pool_of(node.attributes) : pool2d_of(node.attributes).down};
}

// Rows of frames are a batch of images.
int64_t window_axis(const Node&, const Graph&, const std::vector<bool>& streams, int64_t axis) {
  return axis == 0 && (streams.size() < 2 || !streams[1]) ? 0 : -1;
}

COp convolution(std::string name) {
  return {.op = std::move(name),
          .emit = emit_convolution,
          .scratch = convolution_scratch,
          .weights = kernel,
          .of_floats = true,
          .time = convolution_time,
          .axis_behind = window_axis};
}

COp pool(std::string name) {
  return {.op = std::move(name),
          .emit = emit_pool,
          .of_floats = true,
          .time = pool_time,
          .axis_behind = window_axis};
}

}  // namespace

std::vector<COp> c_ops::window() {
  return {convolution("conv1d"), convolution("conv2d"),  pool("max_pool1d"),
          pool("max_pool2d"),    pool("average_pool1d"), pool("average_pool2d")};
}

}  // namespace lariat::to_c
