#pragma once

#include "graph/ir/op_def.hpp"

namespace lariat::plugin {

/// Whether the samples show that output 0 may be written over input 0: one of them has an output of that
/// input's type, and all that have give the same bits either way.
bool is_in_place(const OpDef& op);

}  // namespace lariat::plugin
