#pragma once

#include <cstdint>
#include <vector>

namespace lariat::speech {

/// HTK: mel = 1127·ln(1 + f/700). Slaney: linear below 1 kHz, logarithmic above (Auditory Toolbox, 1998).
enum class MelScale { htk, slaney };

double mel_of(double hertz, MelScale scale);
double hertz_of(double mel, MelScale scale);

/// What the triangles are linear in: Kaldi's in mel, torchaudio's and librosa's in Hz.
enum class TriangleAxis { mel, hertz };

/// Triangular filters, equally spaced on the mel scale, over the bins of a power spectrum.
class MelBank {
 public:
  /// Edges run from `low` to `high` Hz; the spectrum has fft_size/2 + 1 bins.
  MelBank(int filters, int fft_size, double sample_rate, double low, double high, MelScale scale, TriangleAxis axis);

  int filters() const { return static_cast<int>(bank_.size()); }
  /// How many filters are so narrow that they hold no bin.
  int empty_filters() const;
  /// energies[m] = Σ_k weight[m][k]·spectrum[k]
  void apply(const std::vector<double>& spectrum, double* energies) const;

 private:
  struct Filter {
    size_t first_bin = 0;
    std::vector<double> weights;
  };
  std::vector<Filter> bank_;
};

}  // namespace lariat::speech
