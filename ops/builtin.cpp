#include "graph/ir/registry.hpp"
#include "graph/ir/sources.hpp"
#include "ops/records.hpp"

namespace lariat {

Registry& registry() {
  static Registry& filled = []() -> Registry& {
    static Registry instance;
    for (OpDef& def : source_ops()) instance.add(std::move(def));
#define LARIAT_RECORD(name) instance.add(records::name());
#include "op_records.inc"
#undef LARIAT_RECORD
    return instance;
  }();
  return filled;
}

}  // namespace lariat
