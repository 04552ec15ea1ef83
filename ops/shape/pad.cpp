#include <fmt/format.h>

#include "ops/elementwise/margins.hpp"
#include "ops/kernels/axes.hpp"
#include "ops/ops.hpp"
#include "ops/records.hpp"

namespace lariat {

namespace pad_detail {

// n = before + m·step + after
std::vector<TensorType> infer(const InferContext& c) {
  Shape shape = c.shape(0);
  const int64_t axis = checked_axis(c.attribute<int64_t>("axis"), shape), step = c.attribute<int64_t>("step");
  const auto [before, after] = checked_margins(c);
  const Dim padded = before + shape[axis] * Dim(step) + after;
  if ((before.known() && before.size() < 0) || (after.known() && after.size() <= -step) ||
      (padded.known() && padded.size() < 0))
    c.fail(fmt::format("cannot pad axis {} of {} by {} and {}; use slice to shorten it", axis, text(shape),
                       before.text(), after.text()));
  shape[axis] = padded;
  return {{c.in(0).dtype, shape}};
}

template <class Bits>
void forward(const KernelContext& k) {
  const int64_t axis = k.attributes.get<int64_t>("axis"), step = k.attributes.get<int64_t>("step");
  const AxisBlocks from = blocks_around(k.inputs[0].extents, axis),
                   to = blocks_around(k.outputs[0].extents, axis);
  if (k.outputs[0].count() == 0) return;
  const int64_t begin = front_margin(k.attributes, to.extent, from.extent);
  const int64_t width = to.extent * to.inner;
  // Plain copies: assigning into an xtensor view is several times slower than assigning from one.
  k.parallel.run(to.outer, rows_per_task(width), [&](int64_t first, int64_t last) {
    Bits* out = k.out<Bits>(0);
    std::fill(out + first * width, out + last * width, Bits(0));
    for (int64_t o = first; o < last; ++o) {
      const Bits* x = k.in<Bits>(0) + o * from.extent * from.inner;
      Bits* y = out + o * width + begin * to.inner;
      if (step == 1) {
        std::copy_n(x, from.extent * from.inner, y);
      } else {
        for (int64_t i = 0; i < from.extent; ++i)
          std::copy_n(x + i * from.inner, from.inner, y + i * step * from.inner);
      }
    }
  });
}

Adjoints vjp(const GradContext& g) {
  const Attributes& a = g.attributes();
  return {build("slice", {g.adjoint(0)}, a)};
}

}  // namespace pad_detail

OpDef records::pad() {
  using namespace pad_detail;
  OpDef def{.name = "pad",
            .doc = "Puts zeros around the elements of one axis, and step - 1 zeros behind each of them.",
            .inputs = {{"x", "of at least one dimension"}},
            .outputs = {{"result", "x's shape with the axis before + step·size + after"}}};
  def.attributes = margin_attributes("added");
  def.traits.selection = true;
  def.traits.linear = {true};
  def.infer = infer;
  def.kernel = {forward<uint32_t>, forward<uint64_t>, forward<uint32_t>};
  def.vjp = vjp;
  def.cost = streaming_cost<0>;
  const std::vector<double> four{1, 2, 3, 4};
  def.samples = {{"columns", {{{2, 2}, four}}, margins(1, 1, 0), {0, 1, 2, 0, 3, 4}},
                 {"rows", {{{2, 2}, four}}, margins(-2, 0, 1), {1, 2, 3, 4, 0, 0}},
                 {"spread", {{{2}, {1, 2}}}, margins(0, 1, 0, 2), {0, 1, 0, 2, 0}},
                 {"spread, last step cut", {{{2}, {1, 2}}}, margins(0, 1, -1, 2), {0, 1, 0, 2}},
                 {"integers", {{.extents = {1}, .values = {5}, .dtype = i32}}, margins(0, 1, 1), {0, 5, 0}},
                 {"middle axis", {{{2, 3, 2}}}, margins(1, 2, 1)},
                 {"middle axis, spread", {{{2, 3, 2}}}, margins(1, 0, -2, 3)},
                 {"from nothing", {{{2, 0}}}, margins(1, 1, 1), {0, 0, 0, 0}},
                 {"no rows", {{{0, 2}}}, margins(1, 1, 1)}};
  def.rejects = {
      {{{f32, {2, 3}}},
       margins(1, -1, 0),
       "cannot pad axis 1 of [2, 3] by -1 and 0; use slice to shorten it"},
      {{{f32, {2, 3}}}, margins(3, 0, 0), "axis 3 does not exist: x is [2, 3], so axes run from -2 to 1"}};
  return def;
}

Value pad(Operand x, int64_t axis, Dim before, Dim after, int64_t step) {
  return build("pad", {x}, margins(axis, before, after, step));
}

}  // namespace lariat
