#include <fmt/format.h>

#include "graph/error.hpp"
#include "ops/axes.hpp"
#include "ops/gemm.hpp"
#include "ops/ops.hpp"
#include "ops/records.hpp"
#include "ops/window.hpp"

namespace lariat {

namespace {

// Unfolded rows that fit well into a core's second-level cache.
constexpr int64_t tile_bytes = 256 * 1024;

std::vector<TensorType> infer(const InferContext& c) {
  check_one_dtype(c);
  check_float(c, 0, "x");
  check_sequence(c, "x");
  const Shape &x = c.shape(0), &w = c.shape(1);
  if (w.size() != 3 || !w[0].known() || w[0].size() < 1 || !(w[1] == x[2]))
    c.fail(fmt::format("x is {} and w {}; w must be [kernel, {}, out]", text(x), text(w), x[2].text()));
  return {{c.in(0).dtype, {x[0], checked_steps(window_of(c, w[0].size()), x[1]), w[2]}}};
}

// y = unfold(x)·w, one tile of rows after the other: the unfolded x never leaves the cache.
template <class T>
void forward(const KernelContext& k) {
  const Extents &x = k.inputs[0].extents, &w = k.inputs[1].extents, &y = k.outputs[0].extents;
  const Window window = window_of(k.attributes, w[0]);
  const int64_t rows = y[0] * y[1], depth = w[0] * w[1], width = w[2];
  if (window.kernel == 1 && window.stride == 1 && window.before + window.after == 0)
    return gemm<T>(k.parallel, false, false, rows, width, depth, k.in<T>(0), depth, k.in<T>(1), width, T(0),
                   k.out<T>(0), width);
  const auto fitting = tile_bytes / std::max<int64_t>(1, depth * static_cast<int64_t>(sizeof(T)));
  const int64_t tile = std::clamp<int64_t>(fitting / 16 * 16, 32, 1024);
  k.parallel.run(rows, tile, [&](int64_t begin, int64_t end) {
    // Kept between calls, so that a step allocates nothing; nothing inside starts other tasks.
    thread_local std::vector<T> unfolded;
    unfolded.resize(std::max<size_t>(unfolded.size(), tile * depth));
    unfold_rows(k.in<T>(0), x[1], x[2], window, y[1], begin, end, unfolded.data());
    gemm_tile<T>(false, false, end - begin, width, depth, unfolded.data(), depth, k.in<T>(1), width, T(0),
                 k.out<T>(0) + begin * width, width);
  });
}

// With U = unfold(x), y = U·w:  dx = fold(dy·wᵀ), dw = Uᵀ·dy.
Adjoints vjp(const GradContext& g) {
  const Value x = g.in(0), w = g.in(1), d = g.adjoint(0);
  const Shape shape = w.shape();
  const Dim depth = shape[0] * shape[1], width = shape[2];
  Attributes window = g.attributes();
  window.set("kernel", shape[0].size());
  Value dx, dw;
  if (g.needs(0)) {
    Attributes folding = window;
    folding.set("time", Shape{x.shape()[1]});
    dx = build("fold1d", {matmul(d, transpose(reshape(w, {depth, width})))}, folding);
  }
  if (g.needs(1)) {
    const Value unfolded = reshape(build("unfold1d", {x}, window), {-1, depth});
    dw = reshape(matmul(transpose(unfolded), reshape(d, {-1, width})), shape);
  }
  return {dx, dw};
}

Cost cost(std::span<const TensorView> inputs, std::span<const TensorView> outputs,
          const Attributes& attributes) {
  Cost cost = streaming_cost<0>(inputs, outputs, attributes);
  const Extents& w = inputs[1].extents;
  cost.flops = 2 * static_cast<double>(w[0] * w[1]) * static_cast<double>(outputs[0].count());
  return cost;
}

}  // namespace

OpDef records::conv1d() {
  OpDef def{.name = "conv1d",
            .doc = "Convolution over time (cross-correlation: the kernel is not flipped).",
            .inputs = {{"x", "f32 or f64 [batch, time, in]"}, {"w", "[kernel, in, out]"}},
            .outputs = {{"y", "[batch, steps, out]"}}};
  def.attributes = window_attributes();
  def.traits.linear = {true};
  def.infer = infer;
  def.kernel = {forward<float>, forward<double>, nullptr};
  def.vjp = vjp;
  def.cost = cost;
  const std::vector<double> four{1, 2, 3, 4};
  def.samples = {{"difference", {{{1, 4, 1}, {1, 2, 4, 8}}, {{2, 1, 1}, {-1, 1}}}, {}, {1, 2, 4}},
                 {"padded",
                  {{{1, 3, 1}, {1, 2, 3}}, {{3, 1, 1}, {1, 10, 100}}},
                  attributes_of({3, 1, 1, 1, 1}),
                  {210, 321, 32}},
                 {"two channels", {{{1, 2, 2}, four}, {{1, 2, 2}, {1, 0, 1, 1}}}, {}, {3, 2, 7, 4}},
                 {"stride", {{{2, 7, 2}}, {{3, 2, 4}}}, attributes_of({3, 2, 1, 1, 1})},
                 {"dilation", {{{2, 7, 2}}, {{3, 2, 4}}}, attributes_of({3, 1, 2, 0, 0})},
                 {"one tap with stride", {{{2, 4, 2}}, {{1, 2, 3}}}, attributes_of({1, 2, 1, 0, 0})},
                 {"no rows", {{{0, 4, 2}}, {{3, 2, 1}}}},
                 {"no channels", {{{1, 2, 0}}, {{1, 0, 1}}}, {}, {0, 0}}};
  def.rejects = {{{{f32, {2, 9, 3}}, {f32, {5, 4, 8}}},
                  {},
                  "x is [2, 9, 3] and w [5, 4, 8]; w must be [kernel, 3, out]"},
                 {{{f32, {2, 4, 3}}, {f32, {5, 3, 8}}},
                  {},
                  "the window spans 5 time steps, but there are 4 with padding"},
                 {{{f32, {9, 3}}, {f32, {5, 3, 8}}}, {}, "takes x [batch, time, channels]; got [9, 3]"}};
  return def;
}

Value conv1d(Operand x, Operand w, int64_t stride, const std::string& padding, int64_t dilation) {
  // Without a kernel size the record refuses w's shape.
  const bool sized = w.value && w.value.rank() == 3 && w.value.shape()[0].known();
  const auto window = padded_window(sized ? w.value.shape()[0].size() : 1, stride, dilation, padding);
  if (!window)
    refuse("conv1d", x,
           fmt::format("the padding '{}' is unknown; it must be \"same\", \"causal\" or \"valid\"", padding));
  return build("conv1d", {x, w}, attributes_of(*window));
}

}  // namespace lariat
