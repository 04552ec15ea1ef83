#pragma once

namespace lariat::cli {

/// Throws UserError where the limit on this process's address space (ulimit -v) does not leave what `threads`
/// threads that multiply matrices need, unless fewer will do, whose number it returns. What OpenBLAS needs
/// for them is set aside then: it does not notice when there is no more, and tries for ever.
int threads_within_limit(int threads);

}  // namespace lariat::cli
