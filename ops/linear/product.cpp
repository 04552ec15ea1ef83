#include "ops/linear/product.hpp"

#include "ops/kernels/gemm.hpp"
#include "ops/kernels/packed_matrix.hpp"

namespace lariat {

namespace product_detail {

Shape swapped(Shape shape, bool swap) {
  if (swap) std::swap(shape[shape.size() - 1], shape[shape.size() - 2]);
  return shape;
}

}  // namespace product_detail

std::vector<TensorType> infer_product(const InferContext& c) {
  using namespace product_detail;
  const TensorType &a = c.in(0), &b = c.in(1);
  if (a.dtype != b.dtype)
    c.fail("takes inputs of one dtype; got " + text(a) + " and " + text(b) + ". Use cast to convert one");
  if (a.shape.size() < 2 || b.shape.size() < 2)
    c.fail("takes matrices; a is " + text(a.shape) + ", b is " + text(b.shape) +
           ". Use reshape to add a dimension");
  const Shape left = swapped(a.shape, c.attribute<bool>("transpose_a"));
  const Shape right = swapped(b.shape, c.attribute<bool>("transpose_b"));
  const Dim inner_a = left.back(), inner_b = right[right.size() - 2];
  if (!(inner_a == inner_b)) {
    std::string message = "inner dimensions differ: a is " + text(left) + ", b is " + text(right) + ".";
    if (right.size() == 2 && inner_a == right.back()) message += " Did you mean matmul(a, transpose(b))?";
    c.fail(message);
  }
  if (right.size() > 2 && !std::equal(left.begin(), left.end() - 2, right.begin(), right.end() - 2))
    c.fail("leading dimensions differ: a is " + text(left) + ", b is " + text(right) +
           "; b must be a matrix or have a's");
  Shape shape = left;
  shape.back() = right.back();
  return {{a.dtype, shape}};
}

namespace product_detail {

const PackedMatrix* packed_of(const KernelContext& k) { return static_cast<const PackedMatrix*>(k.packed); }

// One matrix on the right: all leading dimensions are rows of one product.
bool is_one_product(const KernelContext& k) {
  return k.inputs[1].rank() == 2 && !k.attributes.get<bool>("transpose_a");
}

}  // namespace product_detail

std::shared_ptr<const void> pack_product(const KernelContext& k) {
  using namespace product_detail;
  const TensorView& b = k.inputs[1];
  if (!b.data || b.dtype != f32 || !is_one_product(k)) return {};
  const bool transpose_b = k.attributes.get<bool>("transpose_b");
  const int64_t n = k.outputs[0].extent(-1), rows = n > 0 ? k.outputs[0].count() / n : 0;
  // A row times a transposed matrix reads that one's rows as they lie.
  if (transpose_b && rows == 1) return {};
  PackedMatrix packed(transpose_b, n, b.extent(transpose_b ? 1 : 0), b.as<float>(), b.extent(-1));
  if (packed.is_empty()) return {};
  return std::make_shared<PackedMatrix>(std::move(packed));
}

namespace product_detail {

// One of `batches` products.
struct Batch {
  Product product;
  int64_t batches = 1;

  explicit Batch(const KernelContext& k) {
    const bool transpose_a = k.attributes.get<bool>("transpose_a"),
               transpose_b = k.attributes.get<bool>("transpose_b");
    const TensorView &a = k.inputs[0], &b = k.inputs[1], &y = k.outputs[0];
    const int64_t m = y.extent(-2), inner = a.extent(transpose_a ? -2 : -1);
    for (int i = 0; i < y.rank() - 2; ++i) batches *= y.extents[i];
    product = {transpose_a, transpose_b, m, y.extent(-1), inner, a.extent(-1), b.extent(-1)};
    if (!is_one_product(k)) return;
    product.m *= batches;
    batches = 1;
  }
};

}  // namespace product_detail

// Looking the attributes up again would take a tenth of the time of a small product.
std::shared_ptr<const void> prepare_product(const KernelContext& k) {
  return std::make_shared<product_detail::Batch>(k);
}

Workspace product_workspace(const KernelContext& k) {
  using namespace product_detail;
  const Product product = Batch(k).product;
  if (const PackedMatrix* packed = packed_of(k)) return packed->workspace(product);
  return k.outputs[0].dtype == f32 ? gemm_workspace<float>(product) : gemm_workspace<double>(product);
}

template <class T>
void product_kernel(const KernelContext& k) {
  using namespace product_detail;
  const auto [p, batches] = k.prepared ? *static_cast<const Batch*>(k.prepared) : Batch(k);
  const T *a = k.in<T>(0), *b = k.in<T>(1);
  Addend<T> addend;
  if (k.inputs.size() > 2) addend = {k.in<T>(2), k.inputs[2].rank() == 1 ? 0 : p.n};
  if constexpr (std::is_same_v<T, float>)
    if (const PackedMatrix* packed = packed_of(k))
      return packed->multiply(k.parallel, p, a, b, addend, k.out<T>(0), p.n, k.scratch);
  const int64_t step_b = k.inputs[1].rank() == 2 ? 0 : p.k * p.n;
  for (int64_t i = 0; i < batches; ++i) {
    const T* added = addend.data ? addend.data + i * p.m * addend.row : nullptr;
    gemm<T>(k.parallel, p, a + i * p.m * p.k, b + i * step_b, {added, addend.row},
            k.out<T>(0) + i * p.m * p.n, p.n, k.scratch);
  }
}

Cost product_cost(std::span<const TensorView> inputs, std::span<const TensorView> outputs,
                  const Attributes& attributes) {
  const double inner = static_cast<double>(inputs[0].extent(attributes.get<bool>("transpose_a") ? -2 : -1));
  Cost total{.flops = 2 * inner * static_cast<double>(outputs[0].count()),
             .bytes = static_cast<double>(outputs[0].bytes())};
  for (const TensorView& view : inputs) total.bytes += static_cast<double>(view.bytes());
  return total;
}

template void product_kernel<float>(const KernelContext&);
template void product_kernel<double>(const KernelContext&);

}  // namespace lariat
