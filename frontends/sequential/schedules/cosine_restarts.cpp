#include <algorithm>
#include "frontends/sequential/schedules/schedule_record.hpp"

namespace lariat {

namespace {

struct CosineRestartsSchedule : Warmup {
  double every = 0.25, growth = 1, last = 0;
};

}  // namespace

ScheduleKind schedule_records::cosine_restarts() {
  using O = CosineRestartsSchedule;
  return schedule_kind<O>(
      "cosine_restarts", "half a cosine again and again; Loshchilov and Hutter (2017)",
      schedule_parts::last_fields<O>()
          .number("every", &O::every, schedule_parts::least_share, schedule_parts::most_steps,
                  "steps of the first one; below 1: as a share of all steps")
          .number("growth", &O::growth, 1, 1000, "how many times as many steps each next one has"),
      [](const O& o, int64_t steps) {
        return schedule::cosine_restarts(std::max<int64_t>(1, schedule_parts::steps_of(o.every, steps)),
                                         o.growth, o.last);
      });
}

}  // namespace lariat
