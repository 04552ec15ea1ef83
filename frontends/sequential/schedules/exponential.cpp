#include "frontends/sequential/schedules/schedule_record.hpp"

namespace lariat {

namespace {

struct ExponentialSchedule : Warmup {
  double last = 0.01;
};

}  // namespace

ScheduleKind schedule_records::exponential() {
  using O = ExponentialSchedule;
  return schedule_kind<O>(
      "exponential", "the same factor at each step, down to `last`",
      Fields<O>().number("last", &O::last, 1e-9, 1, "factor on the learning rate at the end"),
      [](const O& o, int64_t steps) { return schedule::exponential(o.last, steps); });
}

}  // namespace lariat
