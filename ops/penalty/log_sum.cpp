#include "ops/ops.hpp"
#include "ops/penalty/concave.hpp"
#include "ops/records.hpp"

namespace lariat {

namespace log_sum_detail {

double epsilon_of(const Attributes& attributes) { return attributes.get<double>("epsilon"); }

std::vector<TensorType> infer(const InferContext& c) {
  check_above(c, "epsilon", 0);
  return infer_elementwise_float(c);
}

// φ' = sign(x)/(ε + |x|)
Value derivative(Value x, double epsilon) { return sign(x) / (abs(x) + epsilon); }

Value prox(ProxPoint at, Value weight, const Attributes& attributes) {
  return log_sum_prox(at.point, at.step, weight, epsilon_of(attributes));
}

Value residual(Value x, Value gradient, Value weight, const Attributes& attributes) {
  const double epsilon = epsilon_of(attributes);
  return concave_residual(x, gradient, weight, 1 / epsilon, derivative(x, epsilon));
}

}  // namespace log_sum_detail

// y = ln(1 + |x|/ε)
OpDef records::log_sum() {
  using namespace log_sum_detail;
  OpDef def =
      elementwise_op("log_sum", "ln(1 + |x|/epsilon), the log-sum penalty (Candès, Wakin and Boyd 2008).",
                     {{"x", ""}}, float_blocks_with<1>([](const Attributes& attributes) {
                       return [epsilon = epsilon_of(attributes)](auto x) {
                         using T = decltype(x);
                         const T ratio = abs(x) / T(epsilon);
                         return select(ratio == T(0), ratio, log1p(ratio));
                       };
                     }));
  def.attributes = {
      {"epsilon", AttributeKind::real, "above 0: the |x| at which it bends", Attribute(0.1), 0, 1e300}};
  def.infer = infer;
  def.vjp = [](const GradContext& g) -> Adjoints {
    return {g.adjoint(0) * derivative(g.in(0), epsilon_of(g.attributes()))};
  };
  def.kinks = "At 0 the derivative is 0.";
  def.penalty = concave_penalty("log(1 + |x|/{epsilon})", "log-sum threshold", prox, residual);
  const Attributes half{{"epsilon", 0.5}};
  def.samples = {{"values",
                  {{{3}, {-1.5, 0, 0.5}, -1, 1, 1, {0}}},
                  half,
                  {1.3862943611198906188, 0, 0.69314718055994530942}},
                 {"matrix", {{{2, 3}, {}, -1, 1, 0.1}}, half}};
  const Reject flat{{{f32, {2}}}, {{"epsilon", 0.0}}, "'epsilon' is 0; it must be above 0"};
  def.rejects.push_back(flat);
  return def;
}

Value log_sum(Operand x, double epsilon) { return build("log_sum", {x}, {{"epsilon", epsilon}}); }

}  // namespace lariat
