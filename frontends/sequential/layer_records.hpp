#pragma once

#include "frontends/sequential/layer.hpp"

namespace lariat::layer_records {

#define LARIAT_LAYER(name) LayerKind name();
#include "layer_records.inc"
#undef LARIAT_LAYER

}  // namespace lariat::layer_records
