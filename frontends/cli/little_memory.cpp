#include "frontends/cli/little_memory.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <pthread.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <exception>
#include <mutex>
#include <new>
#include <string_view>
#include <vector>

#include "graph/base/error.hpp"

extern "C" {
// Of OpenBLAS: one buffer for a thread that multiplies, kept and given again once it is freed. Where there is
// no memory for it, it is asked for again for ever.
void* blas_memory_alloc(int);
void blas_memory_free(void*);
}

namespace lariat::cli {

namespace {

constexpr size_t megabyte = size_t{1} << 20;
constexpr size_t blas_buffer = 128 * megabyte;
constexpr size_t to_start = blas_buffer + 32 * megabyte;
// A buffer, a stack and a heap.
constexpr size_t for_another_thread = blas_buffer + (8 + 64) * megabyte;

rlim_t limit_on_memory() {
  rlimit limit = {};
  return getrlimit(RLIMIT_AS, &limit) == 0 ? limit.rlim_cur : RLIM_INFINITY;
}

// The bytes of address space that are left, or the largest number where there is no limit. System calls
// alone: it runs before anything has been set up.
size_t left() {
  const rlim_t limit = limit_on_memory();
  if (limit == RLIM_INFINITY) return SIZE_MAX;
  char text[64] = {};
  const int statm = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
  if (statm < 0) return SIZE_MAX;
  const ssize_t count = read(statm, text, sizeof text - 1);
  close(statm);
  size_t pages = 0;
  for (ssize_t i = 0; i < count && text[i] >= '0' && text[i] <= '9'; ++i)
    pages = 10 * pages + static_cast<size_t>(text[i] - '0');
  const size_t used = pages * static_cast<size_t>(sysconf(_SC_PAGESIZE));
  return limit > used ? limit - used : 0;
}

[[noreturn]] void leave(std::string_view message) {
  [[maybe_unused]] const ssize_t written = write(STDERR_FILENO, message.data(), message.size());
  _exit(2);
}

// Starts the program again with OpenBLAS told to start no threads, which would take memory, and whose lack it
// takes for an interrupt: matrices are multiplied by tasks of the program's own. It reads the environment
// before main, and what is set here would be lost: the C library takes the environment that the kernel gave.
void start_without_blas_threads(char** arguments, char** environment) {
  constexpr std::string_view name = "OPENBLAS_NUM_THREADS=";
  static char variable[] = "OPENBLAS_NUM_THREADS=1";
  constexpr size_t most = 4096;
  static char* changed[most + 2];
  size_t count = 0;
  for (char** entry = environment; *entry != nullptr; ++entry) {
    if (std::string_view(*entry) == variable || count == most) return;
    if (!std::string_view(*entry).starts_with(name)) changed[count++] = *entry;
  }
  changed[count++] = variable;
  changed[count] = nullptr;
  char program[4096] = {};
  if (readlink("/proc/self/exe", program, sizeof program - 1) > 0) execve(program, arguments, changed);
  execve("/proc/self/exe", arguments, changed);
}

// Where memory is refused before main, or where no exception may pass.
[[noreturn]] void end_for_want_of_memory() {
  if (const std::exception_ptr error = std::current_exception()) {
    try {
      std::rethrow_exception(error);
    } catch (const std::bad_alloc&) {
      leave("lariat: there is not enough memory to go on\n");
    } catch (...) {
    }
  }
  std::abort();
}

// Runs before the libraries are set up, OpenBLAS among them.
void before_libraries(int, char** arguments, char** environment) {
  std::set_terminate(end_for_want_of_memory);
  if (left() < to_start)
    leave(
        "lariat: the limit on address space (ulimit -v) leaves less than the 160 MB that are needed; raise "
        "it\n");
  start_without_blas_threads(arguments, environment);
}

[[gnu::section(".preinit_array"), gnu::used]] void (*const first)(int, char**, char**) = before_libraries;

// The main thread's, while it is known to be there: from 0.3.29 on OpenBLAS has taken one before that it
// keeps.
[[gnu::constructor]] void take_a_buffer() {
  const size_t available = left();
  if (available == SIZE_MAX) return;
  if (available < blas_buffer + megabyte)
    leave(
        "lariat: the limit on address space (ulimit -v) leaves less than the 129 MB that products need; "
        "raise it\n");
  blas_memory_free(blas_memory_alloc(0));
}

// How many of `threads` there can be: a limit on processes or a control group may let none start.
int startable(int threads) {
  std::mutex gate;
  std::vector<pthread_t> started;
  started.reserve(static_cast<size_t>(threads));
  {
    const std::lock_guard closed(gate);
    const auto wait = [](void* at) -> void* {
      const std::lock_guard open(*static_cast<std::mutex*>(at));
      return nullptr;
    };
    for (pthread_t thread = {}; std::ssize(started) + 1 < threads; started.push_back(thread))
      if (pthread_create(&thread, nullptr, wait, &gate) != 0) break;
  }
  for (const pthread_t thread : started) pthread_join(thread, nullptr);
  return static_cast<int>(started.size()) + 1;
}

}  // namespace

int threads_within_limits(int threads) {
  threads = startable(threads);
  const size_t available = left();
  if (available == SIZE_MAX) return threads;
  threads = std::min(threads, 1 + static_cast<int>(std::min<size_t>(available / for_another_thread, 1024)));
  std::vector<void*> buffers;
  for (int thread = 0; thread < threads; ++thread) buffers.push_back(blas_memory_alloc(0));
  for (void* buffer : buffers) blas_memory_free(buffer);
  return threads;
}

std::string want_of_memory(const std::bad_alloc& error) {
  const rlim_t limit = limit_on_memory();
  if (const auto* named = dynamic_cast<const OutOfMemory*>(&error); named && limit == RLIM_INFINITY)
    return named->what();
  if (limit == RLIM_INFINITY)
    return "there is not enough memory for this; make the model or its batches smaller, or use fewer threads";
  return fmt::format(
      "the limit on address space (ulimit -v) leaves too little of its {} MB for this; raise it, make the "
      "model or its batches smaller, or use fewer threads",
      limit / megabyte);
}

}  // namespace lariat::cli
