#include "autodiff/training/clipping.hpp"

#include "ops/ops.hpp"

namespace lariat {

namespace {

// min(1, limit/size)
Value factor_to(double limit, Value size) { return minimum(limit / size, 1.0); }

ClippedGradient limit_elements(Value gradient, double limit, bool one_factor) {
  if (!one_factor) return {clip(gradient, -limit, limit), factor_to(limit, abs(gradient))};
  const Value factor = factor_to(limit, norm_inf(gradient));
  return {gradient * factor, factor};
}

}  // namespace

std::vector<ClippedGradient> clip_gradients(const std::vector<Value>& gradients,
                                            const std::vector<bool>& one_factor,
                                            const TrainerOptions& options) {
  std::vector<ClippedGradient> clipped;
  for (size_t i = 0; i < gradients.size(); ++i)
    clipped.push_back(options.clip_value > 0 ? limit_elements(gradients[i], options.clip_value, one_factor[i])
                                             : ClippedGradient{gradients[i], {}});
  if (options.clip_norm > 0 && !clipped.empty()) {
    Value total;
    for (const ClippedGradient& g : clipped) {
      const Value part = square(cast(norm2(g.gradient), f64));
      total = total ? total + part : part;
    }
    // g · min(1, c/‖g‖)
    const Value scale = factor_to(options.clip_norm, maximum(sqrt(total), 1e-300));
    for (ClippedGradient& g : clipped) {
      const Value factor = cast(scale, g.gradient.dtype());
      g.gradient = g.gradient * factor;
      g.factor = g.factor ? g.factor * factor : factor;
    }
  }
  return clipped;
}

}  // namespace lariat
