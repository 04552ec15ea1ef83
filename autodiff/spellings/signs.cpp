#include "autodiff/spellings/signs.hpp"

#include <algorithm>
#include <cmath>
#include <map>
#include <string_view>

#include "graph/op_def.hpp"

namespace lariat {

namespace {

// How an op's sign follows from its inputs', where its record's traits do not say.
enum class Rule {
  positive,     // always
  nonnegative,  // always
  least,        // that of the input with the least one
  product,      // the same, or a square
  sum,          // 0 or more where all are, more where one is
  largest,      // that of the input with the greatest one
  branches,     // of those after the first, the least
  power
};

const std::map<std::string_view, Rule>& rules() {
  static const std::map<std::string_view, Rule> all{
      {"exp", Rule::positive},
      {"sigmoid", Rule::positive},
      {"softplus", Rule::positive},
      {"softmax", Rule::positive},
      {"element_count", Rule::nonnegative},
      {"sqrt", Rule::nonnegative},
      {"greater", Rule::nonnegative},
      {"greater_equal", Rule::nonnegative},
      {"less", Rule::nonnegative},
      {"equal", Rule::nonnegative},
      {"less_equal", Rule::nonnegative},
      {"one_hot", Rule::nonnegative},
      {"sum", Rule::least},
      {"mean", Rule::least},
      {"sum_to", Rule::least},
      {"reduce_max", Rule::least},
      {"minimum", Rule::least},
      {"divide", Rule::least},
      {"reciprocal", Rule::least},
      {"log1p", Rule::least},
      {"expm1", Rule::least},
      {"tanh", Rule::least},
      {"erf", Rule::least},
      {"leaky_relu", Rule::least},
      {"elu", Rule::least},
      {"stop_gradient", Rule::least},
      {"multiply", Rule::product},
      {"matmul", Rule::product},
      {"add", Rule::sum},
      {"maximum", Rule::largest},
      {"select", Rule::branches},
      {"power", Rule::power},
  };
  return all;
}

std::optional<Tensor> constant_of(const Node& node) {
  if (node.op->traits.source != SourceKind::constant) return std::nullopt;
  return node.attributes.get<Tensor>("value");
}

}  // namespace

Signs::Sign Signs::found(const Node& node) const {
  if (const auto tensor = constant_of(node)) {
    double least = tensor->count() == 0 ? 0 : tensor->at(0);
    for (int64_t i = 1; i < tensor->count(); ++i) least = std::min(least, tensor->at(i));
    return least > 0 ? Sign::positive : least >= 0 ? Sign::nonnegative : Sign::any;
  }
  std::vector<Sign> inputs;
  for (const Edge& edge : node.inputs) inputs.push_back(known_[edge.node]);
  const auto least = [&](size_t begin) {
    return begin < inputs.size()
               ? *std::min_element(inputs.begin() + static_cast<int64_t>(begin), inputs.end())
               : Sign::any;
  };
  const auto largest = [&] { return *std::max_element(inputs.begin(), inputs.end()); };
  if (node.op->traits.selection) {
    Sign shown = Sign::nonnegative;  // zeros may stand between
    for (size_t i = 0; i < inputs.size(); ++i)
      if (node.op->traits.is_linear(i)) shown = std::min(shown, inputs[i]);
    const bool all_shown = node.inputs.size() == 1 && node.op->traits.alias;
    return all_shown ? inputs[0] : shown;
  }
  const auto rule = rules().find(node.op->name);
  // The penalties that come with the library are distances and the like.
  if (rule == rules().end()) return node.op->penalty && !node.op->plugin ? Sign::nonnegative : Sign::any;
  switch (rule->second) {
    case Rule::positive:
      return Sign::positive;
    case Rule::nonnegative:
      return Sign::nonnegative;
    case Rule::least:
      return least(0);
    case Rule::product:
      return node.inputs[0] == node.inputs[1] ? std::max(least(0), Sign::nonnegative) : least(0);
    case Rule::sum:
      return least(0) == Sign::any ? Sign::any : largest();
    case Rule::largest:
      return largest();
    case Rule::branches:
      return least(1);
    case Rule::power: {
      const auto exponent = constant_of(graph_.node(node.inputs[1].node));
      const bool even = exponent && exponent->count() == 1 && std::fmod(exponent->item(), 2) == 0;
      return even ? std::max(inputs[0], Sign::nonnegative) : inputs[0];
    }
  }
  return Sign::any;
}

Signs::Sign Signs::of(Value value) {
  while (static_cast<int32_t>(known_.size()) <= value.node())
    known_.push_back(found(graph_.node(static_cast<int32_t>(known_.size()))));
  return known_[value.node()];
}

}  // namespace lariat
