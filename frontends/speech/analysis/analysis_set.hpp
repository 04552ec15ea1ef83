#pragma once

#include "frontends/speech/analysis/frame_analysis.hpp"
#include "graph/base/instruction_set.hpp"

namespace lariat::speech {

/// The analysis of frames, compiled once for each instruction set.
struct AnalysisSet {
  std::shared_ptr<const FrameAnalysis> (*make)(const FeatureOptions& resolved);
};

}  // namespace lariat::speech
