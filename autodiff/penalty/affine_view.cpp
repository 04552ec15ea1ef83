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

namespace {

// What a selection of numbers of elements takes beside them: nothing, or the numbers that it selects by.
Value beside(Graph& graph, const Edge& edge, Graph& numbers) {
  const TensorType& type = graph.type(edge);
  if (is_float(type.dtype)) return numbers.constant(Tensor(f64, evaluate(type.shape, {})));
  const std::optional<Tensor> constant = constant_value(graph.value(edge));
  if (!constant)
    throw NotAView{"L102", "its argument picks elements of parameters by numbers that are not constants",
                   "pick them by constants"};
  return numbers.constant(*constant);
}

}  // namespace

std::vector<ShownElement> shown_elements(Value argument) {
  const Graph& graph = argument.graph();
  // The same selections of numbers instead of elements; what scales and shifts leaves them as they are.
  Graph numbers;
  std::unordered_map<int32_t, std::vector<Value>> copies;  // only of what shows parameters
  std::vector<ShownElement> of_number{{}};                 // number 0: none
  for (int32_t id : nodes_behind(argument)) {
    const Node& node = graph.node(id);
    const auto shows = [&](const Edge& edge) { return copies.contains(edge.node); };
    const auto copy = [&](const Edge& edge) { return copies.at(edge.node)[edge.output]; };
    if (node.op->traits.source == SourceKind::parameter) {
      Tensor own(f64, evaluate(node.outputs[0].shape, {}));
      for (double& number : own.values<double>()) {
        number = static_cast<double>(of_number.size());
        of_number.push_back({id, &number - own.data<double>()});
      }
      copies[id] = {numbers.constant(own)};
    } else if (node.op->traits.shape_only || std::none_of(node.inputs.begin(), node.inputs.end(), shows)) {
      continue;
    } else if (node.op->name == "cast") {
      copies[id] = {copy(node.inputs[0])};  // f32 has too few numbers
    } else if (node.op->traits.selection) {
      std::vector<Value> inputs;
      for (const Edge& edge : node.inputs)
        inputs.push_back(shows(edge) ? copy(edge) : beside(argument.graph(), edge, numbers));
      const Value first = numbers.add(*node.op, inputs, node.attributes, node.name, node.where);
      for (size_t o = 0; o < node.outputs.size(); ++o)
        copies[id].push_back({&numbers, first.node(), static_cast<int32_t>(o)});
    } else {
      for (const Edge& edge : node.inputs)
        if (shows(edge)) copies[id] = {broadcast_to(copy(edge), node.outputs[0].shape)};
    }
  }
  const auto found = copies.find(argument.node());
  if (found == copies.end()) return std::vector<ShownElement>(element_count(evaluate(argument.shape(), {})));
  numbers.output("elements", found->second[argument.output()]);
  const Tensor result = evaluate_constant(numbers)[0];
  std::vector<ShownElement> elements;
  for (double number : result.values<double>()) elements.push_back(of_number[static_cast<size_t>(number)]);
  return elements;
}

}  // namespace lariat
