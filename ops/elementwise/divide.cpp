#include "ops/elementwise/elementwise.hpp"
#include "ops/kernels/simd.hpp"
#include "ops/ops.hpp"
#include "ops/records.hpp"

namespace lariat {

// y = a/b:  da = dy/b, db = −dy·y/b
OpDef records::divide() {
  OpDef def =
      elementwise_op("divide", "a / b, element by element, with broadcasting; IEEE infinities and NaN.",
                     {{"a", ""}, {"b", ""}}, float_blocks<2>([](auto a, auto b) { return a / b; }));
  def.traits.of_finite = Traits::OfFinite::or_nan;
  def.traits.linear = {true, false};
  def.vjp = [](const GradContext& g) -> Adjoints {
    const Value numerator = g.adjoint(0) / g.in(1);
    return {numerator, g.needs(1) ? -numerator * g.out(0) : Value()};
  };
  def.bend = [](const BendContext& c) { return c.moves(1) && !c.is_positive(1) ? Bend::pole : Bend::none; };
  def.reference = [](std::span<const long double> x) { return x[0] / x[1]; };
  def.samples = {{"vectors", {{{3}, {1, -2, 3}}, {{3}, {4, 0.5, -8}}}, {}, {0.25, -4, -0.375}},
                 {"broadcast rows", {{{2, 3}}, {{3}, {}, 0.5, 2}}},
                 {"broadcast columns", {{{2, 3}}, {{2, 1}, {}, -2, -0.5}}},
                 {"scalar", {{{2, 3}}, {{}, {4}}}}};
  return def;
}

}  // namespace lariat
