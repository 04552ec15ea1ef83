#pragma once

#include <cerrno>

namespace lariat {

/// The result of a system call, which is negative where it fails; called again for as long as a signal
/// interrupts it.
template <class Call>
auto uninterrupted(Call&& call) {
  auto result = call();
  while (result < 0 && errno == EINTR) result = call();
  return result;
}

}  // namespace lariat
