#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace lariat::testing {

/// Something that reads what anybody may have written. For any input it returns, or throws a UserError of one
/// line; nothing else.
struct FuzzTarget {
  const char* name;
  void (*read)(const std::string& input);
  /// Inputs that it takes, of which others are made.
  std::vector<std::string> (*seeds)();
};

/// All of them, in targets.cpp.
const std::vector<FuzzTarget>& fuzz_targets();

/// An input that is made of `seeds` by some changes: bits, bytes, pieces of them and of each other, words
/// that readers trip over. The same for the same `seed` and `number`.
std::string changed(const std::vector<std::string>& seeds, uint64_t seed, uint64_t number);

/// Why `input` is wrongly treated, or "".
std::string fault_of(const FuzzTarget& target, const std::string& input);

/// Reads `cases` inputs that are made of the seeds; the same for the same `seed`. Returns "" or what the
/// first fault is, with the smallest input of the kind as a file beside it. An input that crashes or hangs
/// the process is left in that file too.
std::string fuzz(const FuzzTarget& target, int64_t cases, uint64_t seed);

/// A file in memory that holds `input`, by its path; the next call reuses it.
std::string file_with(const std::string& input);

}  // namespace lariat::testing
