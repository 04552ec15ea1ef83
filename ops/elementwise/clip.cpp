#include <fmt/format.h>

#include <limits>

#include "ops/elementwise/elementwise.hpp"
#include "ops/kernels/simd.hpp"
#include "ops/ops.hpp"
#include "ops/records.hpp"

namespace lariat {

namespace clip_detail {

std::vector<TensorType> infer(const InferContext& c) {
  const double low = c.attribute<double>("low"), high = c.attribute<double>("high");
  if (low > high) c.fail(fmt::format("'low' is {} and 'high' is {}; low must not exceed high", low, high));
  return infer_elementwise_float(c);
}

// dx = dy where low ≤ x ≤ high
Adjoints vjp(const GradContext& g) {
  const Value x = g.in(0);
  const double low = g.attributes().get<double>("low"), high = g.attributes().get<double>("high");
  return {where(less(x, low) + greater(x, high), 0, g.adjoint(0))};
}

}  // namespace clip_detail

// y = min(max(x, low), high)
OpDef records::clip() {
  using namespace clip_detail;
  const auto function = [](const Attributes& attributes) {
    return [low = attributes.get<double>("low"), high = attributes.get<double>("high")](auto x) {
      using T = decltype(x);
      return select(x < T(low), T(low), select(x > T(high), T(high), x));
    };
  };
  OpDef def = elementwise_op("clip", "x limited to [low, high]; NaN comes through.", {{"x", ""}},
                             float_blocks_with<1>(function));
  const double infinity = std::numeric_limits<double>::infinity();
  def.attributes = {
      {"low", AttributeKind::real, "the least result", Attribute(-infinity), -infinity, infinity},
      {"high", AttributeKind::real, "the largest result", Attribute(infinity), -infinity, infinity}};
  def.infer = infer;
  def.vjp = vjp;
  def.kinks = "At low and high the derivative is 1.";
  const Attributes unit{{"low", -1.0}, {"high", 1.0}};
  def.samples = {{"values", {{{4}, {-2, -0.5, 0.25, 3}}}, unit, {-1, -0.5, 0.25, 1}},
                 {"matrix", {{{2, 3}, {}, -2, 2, 0.1, {-1, 1}}}, unit},
                 {"one side", {{{5}, {}, -1, 1, 0.1}}, {{"low", 0.0}}}};
  def.rejects = {
      {{{f32, {2}}}, {{"low", 1.0}, {"high", 0.5}}, "'low' is 1 and 'high' is 0.5; low must not exceed high"},
      {{{i32, {2}}}, unit, "takes f32 or f64; got i32[2]. Use cast to convert it"}};
  return def;
}

Value clip(Operand x, double low, double high) { return build("clip", {x}, {{"low", low}, {"high", high}}); }

}  // namespace lariat
