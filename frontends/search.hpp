#pragma once

// Recipes, training runs and searches over them, beside all of sequential.hpp.

#include "frontends/data/folds.hpp"
#include "frontends/data/transform.hpp"
#include "frontends/search/search.hpp"
#include "frontends/sequential.hpp"
