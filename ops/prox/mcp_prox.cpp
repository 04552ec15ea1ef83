#include "ops/ops.hpp"
#include "ops/penalty/concave.hpp"
#include "ops/records.hpp"

namespace lariat {

namespace mcp_prox_detail {

std::vector<TensorType> infer(const InferContext& c) {
  check_above(c, "gamma", 0);
  return infer_elementwise_float(c);
}

}  // namespace mcp_prox_detail

// The least of c·φ(w) + (w − v)²/2 over w ≥ 0. Its derivative is cλ − v + (1 − c/γ)w up to γλ, then w − v.
// For c < γ it rises throughout: the firm threshold (Gao and Bruce 1997). For c ≥ γ it falls up to γλ, so
// only 0 and v can be minimal, and v²/2 > cγλ²/2 is what v needs.
OpDef records::mcp_prox() {
  using namespace mcp_prox_detail;
  OpDef def = concave_prox_op(
      "mcp_prox", "argmin_w weight·mcp(w) + (w - v)²/(2 step), the global minimiser for every step.",
      [](const Attributes& attributes) {
        return [lambda = attributes.get<double>("lambda"), gamma = attributes.get<double>("gamma")](auto v,
                                                                                                    auto c) {
          using Doubles = decltype(v);
          const Doubles zero(0), slope(lambda), bend(gamma), soft = v - c * slope;
          const Doubles hard = select(v > slope * sqrt(bend) * sqrt(c), v, zero);
          const Doubles firm = select(v >= bend * slope, v, soft / (Doubles(1) - c / bend));
          return select(c >= bend, hard, select(soft <= zero, zero, firm));
        };
      });
  def.attributes = {{"lambda", AttributeKind::real, "mcp's", Attribute(1.0), 0, 1e300},
                    {"gamma", AttributeKind::real, "mcp's", Attribute(3.0), 0, 1e300}};
  def.infer = infer;
  const Attributes two{{"lambda", 1.0}, {"gamma", 2.0}};
  def.samples = {
      {"firm", {{{5}, {-3, -0.5, 1, 1.5, 2}}, {{}, {1}}, {{}, {1}}}, two, {-3, 0, 0, 1, 2}},
      {"hard", {{{4}, {-4.5, -4, 2, 5}}, {{}, {4}}, {{}, {2}}}, two, {-4.5, 0, 0, 5}},
      {"a step and a weight for each", {{{2, 3}, {}, -3, 3}, {{2, 3}, {}, 0.1, 3}, {{3}, {}, 0.1, 1}}, two}};
  def.rejects.push_back({std::vector<TensorType>(3, {f32, {2}}),
                         {{"lambda", 1.0}, {"gamma", 0.0}},
                         "'gamma' is 0; it must be above 0"});
  return def;
}

Value mcp_prox(Operand v, Operand step, Operand weight, double lambda, double gamma) {
  return build("mcp_prox", {v, step, weight}, {{"lambda", lambda}, {"gamma", gamma}});
}

}  // namespace lariat
