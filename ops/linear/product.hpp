#pragma once

#include "graph/ir/op_def.hpp"

namespace lariat {

// What matmul and matmul_add share: a·b over the last two dimensions, with the attributes transpose_a and
// transpose_b, and a third input that is added where there is one.

std::vector<TensorType> infer_product(const InferContext& c);
template <class T>
void product_kernel(const KernelContext& k);
std::shared_ptr<const void> prepare_product(const KernelContext& k);
std::shared_ptr<const void> pack_product(const KernelContext& k);
Workspace product_workspace(const KernelContext& k);
Cost product_cost(std::span<const TensorView> inputs, std::span<const TensorView> outputs,
                  const Attributes& attributes);

}  // namespace lariat
