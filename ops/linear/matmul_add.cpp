#include "ops/linear/product.hpp"
#include "ops/ops.hpp"
#include "ops/records.hpp"

namespace lariat {

namespace matmul_add_detail {

std::vector<TensorType> infer(const InferContext& c) {
  const TensorType product = infer_product(c)[0];
  const Shape& addend = c.shape(2);
  if (c.in(2).dtype != product.dtype || (addend != product.shape && addend != Shape{product.shape.back()}))
    c.fail("the addend is " + text(c.in(2)) + "; it must be " + text(product) + ", or of its last dimension");
  return {product};
}

// y = a·b + c: da and db as of the product alone, dc = dy, summed over what c was added to.
Adjoints vjp(const GradContext& g) {
  const Value product = build("matmul", {g.in(0), g.in(1)}, g.attributes());
  const OpDef& op = *product.graph().node(product.node()).op;
  Adjoints adjoints =
      op.vjp(GradContext(product.graph(), product.node(), {g.adjoint(0)}, {g.needs(0), g.needs(1)}));
  adjoints.push_back(g.adjoint(0));
  return adjoints;
}

}  // namespace matmul_add_detail

// Made by the pass fuse_addends: a bias, or one more part of a gradient, is added while the product is
// written.
OpDef records::matmul_add() {
  using namespace matmul_add_detail;
  OpDef def{.name = "matmul_add",
            .doc = "The matrix product a·b plus an addend.",
            .inputs = {{"a", "[..., m, k]"},
                       {"b", "[k, n], or [..., k, n] with a's leading dimensions"},
                       {"addend", "[..., m, n], or [n], which is added to every row"}},
            .outputs = {{"sum", "[..., m, n]"}}};
  def.attributes = {{"transpose_a", AttributeKind::boolean, "a is given as [..., k, m]", Attribute(false)},
                    {"transpose_b", AttributeKind::boolean, "b is given as [..., n, k]", Attribute(false)}};
  def.traits.in_place = {{0, 2}};
  def.infer = infer;
  def.kernel = {product_kernel<float>, product_kernel<double>, nullptr};
  def.prepare = prepare_product;
  def.pack = pack_product;
  def.workspace = product_workspace;
  def.vjp = vjp;
  def.cost = product_cost;
  const SampleInput a{{2, 3}, {1, 2, 3, 4, 5, 6}}, b{{3, 2}, {1, 0, 0, 1, 1, 1}};
  def.samples = {{"a row", {a, b, {{2}, {10, 20}}}, {}, {14, 25, 20, 31}},
                 {"a matrix", {a, b, {{2, 2}, {1, 2, 3, 4}}}, {}, {5, 7, 13, 15}},
                 {"transposed", {{{3, 2}}, {{4, 3}}, {{4}}}, {{"transpose_a", true}, {"transpose_b", true}}},
                 {"rows of a batch", {{{2, 3, 4}}, {{4, 5}}, {{2, 3, 5}}}},
                 {"batched", {{{2, 4, 3}}, {{2, 4, 5}}, {{2, 3, 5}}}, {{"transpose_a", true}}},
                 {"one column", {{{4, 3}}, {{3, 1}}, {{1}}}},
                 {"no inner dimension", {{{2, 0}}, {{0, 3}}, {{3}, {1, 2, 3}}}, {}, {1, 2, 3, 1, 2, 3}}};
  def.rejects = {
      {{{f32, {2, 3}}, {f32, {3, 4}}, {f32, {2}}},
       {},
       "the addend is f32[2]; it must be f32[2, 4], or of its last dimension"},
      {{{f32, {2, 3}}, {f32, {4, 5}}, {f32, {5}}}, {}, "inner dimensions differ: a is [2, 3], b is [4, 5]."}};
  return def;
}

}  // namespace lariat
