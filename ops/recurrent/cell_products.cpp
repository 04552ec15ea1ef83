#include "ops/recurrent/cell_products.hpp"

namespace lariat {

Product cell_product(const KernelContext& k, size_t input, int64_t gates) {
  const int64_t batch = k.inputs[0].extents[0], wide = gates * k.inputs[1].extents[1],
                inner = k.inputs[input].extents[1];
  return {false, false, batch, wide, inner, inner, wide};
}

Workspace workspace_of(const KernelContext& k, std::initializer_list<Product> products) {
  Workspace result;
  for (const Product& product : products)
    result = larger(
        result, k.outputs[0].dtype == f32 ? gemm_workspace<float>(product) : gemm_workspace<double>(product));
  return result;
}

}  // namespace lariat
