#pragma once

#include <functional>

#include "graph/ir/op_def.hpp"

namespace lariat {

/// Work in phases that follow each other closely, each of `pieces` pieces that may run side by side:
/// `work(phase, piece)` for all pieces, then the next phase. Threads stay together for all of it and wait for
/// each other in the processor, which takes a fraction of what starting parallel work takes. A piece whose
/// thread is not there is taken by one that is. `work` throws nothing.
void run_in_phases(const ParallelFor& parallel, int64_t phases, int64_t pieces,
                   const std::function<void(int64_t phase, int64_t piece)>& work);

}  // namespace lariat
