#pragma once

#include <vector>

namespace lariat::speech {

/// HTK: mel = 1127·ln(1 + f/700). Slaney: linear below 1 kHz, logarithmic above (Auditory Toolbox, 1998).
enum class MelScale { htk, slaney };

double mel_of(double hertz, MelScale scale);
double hertz_of(double mel, MelScale scale);

/// What the triangles are linear in: Kaldi's in mel, torchaudio's and librosa's in Hz.
enum class TriangleAxis { mel, hertz };

/// Height of the triangles: 1, or 2 / width in Hz, which gives each the same area.
enum class MelNorm { none, slaney };

/// Where the filters lie: `filters` triangles with edges from `low` to `high` Hz, over the fft_size/2 + 1
/// bins of a power spectrum.
struct MelLayout {
  int filters = 0, fft_size = 0;
  double sample_rate = 0, low = 0, high = 0;
  MelScale scale = MelScale::htk;
  TriangleAxis axis = TriangleAxis::mel;
  MelNorm norm = MelNorm::none;
  /// The edges and centres are those of no warping, moved by warped().
  double warp = 1, warp_low = 0, warp_high = 0;
};

/// Kaldi's piecewise linear warping of frequencies for another length of the vocal tract: f/warp between
/// warp_low·max(1, warp) and warp_high·min(1, warp), and straight lines from there to `low` and `high`, which
/// stay where they are. A formant at f is seen where one at f·warp would be without.
double warped(double hertz, const MelLayout& layout);

/// A triangle over the bins from first_bin on; without weights where it is so narrow that it holds no bin.
struct MelFilter {
  int first_bin = 0;
  std::vector<double> weights;
};

/// Triangular filters, equally spaced on the mel scale.
std::vector<MelFilter> make_mel_filters(const MelLayout& layout);

}  // namespace lariat::speech
