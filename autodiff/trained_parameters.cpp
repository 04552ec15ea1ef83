#include "autodiff/trained_parameters.hpp"

#include <fmt/format.h>

#include <set>

#include "graph/base/error.hpp"
#include "graph/ir/graph.hpp"
#include "graph/ir/op_def.hpp"

namespace lariat {

std::vector<Value> trained_parameters(Value loss, const std::vector<Value>& asked) {
  const Graph& graph = loss.graph();
  const Edge root{loss.node(), loss.output()};
  const std::vector<bool> used = ancestors(graph, {&root, 1});
  std::vector<Value> found;
  std::set<std::string> wanted, names;
  for (Value value : asked) wanted.insert(value.name());
  for (int32_t id = 0; id < graph.size(); ++id) {
    if (!used[id] || graph.node(id).op->traits.source != SourceKind::parameter) continue;
    if (!asked.empty() && !wanted.contains(graph.node(id).name)) continue;
    if (!is_float(graph.node(id).outputs[0].dtype))
      throw UserError(place_of(graph.node(id)) + "is " + text(graph.node(id).outputs[0]) +
                      ", which cannot be trained; make it a state with Graph::state, or f32");
    names.insert(graph.node(id).name);
    found.push_back({&loss.graph(), id});
  }
  for (Value value : asked)
    if (!names.contains(value.name()))
      throw UserError(fmt::format("'{}' is to be trained, but the loss depends on no parameter of that name",
                                  value.name()));
  if (found.empty())
    throw UserError("the loss depends on no parameter that is trained; make one with Graph::parameter");
  return found;
}

}  // namespace lariat
