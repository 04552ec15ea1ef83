#include "graph/passes/freeze.hpp"

#include <fmt/format.h>

#include <set>

#include "graph/base/error.hpp"
#include "graph/ir/op_def.hpp"

namespace lariat {

void freeze(const Graph& from, const Store& store, Graph& to) {
  std::vector<Edge> roots;
  std::set<std::string, std::less<>> updated;
  for (const Output& output : from.outputs()) {
    roots.push_back(output.value);
    if (output.is_update) updated.insert(output.name);
  }
  const std::vector<bool> live = ancestors(from, roots);
  GraphCopy copy(from, to);
  for (int32_t id = 0; id < from.size(); ++id) {
    const Node& node = from.node(id);
    const SourceKind source = node.op->traits.source;
    if (!live[id] || (source != SourceKind::parameter && source != SourceKind::state) ||
        updated.contains(node.name)) {
      copy.copy(id);
      continue;
    }
    Tensor tensor = store.get(node.name);
    if (tensor.type() != node.outputs[0])
      throw UserError(
          fmt::format("'{}' is {} in the model but {} in the store; the two belong to different models",
                      node.name, text(node.outputs[0]), text(tensor.type())));
    copy.replace(id, {to.constant(std::move(tensor), node.where)});
  }
  copy.copy_outputs();
}

}  // namespace lariat
