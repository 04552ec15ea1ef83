#include "ops/elementwise/elementwise.hpp"
#include "ops/kernels/simd.hpp"
#include "ops/ops.hpp"
#include "ops/records.hpp"

namespace lariat {

// y = a·b:  da = dy·b, db = dy·a
OpDef records::multiply() {
  OpDef def = elementwise_op("multiply", "a * b, element by element, with broadcasting.",
                             {{"a", ""}, {"b", ""}}, number_blocks<2>([](auto a, auto b) { return a * b; }));
  def.traits.commutative = true;
  def.traits.linear = {true};
  def.vjp = [](const GradContext& g) -> Adjoints {
    return {g.needs(0) ? g.adjoint(0) * g.in(1) : Value(), g.needs(1) ? g.adjoint(0) * g.in(0) : Value()};
  };
  def.reference = [](std::span<const long double> x) { return x[0] * x[1]; };
  def.samples = {{"vectors", {{{3}, {1, -2, 3}}, {{3}, {10, 20, 0.5}}}, {}, {10, -40, 1.5}},
                 {"broadcast rows", {{{2, 3}}, {{3}}}},
                 {"broadcast columns", {{{2, 3}}, {{2, 1}}}},
                 {"scalar", {{{}}, {{2, 1, 3, 2}}}}};
  return def;
}

}  // namespace lariat
