#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "autodiff/training/trainer.hpp"
#include "frontends/spec/weight_penalty.hpp"
#include "graph/io/store.hpp"

namespace lariat {

/// Which elements of some tensors are not zero, one tensor after the other.
using Support = std::vector<bool>;

Support support_of(const Store& store, std::span<const std::string> names);
/// The share of elements that are not zero in one and zero in the other, of supports of one size above 0.
double share_changed(const Support& before, const Support& now);

/// Blocks of neighbouring rows and columns, as group_blocks has them, that are all zero, among all; of a
/// tensor with more axes than two those of each matrix.
Sparsity zero_blocks(const Tensor& tensor, BlockShape blocks);

/// Four elements a digit; and back, with up to three zeros more. Nothing where `text` is something else.
std::string hexadecimal(const Support& support);
std::optional<Support> parse_support(std::string_view text);

}  // namespace lariat
