#pragma once

#include <cstdint>
#include <string>

namespace lariat::testing {

/// Work of this thread so far, which does not depend on how busy the machine is: nodes of graphs that were
/// looked at, and what was asked of operator new.
struct Work {
  int64_t nodes = 0, allocations = 0, bytes = 0;

  Work& operator+=(const Work& more);
  friend Work operator-(const Work& a, const Work& b) {
    return {a.nodes - b.nodes, a.allocations - b.allocations, a.bytes - b.bytes};
  }
};
Work work_so_far();

/// Whether operator new is this program's own: with a sanitizer it is not, and nothing is counted.
bool counts_allocations();

/// Checks that `large`, of four times the size, is no more than a little above four times the work of
/// `small`. Work that grows with the square is sixteen times as much.
void check_linear(const std::string& what, const Work& small, const Work& large);

}  // namespace lariat::testing
