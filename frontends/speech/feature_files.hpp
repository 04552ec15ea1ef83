#pragma once

#include <string>

#include "frontends/speech/features.hpp"

namespace lariat::speech {

/// One line per frame, values separated by commas, in the fewest digits that read back as the same float.
void write_csv(const std::string& file, const FeatureMatrix& features);

/// NumPy's .npy, version 1.0: float32, C order, shape (frames, dimensions).
void write_npy(const std::string& file, const FeatureMatrix& features);

}  // namespace lariat::speech
