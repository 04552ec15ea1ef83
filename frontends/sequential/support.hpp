#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "graph/io/store.hpp"

namespace lariat {

/// Which elements of some tensors are not zero, one tensor after the other.
using Support = std::vector<bool>;

Support support_of(const Store& store, std::span<const std::string> names);
/// The share of elements that are not zero in one and zero in the other, of supports of one size above 0.
double share_changed(const Support& before, const Support& now);

/// Four elements a digit; and back, with up to three zeros more. Nothing where `text` is something else.
std::string hexadecimal(const Support& support);
std::optional<Support> parse_support(std::string_view text);

}  // namespace lariat
