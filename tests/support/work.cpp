#include "tests/support/work.hpp"

#include <cstdlib>
#include <new>

#include "graph/ir/graph.hpp"
#include "tests/support/testing.hpp"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define LARIAT_OWN_NEW 0
#else
#define LARIAT_OWN_NEW 1
#endif

namespace {

thread_local int64_t allocation_count = 0, allocation_bytes = 0;

}  // namespace

#if LARIAT_OWN_NEW

// The other forms of new and delete call these.
[[gnu::noinline]] void* operator new(std::size_t size) {
  ++allocation_count;
  allocation_bytes += static_cast<int64_t>(size);
  if (void* memory = std::malloc(size > 0 ? size : 1)) return memory;
  throw std::bad_alloc();
}
[[gnu::noinline]] void* operator new(std::size_t size, std::align_val_t alignment) {
  ++allocation_count;
  allocation_bytes += static_cast<int64_t>(size);
  const auto line = static_cast<std::size_t>(alignment);
  if (void* memory = std::aligned_alloc(line, (size + line - 1) / line * line)) return memory;
  throw std::bad_alloc();
}
[[gnu::noinline]] void operator delete(void* memory) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete(void* memory, std::align_val_t) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete(void* memory, std::size_t, std::align_val_t) noexcept {
  std::free(memory);
}

#endif

namespace lariat::testing {

Work& Work::operator+=(const Work& more) {
  nodes += more.nodes;
  allocations += more.allocations;
  bytes += more.bytes;
  return *this;
}

Work work_so_far() { return {Graph::nodes_looked_at(), allocation_count, allocation_bytes}; }

bool counts_allocations() { return LARIAT_OWN_NEW != 0; }

void check_linear(const std::string& what, const Work& small, const Work& large) {
  CAPTURE(what);
  // Logarithms, and tables that grow by doubling.
  const auto limit = [](int64_t work) { return 5.5 * static_cast<double>(work) + 20000; };
  CHECK(static_cast<double>(large.nodes) < limit(small.nodes));
  CHECK(static_cast<double>(large.allocations) < limit(small.allocations));
  CHECK(static_cast<double>(large.bytes) < limit(small.bytes) + 1e6);
}

}  // namespace lariat::testing
