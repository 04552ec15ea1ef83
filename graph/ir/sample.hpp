#pragma once

#include "graph/ir/op_def.hpp"

namespace lariat {

/// Uniform in [0, 1) with 53 bits: number `counter` of a stream.
double uniform_number(uint64_t seed, uint64_t stream, uint64_t counter);

/// The data that a sample input describes, as `dtype` where it is not i32.
Tensor sample_tensor(const SampleInput& input, DType dtype, uint64_t seed, uint64_t stream);

}  // namespace lariat
