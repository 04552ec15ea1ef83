#pragma once

#include <cstdint>
#include <functional>

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
/// A straight line from 1/`steps` to 1 over the first `steps` steps, then `rest` (which starts at 0 there).
Schedule warmup(int64_t steps, Schedule rest);
}  // namespace schedule

}  // namespace lariat
