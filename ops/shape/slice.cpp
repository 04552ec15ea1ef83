#include <fmt/format.h>

#include <xtensor/xadapt.hpp>
#include <xtensor/xnoalias.hpp>
#include <xtensor/xview.hpp>

#include "ops/elementwise/margins.hpp"
#include "ops/kernels/axes.hpp"
#include "ops/ops.hpp"
#include "ops/records.hpp"

namespace lariat {

namespace slice_detail {

// m = ⌈(n - before - after) / step⌉
std::vector<TensorType> infer(const InferContext& c) {
  Shape shape = c.shape(0);
  const int64_t axis = checked_axis(c.attribute<int64_t>("axis"), shape), step = c.attribute<int64_t>("step");
  const auto [before, after] = checked_margins(c);
  const Dim size = shape[axis], span = size - before - after;
  if ((before.known() && before.size() < 0) || (after.known() && after.size() <= -step) ||
      (span.known() && span.size() <= -step))
    c.fail(fmt::format("[{}, {}) does not lie within axis {} of {}", before.text(), (size - after).text(),
                       axis, text(shape)));
  const Dim count = floor_divide(span + Dim(step - 1), step);
  if (!before.known() && !(count * Dim(step) == span))
    c.fail(fmt::format(
        "the first element {} is not a number, so {} must be a multiple of the step {}; slice in two steps",
        before.text(), span.text(), step));
  shape[axis] = count;
  return {{c.in(0).dtype, shape}};
}

template <class Bits>
void forward(const KernelContext& k) {
  const int64_t axis = k.attributes.get<int64_t>("axis"), step = k.attributes.get<int64_t>("step");
  const AxisBlocks from = blocks_around(k.inputs[0].extents, axis),
                   to = blocks_around(k.outputs[0].extents, axis);
  if (k.outputs[0].count() == 0) return;
  const int64_t begin = front_margin(k.attributes, from.extent, to.extent);
  const int64_t end = std::min(from.extent, begin + to.extent * step);
  const auto in = xt::adapt(k.in<Bits>(0), k.inputs[0].count(), xt::no_ownership(), from.shape());
  auto out = xt::adapt(k.out<Bits>(0), k.outputs[0].count(), xt::no_ownership(), to.shape());
  k.parallel.run(to.outer, rows_per_task(to.extent * to.inner), [&](int64_t first, int64_t last) {
    xt::noalias(xt::view(out, xt::range(first, last))) =
        xt::view(in, xt::range(first, last), xt::range(begin, end, step));
  });
}

// What was left out gets zeros. The margin behind is counted from the last element taken plus one step, so
// that padding restores the size exactly.
Adjoints vjp(const GradContext& g) {
  const Attributes& a = g.attributes();
  const int64_t axis = a.get<int64_t>("axis"), step = a.get<int64_t>("step");
  const Dim before = a.get<Shape>("before")[0];
  const Dim size = g.in(0).shape()[axis < 0 ? axis + g.in(0).rank() : axis];
  const Dim count = g.out(0).shape()[axis < 0 ? axis + g.in(0).rank() : axis];
  return {pad(g.adjoint(0), axis, before, size - before - count * Dim(step), step)};
}

}  // namespace slice_detail

OpDef records::slice() {
  using namespace slice_detail;
  OpDef def{.name = "slice",
            .doc = "The elements of one axis that lie between two margins, or every step-th of them.",
            .inputs = {{"x", "of at least one dimension"}},
            .outputs = {{"result", "x's shape with a shorter axis"}}};
  def.attributes = margin_attributes("left out");
  def.traits.selection = true;
  def.traits.linear = {true};
  def.infer = infer;
  def.kernel = {forward<uint32_t>, forward<uint64_t>, forward<uint32_t>};
  def.vjp = vjp;
  def.cost = [](std::span<const TensorView>, std::span<const TensorView> outputs, const Attributes&) {
    return Cost{.bytes = 2 * static_cast<double>(outputs[0].bytes())};
  };
  const std::vector<double> six{1, 2, 3, 4, 5, 6};
  def.samples = {{"columns", {{{2, 3}, six}}, margins(1, 1, 0), {2, 3, 5, 6}},
                 {"rows", {{{3, 2}, six}}, margins(0, 1, 1), {3, 4}},
                 {"every second", {{{6}, six}}, margins(0, 1, 0, 2), {2, 4, 6}},
                 {"every second, one left over", {{{6}, six}}, margins(0, 0, 1, 2), {1, 3, 5}},
                 {"integers", {{.extents = {3}, .values = {1, 2, 3}, .dtype = i32}}, margins(-1, 1, 1), {2}},
                 {"middle axis", {{{2, 5, 3}}}, margins(1, 1, 2)},
                 {"middle axis, every third", {{{2, 8, 3}}}, margins(-2, 1, 0, 3)},
                 {"nothing", {{{2, 3}}}, margins(1, 1, 2)},
                 {"no rows", {{{0, 3}}}, margins(1, 1, 0)}};
  def.rejects = {
      {{{f32, {2, 3}}}, margins(1, 2, 2), "[2, 1) does not lie within axis 1 of [2, 3]"},
      {{{f32, {2, 3}}}, margins(1, 1, -1), "[1, 4) does not lie within axis 1 of [2, 3]"},
      {{{f32, {2, 3}}}, margins(2, 0, 0), "axis 2 does not exist: x is [2, 3], so axes run from -2 to 1"},
      {{{f32, {dim::batch}}},
       margins(0, dim::time, dim::time),
       "'before' is time and 'after' is time: one of them must be a number; cut one side, then the other"}};
  return def;
}

Value slice(Operand x, int64_t axis, Dim begin, Dim end, int64_t step) {
  const int64_t rank = x.value ? x.value.rank() : 0;
  Dim before = begin, after = 0;
  if (axis >= -rank && axis < rank) {
    const Dim size = x.value.shape()[axis < 0 ? axis + rank : axis];
    const auto from_front = [&](Dim place) {
      return place.known() && place.size() < 0 ? size + place : place;
    };
    before = from_front(begin);
    after = size - from_front(end);
  }
  return build("slice", {x}, margins(axis, before, after, step));
}

}  // namespace lariat
