#include "frontends/sequential/schedules/schedule_record.hpp"

namespace lariat {

namespace {

struct ConstantSchedule : Warmup {};

}  // namespace

ScheduleKind schedule_records::constant() {
  return schedule_kind<ConstantSchedule>(
      "constant", "the learning rate as it is", {},
      [](const ConstantSchedule&, int64_t) { return schedule::constant(); });
}

}  // namespace lariat
