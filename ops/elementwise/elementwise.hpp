#pragma once

#include "graph/ir/graph.hpp"
#include "graph/ir/op_def.hpp"

namespace lariat {

/// The common part of an element-wise record: inference by broadcasting, what it rejects, and the kernel that
/// runs `block` over cache-sized pieces. The caller adds vjp, samples and whatever else is the op's own, so
/// that it may give infinities or NaN for finite numbers.
OpDef elementwise_op(std::string name, std::string doc, std::vector<InputSpec> inputs,
                     PerDType<BlockKernel> block);

/// Inputs of one dtype, broadcast together; the result has that dtype and the common shape.
std::vector<TensorType> infer_elementwise(const InferContext& c);
/// The same where the dtype must be f32 or f64.
std::vector<TensorType> infer_elementwise_float(const InferContext& c);

}  // namespace lariat
