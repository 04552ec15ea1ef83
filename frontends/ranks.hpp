#pragma once

// Training by several processes that MPI has started: what FitOptions.ranks and TrainerOptions.ranks take.

#include "frontends/sequential.hpp"
#include "graph/ranks/mpi_transport.hpp"
#include "graph/ranks/ranks.hpp"
