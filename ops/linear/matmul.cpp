#include "ops/linear/product.hpp"
#include "ops/ops.hpp"
#include "ops/records.hpp"

namespace lariat {

namespace matmul_detail {

Value transposed_last(Value x) {
  std::vector<int64_t> permutation(x.rank());
  for (size_t i = 0; i < permutation.size(); ++i) permutation[i] = static_cast<int64_t>(i);
  std::swap(permutation[permutation.size() - 1], permutation[permutation.size() - 2]);
  return transpose(x, permutation);
}

// y = a·b:  da = dy·bᵀ,  db = aᵀ·dy, summed over leading dimensions that b does not have.
Adjoints vjp(const GradContext& g) {
  const bool transpose_a = g.attributes().get<bool>("transpose_a"),
             transpose_b = g.attributes().get<bool>("transpose_b");
  const Value a = transpose_a ? transposed_last(g.in(0)) : g.in(0);
  const Value b = transpose_b ? transposed_last(g.in(1)) : g.in(1);
  const Value d = g.adjoint(0);
  Value da, db;
  if (g.needs(0)) {
    da = matmul(d, transposed_last(b));
    if (transpose_a) da = transposed_last(da);
  }
  if (g.needs(1)) {
    const bool flatten = b.rank() == 2 && a.rank() > 2;
    const auto rows = [&](Value x) { return flatten ? reshape(x, {-1, x.shape().back()}) : x; };
    db = matmul(transposed_last(rows(a)), rows(d));
    if (transpose_b) db = transposed_last(db);
  }
  return {da, db};
}

}  // namespace matmul_detail

OpDef records::matmul() {
  using namespace matmul_detail;
  OpDef def{.name = "matmul",
            .doc = "The matrix product a·b over the last two dimensions.",
            .inputs = {{"a", "[..., m, k]"}, {"b", "[k, n], or [..., k, n] with a's leading dimensions"}},
            .outputs = {{"product", "[..., m, n]"}}};
  def.attributes = {{"transpose_a", AttributeKind::boolean, "a is given as [..., k, m]", Attribute(false)},
                    {"transpose_b", AttributeKind::boolean, "b is given as [..., n, k]", Attribute(false)}};
  def.traits.linear = {true};
  def.traits.product = true;
  def.infer = infer_product;
  def.kernel = {product_kernel<float>, product_kernel<double>, nullptr};
  def.prepare = prepare_product;
  def.pack = pack_product;
  def.workspace = product_workspace;
  def.vjp = vjp;
  def.cost = product_cost;
  def.with_addend = "matmul_add";
  def.samples = {
      {"2 by 3 by 2", {{{2, 3}, {1, 2, 3, 4, 5, 6}}, {{3, 2}, {1, 0, 0, 1, 1, 1}}}, {}, {4, 5, 10, 11}},
      {"transposed a", {{{3, 2}}, {{3, 4}}}, {{"transpose_a", true}}},
      {"transposed b", {{{2, 3}}, {{4, 3}}}, {{"transpose_b", true}}},
      {"both transposed", {{{3, 2}}, {{4, 3}}}, {{"transpose_a", true}, {"transpose_b", true}}},
      {"rows of a batch", {{{2, 3, 4}}, {{4, 5}}}},
      {"batched", {{{2, 3, 4}}, {{2, 4, 5}}}},
      {"batched, transposed", {{{2, 4, 3}}, {{2, 5, 4}}}, {{"transpose_a", true}, {"transpose_b", true}}},
      {"no rows", {{{0, 3}}, {{3, 2}}}},
      {"no inner dimension", {{{2, 0}}, {{0, 3}}}, {}, {0, 0, 0, 0, 0, 0}},
      {"one element", {{{1, 1}}, {{1, 1}}}}};
  def.rejects = {
      {{{f32, {32, 784}}, {f32, {512, 784}}},
       {},
       "inner dimensions differ: a is [32, 784], b is [512, 784]. Did you mean matmul(a, transpose(b))?"},
      {{{f32, {2, 3}}, {f32, {4, 5}}}, {}, "inner dimensions differ: a is [2, 3], b is [4, 5]."},
      {{{f32, {3}}, {f32, {3, 2}}},
       {},
       "takes matrices; a is [3], b is [3, 2]. Use reshape to add a dimension"},
      {{{f32, {2, 2}}, {f64, {2, 2}}},
       {},
       "takes inputs of one dtype; got f32[2, 2] and f64[2, 2]. Use cast to convert one"},
      {{{f32, {2, 3, 4}}, {f32, {3, 4, 5}}},
       {},
       "leading dimensions differ: a is [2, 3, 4], b is [3, 4, 5]; b must be a matrix or have a's"}};
  return def;
}

Value matmul(Operand a, Operand b) { return build("matmul", {a, b}); }

}  // namespace lariat
