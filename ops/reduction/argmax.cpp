#include <fmt/format.h>

#include "graph/base/error.hpp"
#include "ops/kernels/axes.hpp"
#include "ops/ops.hpp"
#include "ops/records.hpp"

namespace lariat {

namespace argmax_detail {

std::vector<TensorType> infer(const InferContext& c) {
  Shape shape = c.shape(0);
  checked_axis(-1, shape);
  if (shape.back() == Dim(0))
    c.fail(fmt::format("the last axis of {} is empty and has no maximum", text(shape)));
  shape.pop_back();
  return {{i32, shape}};
}

void forward(const KernelContext& k) {
  const auto [rows, width, inner] = blocks_around(k.inputs[0].extents, -1);
  if (rows > 0 && width == 0)
    throw UserError(fmt::format("x is {}; no elements have no maximum", text(k.inputs[0].extents)));
  with_type(k.inputs[0].dtype, [&, width = width](auto zero) {
    using T = decltype(zero);
    k.parallel.run(k.outputs[0].count(), rows_per_task(width), [&](int64_t begin, int64_t end) {
      for (int64_t row = begin; row < end; ++row) {
        const T* x = k.in<T>(0) + row * width;
        int64_t best = 0;
        for (int64_t j = 1; j < width && x[best] == x[best]; ++j)
          if (x[j] > x[best] || x[j] != x[j]) best = j;
        k.out<int32_t>(0)[row] = static_cast<int32_t>(best);
      }
    });
  });
}

}  // namespace argmax_detail

OpDef records::argmax() {
  using namespace argmax_detail;
  OpDef def{
      .name = "argmax",
      .doc =
          "The place of the maximum along the last axis: the first of equals, or of NaN where there is one.",
      .inputs = {{"x", "[..., n]"}},
      .outputs = {{"indices", "i32 [...]"}}};
  def.traits.stops_gradient = true;
  def.infer = infer;
  def.kernel = {nullptr, nullptr, forward};
  def.cost = streaming_cost<1>;
  def.samples = {{"rows", {{{2, 3}, {1, 3, 2, 5, 4, 3}}}, {}, {1, 0}},
                 {"first of equals", {{.extents = {4}, .values = {1, 7, 7, 0}, .dtype = i32}}, {}, {1}},
                 {"one element", {{{2, 1}}}, {}, {0, 0}},
                 {"no rows", {{{0, 3}}}}};
  def.rejects = {{{{f32, {2, 0}}}, {}, "the last axis of [2, 0] is empty and has no maximum"},
                 {{{f32, {}}}, {}, "axis -1 does not exist: x is a scalar"}};
  return def;
}

Value argmax(Operand x) { return build("argmax", {x}); }

}  // namespace lariat
