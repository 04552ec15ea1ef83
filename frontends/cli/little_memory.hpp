#pragma once

#include <new>
#include <string>

namespace lariat::cli {

/// How many of `threads` threads may multiply matrices: at least one, fewer where a limit on processes lets
/// no more start or the limit on address space (ulimit -v) does not leave what they need. What OpenBLAS needs
/// for them is set aside then: it does not notice when there is no more, and tries for ever.
int threads_within_limits(int threads);

/// What to say where memory is refused: it names the limit, where there is one.
std::string want_of_memory(const std::bad_alloc& error);

}  // namespace lariat::cli
