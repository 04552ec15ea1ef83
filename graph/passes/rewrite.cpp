#include "graph/passes/rewrite.hpp"

#include <cmath>
#include <unordered_map>

#include "graph/base/error.hpp"
#include "graph/ir/registry.hpp"

namespace lariat {

struct Pattern::Node {
  enum class Kind { variable, number, op } kind;
  int variable = 0;
  double number = 0;
  std::string op;
  std::vector<Pattern> inputs;
  Attributes attributes;
};

Pattern::Pattern(double number)
    : node_(std::make_shared<Node>(
          Node{.kind = Node::Kind::number, .number = number, .op = {}, .inputs = {}, .attributes = {}})) {}

Pattern Pattern::variable(int index) {
  return Pattern(std::make_shared<const Node>(
      Node{.kind = Node::Kind::variable, .variable = index, .op = {}, .inputs = {}, .attributes = {}}));
}

Pattern Pattern::op(std::string name, std::vector<Pattern> inputs, Attributes attributes) {
  return Pattern(std::make_shared<const Node>(Node{.kind = Node::Kind::op,
                                                   .op = std::move(name),
                                                   .inputs = std::move(inputs),
                                                   .attributes = std::move(attributes)}));
}

Pattern operator+(const Pattern& a, const Pattern& b) { return Pattern::op("add", {a, b}); }
Pattern operator-(const Pattern& a, const Pattern& b) { return Pattern::op("subtract", {a, b}); }
Pattern operator*(const Pattern& a, const Pattern& b) { return Pattern::op("multiply", {a, b}); }
Pattern operator/(const Pattern& a, const Pattern& b) { return Pattern::op("divide", {a, b}); }
Pattern operator-(const Pattern& a) { return Pattern::op("negate", {a}); }

namespace {

// Of the two zeros, the one that is written: x - (-0) is no x where x is -0.
bool is_number(Value value, double number) {
  const Node& node = value.graph().node(value.node());
  if (node.op->traits.source != SourceKind::constant) return false;
  const Tensor& tensor = node.attributes.get<Tensor>("value");
  if (tensor.count() == 0 || tensor.count() > 4096) return false;
  for (int64_t i = 0; i < tensor.count(); ++i)
    if (tensor.at(i) != number || std::signbit(tensor.at(i)) != std::signbit(number)) return false;
  return true;
}

bool is_same_constant(Value a, Value b) {
  const auto constant = [](Value value) {
    const Node& node = value.graph().node(value.node());
    return node.op->traits.source == SourceKind::constant ? &node.attributes.get<Tensor>("value") : nullptr;
  };
  const Tensor *left = constant(a), *right = constant(b);
  return left && right && same_bits(*left, *right);
}

// Patterns are written by hand and a few levels deep, so recursion over them is bounded.
bool matches(const Pattern& pattern, Value value, std::vector<Value>& variables) {
  const Pattern::Node& wanted = pattern.node();
  switch (wanted.kind) {
    case Pattern::Node::Kind::variable: {
      if (variables.size() <= static_cast<size_t>(wanted.variable)) variables.resize(wanted.variable + 1);
      Value& slot = variables[wanted.variable];
      if (!slot) slot = value;
      return is_same(slot, value) || is_same_constant(slot, value);
    }
    case Pattern::Node::Kind::number:
      return is_number(value, wanted.number);
    case Pattern::Node::Kind::op:
      break;
  }
  const Graph& graph = value.graph();
  const Node& node = graph.node(value.node());
  if (value.output() != 0 || node.op->name != wanted.op || node.inputs.size() != wanted.inputs.size())
    return false;
  const std::vector<Value> before = variables;
  const auto in_order = [&](bool swapped) {
    variables = before;
    for (size_t i = 0; i < wanted.inputs.size(); ++i) {
      const Edge edge = node.inputs[swapped ? 1 - i : i];
      if (!matches(wanted.inputs[i], value.graph().value(edge), variables)) return false;
    }
    return true;
  };
  if (in_order(false)) return true;
  return node.op->traits.commutative && node.inputs.size() == 2 && in_order(true);
}

Value build_pattern(const Pattern& pattern, const Match& match) {
  const Pattern::Node& node = pattern.node();
  Graph& graph = match.root.graph();
  switch (node.kind) {
    case Pattern::Node::Kind::variable:
      return match.variables.at(node.variable);
    case Pattern::Node::Kind::number:
      return graph.constant(node.number, match.root.dtype());
    case Pattern::Node::Kind::op:
      break;
  }
  std::vector<Value> inputs;
  for (const Pattern& input : node.inputs) inputs.push_back(build_pattern(input, match));
  return graph.add(registry().get(node.op), inputs, node.attributes, {}, graph.node(match.root.node()).where);
}

}  // namespace

std::optional<Match> match(const Pattern& pattern, Value value) {
  Match found{value, {}};
  if (!matches(pattern, value, found.variables)) return std::nullopt;
  return found;
}

Rule::Rule(std::string name, Pattern from, Pattern to, std::function<bool(const Match&)> condition)
    : name(std::move(name)),
      from(std::move(from)),
      to([to = std::move(to), condition = std::move(condition)](const Match& match) {
        return condition && !condition(match) ? Value() : build_pattern(to, match);
      }) {}

namespace {

// The rules whose left side may be a node of an op, in their order.
class RulesOf {
 public:
  explicit RulesOf(const std::vector<Rule>& rules) : rules_(rules) {}
  const std::vector<const Rule*>& operator()(const OpDef& op) {
    const auto [known, fresh] = of_.try_emplace(&op);
    if (fresh)
      for (const Rule& rule : rules_)
        if (const Pattern::Node& root = rule.from.node();
            root.kind != Pattern::Node::Kind::op || root.op == op.name)
          known->second.push_back(&rule);
    return known->second;
  }

 private:
  const std::vector<Rule>& rules_;
  std::unordered_map<const OpDef*, std::vector<const Rule*>> of_;
};

}  // namespace

bool may_apply(const std::vector<Rule>& rules, const Graph& graph) {
  RulesOf rules_of(rules);
  for (int32_t id = 0; id < graph.size(); ++id)
    if (!rules_of(*graph.node(id).op).empty()) return true;
  return false;
}

GraphCopy rewrite(const Graph& from, Graph& to, const std::vector<Rule>& rules,
                  const std::function<bool(int32_t)>& eligible) {
  GraphCopy copy(from, to);
  RulesOf rules_of(rules);
  int64_t steps_left = 1000 + 20 * static_cast<int64_t>(from.size());
  for (int32_t id = 0; id < from.size(); ++id) {
    copy.copy(id);
    const bool single =
        from.node(id).outputs.size() == 1 && from.node(id).op->traits.source == SourceKind::none;
    if (!single || (eligible && !eligible(id))) continue;
    Value current = copy.values(id)[0];
    for (bool changed = true; changed;) {
      changed = false;
      for (const Rule* rule : rules_of(*node_of(current).op)) {
        const std::optional<Match> found = match(rule->from, current);
        if (!found) continue;
        const Value next = rule->to(*found);
        if (!next || is_same(next, current) || next.type() != current.type()) continue;
        if (--steps_left < 0)
          throw InternalError("internal fault: the rewrite rule '" + rule->name + "' runs in circles");
        current = next;
        changed = true;
        break;
      }
    }
    copy.replace(id, {current});
  }
  return copy;
}

}  // namespace lariat
