#include "tests/support/wide_registers.hpp"

#if defined(__x86_64__)
#include <cpuid.h>
#endif

namespace lariat::testing {

#if defined(__x86_64__)
namespace {

// XINUSE, by XGETBV of 1 (Intel's manual, vol. 1, 13.6): bit 2 are upper halves of 256 bits, bit 6 those of
// 512.
bool in_use() {
  unsigned low, high;
  asm volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(1));
  return (low & 0x44) != 0;
}

// Some processors and virtual machines have all as in use, always.
bool tells() {
  unsigned a, b, c, d;
  if (!__get_cpuid(1, &a, &b, &c, &d) || (c & bit_OSXSAVE) == 0 || (c & bit_AVX) == 0) return false;
  if (!__get_cpuid_count(0xd, 1, &a, &b, &c, &d) || (a & 4) == 0) return false;
  asm volatile("vzeroupper" ::: "memory");
  if (in_use()) return false;
  asm volatile("vcmptrueps %%ymm0, %%ymm0, %%ymm0" ::: "xmm0");
  const bool seen = in_use();
  asm volatile("vzeroupper" ::: "memory");
  return seen;
}

}  // namespace

bool are_wide_registers_in_use() {
  static const bool told = tells();
  return told && in_use();
}
#else
bool are_wide_registers_in_use() { return false; }
#endif

}  // namespace lariat::testing
