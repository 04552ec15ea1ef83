#include "graph/passes/merge_common.hpp"

#include <unordered_map>

#include "graph/op_def.hpp"
#include "graph/print.hpp"
#include "graph/random.hpp"

namespace lariat {

namespace {

// Equal keys mean equal nodes. Large constants take part by their bits' hash and size.
std::string key_of(const Node& node, const std::vector<Value>& inputs) {
  std::string key = node.op->name;
  for (Value input : inputs) key += " " + std::to_string(input.node()) + "." + std::to_string(input.output());
  for (const auto& [name, value] : node.attributes) {
    key += " " + name + "=";
    const Tensor* tensor = std::get_if<Tensor>(&value);
    if (tensor && tensor->count() > 64) {
      key += text(tensor->type()) + "#" + std::to_string(hash_bytes(tensor->view().data, tensor->bytes())) +
             "#" + std::to_string(hash_bytes(tensor->view().data, tensor->bytes(), 0x9e3779b97f4a7c15ull));
    } else {
      key += to_text(value);
    }
  }
  return key;
}

}  // namespace

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
    const auto [known, fresh] = seen.try_emplace(key_of(node, copy.inputs(id)), id);
    if (fresh) {
      copy.copy(id);
    } else {
      copy.replace(id, copy.values(known->second));
    }
  }
  copy.copy_outputs();
}

}  // namespace lariat
