#include "ops/elementwise/elementwise.hpp"

#include "ops/kernels/elementwise_program.hpp"

namespace lariat {

namespace elementwise_detail {

std::shared_ptr<const void> prepare(const KernelContext& k) {
  ElementwiseProgram::Instruction only{k.op.block.get(k.outputs[0].dtype), &k.attributes};
  for (size_t i = 0; i < k.inputs.size(); ++i) only.arguments.push_back(static_cast<int>(i));
  return std::make_shared<ElementwiseProgram>(k.outputs[0].extents, k.outputs[0].dtype, k.inputs,
                                              std::vector{only},
                                              std::vector{static_cast<int>(k.inputs.size())});
}

// What the shared inference refuses, for the tests of every op that has it.
std::vector<Reject> common_rejects(size_t inputs, bool takes_integers) {
  std::vector<Reject> rejects;
  if (inputs > 1) {
    Reject shapes{
        std::vector<TensorType>(inputs, {f32, {}}),
        {},
        "shapes [2, 3] and [4] do not broadcast; dimensions must be equal or 1, counted from the last"};
    shapes.inputs.front().shape = {2, 3};
    shapes.inputs.back().shape = {4};
    Reject dtypes{std::vector<TensorType>(inputs, {f32, {2}}),
                  {},
                  "takes inputs of one dtype; got f32[2] and f64[2]. Use cast to convert one"};
    dtypes.inputs.back().dtype = f64;
    rejects = {shapes, dtypes};
  }
  const Reject integers{std::vector<TensorType>(inputs, {i32, {2}}),
                        {},
                        "takes f32 or f64; got i32[2]. Use cast to convert it"};
  if (!takes_integers) rejects.push_back(integers);
  return rejects;
}

}  // namespace elementwise_detail

std::vector<TensorType> infer_elementwise(const InferContext& c) {
  TensorType result = c.in(0);
  for (size_t i = 1; i < c.size(); ++i) {
    if (c.in(i).dtype != result.dtype)
      c.fail("takes inputs of one dtype; got " + text(result) + " and " + text(c.in(i)) +
             ". Use cast to convert one");
    const auto shape = broadcast(result.shape, c.shape(i));
    if (!shape)
      c.fail("shapes " + text(result.shape) + " and " + text(c.shape(i)) +
             " do not broadcast; dimensions must be equal or 1, counted from the last");
    result.shape = *shape;
  }
  return {result};
}

std::vector<TensorType> infer_elementwise_float(const InferContext& c) {
  if (!is_float(c.in(0).dtype)) c.fail("takes f32 or f64; got " + text(c.in(0)) + ". Use cast to convert it");
  return infer_elementwise(c);
}

OpDef elementwise_op(std::string name, std::string doc, std::vector<InputSpec> inputs,
                     PerDType<BlockKernel> block) {
  using namespace elementwise_detail;
  OpDef def{.name = std::move(name), .doc = std::move(doc), .inputs = std::move(inputs)};
  def.traits.elementwise = true;
  def.traits.of_finite = Traits::OfFinite::finite;
  def.infer = block.int32 ? infer_elementwise : infer_elementwise_float;
  def.block = block;
  const auto run = [](bool exists) { return exists ? run_elementwise_program : nullptr; };
  def.kernel = {run(block.float32), run(block.float64), run(block.int32)};
  def.prepare = prepare;
  def.workspace = elementwise_workspace;
  def.rejects = common_rejects(def.inputs.size(), block.int32 != nullptr);
  return def;
}

}  // namespace lariat
