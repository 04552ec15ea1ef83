// operator new of tests/lariat_failing_new: the call whose number LARIAT_NEW_FAILS_AT gives fails, and with
// LARIAT_NEW_FAILS_ON every one from there on.
#include <atomic>
#include <cstdlib>
#include <new>

namespace {

bool fails() {
  static std::atomic<long> calls = 0;
  static const char* const number = std::getenv("LARIAT_NEW_FAILS_AT");
  static const long at = number == nullptr ? 0 : std::atol(number);
  static const bool on = std::getenv("LARIAT_NEW_FAILS_ON") != nullptr;
  const long call = ++calls;
  return at > 0 && (on ? call >= at : call == at);
}

void* checked(void* memory) {
  if (memory == nullptr) throw std::bad_alloc();
  return memory;
}

}  // namespace

void* operator new(size_t size) { return checked(fails() ? nullptr : std::malloc(size > 0 ? size : 1)); }
void* operator new(size_t size, std::align_val_t to) {
  const auto alignment = static_cast<size_t>(to);
  return checked(fails() ? nullptr
                         : std::aligned_alloc(alignment, (size + alignment) / alignment * alignment));
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, size_t) noexcept { std::free(memory); }
void operator delete(void* memory, std::align_val_t) noexcept { std::free(memory); }
void operator delete(void* memory, size_t, std::align_val_t) noexcept { std::free(memory); }
