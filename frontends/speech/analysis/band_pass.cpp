#include "frontends/speech/analysis/band_pass.hpp"

#include <cmath>
#include <numbers>

namespace lariat::speech {

BandPass::BandPass(double low, double high, int order, int sample_rate) {
  const auto add = [&](double edge, bool passes_low) {
    if (edge <= 0) return;
    // The cookbook's ω, α and sign: of a low-pass b = (1 - cos ω)/2·{1, 2, 1}, of a high-pass
    // (1 + cos ω)/2·{1, -2, 1}; a = {1 + α, -2 cos ω, 1 - α}.
    const double omega = 2 * std::numbers::pi * edge / sample_rate, cosine = std::cos(omega);
    for (int k = 0; k < order / 2; ++k) {
      const double theta = std::numbers::pi * (2 * k + 1) / (2 * order);
      const double alpha = std::sin(omega) * std::cos(theta), scale = 1 + alpha;
      const double b = (passes_low ? 1 - cosine : 1 + cosine) / 2 / scale;
      sections_.push_back({{b, passes_low ? 2 * b : -2 * b, b}, {-2 * cosine / scale, (1 - alpha) / scale}});
    }
  };
  add(low, false);
  add(high, true);
}

void BandPass::apply(std::vector<float>& samples) {
  for (float& sample : samples) {
    double x = double(sample);
    // Transposed direct form II.
    for (Section& s : sections_) {
      const double y = s.b[0] * x + s.state[0];
      s.state[0] = s.b[1] * x - s.a[0] * y + s.state[1];
      s.state[1] = s.b[2] * x - s.a[1] * y;
      x = y;
    }
    sample = static_cast<float>(x);
  }
}

void BandPass::reset() {
  for (Section& section : sections_) section.state = {};
}

}  // namespace lariat::speech
