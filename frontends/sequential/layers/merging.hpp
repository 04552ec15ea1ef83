#pragma once

#include "frontends/sequential/layer.hpp"

namespace lariat {

/// Throws UserError naming the layer where its inputs have not one shape, but for the last `but` axes, or
/// some are sequences and some are not.
void check_alike(const LayerContext& context, const std::vector<Signal>& inputs, size_t but);

}  // namespace lariat
