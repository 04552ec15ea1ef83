#include "autodiff/penalty/affine_view.hpp"

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <set>

#include "autodiff/gradient.hpp"
#include "autodiff/penalty/linear_rows.hpp"
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

Value AffineView::where_seen(Value x, double other) const {
  return scaled && may_be_zero_ ? where(equal(factor, 0), other, x) : x;
}

Value AffineView::over(Value x, Value divisor) const { return scaled ? where_seen(x / divisor, 0) : x; }
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

namespace {

// Whether it may be that no element is in two rows: Aᵀs has the same sizes for all signs s then.
bool may_be_without_shared(Value argument) {
  const auto sizes =
      [&](const std::function<bool(uint64_t)>& negative) -> std::optional<std::vector<double>> {
    Tensor signs(f64, evaluate(argument.shape(), {}));
    for (int64_t i = 0; i < signs.count(); ++i)
      signs.data<double>()[i] = negative(static_cast<uint64_t>(i)) ? -1 : 1;
    std::vector<double> result;
    const Value by = argument.graph().constant(signs.cast(argument.dtype()));
    for (Value column : gradient(sum(argument * by), parameters_behind(argument))) {
      const std::optional<Tensor> constant = constant_value(column);
      if (!constant) return std::nullopt;
      for (int64_t i = 0; i < constant->count(); ++i) result.push_back(std::abs(constant->at(i)));
    }
    return result;
  };
  const auto plain = sizes([](uint64_t) { return false; });
  return plain && plain == sizes([](uint64_t i) { return (i * 0x9e3779b97f4a7c15u) >> 63 != 0; });
}

// The argument's rows, where no element is in two.
std::optional<std::vector<LinearRow>> rows_without_shared(Value argument, const ParameterElements& elements) {
  if (!may_be_without_shared(argument)) return std::nullopt;
  auto rows = elements.rows_of(argument);
  if (!rows) return std::nullopt;
  std::vector<int64_t> all;
  for (const LinearRow& row : *rows)
    for (const auto& [element, factor] : row.entries) all.push_back(element);
  std::sort(all.begin(), all.end());
  return std::adjacent_find(all.begin(), all.end()) == all.end() ? std::move(rows) : std::nullopt;
}

}  // namespace

std::optional<std::vector<std::vector<ShownElement>>> combined_elements(Value argument) {
  const ParameterElements elements(argument);
  const auto rows = rows_without_shared(argument, elements);
  if (!rows) return std::nullopt;
  std::vector<std::vector<ShownElement>> result;
  for (const LinearRow& row : *rows) {
    result.emplace_back();
    for (const auto& [element, factor] : row.entries) {
      const auto [parameter, place] = elements.find(element);
      result.back().push_back({parameter.node(), place});
    }
  }
  return result;
}

std::vector<int32_t> combined_parameters(Value argument) {
  const ParameterElements elements(argument);
  std::set<int32_t> found;
  for (const LinearRow& row : rows_without_shared(argument, elements).value_or(std::vector<LinearRow>()))
    for (const auto& [element, factor] : row.entries) found.insert(elements.find(element).first.node());
  return {found.begin(), found.end()};
}

CombinedView::CombinedView(Value argument, std::vector<Value> parameters)
    : view(argument, std::move(parameters)) {
  for (Value factor : view.adjoint(ones_like(argument))) factors.push_back(settled(factor));
}

std::vector<Value> CombinedView::pivots() const {
  const Value argument = view.argument;
  std::map<int32_t, Tensor> pivots;
  for (Value parameter : view.parameters)
    pivots[parameter.node()] = Tensor::filled(f64, evaluate(parameter.shape(), {}), 0);
  const ParameterElements elements(argument);
  const auto rows = rows_without_shared(argument, elements);
  for (const LinearRow& row : *rows) {
    if (row.entries.empty()) continue;
    const auto [parameter, place] = elements.find(row.entries.front().first);
    const double factor = row.entries.front().second;
    pivots.at(parameter.node()).data<double>()[place] = 1 / (factor * factor);
  }
  std::vector<Value> result;
  for (Value parameter : view.parameters)
    result.push_back(settled(argument.graph().constant(pivots.at(parameter.node()).cast(parameter.dtype()))));
  return result;
}

Value CombinedView::steps(const Values& own) const {
  Values weighted;
  for (size_t i = 0; i < factors.size(); ++i) {
    const std::string& name = view.parameters[i].name();
    weighted[name] = own.at(name) * factors[i];
  }
  return view.linear_part(weighted);
}

Value CombinedView::magnitude(const Values& values) const {
  Values sizes;
  for (size_t i = 0; i < factors.size(); ++i) {
    const std::string& name = view.parameters[i].name();
    sizes[name] = abs(values.at(name)) * sign(factors[i]);
  }
  return view.linear_part(sizes) + abs(view.shift);
}

void CombinedView::put_back(Value of_argument, const Values& steps_of, Values& points) const {
  const auto lifted = [&](Value x) { return view.adjoint(x); };
  const Value all = steps(steps_of);
  const std::vector<Value> moves = lifted(where(equal(all, 0), 0, (view.at(points) - of_argument) / all));
  for (size_t i = 0; i < factors.size(); ++i) {
    const std::string& name = view.parameters[i].name();
    points[name] = points.at(name) - steps_of.at(name) * moves[i];
  }
  // Rounding is made good by one element of each row, so that what is equal at `of_argument` is equal.
  const std::vector<Value> rounding = lifted(view.at(points) - of_argument), at = pivots();
  for (size_t i = 0; i < factors.size(); ++i) {
    const std::string& name = view.parameters[i].name();
    const Value corrected = points.at(name) - at[i] * rounding[i];
    points[name] = where(equal(steps_of.at(name) * at[i], 0), points.at(name), corrected);
  }
}

