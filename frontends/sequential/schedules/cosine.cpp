#include "frontends/sequential/schedules/schedule_record.hpp"

namespace lariat {

namespace {

struct CosineSchedule : Warmup {
  double last = 0;
};

}  // namespace

ScheduleKind schedule_records::cosine() {
  using O = CosineSchedule;
  return schedule_kind<O>("cosine", "half a cosine down to `last`", schedule_parts::last_fields<O>(),
                          [](const O& o, int64_t steps) { return schedule::cosine(steps, o.last); });
}

}  // namespace lariat
