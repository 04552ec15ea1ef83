// One target for clang's libFuzzer: LARIAT_FUZZ names it. `./run fuzz NAME` builds and runs it.
#include <cstdlib>

#include "tests/fuzz/fuzz.hpp"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const lariat::testing::FuzzTarget* const target = [] {
    const char* const name = std::getenv("LARIAT_FUZZ");
    for (const auto& known : lariat::testing::fuzz_targets())
      if (name != nullptr && known.name == std::string_view(name)) return &known;
    std::abort();
  }();
  if (!fault_of(*target, {reinterpret_cast<const char*>(data), size}).empty()) std::abort();
  return 0;
}
