#pragma once

// Stands where an installed Lariat has its header.
#include "ops/plugin/lariat_op.hpp"
