#pragma once

#include <cfenv>
#include <mutex>
#include <string>

#include "ops/plugin/plugin_op.hpp"

#ifdef __SSE2__
#include <xmmintrin.h>
#endif

namespace lariat::plugin {

/// Rounding, flush-to-zero and the exceptions that trap.
class FloatModes {
 public:
  FloatModes() : modes_(current()) {}
  /// Puts them back; whether they were others.
  bool restore() const {
    if (current() == modes_) [[likely]]
      return false;
    put_back();
    return true;
  }

 private:
  // The lowest six bits of MXCSR are flags that every operation may raise.
#ifdef __SSE2__
  static unsigned current() { return _mm_getcsr() & ~0x3fu; }
  void put_back() const {
    _mm_setcsr(modes_);
    // The x87 unit has a rounding mode of its own, which fesetround changes too.
    std::fesetround(static_cast<int>((modes_ >> 3) & 0xc00u));
  }
  unsigned modes_;
#else
  static int current() { return std::fegetround(); }
  void put_back() const { std::fesetround(modes_); }
  int modes_;
#endif
};

inline constexpr const char* elementwise_function = "element-wise function";

/// What went wrong in a callback.
struct Failure {
  lariat_status status = LARIAT_OK;
  bool threw = false, changed_modes = false;
  explicit operator bool() const { return threw || changed_modes || status != LARIAT_OK; }
};

/// Runs `function`, which calls into a plugin; lets nothing out.
template <class Function>
Failure attempt(Function function) noexcept {
  Failure failure;
  const FloatModes before;
  try {
    failure.status = function();
  } catch (...) {
    failure.threw = true;
  }
  failure.changed_modes = before.restore();
  return failure;
}

/// Throws UserError: "its plugin '…' …", why `failure` of the function `what` is one, with the plugin's own
/// message, which it takes; std::bad_alloc where memory was refused.
[[noreturn]] void refuse(const Failure& failure, const char* what, const PluginOp& op);

/// The message that the plugin gave on this thread since the last take; "" for none.
std::string take_message();

/// Runs a callback of the plugin: `function` returns its status. Throws UserError where that is not
/// LARIAT_OK, where an exception comes out, or where floating-point modes are others than before; they are
/// put back.
template <class Function>
void call(const PluginOp& op, const char* what, Function function) {
  std::unique_lock lock(op.mutex, std::defer_lock);
  if (!op.is_thread_safe()) lock.lock();
  take_message();
  if (const Failure failure = attempt(function)) [[unlikely]]
    refuse(failure, what, op);
}

}  // namespace lariat::plugin

/// What host->parallel_for of one kernel needs.
struct lariat_run {
  const lariat::ParallelFor& parallel;
  const lariat::PluginOp& op;
  /// Of the first chunk that failed, whatever the kernel makes of it.
  mutable lariat::plugin::Failure failure = {};
  mutable std::string message = {};
};
