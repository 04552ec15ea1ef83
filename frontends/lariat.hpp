#pragma once

// Lariat in one include: build a graph, write the loss, train, look at the zeros.

#include "autodiff/gradient.hpp"
#include "autodiff/trainer.hpp"
#include "graph/builder.hpp"
#include "graph/error.hpp"
#include "graph/graph.hpp"
#include "graph/store.hpp"
#include "ops/ops.hpp"
