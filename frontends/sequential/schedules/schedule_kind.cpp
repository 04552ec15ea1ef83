#include "frontends/sequential/schedules/schedule_kind.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "frontends/sequential/schedules/schedule_record.hpp"
#include "graph/base/error.hpp"

namespace lariat {

const std::vector<ScheduleKind>& schedule_kinds() {
  static const std::vector<ScheduleKind> kinds = [] {
    std::vector<ScheduleKind> list = {
#define LARIAT_SCHEDULE(name) schedule_records::name(),
#include "schedule_records.inc"
#undef LARIAT_SCHEDULE
    };
    std::stable_partition(list.begin(), list.end(),
                          [](const ScheduleKind& kind) { return kind.spec.name == "constant"; });
    return list;
  }();
  return kinds;
}

const SpecKinds& schedule_spec_kinds() {
  static const SpecKinds kinds = [] {
    SpecKinds result;
    for (const ScheduleKind& kind : schedule_kinds()) result.push_back(&kind.spec);
    return result;
  }();
  return kinds;
}

const ScheduleKind& schedule_kind_of(const Spec& spec) {
  const auto found = std::find_if(schedule_kinds().begin(), schedule_kinds().end(),
                                  [&](const ScheduleKind& kind) { return kind.spec.name == spec.kind; });
  require(found != schedule_kinds().end(), "a schedule is of a listed kind");
  return *found;
}

namespace schedule_parts {

int64_t steps_of(double written, int64_t all) {
  return std::llround(written < 1 ? written * static_cast<double>(all) : written);
}

Schedule after_warmup(double warmup, int64_t steps, const std::function<Schedule(int64_t steps)>& rest) {
  const int64_t rise = steps_of(warmup, steps);
  if (warmup >= 1 && rise >= steps)
    throw UserError(fmt::format(
        "warmup = {}: the training has {} steps; give fewer, or a share of them below 1", rise, steps));
  const Schedule after = rest(std::max<int64_t>(1, steps - rise));
  return rise > 0 ? schedule::warmup(rise, after) : after;
}

}  // namespace schedule_parts

}  // namespace lariat
