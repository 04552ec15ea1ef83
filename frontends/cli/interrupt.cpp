#include "frontends/cli/interrupt.hpp"

#include <csignal>

namespace lariat::cli {

namespace {

std::atomic<bool> interrupted{false};
static_assert(std::atomic<bool>::is_always_lock_free, "a signal handler may set it");

void on_signal(int number) {
  interrupted = true;
  std::signal(number, SIG_DFL);
}

}  // namespace

Interruption::Interruption() {
  interrupted = false;
  for (const int number : {SIGINT, SIGTERM}) std::signal(number, on_signal);
}

Interruption::~Interruption() {
  for (const int number : {SIGINT, SIGTERM}) std::signal(number, SIG_DFL);
}

const std::atomic<bool>& Interruption::flag() const { return interrupted; }

}  // namespace lariat::cli
