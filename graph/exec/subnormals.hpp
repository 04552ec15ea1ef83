#pragma once

#ifdef __SSE2__
#include <xmmintrin.h>
#endif

namespace lariat {

/// While it lives, subnormal numbers (of floats those below 1.2e-38) count as 0 on the thread that made it.
/// Adjoints that vanish over time and moments of weights whose gradient is 0 end among them, where a
/// processor may take a hundred times as long for each operation. All that kernels compute is computed so.
class NoSubnormals {
 public:
#ifdef __SSE2__
  NoSubnormals() : before_(_mm_getcsr()) {
    if ((before_ & both) != both) _mm_setcsr(before_ | both);
  }
  ~NoSubnormals() {
    if ((before_ & both) != both) _mm_setcsr((_mm_getcsr() & ~both) | (before_ & both));
  }
#else
  NoSubnormals() {}
#endif
  NoSubnormals(const NoSubnormals&) = delete;
  NoSubnormals& operator=(const NoSubnormals&) = delete;

 private:
#ifdef __SSE2__
  // Results that are subnormal, and operands.
  static constexpr unsigned both = 0x8000 | 0x0040;
  const unsigned before_;
#endif
};

}  // namespace lariat
