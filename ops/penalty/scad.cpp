#include "ops/ops.hpp"
#include "ops/penalty/concave.hpp"
#include "ops/records.hpp"

namespace lariat {

namespace scad_detail {

struct Parameters {
  double lambda, a;
  explicit Parameters(const Attributes& attributes)
      : lambda(attributes.get<double>("lambda")), a(attributes.get<double>("a")) {}
};

std::vector<TensorType> infer(const InferContext& c) {
  check_above(c, "a", 1);
  return infer_elementwise_float(c);
}

// φ' = sign(x)·clip((aλ − |x|)/(a − 1), 0, λ)
Value derivative(Value x, const Parameters& p) {
  return sign(x) * clip((p.a * p.lambda - abs(x)) * (1 / (p.a - 1)), 0, p.lambda);
}

Value prox(ProxPoint at, Value weight, const Attributes& attributes) {
  const Parameters p(attributes);
  return scad_prox(at.point, at.step, weight, p.lambda, p.a);
}

Value residual(Value x, Value gradient, Value weight, const Attributes& attributes) {
  const Parameters p(attributes);
  return concave_residual(x, gradient, weight, p.lambda, derivative(x, p));
}

}  // namespace scad_detail

// φ(x) = λ|x| for |x| ≤ λ, (2aλ|x| − x² − λ²)/(2(a − 1)) for |x| ≤ aλ, else λ²(a + 1)/2: with t = min(|x|,
// aλ) it is λt − (t − λ)₊²/(2(a − 1)).
OpDef records::scad() {
  using namespace scad_detail;
  const auto function = [](const Attributes& attributes) {
    const Parameters p(attributes);
    return [=](auto x) {
      using T = decltype(x);
      const T size = abs(x), end(p.a * p.lambda), t = select(size > end, end, size);
      const T beyond = positive_part(t - T(p.lambda));
      return T(p.lambda) * t - beyond * (beyond * T(0.5 / (p.a - 1)));
    };
  };
  OpDef def =
      elementwise_op("scad",
                     "The smoothly clipped absolute deviation (Fan and Li 2001): lambda |x| up to |x| "
                     "= lambda, then bending, constant from |x| = a·lambda on.",
                     {{"x", ""}}, float_blocks_with<1>(function));
  def.attributes = {
      {"lambda", AttributeKind::real, "the slope at 0", Attribute(1.0), 0, 1e300},
      {"a", AttributeKind::real, "above 1: where it becomes constant", Attribute(3.7), 1, 1e300}};
  def.infer = infer;
  def.vjp = [](const GradContext& g) -> Adjoints {
    return {g.adjoint(0) * derivative(g.in(0), Parameters(g.attributes()))};
  };
  def.kinks = "At 0 the derivative is 0.";
  def.penalty = concave_penalty("SCAD(x; {lambda}, {a})", "SCAD threshold", prox, residual);
  const Attributes three{{"lambda", 1.0}, {"a", 3.0}};
  def.samples = {{"values", {{{5}, {-4, -2, 0, 0.5, 1}, -1, 1, 1, {0, 1}}}, three, {2, 1.75, 0, 0.5, 1}},
                 {"matrix", {{{2, 3}, {}, -4, 4, 0.1, {-3, -1, 0, 1, 3}}}, three}};
  def.rejects.push_back({{{f32, {2}}}, {{"lambda", 1.0}, {"a", 1.0}}, "'a' is 1; it must be above 1"});
  return def;
}

Value scad(Operand x, double lambda, double a) { return build("scad", {x}, {{"lambda", lambda}, {"a", a}}); }

}  // namespace lariat
