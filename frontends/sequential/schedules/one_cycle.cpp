#include "frontends/sequential/schedules/schedule_record.hpp"

namespace lariat {

namespace {

struct OneCycleSchedule : Warmup {
  double rise = 0.3, first = 0.04, last = 4e-6;
};

}  // namespace

ScheduleKind schedule_records::one_cycle() {
  using O = OneCycleSchedule;
  return schedule_kind<O>(
      "one_cycle", "up to the learning rate, and down again; Smith and Topin (2018)",
      schedule_parts::last_fields<O>()
          .number("first", &O::first, 0, 1, "factor on the learning rate at the first step")
          .number("rise", &O::rise, 0, 1, "share of the steps that it rises over"),
      [](const O& o, int64_t steps) { return schedule::one_cycle(steps, o.rise, o.first, o.last); });
}

}  // namespace lariat
