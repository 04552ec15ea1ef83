#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "graph/base/tensor.hpp"
#include "graph/ranks/sum/nonzero_blocks.hpp"

namespace lariat {

/// Which elements of a bucket travel between ranks, in order, where some do not.
class KeptElements {
 public:
  /// Those of tensors, one behind the other, where `left_out` is 0.
  void set(std::span<const TensorView> left_out);
  /// Those of blocks in which there is something, of so many elements.
  void set(const NonzeroBlocks& nonzero, int64_t elements);

  int64_t count() const { return count_; }
  /// packed[k] = all[the k-th element].
  template <class T>
  void pack(const T* all, T* packed) const;
  /// Of the elements from `first` on, the inverse: 0 where nothing was kept.
  template <class T>
  void unpack(const T* packed, int64_t first, T* into, int64_t count) const;
  /// Puts 0 where nothing was kept; `into` may be `all` from `first` on.
  template <class T>
  void clear_others(const T* all, int64_t first, T* into, int64_t count) const;

 private:
  std::span<const int32_t> between(int64_t first, int64_t end) const;

  // Memory is kept from step to step.
  std::vector<int32_t> elements_;
  int64_t count_ = 0;
};

}  // namespace lariat
