#pragma once

#include <filesystem>

#include "benchmarks/comparison.hpp"

namespace lariat::benchmarks {

/// What the least program with each library costs: the milliseconds until it has computed (program_start),
/// the megabytes that it takes for that (program_memory), and the milliseconds that the compiler takes to
/// read the library's header (header_compile). The programs lie in `folder`; a side that is not there is left
/// out.
Comparison compare_programs(const Case& what, const std::filesystem::path& folder, bool quick);

}  // namespace lariat::benchmarks
