#include "graph/registry.hpp"
#include "graph/sources.hpp"
#include "ops/records.hpp"

namespace lariat {

Registry& registry() {
  static Registry& filled = []() -> Registry& {
    static Registry instance;
    for (OpDef& def : source_ops()) instance.add(std::move(def));
#define LARIAT_RECORD(name) instance.add(records::name());
#include "ops/builtin.inc"
#undef LARIAT_RECORD
    return instance;
  }();
  return filled;
}

}  // namespace lariat
