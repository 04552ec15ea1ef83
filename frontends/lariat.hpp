#pragma once

// Lariat in one include: build a graph, write the loss, train or solve, look at the zeros.

#include "autodiff/convex/solver.hpp"
#include "autodiff/gradient.hpp"
#include "autodiff/training/trainer.hpp"
#include "graph/base/error.hpp"
#include "graph/io/store.hpp"
#include "graph/ir/builder.hpp"
#include "graph/ir/graph.hpp"
#include "graph/program/evaluate.hpp"
#include "graph/program/program.hpp"
#include "ops/ops.hpp"
#include "ops/plugin/loader.hpp"
