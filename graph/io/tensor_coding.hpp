#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "graph/base/tensor.hpp"
#include "graph/io/short_numbers.hpp"

namespace lariat {

/// A coded tensor, as docs/model_file.md describes it: where it is not zero, and the numbers there in the
/// fewest bits that hold them exactly, both by a range coder. Nothing where that saves less than a quarter,
/// and for tensors of doubles or integers.
std::optional<std::string> coded(const Tensor& tensor);

/// The tensor with the same bits. Throws UserError, beginning with "tensor 'name'", where these bytes are not
/// what coded() gave, or claim more than 1024 times their size.
/// `form` is set to that of its numbers.
Tensor decoded(std::string_view bytes, const std::string& name, NumberForm* form = nullptr);

}  // namespace lariat
