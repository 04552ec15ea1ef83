#include "frontends/speech/analysis/deltas.hpp"

#include <algorithm>

namespace lariat::speech {

Deltas::Deltas(int order, int window, int64_t dimensions) : dimensions_(dimensions), filters_{{1.0}} {
  double normaliser = 0;
  for (int k = -window; k <= window; ++k) normaliser += k * k;
  for (int i = 0; i < order; ++i) {
    const std::vector<double>& before = filters_.back();
    std::vector<double> filter(before.size() + 2 * static_cast<size_t>(window));
    for (int k = -window; k <= window; ++k) {
      for (size_t j = 0; j < before.size(); ++j)
        filter[j + static_cast<size_t>(k + window)] += k / normaliser * before[j];
    }
    filters_.push_back(std::move(filter));
  }
}

void Deltas::apply(const float* rows, int64_t first, int64_t count, int64_t t, float* out) const {
  for (const std::vector<double>& filter : filters_) {
    const auto reach = static_cast<int64_t>(filter.size() / 2);
    for (int64_t d = 0; d < dimensions_; ++d) {
      double sum = 0;
      for (int64_t k = -reach; k <= reach; ++k) {
        const int64_t row = std::clamp<int64_t>(t + k, 0, count - 1);
        sum += filter[static_cast<size_t>(k + reach)] * rows[(row - first) * dimensions_ + d];
      }
      *out++ = static_cast<float>(sum);
    }
  }
}

}  // namespace lariat::speech
