#include "ops/ops.hpp"
#include "ops/penalty/concave.hpp"
#include "ops/records.hpp"

namespace lariat {

namespace scad_prox_detail {

std::vector<TensorType> infer(const InferContext& c) {
  check_above(c, "a", 1);
  return infer_elementwise_float(c);
}

// The least of F(w) = c·φ(w) + (w − v)²/2 over w ≥ 0. F' is w − v + cλ up to λ, then bends with slope
// 1 − c/(a − 1) up to aλ, then w − v.
template <class Doubles>
Doubles minimiser(Doubles v, Doubles c, Doubles lambda, Doubles a) {
  const Doubles zero(0), one(1), soft = positive_part(v - c * lambda);
  // For c < a − 1 F' rises throughout.
  const Doubles bent = ((a - one) * v - c * a * lambda) / (a - one - c);
  const Doubles rising = select(v <= (one + c) * lambda, soft, select(v >= a * lambda, v, bent));
  // Else F' falls from λ to aλ, so the soft threshold up to λ competes with v, where F is cλ²(a + 1)/2.
  const Doubles jumping = select(Doubles(2) * v > (a + one + c) * lambda, v, soft);
  const Doubles hard = select(v > lambda * sqrt(c) * sqrt(a + one), v, zero);
  return select(c < a - one, rising, select(c >= a + one, hard, jumping));
}

}  // namespace scad_prox_detail

OpDef records::scad_prox() {
  using namespace scad_prox_detail;
  OpDef def = concave_prox_op(
      "scad_prox",
      "argmin_w weight·scad(w) + (w - v)²/(2 step), the global minimiser for every step (Fan and Li 2001 for "
      "a step of 1).",
      [](const Attributes& attributes) {
        return [lambda = attributes.get<double>("lambda"), a = attributes.get<double>("a")](auto v, auto c) {
          return minimiser(v, c, decltype(v)(lambda), decltype(v)(a));
        };
      });
  def.attributes = {{"lambda", AttributeKind::real, "scad's", Attribute(1.0), 0, 1e300},
                    {"a", AttributeKind::real, "scad's", Attribute(3.7), 1, 1e300}};
  def.infer = infer;
  const Attributes three{{"lambda", 1.0}, {"a", 3.0}};
  def.samples = {
      {"bending", {{{6}, {-4, -0.5, 1.5, 2, 2.5, 3}}, {{}, {1}}, {{}, {1}}}, three, {-4, 0, 0.5, 1, 2, 3}},
      {"jumping", {{{4}, {-4, 3.25, 3.5, 3.75}}, {{}, {1.5}}, {{}, {2}}}, three, {-4, 0.25, 0.5, 3.75}},
      {"hard", {{{3}, {-6, 5, 7}}, {{}, {3}}, {{}, {3}}}, three, {0, 0, 7}},
      {"a step and a weight for each",
       {{{2, 3}, {}, -4, 4}, {{2, 3}, {}, 0.1, 3}, {{3}, {}, 0.1, 1}},
       three}};
  def.rejects.push_back({std::vector<TensorType>(3, {f32, {2}}),
                         {{"lambda", 1.0}, {"a", 1.0}},
                         "'a' is 1; it must be above 1"});
  return def;
}

Value scad_prox(Operand v, Operand step, Operand weight, double lambda, double a) {
  return build("scad_prox", {v, step, weight}, {{"lambda", lambda}, {"a", a}});
}

}  // namespace lariat
