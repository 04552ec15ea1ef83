#include "graph/ir/sources.hpp"
#include "ops/instruction_sets/kernel_set.hpp"

namespace lariat {

#define LARIAT_INSTRUCTION_SET(name) extern "C" const KernelSet lariat_kernels_##name;
#include "instruction_sets.inc"
#undef LARIAT_INSTRUCTION_SET

const PerInstructionSet<KernelSet>& kernel_sets() {
  static const PerInstructionSet<KernelSet> sets = [] {
    PerInstructionSet<KernelSet> tables{};
#define LARIAT_INSTRUCTION_SET(name) \
  tables[static_cast<size_t>(InstructionSet::name)] = &lariat_kernels_##name;
#include "instruction_sets.inc"
#undef LARIAT_INSTRUCTION_SET
    return tables;
  }();
  return sets;
}

const KernelSet& kernel_set() { return in_use(kernel_sets()); }

Registry& registry() {
  static Registry& filled = []() -> Registry& {
    static Registry instance;
    for (OpDef& def : source_ops()) instance.add(std::move(def));
    kernel_set().add_records(instance);
    return instance;
  }();
  return filled;
}

}  // namespace lariat
