#include "graph/program/evaluate.hpp"

#include <fmt/format.h>

#include "graph/base/error.hpp"
#include "graph/ir/op_def.hpp"
#include "graph/program/program.hpp"

namespace lariat {

std::vector<Tensor> evaluate(const std::vector<Value>& values, const Feeds& feeds, const Store& store) {
  if (values.empty()) return {};
  std::vector<Edge> roots;
  for (Value value : values) {
    if (!value) throw UserError("an empty Value is to be evaluated; build the value first");
    if (&value.graph() != &values[0].graph())
      throw UserError("values to evaluate belong to two graphs; evaluate each by itself");
    roots.push_back({value.node(), value.output()});
  }
  const Graph& graph = values[0].graph();
  const std::vector<bool> needed = ancestors(graph, roots);
  for (int32_t id = 0; id < graph.size(); ++id) {
    const Node& node = graph.node(id);
    if (needed[id] && node.op->traits.source == SourceKind::parameter && !store.find(node.name))
      throw UserError(
          fmt::format("{}is needed, but the store has no tensor of that name; give evaluate a store that "
                      "has it, such as Trainer::store()",
                      place_of(node)));
  }
  Store none;
  return inference_program(graph, values, &store)->run(feeds, none, *make_tbb_executor());
}

Tensor evaluate(Value value, const Feeds& feeds, const Store& store) {
  return evaluate(std::vector<Value>{value}, feeds, store)[0];
}

Tensor evaluate(Value value, std::initializer_list<std::pair<Value, Tensor>> feeds, const Store& store) {
  Feeds named;
  for (const auto& [input, tensor] : feeds) {
    const std::string name = input.name();
    if (value && &input.graph() != &value.graph())
      throw UserError(
          fmt::format("'{}' is fed as an input of another graph than that of the value to evaluate; "
                      "take it from there",
                      name));
    if (!named.emplace(name, tensor).second)
      throw UserError(fmt::format("'{}' is fed twice; feed each input once", name));
  }
  return evaluate(value, named, store);
}

}  // namespace lariat
