#pragma once

// Pictures of curves, confusions and weights, beside all of lariat.hpp.

#include "frontends/lariat.hpp"
#include "frontends/report/chart.hpp"
