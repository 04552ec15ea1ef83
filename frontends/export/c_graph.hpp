#pragma once

#include "frontends/export/c_op.hpp"

namespace lariat::to_c {

/// Memory of a program that holds one step's values and is free afterwards: how many numbers of each type.
struct StepMemory {
  int64_t floats = 0, integers = 0;

  void cover(const StepMemory& other) {
    floats = std::max(floats, other.floats);
    integers = std::max(integers, other.integers);
  }
};

/// Where the arrays of that memory are in C.
inline constexpr const char* float_memory = "memory->values";
inline constexpr const char* integer_memory = "memory->integers";

struct CResult {
  StepMemory workspace;
  /// Where each output is, in their order.
  std::vector<CValue> outputs;
};

/// Writes what computes the outputs of `graph`, all of whose sizes are known, given pointers to its inputs by
/// name. Values whose last reader has run leave their memory to others. An output whose pointer is given in
/// `results` is written there.
CResult emit_graph(CBlock& block, const Graph& graph, const std::map<std::string, std::string>& inputs,
                   const std::vector<std::string>& results);

}  // namespace lariat::to_c
