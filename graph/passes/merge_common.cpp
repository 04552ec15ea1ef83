#include "graph/passes/merge_common.hpp"

#include <unordered_map>

#include "graph/base/random.hpp"
#include "graph/ir/op_def.hpp"
#include "graph/ir/print.hpp"

namespace lariat {

std::string node_key(const Node& node, std::span<const Edge> inputs) {
  std::string key = node.op->name;
  const auto add_bytes = [&](const void* data, size_t size) {
    key.append(static_cast<const char*>(data), size);
  };
  const size_t count = inputs.size();
  add_bytes(&count, sizeof count);
  add_bytes(inputs.data(), inputs.size_bytes());
  for (const auto& [name, value] : node.attributes) {
    key += " " + name + "=";
    const Tensor* tensor = std::get_if<Tensor>(&value);
    if (tensor && tensor->count() <= 64) {
      key += text(tensor->type()) + "=";
      add_bytes(tensor->view().data, tensor->bytes());
    } else if (tensor) {
      key += text(tensor->type()) + "#" + std::to_string(hash_bytes(tensor->view().data, tensor->bytes())) +
             "#" + std::to_string(hash_bytes(tensor->view().data, tensor->bytes(), 0x9e3779b97f4a7c15ull));
    } else {
      key += to_text(value);
    }
  }
  return key;
}

void merge_common(const Graph& from, Graph& to) {
  GraphCopy copy(from, to);
  std::unordered_map<std::string, int32_t> seen;
  for (int32_t id = 0; id < from.size(); ++id) {
    const Node& node = from.node(id);
    const SourceKind source = node.op->traits.source;
    if (source != SourceKind::none && source != SourceKind::constant) {
      copy.copy(id);
      continue;
    }
    std::vector<Edge> inputs;
    for (Value input : copy.inputs(id)) inputs.push_back({input.node(), input.output()});
    const auto [known, fresh] = seen.try_emplace(node_key(node, inputs), id);
    if (fresh) {
      copy.copy(id);
    } else {
      copy.replace(id, copy.values(known->second));
    }
  }
  copy.copy_outputs();
}

}  // namespace lariat
