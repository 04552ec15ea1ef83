#include "frontends/sequential/penalty_schedule.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "graph/error.hpp"

namespace lariat {

PenaltySchedule penalty_schedule(const FitOptions& options, int64_t steps) {
  const auto check_share = [](const char* name, double value) {
    if (!(value >= 0 && value <= 1))
      throw UserError(fmt::format("{} = {}: must be a number from 0 to 1", name, value));
  };
  check_share("settle_from", options.settle_from);
  check_share("penalty_ramp", options.penalty_ramp);
  check_share("after_settling", options.after_settling);
  const auto steps_of = [&](double share) { return std::llround(share * static_cast<double>(steps)); };
  PenaltySchedule schedule;
  if (options.settle_from < 1) schedule.settle_from = steps_of(options.settle_from);
  const int64_t ramp = steps_of(options.penalty_ramp);
  const int64_t settled = schedule.settle_from.value_or(std::numeric_limits<int64_t>::max());
  const double after = options.after_settling;
  if (ramp > 0 || (schedule.settle_from && after != 1))
    schedule.strength = [=](int64_t step) {
      const double grown = ramp > 0 ? std::min(1.0, double(step + 1) / double(ramp)) : 1.0;
      return step < settled ? grown : grown * after;
    };
  return schedule;
}

}  // namespace lariat
