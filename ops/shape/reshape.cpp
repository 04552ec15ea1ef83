#include <fmt/format.h>

#include <algorithm>

#include "graph/base/error.hpp"
#include "ops/ops.hpp"
#include "ops/records.hpp"

namespace lariat {

namespace reshape_detail {

const Dim inferred = -1;

// The dimension written as -1: the quotient of the element counts, after the dimensions that both shapes have
// are cancelled.
Dim missing_dimension(const Shape& from, const Shape& to) {
  Shape left = from, right;
  for (Dim d : to) {
    if (d == inferred) continue;
    const auto same = std::find(left.begin(), left.end(), d);
    if (same != left.end()) {
      left.erase(same);
    } else {
      right.push_back(d);
    }
  }
  const Dim count = element_count(left), known = element_count(right);
  if (!known.known())
    throw UserError(
        fmt::format("the dimension -1 of {} cannot be computed from {}; write it out", text(to), text(from)));
  if (known.size() <= 0 || (count.known() && count.size() % known.size() != 0))
    throw UserError(fmt::format("{} cannot take the shape {}: no size of the dimension -1 gives {} elements",
                                text(from), text(to), element_count(from).text()));
  return floor_divide(count, known.size());
}

// `to` with -1 filled in. Counts of symbolic dimensions that cannot be compared are left to the plan.
Shape resolved(const Shape& from, const Shape& to) {
  Shape shape = to;
  const auto missing = std::count(to.begin(), to.end(), inferred);
  if (missing > 1)
    throw UserError(fmt::format("{} has {} dimensions of -1; one can be inferred", text(to), missing));
  if (missing == 1) *std::find(shape.begin(), shape.end(), inferred) = missing_dimension(from, to);
  for (Dim d : shape)
    if (d.known() && d.size() < 0)
      throw UserError(fmt::format("the shape {} has a negative dimension", text(to)));
  const Dim before = element_count(from), after = element_count(shape);
  if (before.known() && after.known() && !(before == after))
    throw UserError(fmt::format("{} has {} elements and cannot take the shape {} of {}", text(from),
                                before.text(), text(to), after.text()));
  return shape;
}

std::vector<TensorType> infer(const InferContext& c) {
  return {{c.in(0).dtype, resolved(c.shape(0), c.attribute<Shape>("shape"))}};
}

}  // namespace reshape_detail

OpDef records::reshape() {
  using namespace reshape_detail;
  OpDef def{.name = "reshape",
            .doc = "The same elements in row-major order under another shape.",
            .inputs = {{"x", "of any shape"}},
            .outputs = {{"result", "of shape `shape`"}}};
  def.attributes = {
      {"shape", AttributeKind::shape, "the new shape; one dimension may be -1 and is inferred"}};
  def.traits.alias = true;
  def.traits.selection = true;
  def.traits.linear = {true};
  def.infer = infer;
  def.vjp = [](const GradContext& g) -> Adjoints { return {reshape(g.adjoint(0), g.in(0).shape())}; };
  def.cost = [](std::span<const TensorView>, std::span<const TensorView>, const Attributes&) {
    return Cost{};
  };
  const auto to = [](Shape shape) -> Attributes { return {{"shape", shape}}; };
  def.samples = {{"matrix", {{{6}, {1, 2, 3, 4, 5, 6}}}, to({2, 3}), {1, 2, 3, 4, 5, 6}},
                 {"inferred", {{{2, 3, 4}}}, to({-1, 6})},
                 {"to a scalar", {{{1, 1}, {5}}}, to({}), {5}},
                 {"from a scalar", {{{}, {5}}}, to({1}), {5}},
                 {"no elements", {{{0, 3}}}, to({3, 0, 2})}};
  def.rejects = {{{{f32, {2, 3}}}, to({4}), "[2, 3] has 6 elements and cannot take the shape [4] of 4"},
                 {{{f32, {2, 3}}},
                  to({4, -1}),
                  "[2, 3] cannot take the shape [4, -1]: no size of the dimension -1 gives 6 elements"},
                 {{{f32, {2, 3}}}, to({-1, -1}), "[-1, -1] has 2 dimensions of -1; one can be inferred"},
                 {{{f32, {dim::batch, 3}}},
                  to({dim::time, -1}),
                  "the dimension -1 of [time, -1] cannot be computed from [batch, 3]; write it out"}};
  return def;
}

Value reshape(Operand x, Shape shape) {
  using namespace reshape_detail;
  // Passes reshape other values by the same attribute, so -1 does not stay in it.
  if (x.value && std::count(shape.begin(), shape.end(), inferred) == 1) {
    try {
      shape = resolved(x.value.shape(), shape);
    } catch (const UserError&) {
      // The record refuses it too, and says where it was built.
    }
  }
  return build("reshape", {x}, {{"shape", std::move(shape)}});
}

}  // namespace lariat
