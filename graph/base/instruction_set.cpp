#include "graph/base/instruction_set.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cstdlib>
#include <string>
#include <vector>

#include "graph/base/error.hpp"

namespace lariat {

namespace instruction_set_detail {

constexpr std::array<std::string_view, 3> names{"baseline", "avx2", "avx512"};

constexpr std::array built{
#define LARIAT_INSTRUCTION_SET(name) InstructionSet::name,
#include "instruction_sets.inc"
#undef LARIAT_INSTRUCTION_SET
};

InstructionSet choose() {
  std::vector<std::string_view> usable, compiled;
  for (const InstructionSet set : built) {
    compiled.push_back(name_of(set));
    if (processor_has(set)) usable.push_back(name_of(set));
  }
  if (usable.empty())
    throw UserError(
        fmt::format("this build has kernels for {} alone, which the processor lacks; build it with "
                    "-Dinstruction_sets=all",
                    fmt::join(compiled, ", ")));
  std::string_view wanted = usable.back();
  if (const char* asked = std::getenv("LARIAT_INSTRUCTION_SET"); asked != nullptr && *asked != 0) {
    wanted = asked;
    if (std::find(usable.begin(), usable.end(), wanted) == usable.end())
      throw UserError(
          fmt::format("LARIAT_INSTRUCTION_SET = {}: must be one of {}, which this build and this "
                      "processor have",
                      wanted, fmt::join(usable, ", ")));
  }
  return static_cast<InstructionSet>(std::find(names.begin(), names.end(), wanted) - names.begin());
}

}  // namespace instruction_set_detail

bool processor_has(InstructionSet set) {
#ifdef __x86_64__
  const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
                    __builtin_cpu_supports("bmi") && __builtin_cpu_supports("bmi2");
  if (set == InstructionSet::avx2) return avx2;
  if (set == InstructionSet::avx512)
    return avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx512dq") &&
           __builtin_cpu_supports("avx512vl");
#endif
  return set == InstructionSet::baseline;
}

std::string_view name_of(InstructionSet set) {
  return instruction_set_detail::names[static_cast<size_t>(set)];
}

InstructionSet instruction_set() {
  static const InstructionSet chosen = instruction_set_detail::choose();
  return chosen;
}

}  // namespace lariat
