#include "graph/ir/registry.hpp"

#include <fmt/format.h>

#include "graph/base/error.hpp"

namespace lariat {

const OpDef& Registry::add(OpDef def) {
  const auto check = [&](bool condition, std::string_view what) {
    if (!condition)
      throw InternalError(fmt::format("internal fault: the record of op '{}' {}", def.name, what));
  };
  check(!def.doc.empty(), "has no documentation");
  check(!def.outputs.empty(), "has no output");
  if (def.traits.source == SourceKind::none) {
    check(def.infer, "has no shape inference");
    check(def.traits.alias || def.kernel, "has no kernel");
    check(!def.traits.elementwise || def.block || def.prepare, "is element-wise without a block kernel");
  }
  check(!def.penalty || def.penalty->scalar || (def.penalty->prox && def.penalty->residual),
        "is a penalty without a prox or the distance to its subdifferential");
  if (defs_.contains(def.name))
    throw UserError(fmt::format("the op '{}' exists already; choose another name", def.name));
  const std::string name = def.name;
  return *defs_.emplace(name, std::make_unique<OpDef>(std::move(def))).first->second;
}

const OpDef* Registry::find(std::string_view name) const {
  const auto found = defs_.find(name);
  return found == defs_.end() ? nullptr : found->second.get();
}

const OpDef& Registry::get(std::string_view name) const {
  if (const OpDef* def = find(name)) return *def;
  std::vector<std::string> known;
  for (const auto& [other, def] : defs_) known.push_back(other);
  const std::string nearest = nearest_name(name, known);
  throw UserError(fmt::format(
      "there is no op '{}'.{}", name,
      nearest.empty() ? " `lariat ops list` names them all." : fmt::format(" Did you mean '{}'?", nearest)));
}

std::vector<const OpDef*> Registry::all() const {
  std::vector<const OpDef*> result;
  for (const auto& [name, def] : defs_) result.push_back(def.get());
  return result;
}

}  // namespace lariat
