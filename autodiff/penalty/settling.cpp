#include "autodiff/penalty/settling.hpp"

#include "autodiff/gradient.hpp"
#include "autodiff/penalty/affine_view.hpp"
#include "autodiff/penalty/penalty_view.hpp"
#include "ops/kernels/groups.hpp"
#include "ops/ops.hpp"

namespace lariat {

namespace {

using Values = std::map<std::string, Value>;

// Sets of elements are values that are 1 in them and 0 outside; a scalar says all or none, an empty value
// none.
Value both(Value a, Value b) {
  if (!a || !b) return {};
  const Value product = settled(a * b);
  return uniform_value(product) == 0.0 ? Value() : product;
}
Value either(Value a, Value b) { return a && b ? settled(maximum(a, b)) : a ? a : b; }
Value outside(Value a) { return 1 - a; }

// Where a weight may be above 0. One that is read at each step counts as such: zeros stay where the pressure
// on the other weights is taken away.
Value weighs(Value weight) {
  return constant_value(weight) ? settled(greater(weight, 0)) : weight.graph().constant(1.0, weight.dtype());
}

// Where the term has a kink or a bound at 0.
Value bends_at_zero(const ScalarTerm& term) {
  Value result;
  for (const ScalarTerm::Kink& kink : term.kinks) {
    const Value jump = weighs(kink.below ? kink.above - kink.below : kink.above);
    result = either(result, kink.at ? both(jump, settled(equal(kink.at, 0))) : both(jump, jump));
  }
  for (const Value bound : {term.low, term.high})
    if (bound) result = either(result, settled(equal(bound, 0)));
  return result && uniform_value(result) != 0.0 ? result : Value();
}

// Where a bound excludes 0.
Value excludes_zero(const ScalarTerm& term) {
  Value result;
  if (term.low) result = either(result, settled(greater(term.low, 0)));
  if (term.high) result = either(result, settled(less(term.high, 0)));
  return result && uniform_value(result) != 0.0 ? result : Value();
}

Value loses_sign(Value from, Value to) { return less_equal(sign(from) * sign(to), 0); }

// Whether each result of a penalty's op is of a group of elements along axes.
bool has_groups(const Node& node) {
  return node.attributes.find("axes") != nullptr && node.attributes.find("keep_dims") != nullptr;
}

// What a structured term settles, of the elements of its argument.
Value of_argument(const PenaltyTerm& term, const AffineView& view, const Values& from, const Values& to,
                  const Values& forbidden) {
  const Node node = term.node.graph().node(term.node.node());
  const Value at = view.linear_part(from), then = view.linear_part(to);
  const Value unshifted =
      view.shifted ? broadcast_to(settled(equal(view.shift, 0)), at.shape()) : ones_like(at);
  if (node.op->traits.elementwise) return weighs(term.weight) * unshifted * loses_sign(at, then);
  if (!has_groups(node)) return {};  // what is zero of it are no elements: differences, singular values
  const auto axes = node.attributes.get<std::vector<int64_t>>("axes");
  const auto none = [&](Value elements) { return equal(norm_inf(elements, axes, true), 0); };
  const Value leaves = less_equal(sum(cast(at, f64) * cast(then, f64), axes, true), 0);
  Value group = cast(leaves, at.dtype()) * none(outside(unshifted)) *
                weighs(weight_along_axes(at, term.weight, node.attributes));
  if (!forbidden.empty()) group = group * none(view.linear_part(forbidden));
  return group;
}

}  // namespace

Values settling_zeros(const Values& from, const Values& to, const std::vector<PenaltyTerm>& terms) {
  Values result, forbidden, bends;
  for (const PenaltyTerm& term : terms) {
    if (!term.scalar) continue;
    const std::string& name = term.parameters.front();
    if (const Value where = excludes_zero(*term.scalar)) forbidden[name] = either(forbidden[name], where);
    if (const Value where = bends_at_zero(*term.scalar)) bends[name] = either(bends[name], where);
  }
  const auto add = [&](const std::string& name, Value elements) {
    Value& sum = result[name];
    sum = sum ? maximum(sum, elements) : elements;
  };
  for (const auto& [name, where] : bends) add(name, where * loses_sign(from.at(name), to.at(name)));
  for (const PenaltyTerm& term : terms) {
    if (term.scalar || term.combines) continue;  // what is zero of combinations are no elements
    const std::vector<Value> parameters = term.parameter_values();
    Values excluded;
    for (const std::string& name : term.parameters)
      if (forbidden.contains(name)) excluded[name] = forbidden[name];
    if (!excluded.empty())
      for (const Value parameter : parameters) excluded.try_emplace(parameter.name(), zeros_like(parameter));
    const AffineView view(term.argument, parameters);
    const Value elements = of_argument(term, view, from, to, excluded);
    if (!elements) continue;
    // Back through the view: an element that the argument does not show, or times 0, has no adjoint.
    const std::vector<Value> shown = gradient(
        sum(term.argument * stop_gradient(broadcast_to(elements, term.argument.shape()))), parameters);
    for (size_t i = 0; i < parameters.size(); ++i) add(term.parameters[i], outside(equal(shown[i], 0)));
  }
  for (auto& [name, elements] : result)
    if (forbidden.contains(name)) elements = elements * outside(forbidden[name]);
  return result;
}

bool settles(const PenaltyTerm& term) {
  if (term.scalar) return !term.scalar->kinks.empty() && bends_at_zero(*term.scalar);
  if (term.combines) return false;
  const Node& node = term.node.graph().node(term.node.node());
  return node.op->traits.elementwise || has_groups(node);
}

Values kept_zeros(const std::vector<Value>& parameters, const std::vector<PenaltyTerm>& terms) {
  Values values;
  for (const Value parameter : parameters) values[parameter.name()] = parameter;
  return settling_zeros(values, values, terms);
}

}  // namespace lariat
