#pragma once

#include <string>
#include <utility>

#include "frontends/sequential/schedules/schedule_kind.hpp"

namespace lariat {

namespace schedule_records {
#define LARIAT_SCHEDULE(name) ScheduleKind name();
#include "schedule_records.inc"
#undef LARIAT_SCHEDULE
}  // namespace schedule_records

/// What every schedule begins with.
struct Warmup {
  double warmup = 0;
};

/// What several schedules share. Steps are written as a number of them or, below 1, as a share of all.
namespace schedule_parts {
inline constexpr double most_steps = 1e12, least_share = 1e-9;
/// A recipe is checked for more steps than this where their number is not known.
inline constexpr int64_t known_steps = int64_t{1} << 36;
int64_t steps_of(double written, int64_t all);

template <class Options>
Fields<Options> last_fields() {
  return Fields<Options>().number("last", &Options::last, 0, 1, "factor on the learning rate at the end");
}
Schedule after_warmup(double warmup, int64_t steps, const std::function<Schedule(int64_t steps)>& rest);
}  // namespace schedule_parts

/// What a schedule's file says of it: `rest` is what follows the warmup, over the steps that are left.
template <class Options>
ScheduleKind schedule_kind(std::string name, std::string doc, Fields<Options> fields,
                           Schedule (*rest)(const Options&, int64_t steps),
                           Callback (*callback)(const Options&) = nullptr) {
  fields.number("warmup", static_cast<double Options::*>(&Warmup::warmup), 0, schedule_parts::most_steps,
                "steps to rise from 0 first; below 1: as a share of all steps");
  ScheduleKind kind{fields.kind(std::move(name), std::move(doc)),
                    [fields, rest](const Spec& spec, int64_t steps) {
                      const Options options = fields.read(spec);
                      return schedule_parts::after_warmup(options.warmup, steps,
                                                          [&](int64_t left) { return rest(options, left); });
                    },
                    {}};
  if (callback != nullptr)
    kind.callback = [fields, callback](const Spec& spec) { return callback(fields.read(spec)); };
  return kind;
}

}  // namespace lariat
