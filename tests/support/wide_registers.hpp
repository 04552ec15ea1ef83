#pragma once

namespace lariat::testing {

/// Whether the halves of the vector registers that only AVX uses are in use on this thread: code without AVX
/// takes several times as long until they are cleared, so that nothing may return so. False where the
/// processor does not tell.
bool are_wide_registers_in_use();

}  // namespace lariat::testing