namespace {

bool is_power_of_two(Value factors) {
  const std::optional<Tensor> constant = constant_value(factors);
  int exponent = 0;
  for (int64_t i = 0; constant && i < constant->count(); ++i)
    if (std::abs(std::frexp(constant->at(i), &exponent)) != 0.5) return false;
  return constant.has_value();
}

}  // namespace

void round_bounds_inward(Value argument, Value parameter, const ScalarPenalty& allowed, ScalarTerm& term) {
  constexpr int most_steps = 16;
  constexpr double infinity = std::numeric_limits<double>::infinity();
  if (!term.low && !term.high) return;
  if (is_same(argument, parameter) || !is_known(argument.shape())) return;
  Graph& graph = argument.graph();
  const AffineView view(argument, parameters_behind(argument));
  // What an element adds to, and by what it is multiplied.
  double largest = 0;
  for (const double bound : {allowed.low, allowed.high})
    if (std::isfinite(bound)) largest = std::max(largest, std::abs(bound));
  const auto own = static_cast<size_t>(std::find_if(view.parameters.begin(), view.parameters.end(),
                                                    [&](Value shown) { return is_same(shown, parameter); }) -
                                       view.parameters.begin());
  const Value ones = ones_like(argument);
  const std::optional<Tensor> sizes = constant_value(
                                  view.adjoint(view.over_factor((abs(view.shift) + largest) * ones))[own]),
                              steepness = constant_value(view.adjoint(sign(view.factor) * ones)[own]);
  const double rounding = 4 * (parameter.dtype() == f32 || argument.dtype() == f32 ? 0x1p-24 : 0x1p-53);
  const Node& last = graph.node(argument.node());
  const bool one_op = last.inputs.size() == 2 && (is_same(graph.value(last.inputs[0]), parameter) ||
                                                  is_same(graph.value(last.inputs[1]), parameter));
  const bool rounds = !one_op && sizes && steepness && (view.shifted || !is_power_of_two(view.factor));
  std::map<int32_t, Value> replaced;
  for (Value shown : view.parameters) replaced[shown.node()] = zeros_like(shown);
  // Where the parameter's elements are shown outside of what is allowed.
  const auto shown_outside = [&](const Tensor& point) -> std::optional<Tensor> {
    replaced[parameter.node()] = graph.constant(point.cast(parameter.dtype()));
    const std::optional<Tensor> value = constant_value(substitute(argument, replaced));
    if (!value) return std::nullopt;
    Tensor outside(f64, value->extents());
    bool any = false;
    for (int64_t i = 0; i < value->count(); ++i) {
      outside.data<double>()[i] = value->at(i) < allowed.low || value->at(i) > allowed.high;
      any |= outside.at(i) != 0;
    }
    if (!any) return std::nullopt;
    const Value back =
        gradient(sum(argument * graph.constant(outside.cast(argument.dtype()))), {parameter})[0];
    return constant_value(back);
  };
  const auto move_inward = [&](Value& limit, double inward) {
    const std::optional<Tensor> found = limit ? constant_value(limit) : std::nullopt;
    if (!found) return;
    Tensor at(f64, evaluate(parameter.shape(), {}));
    for (int64_t i = 0; i < at.count(); ++i) at.data<double>()[i] = found->at(found->count() == 1 ? 0 : i);
    at = at.cast(parameter.dtype()).cast(f64);
    const auto move = [&](double& x) {
      x = parameter.dtype() == f32 ? std::nextafter(static_cast<float>(x), static_cast<float>(inward))
                                   : std::nextafter(x, inward);
    };
    bool moved = false;
    for (int step = 0; step < most_steps; ++step) {
      Tensor point = at.clone();
      for (double& x : point.values<double>()) x = std::isfinite(x) ? x : 0;
      const std::optional<Tensor> outside = shown_outside(point);
      bool moves = false;
      for (int64_t i = 0; outside && i < at.count(); ++i) {
        double& x = at.data<double>()[i];
        if (outside->at(i) == 0 || !std::isfinite(x)) continue;
        move(x);
        moves = moved = true;
      }
      if (!moves) break;
    }
    // As it is written the argument may round elsewhere than here.
    for (int64_t i = 0; rounds && i < at.count(); ++i) {
      double& x = at.data<double>()[i];
      if (x == 0 || !std::isfinite(x)) continue;
      x += std::copysign(rounding * (std::abs(x) + sizes->at(i) / steepness->at(i)), inward);
      moved = true;
    }
    if (moved) limit = settled(graph.constant(at.cast(parameter.dtype())));
  };
  const Value low = term.low, high = term.high;
  move_inward(term.low, infinity);
  move_inward(term.high, -infinity);
  // Bounds that say what a weight is stay as they are.
  const auto crossed = low && high ? constant_value(greater(term.low, term.high)) : std::nullopt;
  for (int64_t i = 0; crossed && i < crossed->count(); ++i)
    if (crossed->at(i) != 0) term.low = low, term.high = high;
}

}  // namespace lariat
