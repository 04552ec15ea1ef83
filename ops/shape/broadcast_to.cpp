#include <fmt/format.h>

#include "ops/kernels/axes.hpp"
#include "ops/kernels/elementwise_program.hpp"
#include "ops/ops.hpp"
#include "ops/records.hpp"

namespace lariat {

namespace broadcast_to_detail {

std::vector<TensorType> infer(const InferContext& c) {
  const Shape &from = c.shape(0), &to = c.attribute<Shape>("shape");
  if (broadcast(from, to) != to)
    c.fail(fmt::format("{} does not broadcast to {}; dimensions must be equal or 1, counted from the last",
                       text(from), text(to)));
  return {{c.in(0).dtype, to}};
}

// One block kernel that copies: the element-wise machinery does the broadcasting.
template <class T>
void copy_block(const void* const* inputs, const int64_t* strides, void* output, int64_t count,
                const Attributes&) {
  const T* from = static_cast<const T*>(inputs[0]);
  T* to = static_cast<T*>(output);
  strides[0] == 0 ? std::fill_n(to, count, *from) : std::copy_n(from, count, to);
}

std::shared_ptr<const void> prepare(const KernelContext& k) {
  const BlockKernel block = size_of(k.outputs[0].dtype) == 8 ? copy_block<uint64_t> : copy_block<uint32_t>;
  const std::vector<ElementwiseProgram::Instruction> copy{{block, &k.attributes, {0}}};
  return std::make_shared<ElementwiseProgram>(k.outputs[0].extents, k.outputs[0].dtype, k.inputs, copy,
                                              std::vector{1});
}

}  // namespace broadcast_to_detail

OpDef records::broadcast_to() {
  using namespace broadcast_to_detail;
  OpDef def{.name = "broadcast_to",
            .doc = "Repeats x along new dimensions and dimensions of size 1.",
            .inputs = {{"x", "of any shape"}},
            .outputs = {{"result", "of shape `shape`"}}};
  def.attributes = {{"shape", AttributeKind::shape, "the shape of the result"}};
  def.traits.selection = true;
  def.traits.linear = {true};
  def.infer = infer;
  def.kernel = {run_elementwise_program, run_elementwise_program, run_elementwise_program};
  def.prepare = prepare;
  def.workspace = elementwise_workspace;
  def.vjp = [](const GradContext& g) -> Adjoints { return {sum_to(g.adjoint(0), g.in(0).shape())}; };
  def.cost = streaming_cost<0>;
  const auto to = [](Shape shape) -> Attributes { return {{"shape", shape}}; };
  def.samples = {{"row", {{{3}, {1, 2, 3}}}, to({2, 3}), {1, 2, 3, 1, 2, 3}},
                 {"column", {{{2, 1}, {1, 2}}}, to({2, 3}), {1, 1, 1, 2, 2, 2}},
                 {"scalar", {{{}, {7}}}, to({2, 2}), {7, 7, 7, 7}},
                 {"both ends", {{{1, 3, 1}}}, to({2, 3, 4})},
                 {"integers", {{.extents = {1}, .values = {4}, .dtype = i32}}, to({2}), {4, 4}},
                 {"to no elements", {{{1, 3}}}, to({0, 3})}};
  def.rejects = {{{{f32, {3}}},
                  to({3, 2}),
                  "[3] does not broadcast to [3, 2]; dimensions must be equal or 1, counted from the last"},
                 {{{f32, {2, 3}}},
                  to({3}),
                  "[2, 3] does not broadcast to [3]; dimensions must be equal or 1, counted from the last"}};
  return def;
}

Value broadcast_to(Operand x, Shape shape) {
  using namespace broadcast_to_detail;
  return build("broadcast_to", {x}, {{"shape", std::move(shape)}});
}

namespace broadcast_to_detail {

Value filled_like(std::string_view function, Operand x, double number) {
  if (!x.value) refuse(function, x, "takes a value of a graph; an empty Value or a number was given");
  const Operand constant(x.value.graph().constant(number, x.value.dtype(), x.where), x.where);
  return broadcast_to(constant, x.value.shape());
}

}  // namespace broadcast_to_detail

Value zeros_like(Operand x) { return broadcast_to_detail::filled_like("zeros_like", x, 0); }
Value ones_like(Operand x) { return broadcast_to_detail::filled_like("ones_like", x, 1); }

}  // namespace lariat
