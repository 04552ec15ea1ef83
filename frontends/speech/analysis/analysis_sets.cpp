#include "frontends/speech/analysis/analysis_set.hpp"

namespace lariat::speech {

namespace {

int dimensions_of(const FeatureOptions& options, int fft_size) {
  switch (options.kind) {
    case FeatureKind::mfcc:
      return options.num_ceps;
    case FeatureKind::spectrogram:
      return fft_size / 2 + 1;
    default:
      return options.num_mel_bins + (options.use_energy ? 1 : 0);
  }
}

}  // namespace

FrameAnalysis::FrameAnalysis(const FeatureOptions& resolved)
    : options_(resolved),
      frame_samples_(speech::frame_samples(resolved)),
      shift_samples_(speech::shift_samples(resolved)),
      fft_samples_(speech::fft_samples(resolved)),
      dimensions_(dimensions_of(resolved, fft_samples_)) {}

#define LARIAT_INSTRUCTION_SET(name) extern "C" const AnalysisSet lariat_analysis_##name;
#include "instruction_sets.inc"
#undef LARIAT_INSTRUCTION_SET

std::shared_ptr<const FrameAnalysis> make_frame_analysis(const FeatureOptions& resolved) {
  PerInstructionSet<AnalysisSet> sets{};
#define LARIAT_INSTRUCTION_SET(name) \
  sets[static_cast<size_t>(InstructionSet::name)] = &lariat_analysis_##name;
#include "instruction_sets.inc"
#undef LARIAT_INSTRUCTION_SET
  return in_use(sets).make(resolved);
}

}  // namespace lariat::speech
