#pragma once

#include <compare>
#include <cstdint>
#include <map>
#include <memory>
#include <vector>

#include "frontends/data/dataset.hpp"
#include "graph/base/tensor.hpp"

namespace lariat::data {

class RandomStream;

/// Several examples as tensors.
struct Batch {
  Tensor features;  ///< f32 [batch, time, dimensions], zero behind each example's end; without a time axis
                    ///< [batch, dimensions]
  Tensor lengths;   ///< i32 [batch], frames
  Tensor labels;    ///< i32 [batch]
  Tensor targets;   ///< f32 [batch, width], or [batch, time, width] by frame, zero behind each example's end;
                    ///< symbols are [batch, most that any example of the dataset has], 1 or more
  Tensor weights;   ///< f32 [batch]
  std::vector<int> indices;  ///< which examples of the dataset these are
};

struct BatchOptions {
  int batch_size = 32;
  bool shuffle = true;  ///< by (seed, epoch)
  int64_t window = 0;   ///< shuffle within as many examples at a time, as window_order(); 0: all
  uint64_t seed = 0;
  bool bucket = true;       ///< put examples of similar length together, so that little is padded
  int bucket_batches = 16;  ///< batches' worth of examples that are sorted by length at a time
  bool drop_last = false;   ///< leave out a batch of fewer examples than the others
  int time_multiple = 1;    ///< time is padded to a multiple of this, so that few shapes occur
};

/// One epoch over a dataset, which must outlive it. Where its values are not in memory, the next batches are
/// read by other threads while one is used, or the same parts of them where it is used in parts, as each of
/// several ranks does; what they hold does not depend on that.
class Batches {
 public:
  /// The order depends on options.seed and `epoch` only. Throws UserError naming key, value and range for an
  /// impossible option, and for a dataset without examples.
  Batches(const Dataset& dataset, const BatchOptions& options, uint32_t epoch = 0);
  Batches(Batches&&) noexcept;
  ~Batches();

  size_t size() const { return batches_.size(); }
  Batch operator[](size_t index) const;
  /// How many examples a batch has, and some of them: from `begin` up to `end`.
  size_t examples(size_t index) const { return batches_[index].size(); }
  Batch part(size_t index, size_t begin, size_t end) const;

 private:
  class Reading;
  // A batch, and which of its examples.
  struct Part {
    size_t index, begin, end;
    friend auto operator<=>(const Part&, const Part&) = default;
  };
  std::vector<int> indices_of(const Part& part) const;
  Batch read_ahead(const Part& part) const;
  void shuffle_batches(size_t window, RandomStream& random);

  const Dataset& dataset_;
  int time_multiple_;
  int64_t most_symbols_ = 1;
  std::vector<std::vector<int>> batches_;
  bool streamed_;
  mutable std::map<Part, std::unique_ptr<Reading>> readings_;
};

}  // namespace lariat::data
