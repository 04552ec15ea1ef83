#include "ops/elementwise/elementwise.hpp"
#include "ops/kernels/simd.hpp"
#include "ops/ops.hpp"
#include "ops/records.hpp"

namespace lariat {

// y = a − b
OpDef records::subtract() {
  OpDef def = elementwise_op("subtract", "a - b, element by element, with broadcasting.",
                             {{"a", ""}, {"b", ""}}, number_blocks<2>([](auto a, auto b) { return a - b; }));
  def.traits.additive = true;
  def.traits.linear = {true};
  def.vjp = [](const GradContext& g) -> Adjoints {
    return {g.adjoint(0), g.needs(1) ? -g.adjoint(0) : Value()};
  };
  def.reference = [](std::span<const long double> x) { return x[0] - x[1]; };
  def.samples = {{"vectors", {{{3}, {1, 2, 3}}, {{3}, {10, -20, 30}}}, {}, {-9, 22, -27}},
                 {"broadcast rows", {{{2, 3}}, {{3}}}},
                 {"outer", {{{3, 1}}, {{1, 4}}}},
                 {"no elements", {{{0, 3}}, {{3}}}}};
  return def;
}

}  // namespace lariat
