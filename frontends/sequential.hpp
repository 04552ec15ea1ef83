#pragma once

// Layers, fit, evaluate and model files, and data to learn from, beside all of lariat.hpp.

#include "frontends/data/arrays.hpp"
#include "frontends/data/idx.hpp"
#include "frontends/lariat.hpp"
#include "frontends/sequential/callbacks/callbacks.hpp"
#include "frontends/sequential/sequential.hpp"
#include "frontends/tables/columns.hpp"
