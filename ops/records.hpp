#pragma once

#include "graph/op_def.hpp"

// One function per built-in op, each defined in the file of its name; builtin.cpp calls them all.
namespace lariat::records {

#define LARIAT_RECORD(name) OpDef name();
#include "ops/builtin.inc"
#undef LARIAT_RECORD

}  // namespace lariat::records
