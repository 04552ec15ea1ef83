#include "graph/ir/graph.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <ostream>
#include <unordered_set>

#include "graph/base/error.hpp"
#include "graph/ir/registry.hpp"

namespace lariat {

void Value::refuse_empty() {
  throw UserError("an empty Value was given where a value of a graph is needed; build the value first");
}

const TensorType& Value::type() const {
  if (!graph_) throw UserError("the type of an empty Value was asked for; build the value first");
  return graph_->type({node_, output_});
}

const std::string& Value::name() const {
  if (!graph_) throw UserError("the name of an empty Value was asked for; build the value first");
  return graph_->node(node_).name;
}

void InferContext::fail(const std::string& message) { throw UserError(message); }

Value GradContext::in(size_t index) const { return graph_.value(graph_.node(node_).inputs[index]); }
Value GradContext::out(size_t index) const { return {&graph_, node_, static_cast<int32_t>(index)}; }
size_t GradContext::input_count() const { return graph_.node(node_).inputs.size(); }
const Attributes& GradContext::attributes() const { return graph_.node(node_).attributes; }
Value GradContext::adjoint(size_t index) const {
  if (adjoints_[index]) return adjoints_[index];
  const TensorType& type = out(index).type();
  const std::vector<Value> zero{graph_.constant(0.0, type.dtype)};
  return graph_.add(registry().get("broadcast_to"), zero, {{"shape", type.shape}});
}

std::string text(const std::source_location& where) {
  const std::string_view file = where.file_name();
  return where.line() == 0 ? std::string()
                           : fmt::format("{}:{}", file.substr(file.find_last_of('/') + 1), where.line());
}

namespace {

const TensorType random_state_type{i32, {3}};

std::string place_of(std::string_view op, const std::string& name, const std::source_location& where) {
  std::string result = fmt::format("[{}]", op);
  if (!name.empty()) result += fmt::format(" '{}'", name);
  if (where.line() != 0) result += " built at " + text(where);
  return result + ": ";
}

template <class Place>
void check_number(const AttributeSpec& spec, double value, const Place& place) {
  // Negated, so that NaN is refused as well.
  if (!(value >= spec.minimum && value <= spec.maximum))
    throw UserError(fmt::format("{}'{}' is {}; it must lie in [{}, {}]", place(), spec.name, value,
                                spec.minimum, spec.maximum));
}

// `place` gives the beginning of a message.
template <class Place>
Attributes checked_attributes(const OpDef& op, Attributes given, const Place& place) {
  for (const auto& [name, value] : given) {
    const auto spec = std::find_if(op.attributes.begin(), op.attributes.end(),
                                   [&](const auto& s) { return s.name == name; });
    if (spec == op.attributes.end()) {
      std::vector<std::string> known;
      for (const AttributeSpec& s : op.attributes) known.push_back(s.name);
      throw UserError(
          fmt::format("{}there is no attribute '{}'.{}", place(), name, did_you_mean(name, known)));
    }
    if (value.index() != static_cast<size_t>(spec->kind))
      throw UserError(fmt::format("{}'{}' must be {}", place(), name, name_of(spec->kind)));
    if (const auto* number = std::get_if<double>(&value)) check_number(*spec, *number, place);
    if (const auto* number = std::get_if<int64_t>(&value))
      check_number(*spec, static_cast<double>(*number), place);
    if (const auto* numbers = std::get_if<std::vector<int64_t>>(&value))
      for (const int64_t number : *numbers) check_number(*spec, static_cast<double>(number), place);
  }
  for (const AttributeSpec& spec : op.attributes) {
    if (given.find(spec.name)) continue;
    if (!spec.otherwise)
      throw UserError(fmt::format("{}the attribute '{}' is missing: {}", place(), spec.name, spec.doc));
    given.set(spec.name, *spec.otherwise);
  }
  given.set_op(op);
  return given;
}

}  // namespace

Value Value::named(std::string name) const {
  if (!graph_) throw UserError(fmt::format("an empty Value cannot be named '{}'", name));
  const Node& node = graph_->node(node_);
  const SourceKind kind = node.op->traits.source;
  if (kind != SourceKind::none && kind != SourceKind::constant && name != node.name)
    throw UserError(
        fmt::format("{}cannot be renamed to '{}': feeds and the store know it by its name; give the name "
                    "where it is made",
                    place_of(node.op->name, node.name, node.where), name));
  graph_->rename(node_, std::move(name));
  return *this;
}

std::string place_of(const Node& node) { return place_of(node.op->name, node.name, node.where); }

std::string text(const Value& value) {
  if (!value) return "an empty Value";
  const Node& node = value.graph().node(value.node());
  std::string result = fmt::format("[{}]", node.op->name);
  if (!node.name.empty()) result += fmt::format(" '{}'", node.name);
  result += " " + text(value.type());
  if (node.outputs.size() > 1) result += fmt::format(" (output {})", value.output());
  if (node.where.line() != 0) result += " built at " + text(node.where);
  return result;
}

std::ostream& operator<<(std::ostream& out, const Value& value) { return out << text(value); }

const std::vector<TensorType> TensorTypes::none;

Graph::Graph() = default;
Graph::~Graph() = default;

Value Graph::add(const OpDef& op, std::span<const Value> inputs, Attributes attributes, std::string name,
                 std::source_location where) {
  const auto place = [&] { return place_of(op.name, name, where); };
  const size_t expected = op.inputs.size();
  if (op.variadic ? inputs.size() < expected : inputs.size() != expected)
    throw UserError(fmt::format("{}takes {}{} input{}, {} given", place(), op.variadic ? "at least " : "",
                                expected, expected == 1 ? "" : "s", inputs.size()));
  Node node{.op = &op,
            .inputs = {},
            .attributes = checked_attributes(op, std::move(attributes), place),
            .outputs = {},
            .name = {},
            .where = where};
  std::vector<TensorType> types;
  for (size_t i = 0; i < inputs.size(); ++i) {
    if (!inputs[i]) throw UserError(fmt::format("{}input {} is an empty Value", place(), i));
    if (&inputs[i].graph() != this)
      throw UserError(fmt::format("{}input {} belongs to another graph; build both in one", place(), i));
    node.inputs.push_back({inputs[i].node(), inputs[i].output()});
    types.push_back(inputs[i].type());
  }
  try {
    node.outputs = op.infer(InferContext(types, node.attributes));
  } catch (const UserError& error) {
    throw UserError(place() + error.what());
  }
  require(op.variadic_outputs || node.outputs.size() == op.outputs.size(),
          "an op infers another number of outputs than its record names");
  node.name = std::move(name);
  nodes_.push_back(std::move(node));
  return added();
}

// The node that was added last.
Value Graph::added() {
  const Node& node = nodes_.back();
  const auto is_known_constant = [&](const Edge& edge) { return bool{constant_[edge.node]}; };
  const auto has_known_shape = [](const TensorType& type) { return is_known(type.shape); };
  const SourceKind kind = node.op->traits.source;
  constant_.push_back((kind == SourceKind::constant || kind == SourceKind::none) &&
                      std::all_of(node.inputs.begin(), node.inputs.end(), is_known_constant) &&
                      std::all_of(node.outputs.begin(), node.outputs.end(), has_known_shape));
  return {this, size() - 1, 0};
}

Value Graph::add_again(const Graph& from, int32_t id, std::span<const Value> inputs) {
  const Node& known = from.node(id);
  bool same = inputs.size() == known.inputs.size();
  for (size_t i = 0; same && i < inputs.size(); ++i)
    same = inputs[i] && &inputs[i].graph() == this && inputs[i].type() == from.type(known.inputs[i]);
  if (!same) return add(*known.op, inputs, known.attributes, known.name, known.where);
  Node& node = nodes_.emplace_back(known);
  for (size_t i = 0; i < inputs.size(); ++i) node.inputs[i] = {inputs[i].node(), inputs[i].output()};
  return added();
}

Value Graph::add_source_again(const Graph& from, int32_t id) {
  const Node& known = from.node(id);
  require(known.op->traits.source != SourceKind::none && known.op->traits.source != SourceKind::constant,
          "a node that is no source is added as one");
  refuse_taken(known.op->name, known.name, known.where);
  nodes_.push_back(known);
  sources_.emplace(known.name, size() - 1);
  return added();
}

void Graph::refuse_taken(std::string_view op, const std::string& name, std::source_location where) const {
  if (sources_.contains(name))
    throw UserError(fmt::format("{}the name is taken by another input, parameter or state; choose another",
                                place_of(op, name, where)));
}

Value Graph::source(std::string_view op, std::string name, TensorType type, Attributes attributes,
                    std::source_location where) {
  const auto place = [&] { return place_of(op, name, where); };
  if (name.empty()) throw UserError(fmt::format("{}needs a name", place()));
  if (name == random_state_name && !(op == "state" && type == random_state_type))
    throw UserError(fmt::format("{}the name is kept for the state of random ops; choose another", place()));
  refuse_taken(op, name, where);
  try {
    element_count(type.shape);
  } catch (const UserError& error) {
    throw UserError(place() + error.what());
  }
  attributes.set("shape", type.shape);
  attributes.set("dtype", type.dtype);
  const Value value = add(registry().get(op), {}, std::move(attributes), name, where);
  sources_.emplace(std::move(name), value.node());
  return value;
}

Value Graph::input(std::string name, Shape shape, DType dtype, std::source_location where) {
  return source("input", std::move(name), {dtype, std::move(shape)}, {}, where);
}

Value Graph::parameter(std::string name, Extents extents, const Initializer& initializer, DType dtype,
                       std::source_location where) {
  return source("parameter", std::move(name), {dtype, to_shape(extents)},
                {{"initializer", initializer.kind}, {"scale", initializer.scale}}, where);
}

Value Graph::state(std::string name, Extents extents, const Initializer& initializer, DType dtype,
                   std::source_location where) {
  return source("state", std::move(name), {dtype, to_shape(extents)},
                {{"initializer", initializer.kind}, {"scale", initializer.scale}}, where);
}

Value Graph::random_state() {
  if (const Value known = find_source(random_state_name)) return known;
  return state(std::string(random_state_name), {3}, init::zeros(), i32);
}

Value Graph::constant(Tensor value, std::source_location where) {
  return add(registry().get("constant"), {}, {{"value", std::move(value)}}, {}, where);
}

Value Graph::constant(double value, DType dtype, std::source_location where) {
  try {
    return constant(Tensor::scalar(value, dtype), where);
  } catch (const UserError& error) {
    throw UserError(place_of("constant", "", where) + error.what());
  }
}

void Graph::output(std::string name, Value value) {
  if (!value) throw UserError(fmt::format("the output '{}' is an empty Value", name));
  if (&value.graph() != this)
    throw UserError(fmt::format("the output '{}' is a value of another graph; name it in its own", name));
  if (!output_names_.insert(name).second)
    throw UserError(fmt::format("the graph has an output '{}' already; choose another name", name));
  outputs_.push_back({std::move(name), {value.node(), value.output()}, false});
}

void Graph::update(std::string parameter, Value next) {
  if (!next) throw UserError(fmt::format("the update of '{}' is an empty Value", parameter));
  if (&next.graph() != this)
    throw UserError(
        fmt::format("the update of '{}' is a value of another graph; build it in its own", parameter));
  const int32_t target = source_id(parameter);
  if (target < 0) {
    std::vector<std::string> known;
    for (const auto& [name, id] : sources_)
      if (node(id).op->traits.source != SourceKind::input) known.push_back(name);
    throw UserError(fmt::format("there is no parameter or state '{}' to update.{}", parameter,
                                did_you_mean(parameter, known)));
  }
  if (node(target).op->traits.source == SourceKind::input)
    throw UserError(fmt::format("'{}' is an input, which cannot be updated; make it a state", parameter));
  if (node(target).outputs[0] != next.type())
    throw UserError(fmt::format("'{}' is {}, but its update is {}; an update keeps the type", parameter,
                                text(node(target).outputs[0]), text(next.type())));
  if (!updated_.insert(parameter).second)
    throw UserError(fmt::format("'{}' is updated twice; join the two updates into one", parameter));
  outputs_.push_back({std::move(parameter), {next.node(), next.output()}, true});
}

Value Graph::find_output(std::string_view name) {
  std::vector<std::string> known;
  for (const Output& out : outputs_) {
    if (!out.is_update && out.name == name) return value(out.value);
    if (!out.is_update) known.push_back(out.name);
  }
  throw UserError(fmt::format("the graph has no output '{}'.{}", name, did_you_mean(name, known)));
}

int32_t Graph::source_id(std::string_view name) const {
  const auto found = sources_.find(name);
  return found == sources_.end() ? -1 : found->second;
}

Value Graph::find_source(std::string_view name) {
  const int32_t id = source_id(name);
  return id < 0 ? Value() : Value(this, id);
}

std::vector<std::vector<int32_t>> users(const Graph& graph) {
  std::vector<std::vector<int32_t>> result(graph.size());
  for (int32_t id = 0; id < graph.size(); ++id)
    for (const Edge& edge : graph.node(id).inputs)
      if (result[edge.node].empty() || result[edge.node].back() != id) result[edge.node].push_back(id);
  return result;
}

std::vector<int32_t> nodes_behind(const Value& value, bool past_stops) {
  const Graph& graph = value.graph();
  std::vector<int32_t> nodes{value.node()};
  std::unordered_set<int32_t> seen{value.node()};
  for (size_t i = 0; i < nodes.size(); ++i) {
    const Node& node = graph.node(nodes[i]);
    if (node.op->traits.stops_gradient && !past_stops) continue;
    for (const Edge& edge : node.inputs)
      if (seen.insert(edge.node).second) nodes.push_back(edge.node);
  }
  std::sort(nodes.begin(), nodes.end());
  return nodes;
}

std::vector<bool> ancestors(const Graph& graph, std::span<const Edge> roots) {
  std::vector<bool> live(graph.size());
  for (const Edge& root : roots) live[root.node] = true;
  for (int32_t id = graph.size() - 1; id >= 0; --id)
    if (live[id])
      for (const Edge& edge : graph.node(id).inputs) live[edge.node] = true;
  return live;
}

std::vector<bool> dependents(const Graph& graph, std::span<const int32_t> sources) {
  std::vector<bool> reached(graph.size());
  for (int32_t id : sources) reached[id] = true;
  for (int32_t id = 0; id < graph.size(); ++id)
    if (!graph.node(id).op->traits.shape_only)
      for (const Edge& edge : graph.node(id).inputs)
        if (reached[edge.node]) reached[id] = true;
  return reached;
}

void GraphCopy::find_inputs(int32_t id, std::vector<Value>& inputs) const {
  inputs.clear();
  for (const Edge& edge : from_.node(id).inputs) {
    inputs.push_back((*this)(edge));
    require(bool(inputs.back()), "a node is copied before its input");
  }
}

std::vector<Value> GraphCopy::inputs(int32_t id) const {
  std::vector<Value> result;
  find_inputs(id, result);
  return result;
}

std::vector<Value> GraphCopy::values(int32_t id) const {
  std::vector<Value> result;
  if (copies_[id].first || !copies_[id].others.empty()) result.push_back(copies_[id].first);
  result.insert(result.end(), copies_[id].others.begin(), copies_[id].others.end());
  return result;
}

void GraphCopy::replace(int32_t id, std::vector<Value> values) {
  copies_[id] = {};
  if (values.empty()) return;
  copies_[id].first = values[0];
  copies_[id].others.assign(values.begin() + 1, values.end());
}

void GraphCopy::copy(int32_t id) {
  const Node& node = from_.node(id);
  const SourceKind kind = node.op->traits.source;
  Value first =
      kind == SourceKind::none || kind == SourceKind::constant ? Value() : to_.find_source(node.name);
  if (first) {
    require(first.type() == node.outputs[0], "two graphs disagree on the type of a source");
    replace(id, first);
    return;
  }
  if (kind == SourceKind::none || kind == SourceKind::constant) {
    find_inputs(id, inputs_);
    first = to_.add_again(from_, id, inputs_);
  } else {
    first = to_.add_source_again(from_, id);
  }
  replace(id, Value(&to_, first.node()));
  for (size_t i = 1; i < node.outputs.size(); ++i)
    copies_[id].others.push_back(Value(&to_, first.node(), static_cast<int32_t>(i)));
}

void GraphCopy::copy_outputs() const {
  for (const Output& out : from_.outputs()) {
    const Value value = (*this)(out.value);
    require(bool(value), "an output's node was not copied");
    if (out.is_update) {
      to_.update(out.name, value);
    } else {
      to_.output(out.name, value);
    }
  }
}

void copy_graph(const Graph& from, Graph& to) {
  GraphCopy copy(from, to);
  for (int32_t id = 0; id < from.size(); ++id) copy.copy(id);
  copy.copy_outputs();
}

}  // namespace lariat
