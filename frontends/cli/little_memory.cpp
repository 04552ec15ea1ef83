#include "frontends/cli/little_memory.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <string_view>
#include <vector>

#include "graph/base/error.hpp"

extern "C" {
// Of OpenBLAS: one buffer for a thread that multiplies, kept and given again once it is freed.
void* blas_memory_alloc(int);
void blas_memory_free(void*);
}

namespace lariat::cli {

namespace {

constexpr size_t megabyte = size_t{1} << 20;
// OpenBLAS 0.3.21 sets 64 MB aside when it is loaded; the rest is what the program itself starts with.
constexpr size_t to_start = 128 * megabyte;
// A buffer of OpenBLAS, a stack and a heap for each thread.
constexpr size_t for_a_thread = (64 + 8 + 64) * megabyte;

// The bytes of address space that are left, or the largest number where there is no limit. System calls
// alone: it runs before anything has been set up.
size_t left() {
  rlimit limit = {};
  if (getrlimit(RLIMIT_AS, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY) return SIZE_MAX;
  char text[64] = {};
  const int statm = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
  if (statm < 0) return SIZE_MAX;
  const ssize_t count = read(statm, text, sizeof text - 1);
  close(statm);
  size_t pages = 0;
  for (ssize_t i = 0; i < count && text[i] >= '0' && text[i] <= '9'; ++i)
    pages = 10 * pages + static_cast<size_t>(text[i] - '0');
  const size_t used = pages * static_cast<size_t>(sysconf(_SC_PAGESIZE));
  return limit.rlim_cur > used ? limit.rlim_cur - used : 0;
}

// Runs before the libraries are set up, OpenBLAS among them.
void before_libraries(int, char**, char**) {
  // Matrices are multiplied by tasks of the program's own; threads of OpenBLAS would only take memory.
  setenv("OPENBLAS_NUM_THREADS", "1", 1);
  if (left() >= to_start) return;
  constexpr std::string_view message =
      "lariat: the limit on address space (ulimit -v) leaves less than the 128 MB that are needed to start; "
      "raise it\n";
  [[maybe_unused]] const ssize_t written = write(STDERR_FILENO, message.data(), message.size());
  _exit(2);
}

[[gnu::section(".preinit_array"), gnu::used]] void (*const first)(int, char**, char**) = before_libraries;

}  // namespace

int threads_within_limit(int threads) {
  const size_t available = left();
  if (available == SIZE_MAX) return threads;
  const int possible = static_cast<int>(std::min<size_t>(available / for_a_thread, 1024));
  if (possible == 0)
    throw UserError(
        fmt::format("the limit on address space (ulimit -v) leaves {} MB, and a thread needs {}; raise it",
                    available / megabyte, for_a_thread / megabyte));
  threads = std::min(threads, possible);
  std::vector<void*> buffers;
  for (int thread = 0; thread < threads; ++thread) buffers.push_back(blas_memory_alloc(0));
  for (void* buffer : buffers) blas_memory_free(buffer);
  return threads;
}

}  // namespace lariat::cli
