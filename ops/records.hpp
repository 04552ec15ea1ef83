#pragma once

#include "graph/ir/op_def.hpp"

// One function per built-in op, each defined in the file of its name; builtin.cpp calls them all.
namespace lariat::records {

#define LARIAT_RECORD(name) [[gnu::cold]] OpDef name();
#include "op_records.inc"
#undef LARIAT_RECORD

}  // namespace lariat::records
