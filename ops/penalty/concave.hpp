#pragma once

#include "ops/elementwise/elementwise.hpp"
#include "ops/kernels/simd.hpp"

namespace lariat {

// What the folded concave penalties share: even functions φ of one number that rise from 0 with slope
// φ'(0+) > 0 and flatten out.

/// The record of the prox of such a penalty, argmin_w weight·φ(w) + (w − v)²/(2 step). `factory` takes the
/// node's attributes and returns the prox as a function of |v| and c = weight·step, batches of doubles: of
/// c φ(w) + (w − |v|)²/2.
template <class Factory>
OpDef concave_prox_op(std::string name, std::string doc, Factory) {
  return elementwise_op(
      std::move(name), std::move(doc),
      {{"v", ""}, {"step", "above 0, or 0 for no step"}, {"weight", "at least 0"}},
      float_blocks_with<3>([](const Attributes& attributes) {
        return [prox = Factory{}(attributes)](auto v, auto step, auto weight) {
          const auto of_doubles = [&](auto one_v, auto one_step, auto one_weight) {
            using Doubles = decltype(one_v);
            const Doubles size = abs(one_v), c = one_step * one_weight;
            const auto moves = c > Doubles(0) && size <= Doubles(std::numeric_limits<double>::max());
            // Adding 0 makes a zero +0.
            const Doubles moved = xsimd::copysign(select(moves, prox(size, c), size), one_v) + Doubles(0);
            return select(is_nan(size) || is_nan(c), size + c, moved);
          };
          return double_apply(of_doubles, v, step, weight);
        };
      }));
}

/// The element of gradient + weight·∂φ(x) of least norm, φ'(0±) = ±slope_at_zero, and `derivative` = φ' off
/// 0.
Value concave_residual(Value x, Value gradient, Value weight, double slope_at_zero, Value derivative);
/// The penalty of such a record.
Penalty concave_penalty(std::string formula, std::string operator_name,
                        Value (*prox)(ProxPoint, Value, const Attributes&),
                        Value (*residual)(Value, Value, Value, const Attributes&));
/// Throws UserError where a real attribute is not above `limit`.
void check_above(const InferContext& c, std::string_view name, double limit);

}  // namespace lariat
