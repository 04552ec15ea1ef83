#include <algorithm>
#include "frontends/sequential/schedules/schedule_record.hpp"

namespace lariat {

namespace {

struct StepSchedule : Warmup {
  double factor = 0.5, every = 0.25;
};

}  // namespace

ScheduleKind schedule_records::step() {
  using O = StepSchedule;
  return schedule_kind<O>(
      "step", "a factor now and then",
      Fields<O>()
          .number("factor", &O::factor, 0, 1, "what each time multiplies the learning rate by")
          .number("every", &O::every, schedule_parts::least_share, schedule_parts::most_steps,
                  "steps from one time to the next; below 1: as a share of all steps"),
      [](const O& o, int64_t steps) {
        return schedule::step_decay(o.factor, std::max<int64_t>(1, schedule_parts::steps_of(o.every, steps)));
      });
}

}  // namespace lariat
