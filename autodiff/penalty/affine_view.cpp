#include "autodiff/penalty/affine_view.hpp"

#include "autodiff/gradient.hpp"
#include "autodiff/penalty/penalty_view.hpp"
#include "graph/exec/constants.hpp"
#include "graph/program/program.hpp"
#include "ops/ops.hpp"

namespace lariat {

AffineView::AffineView(Value argument, std::vector<Value> shown)
    : argument(argument), parameters(std::move(shown)) {
  std::map<std::string, Value> zero, one;
  for (Value parameter : parameters) {
    zero[parameter.name()] = zeros_like(parameter);
    one[parameter.name()] = ones_like(parameter);
  }
  shift = settled(at(zero));
  shifted = uniform_value(shift) != 0.0;
  factor = settled(linear_part(one));
  scaled = uniform_value(factor) != 1.0;
  const std::optional<Tensor> constant = constant_value(factor);
  may_be_zero_ = !constant;
  for (int64_t i = 0; constant && i < constant->count(); ++i) may_be_zero_ |= constant->at(i) == 0;
}

Value AffineView::at(const std::map<std::string, Value>& values) const {
  std::map<int32_t, Value> replaced;
  for (Value parameter : parameters) {
    const Value value = values.at(parameter.name());
    replaced[parameter.node()] = value.rank() == 0 ? broadcast_to(value, parameter.shape()) : value;
  }
  return substitute(argument, replaced);
}

Value AffineView::linear_part(const std::map<std::string, Value>& values) const {
  std::map<int32_t, Value> replaced, zeros;
  for (Value parameter : parameters) {
    const auto found = values.find(parameter.name());
    const Value zero = zeros_like(parameter);
    const Value value = found == values.end() ? zero : found->second;
    replaced[parameter.node()] = value.rank() == 0 ? broadcast_to(value, parameter.shape()) : value;
    zeros[parameter.node()] = zero;
  }
  const Value linear = substitute(argument, replaced, Shifts::dropped);
  // What a condition switches to, say, is a shift as well.
  const Value rest = settled(substitute(argument, zeros, Shifts::dropped));
  return uniform_value(rest) == 0.0 ? linear : linear - rest;
}

Value AffineView::over(Value x, Value divisor) const {
  if (!scaled) return x;
  return may_be_zero_ ? where(equal(factor, 0), 0, x / divisor) : x / divisor;
}
Value AffineView::over_factor(Value x) const { return over(x, factor); }
Value AffineView::over_squared_factor(Value x) const { return over(x, square(factor)); }

std::vector<Value> AffineView::adjoint(Value x) const {
  return gradient(sum(argument * stop_gradient(x)), parameters);
}

void AffineView::put_back(Value of_argument, std::map<std::string, Value>& values) const {
  const std::vector<Value> returned = adjoint(of_argument);
  const std::vector<Value> covered = adjoint(over_factor(ones_like(argument)));
  for (size_t i = 0; i < parameters.size(); ++i) {
    Value& value = values.at(parameters[i].name());
    const Value shows = settled(covered[i]);
    value = uniform_value(shows) == 1.0 ? returned[i] : where(greater(shows, 0.5), returned[i], value);
  }
}

std::vector<int64_t> shown_elements(Value argument, std::span<const int32_t> parameters) {
  const Graph& graph = argument.graph();
  // The same selections of numbers instead of elements; what scales and shifts leaves them as they are.
  Graph numbers;
  std::map<int32_t, Value> made;
  int64_t next = 1;
  for (int32_t id : parameters) {
    Tensor own(f64, evaluate(graph.node(id).outputs[0].shape, {}));
    for (double& number : own.values<double>()) number = static_cast<double>(next++);
    made[id] = numbers.constant(own);
  }
  const std::vector<bool> shows = dependents(graph, {parameters.begin(), parameters.end()});
  const Edge root{argument.node(), argument.output()};
  const std::vector<bool> live = ancestors(graph, {&root, 1});
  GraphCopy copy(graph, numbers);
  for (int32_t id = 0; id <= root.node; ++id) {
    if (!live[id]) continue;
    const Node& node = graph.node(id);
    if (made.contains(id)) {
      copy.replace(id, {made[id]});
    } else if (!shows[id]) {
      copy.copy(id);
    } else if (node.op->name == "cast") {
      copy.replace(id, copy.inputs(id));  // f32 has too few numbers
    } else if (node.op->traits.selection) {
      std::vector<Value> inputs = copy.inputs(id);
      for (size_t i = 0; i < inputs.size(); ++i)
        if (!shows[node.inputs[i].node] && is_float(inputs[i].dtype()))
          inputs[i] = cast(zeros_like(inputs[i]), f64);
      const Value first = numbers.add(*node.op, inputs, node.attributes, node.name, node.where);
      std::vector<Value> outputs;
      for (size_t o = 0; o < node.outputs.size(); ++o)
        outputs.push_back({&numbers, first.node(), static_cast<int32_t>(o)});
      copy.replace(id, outputs);
    } else {
      for (size_t i = 0; i < node.inputs.size(); ++i)
        if (shows[node.inputs[i].node])
          copy.replace(id, {broadcast_to(copy.inputs(id)[i], node.outputs[0].shape)});
    }
  }
  numbers.output("elements", copy(argument));
  const Tensor result = evaluate_constant(numbers)[0];
  std::vector<int64_t> elements;
  for (double number : result.values<double>()) elements.push_back(static_cast<int64_t>(number));
  return elements;
}

}  // namespace lariat
