#pragma once

// Layers, fit, evaluate and model files, beside all of lariat.hpp.

#include "frontends/lariat.hpp"
#include "frontends/sequential/callbacks/callbacks.hpp"
#include "frontends/sequential/sequential.hpp"
