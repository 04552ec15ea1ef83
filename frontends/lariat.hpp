#pragma once

// Lariat in one include: build a graph, write the loss, train or solve, look at the zeros.

#include "autodiff/convex/solver.hpp"
#include "autodiff/gradient.hpp"
#include "autodiff/trainer.hpp"
#include "graph/builder.hpp"
#include "graph/error.hpp"
#include "graph/exec/evaluate.hpp"
#include "graph/graph.hpp"
#include "graph/store.hpp"
#include "ops/ops.hpp"
#include "ops/plugin/loader.hpp"
