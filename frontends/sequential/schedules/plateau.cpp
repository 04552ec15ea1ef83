#include "frontends/sequential/callbacks/callback_parts.hpp"
#include "frontends/sequential/schedules/schedule_record.hpp"

namespace lariat {

namespace {

struct PlateauSchedule : Plateau, Warmup {};

}  // namespace

ScheduleKind schedule_records::plateau() {
  using O = PlateauSchedule;
  return schedule_kind<O>(
      "plateau", "lower where a figure of the epochs does not get better",
      callback_parts::plateau_fields<O>(), [](const O&, int64_t) { return schedule::constant(); },
      [](const O& options) -> Callback {
        Callback callback = Plateau(options);
        callback.place = "[schedule] ";
        return callback;
      });
}

}  // namespace lariat
