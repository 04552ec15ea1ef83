#include "frontends/sequential/schedules/schedule_record.hpp"

namespace lariat {

namespace {

struct PolynomialSchedule : Warmup {
  double power = 2, last = 0;
};

}  // namespace

ScheduleKind schedule_records::polynomial() {
  using O = PolynomialSchedule;
  return schedule_kind<O>(
      "polynomial", "a power of what is left of the steps, down to `last`",
      schedule_parts::last_fields<O>().number("power", &O::power, 1e-3, 100, "1: a straight line"),
      [](const O& o, int64_t steps) { return schedule::polynomial(steps, o.power, o.last); });
}

}  // namespace lariat
