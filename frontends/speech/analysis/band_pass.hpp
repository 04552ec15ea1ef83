#pragma once

#include <array>
#include <vector>

namespace lariat::speech {

/// A Butterworth high-pass at `low` Hz and a low-pass at `high` Hz, one after the other, each of the even
/// `order`; 0 Hz leaves that one out. Both lose 3 dB at their edge and 6·order dB an octave beyond it. Made
/// of biquads: the analogue sections 1/(s² + s/Q + 1), Q = 1/(2·cos θ), by the bilinear transform, prewarped
/// at the edge (Bristow-Johnson, Audio EQ Cookbook, 1998).
class BandPass {
 public:
  BandPass(double low, double high, int order, int sample_rate);

  bool is_empty() const { return sections_.empty(); }
  /// Filters samples in place, in double; a call goes on where the one before it ended.
  void apply(std::vector<float>& samples);
  /// What comes next is a recording of its own.
  void reset();

 private:
  // b₀, b₁, b₂ and a₁, a₂ of y[t] = Σ b·x - Σ a·y, and what the next sample takes of those before it.
  struct Section {
    std::array<double, 3> b;
    std::array<double, 2> a;
    std::array<double, 2> state = {};
  };
  std::vector<Section> sections_;
};

}  // namespace lariat::speech
