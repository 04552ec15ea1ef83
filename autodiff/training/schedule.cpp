#include "autodiff/training/schedule.hpp"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <utility>

#include "graph/base/error.hpp"

namespace lariat::schedule {

namespace {

void check_positive(const char* schedule, int64_t steps) {
  if (steps <= 0)
    throw UserError(std::string("the schedule '") + schedule + "' runs over " + std::to_string(steps) +
                    " steps; it needs at least 1");
}

double progress(int64_t step, int64_t steps) {
  return std::min(1.0, static_cast<double>(step) / static_cast<double>(steps));
}

// Half a cosine from 1 at 0 to 0 at 1.
double half_cosine(double at) { return 0.5 * (1 + std::cos(std::numbers::pi * at)); }

}  // namespace

Schedule constant() {
  return [](int64_t) { return 1.0; };
}

Schedule step_decay(double factor, int64_t every) {
  check_positive("step", every);
  return [=](int64_t step) { return std::pow(factor, static_cast<double>(step / every)); };
}

Schedule exponential(double factor, int64_t over) {
  check_positive("exponential", over);
  return
      [=](int64_t step) { return std::pow(factor, static_cast<double>(step) / static_cast<double>(over)); };
}

Schedule cosine(int64_t steps, double last) {
  check_positive("cosine", steps);
  return [=](int64_t step) { return last + (1 - last) * half_cosine(progress(step, steps)); };
}

Schedule cosine_restarts(int64_t period, double growth, double last) {
  check_positive("cosine_restarts", period);
  if (!(growth >= 1 && std::isfinite(growth)))
    throw UserError("the schedule 'cosine_restarts' has growth = " + std::to_string(growth) +
                    "; it must be a number of 1 or more");
  return [=](int64_t step) {
    double length = static_cast<double>(period), at = static_cast<double>(step);
    if (growth == 1) {
      at = std::fmod(at, length);
    } else {
      for (; at >= length; length *= growth) at -= length;
    }
    return last + (1 - last) * half_cosine(at / length);
  };
}

Schedule one_cycle(int64_t steps, double rise, double first, double last) {
  check_positive("one_cycle", steps);
  if (!(rise >= 0 && rise <= 1))
    throw UserError("the schedule 'one_cycle' has rise = " + std::to_string(rise) +
                    "; it must be a share of the steps, from 0 to 1");
  const double top = rise * static_cast<double>(steps), rest = static_cast<double>(steps) - top;
  return [=](int64_t step) {
    const double at = static_cast<double>(step);
    if (at < top) return first + (1 - first) * half_cosine(1 - at / top);
    return last + (1 - last) * half_cosine(rest > 0 ? std::min(1.0, (at - top) / rest) : 1);
  };
}

Schedule polynomial(int64_t steps, double power, double last) {
  check_positive("polynomial", steps);
  if (!(power > 0 && std::isfinite(power)))
    throw UserError("the schedule 'polynomial' has power = " + std::to_string(power) +
                    "; it must be a number above 0");
  return [=](int64_t step) { return last + (1 - last) * std::pow(1 - progress(step, steps), power); };
}

Schedule piecewise(std::vector<int64_t> at, std::vector<double> factors) {
  if (factors.size() != at.size() + 1)
    throw UserError("the schedule 'piecewise' has " + std::to_string(at.size()) + " steps and " +
                    std::to_string(factors.size()) + " factors; it needs one factor more than steps");
  for (size_t i = 0; i < at.size(); ++i)
    if (at[i] < 0 || (i > 0 && at[i] <= at[i - 1]))
      throw UserError("the schedule 'piecewise' has the step " + std::to_string(at[i]) +
                      (at[i] < 0 ? "; steps count from 0"
                                 : " after " + std::to_string(at[i - 1]) +
                                       "; each must be larger than the one before it"));
  return [at = std::move(at), factors = std::move(factors)](int64_t step) {
    return factors[static_cast<size_t>(std::upper_bound(at.begin(), at.end(), step) - at.begin())];
  };
}

Schedule linear(int64_t steps, double last) {
  check_positive("linear", steps);
  return [=](int64_t step) { return 1 + (last - 1) * progress(step, steps); };
}

Schedule warmup(int64_t steps, Schedule rest) {
  check_positive("warmup", steps);
  require_function(rest, "what follows the warmup");
  return [=](int64_t step) {
    return step < steps ? static_cast<double>(step + 1) / static_cast<double>(steps) : rest(step - steps);
  };
}

}  // namespace lariat::schedule
