#include "autodiff/training/schedule.hpp"

#include <algorithm>
#include <cmath>
#include <numbers>

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
  return [=](int64_t step) {
    return last + (1 - last) * 0.5 * (1 + std::cos(std::numbers::pi * progress(step, steps)));
  };
}

Schedule linear(int64_t steps, double last) {
  check_positive("linear", steps);
  return [=](int64_t step) { return 1 + (last - 1) * progress(step, steps); };
}

Schedule warmup(int64_t steps, Schedule rest) {
  check_positive("warmup", steps);
  return [=](int64_t step) {
    return step < steps ? static_cast<double>(step + 1) / static_cast<double>(steps) : rest(step - steps);
  };
}

}  // namespace lariat::schedule
