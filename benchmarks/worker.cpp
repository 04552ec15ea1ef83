#include "benchmarks/worker.hpp"

#include <fmt/format.h>

#include <chrono>
#include <fstream>
#include <iostream>
#include <utility>

#include "graph/error.hpp"

namespace lariat::benchmarks {

namespace {

std::string answer(Workload& workload, const std::string& command, int times) {
  std::string line = "ok";
  for (int i = 0; i < times; ++i) {
    const auto begin = std::chrono::steady_clock::now();
    const double value = workload.run();
    const std::chrono::duration<double, std::milli> took = std::chrono::steady_clock::now() - begin;
    line += fmt::format(" {}", command == "run" ? took.count() : value);
  }
  return line;
}

// Not getrusage, which counts the parent's memory at the time of the fork.
int64_t peak_kilobytes() {
  std::ifstream file("/proc/self/status");
  for (std::string word; file >> word;)
    if (int64_t kilobytes = 0; word == "VmHWM:" && file >> kilobytes) return kilobytes;
  return 0;
}

}  // namespace

int serve(int count, char** arguments, const std::string& version, const MakeWorkload& make) {
  try {
    if (count != 4) throw UserError("usage: worker CASE THREADS SETTING, then commands on standard input");
    const auto workload = make({find_case(arguments[1]), std::stoi(arguments[2]), arguments[3]});
    std::cout << "ok " << version << std::endl;
    std::string command;
    while (std::cin >> command) {
      if (command == "memory") {
        std::cout << "ok " << peak_kilobytes() << std::endl;
        continue;
      }
      int times = 0;
      std::cin >> times;
      if (command == "profile") workload->profile(std::exchange(times, 0));
      std::cout << answer(*workload, command, times) << std::endl;
    }
    return 0;
  } catch (const std::exception& error) {
    std::cout << "error " << error.what() << std::endl;
    return 2;
  }
}

}  // namespace lariat::benchmarks
