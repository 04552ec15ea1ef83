#pragma once

#include <cstdint>
#include <functional>
#include <vector>

namespace lariat {

/// The factor on the learning rate at step 0, 1, 2, …
using Schedule = std::function<double(int64_t step)>;

namespace schedule {
/// Always 1.
Schedule constant();
/// `factor` to the power of ⌊step / every⌋.
Schedule step_decay(double factor, int64_t every);
/// factor^(step / over).
Schedule exponential(double factor, int64_t over);
/// Half a cosine from 1 to `last` over `steps` steps, then `last`. Loshchilov and Hutter (2017), eq. 5.
Schedule cosine(int64_t steps, double last = 0);
/// A straight line from 1 to `last` over `steps` steps, then `last`.
Schedule linear(int64_t steps, double last = 0);
/// (1 - last)·(1 - step/steps)^power + last, then `last`.
Schedule polynomial(int64_t steps, double power = 2, double last = 0);
/// Half a cosine from `first` up to 1 over the share `rise` of the steps, and one down to `last` over the
/// others. Smith and Topin (2018), with cosines for their straight lines.
Schedule one_cycle(int64_t steps, double rise = 0.3, double first = 0.04, double last = 4e-6);
/// Half cosines from 1 to `last`, the first over `period` steps, each next one over `growth` times as many.
/// Loshchilov and Hutter (2017), eq. 5.
Schedule cosine_restarts(int64_t period, double growth = 1, double last = 0);
/// factors[0] up to step at[0], factors[1] from there up to at[1], …: one factor more than steps, which grow.
Schedule piecewise(std::vector<int64_t> at, std::vector<double> factors);
/// A straight line from 1/`steps` to 1 over the first `steps` steps, then `rest` (which starts at 0 there).
Schedule warmup(int64_t steps, Schedule rest);
}  // namespace schedule

}  // namespace lariat
