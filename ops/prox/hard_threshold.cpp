#include "ops/elementwise/elementwise.hpp"
#include "ops/kernels/simd.hpp"
#include "ops/ops.hpp"
#include "ops/records.hpp"

namespace lariat {

// argmin_w λ·[w ≠ 0] + (w − v)²/(2s): v costs λ and 0 costs v²/(2s), so v stays where |v| > √(2λ)·√s (roots
// apart, for the product may leave the range).
OpDef records::hard_threshold() {
  OpDef def = elementwise_op(
      "hard_threshold",
      "v where v² > 2 weight·step, else exactly +0: the prox of count_nonzero (Blumensath and Davies 2008).",
      {{"v", ""}, {"step", "at least 0"}, {"weight", "at least 0"}},
      float_blocks<3>([](auto v, auto step, auto weight) {
        using T = decltype(v);
        const T threshold = sqrt(weight + weight) * sqrt(step);
        return select(is_nan(threshold), threshold, select(abs(v) <= threshold, T(0), v));
      }));
  def.traits.of_finite = Traits::OfFinite::or_nan;  // of a step or weight below 0
  def.samples = {
      {"values", {{{5}, {-3, -2, 0.5, 2, 2.5}}, {{}, {1}}, {{}, {2}}}, {}, {-3, 0, 0, 0, 2.5}},
      {"a step and a weight for each", {{{2, 3}, {}, -2, 2}, {{2, 3}, {}, 0.1, 1}, {{3}, {}, 0.1, 1}}}};
  return def;
}

Value hard_threshold(Operand v, Operand step, Operand weight) {
  return build("hard_threshold", {v, step, weight});
}

}  // namespace lariat
