#pragma once

#include "ops/kernels/gemm.hpp"

namespace lariat {

/// Of one step of a cell: input 0 or 1, x [batch, inner] or the hidden state [batch, units], times a kernel
/// of so many gates.
Product cell_product(const KernelContext& k, size_t input, int64_t gates);

/// Scratch for products that take turns, of floats or doubles as output 0 is.
Workspace workspace_of(const KernelContext& k, std::initializer_list<Product> products);

}  // namespace lariat
