#include <cmath>

#include "ops/elementwise/elementwise.hpp"
#include "ops/kernels/simd.hpp"
#include "ops/ops.hpp"
#include "ops/records.hpp"

namespace lariat {

// y = a·b + c:  da = dy·b, db = dy·a, dc = dy
OpDef records::multiply_add() {
  OpDef def =
      elementwise_op("multiply_add", "a * b + c, element by element and rounded once, with broadcasting.",
                     {{"a", ""}, {"b", ""}, {"c", ""}},
                     float_blocks<3>([](auto a, auto b, auto c) { return rounded_once(a, b, c); }));
  def.traits.linear = {true};
  def.vjp = [](const GradContext& g) -> Adjoints {
    return {g.needs(0) ? g.adjoint(0) * g.in(1) : Value(), g.needs(1) ? g.adjoint(0) * g.in(0) : Value(),
            g.adjoint(0)};
  };
  def.reference = [](std::span<const long double> x) { return std::fma(x[0], x[1], x[2]); };
  def.samples = {{"vectors", {{{3}, {1, -2, 3}}, {{3}, {10, 20, 0.5}}, {{3}, {1, 2, 3}}}, {}, {11, -38, 4.5}},
                 {"a scalar and a row", {{{}}, {{2, 3}}, {{3}}}},
                 {"broadcast both ways", {{{2, 1}}, {{3}}, {{2, 3}}}}};
  return def;
}

Value multiply_add(Operand a, Operand b, Operand c) { return build("multiply_add", {a, b, c}); }

}  // namespace lariat
