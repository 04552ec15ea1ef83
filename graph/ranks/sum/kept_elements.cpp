#include "graph/ranks/sum/kept_elements.hpp"

#include <algorithm>

namespace lariat {

namespace {

// Writes at which indices, from `first` on, x is 0, and gives the end. Where they are few, most groups have
// none.
template <class T>
int32_t* write_zeros(const T* x, int64_t count, int64_t first, int32_t* indices) {
  constexpr int64_t group = 16;
  for (int64_t begin = 0; begin < count; begin += group) {
    const int64_t end = std::min(count, begin + group);
    int zeros = 0;
    for (int64_t k = begin; k < end; ++k) zeros += x[k] == T(0) ? 1 : 0;
    for (int64_t k = begin; zeros > 0 && k < end; ++k) {
      *indices = static_cast<int32_t>(first + k);
      indices += x[k] == T(0) ? 1 : 0;
    }
  }
  return indices;
}

}  // namespace

void KeptElements::set(std::span<const TensorView> left_out) {
  int64_t total = 0;
  for (const TensorView& tensor : left_out) total += tensor.count();
  if (static_cast<int64_t>(elements_.size()) < total) elements_.resize(static_cast<size_t>(total));
  int64_t offset = 0;
  int32_t* end = elements_.data();
  for (const TensorView& tensor : left_out) {
    with_type(tensor.dtype, [&](auto zero) {
      end = write_zeros(tensor.as<decltype(zero)>(), tensor.count(), offset, end);
    });
    offset += tensor.count();
  }
  count_ = end - elements_.data();
}

void KeptElements::set(const NonzeroBlocks& nonzero, int64_t elements) {
  if (static_cast<int64_t>(elements_.size()) < elements) elements_.resize(static_cast<size_t>(elements));
  count_ = nonzero.write(elements_.data()) - elements_.data();
}

std::span<const int32_t> KeptElements::between(int64_t first, int64_t end) const {
  const auto begin = elements_.begin(), last = begin + count_;
  const auto from = std::lower_bound(begin, last, first);
  return {from, std::lower_bound(from, last, end)};
}

template <class T>
void KeptElements::pack(const T* all, T* packed) const {
  for (int64_t k = 0; k < count_; ++k) packed[k] = all[elements_[static_cast<size_t>(k)]];
}

template <class T>
void KeptElements::unpack(const T* packed, int64_t first, T* into, int64_t count) const {
  const std::span<const int32_t> kept = between(first, first + count);
  const T* from = packed + (kept.data() - elements_.data());
  std::fill_n(into, count, T(0));
  for (size_t k = 0; k < kept.size(); ++k) into[kept[k] - first] = from[k];
}

template <class T>
void KeptElements::clear_others(const T* all, int64_t first, T* into, int64_t count) const {
  int64_t next = 0;
  for (const int32_t element : between(first, first + count)) {
    std::fill(into + next, into + element - first, T(0));
    into[element - first] = all[element];
    next = element - first + 1;
  }
  std::fill(into + next, into + count, T(0));
}

template void KeptElements::pack(const float*, float*) const;
template void KeptElements::pack(const double*, double*) const;
template void KeptElements::unpack(const float*, int64_t, float*, int64_t) const;
template void KeptElements::unpack(const double*, int64_t, double*, int64_t) const;
template void KeptElements::clear_others(const float*, int64_t, float*, int64_t) const;
template void KeptElements::clear_others(const double*, int64_t, double*, int64_t) const;

}  // namespace lariat
