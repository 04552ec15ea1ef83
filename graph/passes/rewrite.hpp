#pragma once

#include <functional>
#include <optional>

#include "graph/ir/builder.hpp"

namespace lariat {

/// A tree of ops over variables: the left or right side of a rule. Written with the same operators as values.
class Pattern {
 public:
  /// A number: matches a constant all of whose elements equal it; built as a scalar constant.
  Pattern(double number);
  Pattern(int number) : Pattern(static_cast<double>(number)) {}
  /// A variable: matches any value, the same one wherever it stands in the pattern.
  static Pattern variable(int index);
  /// Any node of this op. Both orders are tried for commutative ops. On a rule's right side attributes are
  /// taken from `attributes`; on its left side they are not looked at.
  static Pattern op(std::string name, std::vector<Pattern> inputs, Attributes attributes = {});

  struct Node;
  const Node& node() const { return *node_; }

 private:
  explicit Pattern(std::shared_ptr<const Node> node) : node_(std::move(node)) {}
  std::shared_ptr<const Node> node_;
};

Pattern operator+(const Pattern& a, const Pattern& b);
Pattern operator-(const Pattern& a, const Pattern& b);
Pattern operator*(const Pattern& a, const Pattern& b);
Pattern operator/(const Pattern& a, const Pattern& b);
Pattern operator-(const Pattern& a);

/// What a rule's left side matched.
struct Match {
  Value root;
  std::vector<Value> variables;
};

/// Whether `value` is what the pattern says, and which values its variables are.
std::optional<Match> match(const Pattern& pattern, Value value);

/// from → to, where the condition holds. The replacement must have the type of what it replaces; a rule whose
/// result has another type does not apply.
struct Rule {
  std::string name;
  Pattern from;
  /// Builds the replacement; an empty Value says that the rule does not apply after all.
  std::function<Value(const Match&)> to;

  Rule(std::string name, Pattern from, Pattern to, std::function<bool(const Match&)> condition = {});
  Rule(std::string name, Pattern from, std::function<Value(const Match&)> to)
      : name(std::move(name)), from(std::move(from)), to(std::move(to)) {}
};

/// Whether the graph has a node of an op that stands at the root of a rule's left side.
bool may_apply(const std::vector<Rule>& rules, const Graph& graph);

/// Copies all nodes of `from` into `to`, at each applying the first rule that fits until none does.
/// `eligible` may protect nodes of `from`. Outputs are not copied. Throws InternalError naming the rule where
/// rules run in circles.
GraphCopy rewrite(const Graph& from, Graph& to, const std::vector<Rule>& rules,
                  const std::function<bool(int32_t)>& eligible = {});

}  // namespace lariat
