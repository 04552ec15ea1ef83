#include "ops/elementwise/elementwise.hpp"
#include "ops/kernels/simd.hpp"
#include "ops/records.hpp"

namespace lariat {

// y = a + b
OpDef records::add() {
  OpDef def = elementwise_op("add", "a + b, element by element, with broadcasting.", {{"a", ""}, {"b", ""}},
                             number_blocks<2>([](auto a, auto b) { return a + b; }));
  def.traits.commutative = true;
  def.traits.additive = true;
  def.traits.linear = {true};
  def.vjp = [](const GradContext& g) -> Adjoints { return {g.adjoint(0), g.adjoint(0)}; };
  def.reference = [](std::span<const long double> x) { return x[0] + x[1]; };
  def.samples = {{"vectors", {{{3}, {1, 2, 3}}, {{3}, {10, 20, 30}}}, {}, {11, 22, 33}},
                 {"broadcast rows", {{{2, 3}}, {{3}}}},
                 {"broadcast columns", {{{2, 3}}, {{2, 1}}}},
                 {"scalar", {{{2, 3}}, {{}}}}};
  return def;
}

}  // namespace lariat
