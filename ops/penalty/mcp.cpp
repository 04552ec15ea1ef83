#include "ops/ops.hpp"
#include "ops/penalty/concave.hpp"
#include "ops/records.hpp"

namespace lariat {

namespace mcp_detail {

struct Parameters {
  double lambda, gamma;
  explicit Parameters(const Attributes& attributes)
      : lambda(attributes.get<double>("lambda")), gamma(attributes.get<double>("gamma")) {}
};

std::vector<TensorType> infer(const InferContext& c) {
  check_above(c, "gamma", 0);
  return infer_elementwise_float(c);
}

// φ' = sign(x)·(λ − |x|/γ)₊
Value derivative(Value x, const Parameters& p) { return sign(x) * relu(p.lambda - abs(x) * (1 / p.gamma)); }

Value prox(ProxPoint at, Value weight, const Attributes& attributes) {
  const Parameters p(attributes);
  return mcp_prox(at.point, at.step, weight, p.lambda, p.gamma);
}

Value residual(Value x, Value gradient, Value weight, const Attributes& attributes) {
  const Parameters p(attributes);
  return concave_residual(x, gradient, weight, p.lambda, derivative(x, p));
}

}  // namespace mcp_detail

// φ(x) = |x|(λ − |x|/(2γ)) for |x| ≤ γλ, else γλ²/2: with t = min(|x|, γλ) it is t(λ − t/(2γ)).
OpDef records::mcp() {
  using namespace mcp_detail;
  const auto function = [](const Attributes& attributes) {
    const Parameters p(attributes);
    return [=](auto x) {
      using T = decltype(x);
      const T size = abs(x), end(p.gamma * p.lambda), t = select(size > end, end, size);
      return t * (T(p.lambda) - t * T(0.5 / p.gamma));
    };
  };
  OpDef def =
      elementwise_op("mcp",
                     "The minimax concave penalty (Zhang 2010): lambda |x| - x²/(2 gamma) up to |x| = "
                     "gamma·lambda, constant from there on.",
                     {{"x", ""}}, float_blocks_with<1>(function));
  def.attributes = {
      {"lambda", AttributeKind::real, "the slope at 0", Attribute(1.0), 0, 1e300},
      {"gamma", AttributeKind::real, "above 0: how slowly it flattens out", Attribute(3.0), 0, 1e300}};
  def.infer = infer;
  def.vjp = [](const GradContext& g) -> Adjoints {
    return {g.adjoint(0) * derivative(g.in(0), Parameters(g.attributes()))};
  };
  def.kinks = "At 0 the derivative is 0.";
  def.penalty = concave_penalty("MCP(x; {lambda}, {gamma})", "firm threshold", prox, residual);
  const Attributes two{{"lambda", 1.0}, {"gamma", 2.0}};
  def.samples = {{"values", {{{5}, {-3, -1, 0, 0.5, 2.5}, -1, 1, 1, {0}}}, two, {1, 0.75, 0, 0.4375, 1}},
                 {"matrix", {{{2, 3}, {}, -3, 3, 0.1, {-2, 0, 2}}}, two}};
  def.rejects.push_back(
      {{{f32, {2}}}, {{"lambda", 1.0}, {"gamma", 0.0}}, "'gamma' is 0; it must be above 0"});
  return def;
}

Value mcp(Operand x, double lambda, double gamma) {
  using namespace mcp_detail;
  return build("mcp", {x}, {{"lambda", lambda}, {"gamma", gamma}});
}

}  // namespace lariat
