#include <cmath>

#include "ops/elementwise/elementwise.hpp"
#include "ops/kernels/simd.hpp"
#include "ops/ops.hpp"
#include "ops/records.hpp"

namespace lariat {

// y = erf x = 2/√π ∫₀ˣ e^(−t²) dt:  dx = dy·2/√π·e^(−x²)
OpDef records::erf() {
  // xsimd's is inaccurate in double.
  const auto function = [](auto x) {
    if constexpr (std::is_same_v<typename decltype(x)::value_type, float>) return erf(x);
    return scalar_apply([](auto a) { return std::erf(a); }, x);
  };
  OpDef def = elementwise_op("erf", "The error function.", {{"x", ""}}, float_blocks<1>(function));
  def.vjp = [](const GradContext& g) -> Adjoints {
    return {1.1283791670955125739 * g.adjoint(0) * exp(-square(g.in(0)))};
  };
  def.reference = [](std::span<const long double> x) { return std::erf(x[0]); };
  def.samples = {{"values",
                  {{{3}, {-1, 0.125, 2}}},
                  {},
                  {-0.84270079294971486934, 0.14031620480133381739, 0.99532226501895273416}},
                 {"matrix", {{{2, 3}, {}, -3, 3}}}};
  return def;
}

Value erf(Operand x) { return build("erf", {x}); }

}  // namespace lariat
