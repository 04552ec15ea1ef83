#include "ops/ops.hpp"
#include "ops/records.hpp"

namespace lariat {

// Passes take the one or the other: nothing is computed of it.
OpDef records::by_phase() {
  OpDef def{.name = "by_phase",
            .doc =
                "One value in training and another one at inference, such as statistics of the batch and of "
                "what was seen.",
            .inputs = {{"training", "of any type"}, {"inference", "like training"}},
            .outputs = {{"result", "like training"}}};
  def.traits.alias = true;
  def.traits.linear = {true, false};
  def.traits.inference_input = 1;
  def.infer = [](const InferContext& c) -> std::vector<TensorType> {
    if (c.in(0) != c.in(1))
      c.fail("takes values of one type; got " + text(c.in(0)) + " in training and " + text(c.in(1)) +
             " at inference");
    return {c.in(0)};
  };
  def.vjp = [](const GradContext& g) -> Adjoints { return {g.adjoint(0), Value()}; };
  def.cost = [](std::span<const TensorView>, std::span<const TensorView>, const Attributes&) {
    return Cost{};
  };
  def.samples = {{"values", {{{2}, {1, 2}}, {{2}, {3, 4}}}, {}, {1, 2}},
                 {"no elements", {{{0, 3}}, {{0, 3}}}}};
  def.rejects = {{{{f32, {2}}, {f32, {3}}},
                  {},
                  "takes values of one type; got f32[2] in training and f32[3] at inference"}};
  return def;
}

Value by_phase(Operand training, Operand inference) { return build("by_phase", {training, inference}); }

}  // namespace lariat
