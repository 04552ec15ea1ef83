#include "frontends/sequential/schedules/schedule_record.hpp"

namespace lariat {

namespace {

struct LinearSchedule : Warmup {
  double last = 0;
};

}  // namespace

ScheduleKind schedule_records::linear() {
  using O = LinearSchedule;
  return schedule_kind<O>("linear", "a straight line down to `last`", schedule_parts::last_fields<O>(),
                          [](const O& o, int64_t steps) { return schedule::linear(steps, o.last); });
}

}  // namespace lariat
