#include <fmt/format.h>

#include "frontends/sequential/schedules/schedule_record.hpp"
#include "graph/base/error.hpp"

namespace lariat {

namespace {

struct PiecewiseSchedule : Warmup {
  std::vector<double> at{0.5, 0.75}, factors{1, 0.1, 0.01};
};

}  // namespace

ScheduleKind schedule_records::piecewise() {
  using O = PiecewiseSchedule;
  return schedule_kind<O>(
      "piecewise", "a factor for each piece of the training",
      Fields<O>()
          .numbers("at", &O::at, 0, schedule_parts::most_steps,
                   "steps at which the next factor begins; below 1: as a share of all steps")
          .numbers("factors", &O::factors, 0, 1e6, "on the learning rate, one more than there are steps"),
      [](const O& o, int64_t steps) {
        std::vector<int64_t> at;
        for (size_t i = 0; i < o.at.size(); ++i) {
          at.push_back(schedule_parts::steps_of(o.at[i], steps));
          if (i == 0) continue;
          // A share and a step are compared where the number of steps is known.
          const bool mixed = (o.at[i - 1] < 1) != (o.at[i] < 1);
          if (mixed ? at[i] > at[i - 1] : o.at[i] > o.at[i - 1]) continue;
          if (mixed && steps > schedule_parts::known_steps) return schedule::constant();
          throw UserError(fmt::format(
              "the schedule 'piecewise' has at = {} after {}{}; each must be larger than the one before it",
              o.at[i], o.at[i - 1],
              mixed ? fmt::format(", steps {} and {} of {}", at[i], at[i - 1], steps) : ""));
        }
        return schedule::piecewise(at, o.factors);
      });
}

}  // namespace lariat
