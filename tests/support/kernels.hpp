#pragma once

#include <string_view>
#include <vector>

#include "graph/base/instruction_set.hpp"
#include "graph/base/random.hpp"
#include "graph/base/tensor.hpp"
#include "ops/instruction_sets/kernel_set.hpp"

namespace lariat::testing {

/// Numbers in (-1, 1), of which about a share of `zeros` is 0, in runs of so many neighbours.
inline std::vector<float> numbers(std::string_view name, int64_t count, double zeros = 0, int64_t run = 1) {
  std::vector<float> result(static_cast<size_t>(count));
  for (int64_t i = 0; i < count; ++i) {
    const auto bits = random_bits(7, hash_name(name), static_cast<uint64_t>(i)),
               of_run = random_bits(7, hash_name(name), static_cast<uint64_t>(i / run));
    result[static_cast<size_t>(i)] = to_unit(of_run[1]) < zeros ? 0 : 2 * to_unit(bits[0]) - 1;
  }
  return result;
}

/// The same as a tensor.
inline Tensor numbers_of(const Extents& extents, std::string_view name) {
  return Tensor::of<float>(extents, numbers(name, element_count(extents)));
}

/// The kernels that this build has and this processor runs.
inline std::vector<const KernelSet*> usable_kernels() {
  std::vector<const KernelSet*> result;
  for (const InstructionSet set : {InstructionSet::baseline, InstructionSet::avx2, InstructionSet::avx512})
    if (const KernelSet* kernels = kernel_sets()[static_cast<size_t>(set)]; kernels && processor_has(set))
      result.push_back(kernels);
  return result;
}

}  // namespace lariat::testing
