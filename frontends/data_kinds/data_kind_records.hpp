#pragma once

#include "frontends/data_kinds/data_kind.hpp"

namespace lariat::data_kind_records {

#define LARIAT_DATA(name) DataKind name();
#include "data_records.inc"
#undef LARIAT_DATA

}  // namespace lariat::data_kind_records
