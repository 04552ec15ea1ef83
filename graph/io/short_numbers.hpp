#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "graph/base/tensor.hpp"

namespace lariat {

/// The nearest number of IEEE 754's binary16, ties to even; infinity beyond its largest, 65504.
float to_float16(float value);

/// How few bits hold every element of a tensor of floats exactly.
enum class NumberForm { float32, float16, int8 };
/// "f32", "f16", "int8".
std::string_view name_of(NumberForm form);
/// Throws UserError "name: must be f32, f16 or int8" with the nearest one.
NumberForm number_form_named(const std::string& name);

/// The scale of a channel of whole numbers from -127 to 127, which has 5 significant bits: with `largest` as
/// the largest magnitude of the channel's numbers. 0 where all of them become 0.
float int8_scale(float largest);

/// The channels of a tensor are its last axis, so that a kernel has one for each unit. The scales at which
/// every element is a whole number from -127 to 127 times its channel's: what as_int8() gives has them.
/// Nothing where there are none.
std::optional<std::vector<float>> int8_scales(const Tensor& tensor);

/// The form with the fewest bits, with `scales` for int8, which is for two axes or more.
NumberForm form_of(const Tensor& tensor, std::vector<float>* scales);

/// Every element as the nearest number that the form has, as floats; what is in that form stays as it is.
/// The elements must be finite; one that float16 cannot hold becomes infinite.
Tensor rounded(const Tensor& tensor, NumberForm form);

}  // namespace lariat
