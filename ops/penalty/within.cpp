#include <fmt/format.h>

#include <limits>

#include "ops/elementwise/elementwise.hpp"
#include "ops/kernels/simd.hpp"
#include "ops/ops.hpp"
#include "ops/records.hpp"

namespace lariat {

namespace within_detail {

constexpr double infinity = std::numeric_limits<double>::infinity();

std::vector<TensorType> infer(const InferContext& c) {
  const double low = c.attribute<double>("low"), high = c.attribute<double>("high");
  if (low > high) c.fail(fmt::format("'low' is {} and 'high' is {}; low must not exceed high", low, high));
  return infer_elementwise_float(c);
}

ScalarPenalty bounds(const Attributes& attributes) {
  return {.low = attributes.get<double>("low"), .high = attributes.get<double>("high")};
}

}  // namespace within_detail

// y = 0 where low ≤ x ≤ high, else ∞
OpDef records::within() {
  using namespace within_detail;
  const auto function = [](const Attributes& attributes) {
    return [low = attributes.get<double>("low"), high = attributes.get<double>("high")](auto x) {
      using T = decltype(x);
      const T outside(std::numeric_limits<typename T::value_type>::infinity());
      return select(x < T(low), outside, select(x > T(high), outside, select(is_nan(x), x, T(0))));
    };
  };
  OpDef def = elementwise_op("within",
                             "0 where low <= x <= high, else infinity; NaN for NaN. A bound as a term of a "
                             "loss: any weight but 0 gives the same one.",
                             {{"x", ""}}, float_blocks_with<1>(function));
  def.traits.of_finite = Traits::OfFinite::or_infinite;
  def.attributes = {
      {"low", AttributeKind::real, "the least x allowed", Attribute(-infinity), -infinity, infinity},
      {"high", AttributeKind::real, "the largest x allowed", Attribute(infinity), -infinity, infinity}};
  def.infer = infer;
  def.vjp = [](const GradContext&) -> Adjoints { return {Value()}; };
  def.kinks = "The derivative is 0 everywhere, outside the bounds as well.";
  def.penalty = Penalty{.formula = "x within bounds", .operator_name = "clip", .scalar = bounds};
  def.samples = {
      {"values", {{{3}, {-1, 0.25, 1}, -1, 1, 1, {-1, 1}}}, {{"low", -1.0}, {"high", 1.0}}, {0, 0, 0}},
      {"matrix", {{{2, 3}}}, {{"low", -2.0}}}};
  def.rejects.push_back({{{f32, {2}}},
                         {{"low", 1.0}, {"high", 0.5}},
                         "'low' is 1 and 'high' is 0.5; low must not exceed high"});
  return def;
}

Value within(Operand x, double low, double high) {
  return build("within", {x}, {{"low", low}, {"high", high}});
}

Value box(Operand x, double low, double high) { return sum(Operand(within(x, low, high), x.where)); }
Value nonnegative(Operand x) { return box(x, 0, within_detail::infinity); }

}  // namespace lariat
