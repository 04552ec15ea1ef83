#pragma once

#include <cstdio>
#include <exception>
#include <type_traits>

namespace lariat::benchmarks {

/// The status that `program` ends with: what `run` returns, 0 where that is nothing, 2 and a line of why
/// where it throws.
template <class Run>
int status_of(const char* program, const Run& run) {
  try {
    if constexpr (std::is_void_v<decltype(run())>) {
      run();
      return 0;
    } else {
      return run();
    }
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s: %s\n", program, error.what());
    return 2;
  }
}

}  // namespace lariat::benchmarks
