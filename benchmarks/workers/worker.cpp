#include "benchmarks/workers/worker.hpp"

#include <fmt/format.h>

#include <chrono>
#include <iostream>
#include <utility>

#include "graph/base/error.hpp"

namespace lariat::benchmarks {

namespace {

double milliseconds(Workload& workload) {
  const auto begin = std::chrono::steady_clock::now();
  workload.run();
  return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - begin).count();
}

std::string answer(Workload& workload, const std::string& command, int times) {
  std::string line = "ok";
  for (int i = 0; i < times; ++i)
    line += fmt::format(" {}", command == "run" ? milliseconds(workload) : workload.check());
  return line;
}

}  // namespace

int serve(int count, char** arguments, const std::string& version, const MakeWorkload& make) {
  try {
    if (count < 4) throw UserError("usage: worker CASE THREADS SETTING, then commands on standard input");
    const auto workload = make({find_case(arguments[1]), std::stoi(arguments[2]), arguments[3]});
    std::cout << "ok " << version << std::endl;
    std::string command;
    while (std::cin >> command) {
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
