#pragma once

#include <cstdint>
#include <vector>

namespace lariat::speech {

/// Differences over time, as Kaldi's add-deltas computes them. Order 1 is Δ_t = Σ_k k·x_(t+k) / Σ_k k², k =
/// -window … window; each further order applies the same filter to the filter before it. Frames beyond either
/// end repeat the one at the end.
class Deltas {
 public:
  Deltas(int order, int window, int64_t dimensions);

  /// Values in a row with the differences appended.
  int64_t dimensions() const { return dimensions_ * static_cast<int64_t>(filters_.size()); }
  /// The filter of each order, centred on its middle; the first is that of the row itself.
  const std::vector<std::vector<double>>& filters() const { return filters_; }
  /// How many frames on either side a row depends on.
  int64_t context() const { return static_cast<int64_t>(filters_.back().size() / 2); }

  /// Row `t` into `out`. `rows` starts with row `first`, and the utterance has `count` rows; those within
  /// context() of `t` must be present.
  void apply(const float* rows, int64_t first, int64_t count, int64_t t, float* out) const;

 private:
  int64_t dimensions_;
  std::vector<std::vector<double>> filters_;  // by order; each centred on its middle
};

}  // namespace lariat::speech
