#pragma once

#include "frontends/sequential/sequential.hpp"

namespace lariat::testing {

/// What a layer of the name "layer" gives, and the weights that it was given.
struct Applied {
  Tensor values, lengths;
  Store store;
};
/// One layer on images [batch, height, width, channels], or on sequences where there are lengths.
Applied apply(const LayerSpec& layer, const Tensor& features, const std::vector<int32_t>& lengths = {});

}  // namespace lariat::testing
