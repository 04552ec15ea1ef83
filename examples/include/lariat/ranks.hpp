#pragma once

// Stands where an installed Lariat has its header.
#include "frontends/ranks.hpp"
