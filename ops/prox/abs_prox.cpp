#include "ops/elementwise/elementwise.hpp"
#include "ops/kernels/simd.hpp"
#include "ops/ops.hpp"
#include "ops/records.hpp"

namespace lariat {

// argmin_w a·|w| + (w − v)²/(2s) = S(v, a·s), as in soft_threshold: in one pass, for the optimizer's loop is
// bound by what its kernels read and write.
OpDef records::abs_prox() {
  OpDef def = elementwise_op(
      "abs_prox",
      "v moved towards 0 by weight * step, to exactly +0 where it is no farther away: "
      "the prox of weight |w|.",
      {{"v", ""}, {"step", "at least 0"}, {"weight", "at least 0"}},
      float_blocks<3>([](auto v, auto step, auto weight) { return soft_threshold_of(v, weight * step); }));
  def.samples = {{"values", {{{4}, {-2, -0.25, 0.25, 3}}, {{}, {0.25}}, {{}, {2}}}, {}, {-1.5, 0, 0, 2.5}},
                 {"weight per row",
                  {{{2, 2}, {-2, 1, -2, 1}}, {{}, {1}}, {{2, 1}, {0.5, 1.5}}},
                  {},
                  {-1.5, 0.5, -0.5, 0}},
                 {"matrix", {{{2, 3}}, {{2, 3}, {}, 0.4, 0.6}, {{}, {0.5}}}}};
  return def;
}

Value abs_prox(Operand v, Operand step, Operand weight) { return build("abs_prox", {v, step, weight}); }

}  // namespace lariat
