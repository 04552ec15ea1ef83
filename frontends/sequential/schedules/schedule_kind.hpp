#pragma once

#include <functional>
#include <vector>

#include "autodiff/training/schedule.hpp"
#include "frontends/sequential/callback.hpp"
#include "frontends/spec/spec.hpp"

namespace lariat {

/// A kind of schedule as one record: how the learning rate goes over a fit's steps, and what it hears from
/// the fit's epochs, where it is one that does.
struct ScheduleKind {
  SpecKind spec;
  /// For a fit of so many steps. Throws UserError where options do not go together, or with the steps.
  std::function<Schedule(const Spec&, int64_t steps)> make;
  /// Empty: nothing is heard.
  std::function<Callback(const Spec&)> callback;
};
/// Every kind by name, constant, the default, first.
const std::vector<ScheduleKind>& schedule_kinds();
/// The same as kinds of options.
const SpecKinds& schedule_spec_kinds();
/// The record of a spec of one of these kinds.
const ScheduleKind& schedule_kind_of(const Spec& spec);

}  // namespace lariat
