#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "graph/base/error.hpp"
#include "ops/plugin/lariat_op.h"

namespace lariat::plugin {

// No struct will ever be larger; what says so is garbage.
inline constexpr uint64_t largest_struct = 4096;

/// A struct of the plugin as this header knows it: members that the plugin's header did not have are zero.
/// Throws UserError where it is smaller than it was in the first release, `first_size`.
template <class T>
T read_struct(const void* from, uint64_t first_size, const std::string& what) {
  if (from == nullptr) throw UserError(fmt::format("{} is NULL", what));
  uint64_t size = 0;
  std::memcpy(&size, from, sizeof size);
  if (size < first_size || size > largest_struct)
    throw UserError(
        fmt::format("{} says that its size is {}; version 1 of lariat_op.h has {}", what, size, first_size));
  T result{};
  std::memcpy(&result, from, std::min<uint64_t>(size, sizeof result));
  return result;
}

/// Calls function(element, index) for an array of the plugin, whose elements have the size that each one
/// says.
template <class T, class Function>
void for_each(const T* first, int64_t count, uint64_t first_size, const std::string& what,
              const Function& function) {
  if (count < 0 || count > 4096)
    throw UserError(fmt::format("{} are {}; there may be 0 to 4096", what, count));
  const auto* at = reinterpret_cast<const char*>(first);
  for (int64_t i = 0; i < count; ++i) {
    const T element = read_struct<T>(at, first_size, fmt::format("{} [{}]", what, i));
    function(element, i);
    at += element.size;
  }
}

/// Sizes in the first release of version 1.
namespace first {
inline constexpr uint64_t type = 144, attribute = 56, attribute_spec = 56, argument_spec = 24, penalty = 48,
                          sample_input = 72, sample = 56, reject = 40, op = 232, plugin = 64, product = 96;
}

static_assert(sizeof(lariat_type) >= first::type && sizeof(lariat_attribute) >= first::attribute &&
              sizeof(lariat_attribute_spec) >= first::attribute_spec &&
              sizeof(lariat_argument_spec) >= first::argument_spec &&
              sizeof(lariat_penalty) >= first::penalty && sizeof(lariat_op) >= first::op &&
              sizeof(lariat_sample_input) >= first::sample_input && sizeof(lariat_sample) >= first::sample &&
              sizeof(lariat_reject) >= first::reject && sizeof(lariat_plugin) >= first::plugin);

/// A text of the plugin; "" for NULL.
inline std::string text_of(const char* text) { return text == nullptr ? std::string() : std::string(text); }

}  // namespace lariat::plugin
