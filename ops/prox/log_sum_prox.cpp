#include "ops/ops.hpp"
#include "ops/penalty/concave.hpp"
#include "ops/records.hpp"

namespace lariat {

namespace log_sum_prox_detail {

std::vector<TensorType> infer(const InferContext& c) {
  check_above(c, "epsilon", 0);
  return infer_elementwise_float(c);
}

// The least of F(w) = c·ln(1 + w/ε) + (w − v)²/2 over w ≥ 0. F' = 0 at the roots of w² + (ε − v)w + c − vε,
// of which the larger one is a minimum:  w = (v − ε + q)/2 with q² = (v + ε)² − 4c.
template <class Doubles>
Doubles minimiser(Doubles v, Doubles c, Doubles epsilon) {
  const Doubles zero(0), root = sqrt(c), sum = v + epsilon, edge = Doubles(2) * root;
  const auto rises = sum <= edge;  // F throughout
  const Doubles q = sqrt(positive_part(sum - edge)) * sqrt(sum + edge);
  // Where v < ε the first form would cancel; the roots' product is c − vε.
  const Doubles w = select(v >= epsilon, (v - epsilon + q) / Doubles(2),
                           Doubles(2) * epsilon * (v - c / epsilon) / (epsilon - v + q));
  const auto candidate = w > zero && !rises;
  // For c ≤ ε² F' rises, and w is the only minimum; else it must beat F(0) = v²/2.
  const auto convex = root <= epsilon;
  if (all(convex || !candidate)) return select(candidate, w, zero);
  const Doubles ratio = select(candidate, w, zero) / epsilon;
  const auto beats = c * log1p(ratio) < w * (v - w / Doubles(2));
  return select(candidate && (convex || beats), w, zero);
}

}  // namespace log_sum_prox_detail

OpDef records::log_sum_prox() {
  using namespace log_sum_prox_detail;
  OpDef def = concave_prox_op(
      "log_sum_prox", "argmin_w weight·log_sum(w) + (w - v)²/(2 step), the global minimiser for every step.",
      [](const Attributes& attributes) {
        return [epsilon = attributes.get<double>("epsilon")](auto v, auto c) {
          return minimiser(v, c, decltype(v)(epsilon));
        };
      });
  def.attributes = {{"epsilon", AttributeKind::real, "log_sum's", Attribute(0.1), 0, 1e300}};
  def.infer = infer;
  const Attributes one{{"epsilon", 1.0}};
  // w = 1 solves w − v + c/(1 + w) = 0 for v = 1 + c/2.
  def.samples = {
      {"one minimum", {{{4}, {-1.5, 0.5, 1, 1.5}}, {{}, {0.5}}, {{}, {2}}}, one, {-1, 0, 0, 1}},
      {"two minima", {{{3}, {-2.5, 3, 4}}, {{}, {2}}, {{}, {2}}}, one, {0, 0, 3}},
      {"a step and a weight for each", {{{2, 3}, {}, -3, 3}, {{2, 3}, {}, 0.1, 3}, {{3}, {}, 0.1, 1}}, one}};
  def.rejects.push_back(
      {std::vector<TensorType>(3, {f32, {2}}), {{"epsilon", 0.0}}, "'epsilon' is 0; it must be above 0"});
  return def;
}

Value log_sum_prox(Operand v, Operand step, Operand weight, double epsilon) {
  return build("log_sum_prox", {v, step, weight}, {{"epsilon", epsilon}});
}

}  // namespace lariat
