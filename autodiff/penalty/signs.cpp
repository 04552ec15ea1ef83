#include "autodiff/penalty/signs.hpp"

#include <algorithm>
#include <cmath>
#include <map>
#include <string_view>

#include "graph/ir/op_def.hpp"

namespace lariat {

namespace {

// How an op's sign follows from its inputs', where its record's traits do not say.
enum class SignRule {
  positive,     // always
  nonnegative,  // always
  least,        // that of the input with the least one
  product,      // the same, or a square, element by element
  sum,          // 0 or more where all are, more where one is
  largest,      // that of the input with the greatest one
  branches,     // of those after the first, the least
  power
};

const std::map<std::string_view, SignRule>& sign_rules() {
  static const std::map<std::string_view, SignRule> all{
      {"exp", SignRule::positive},
      {"sigmoid", SignRule::positive},
      {"softplus", SignRule::positive},
      {"softmax", SignRule::positive},
      {"element_count", SignRule::nonnegative},
      {"sqrt", SignRule::nonnegative},
      {"greater", SignRule::nonnegative},
      {"greater_equal", SignRule::nonnegative},
      {"less", SignRule::nonnegative},
      {"equal", SignRule::nonnegative},
      {"less_equal", SignRule::nonnegative},
      {"one_hot", SignRule::nonnegative},
      {"sum", SignRule::least},
      {"mean", SignRule::least},
      {"sum_to", SignRule::least},
      {"reduce_max", SignRule::least},
      {"minimum", SignRule::least},
      {"divide", SignRule::least},
      {"reciprocal", SignRule::least},
      {"log1p", SignRule::least},
      {"expm1", SignRule::least},
      {"tanh", SignRule::least},
      {"erf", SignRule::least},
      {"leaky_relu", SignRule::least},
      {"elu", SignRule::least},
      {"stop_gradient", SignRule::least},
      {"multiply", SignRule::product},
      {"matmul", SignRule::product},
      {"add", SignRule::sum},
      {"maximum", SignRule::largest},
      {"select", SignRule::branches},
      {"power", SignRule::power},
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
  const auto rule = sign_rules().find(node.op->name);
  // The penalties that come with the library are distances and the like.
  if (rule == sign_rules().end()) return node.op->penalty && !node.op->plugin ? Sign::nonnegative : Sign::any;
  switch (rule->second) {
    case SignRule::positive:
      return Sign::positive;
    case SignRule::nonnegative:
      return Sign::nonnegative;
    case SignRule::least:
      return least(0);
    case SignRule::product:
      return node.op->traits.elementwise && node.inputs[0] == node.inputs[1]
                 ? std::max(least(0), Sign::nonnegative)
                 : least(0);
    case SignRule::sum:
      return least(0) == Sign::any ? Sign::any : largest();
    case SignRule::largest:
      return largest();
    case SignRule::branches:
      return least(1);
    case SignRule::power: {
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
