#include "frontends/cli/interrupt.hpp"

#include <array>
#include <csignal>

namespace lariat::cli {

namespace {

std::atomic<bool> interrupted{false};
constexpr std::array signals{SIGINT, SIGTERM, SIGHUP};
static_assert(std::atomic<bool>::is_always_lock_free, "a signal handler may set it");

void on_signal(int number) {
  interrupted = true;
  std::signal(number, SIG_DFL);
}

}  // namespace

Interruption::Interruption() {
  interrupted = false;
  // What is ignored stays ignored, as nohup wants it.
  for (const int number : signals)
    if (std::signal(number, on_signal) == SIG_IGN) std::signal(number, SIG_IGN);
}

Interruption::~Interruption() {
  for (const int number : signals)
    if (std::signal(number, SIG_DFL) == SIG_IGN) std::signal(number, SIG_IGN);
}

const std::atomic<bool>& Interruption::flag() const { return interrupted; }
const std::atomic<bool>& Interruption::flag_of_process() { return interrupted; }

}  // namespace lariat::cli
