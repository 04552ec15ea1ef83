// The targets under libFuzzer: LARIAT_FUZZ_TARGET names one, whose seeds are put into the folder
// LARIAT_FUZZ_SEEDS. Without it the program lists them. See ./run fuzz.
#define DOCTEST_CONFIG_IMPLEMENT
#include <algorithm>
#include <cstdio>
#include <cstdlib>

#include "tests/fuzz/fuzz.hpp"
#include "tests/support/files.hpp"
#include "tests/support/testing.hpp"

using namespace lariat::testing;

namespace {

// The files that seeds are made from are checked too.
doctest::Context context;

const FuzzTarget* target = nullptr;

}  // namespace

extern "C" int LLVMFuzzerInitialize(int*, char***) {
  context.setAsDefaultForAssertsOutOfTestCases();
  const char *const name = std::getenv("LARIAT_FUZZ_TARGET"), *const folder =
                                                                  std::getenv("LARIAT_FUZZ_SEEDS");
  for (const FuzzTarget& each : fuzz_targets()) {
    if (name == nullptr) std::printf("%s\n", each.name);
    if (name != nullptr && std::string(name) == each.name) target = &each;
  }
  if (target == nullptr) std::exit(name == nullptr ? 0 : 2);
  int number = 0;
  if (folder != nullptr)
    for (const std::string& seed : target->seeds())
      write_file(std::string(folder) + "/seed-" + std::to_string(++number), seed);
  return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string fault = fault_of(*target, {reinterpret_cast<const char*>(data), size});
  if (fault.empty()) return 0;
  std::fprintf(stderr, "%s: %s\n", target->name, fault.c_str());
  std::abort();
}
