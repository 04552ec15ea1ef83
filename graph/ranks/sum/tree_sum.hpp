#pragma once

#include <mutex>
#include <span>

#include "graph/base/tensor.hpp"
#include "graph/ranks/ranks.hpp"
#include "graph/ranks/sum/shard_tree.hpp"

namespace lariat {

/// Tensors that are summed and sent together.
struct SumBucket {
  DType dtype = f32;
  /// "the gradient of 'dense/weights'"
  std::vector<std::string> names;
  std::vector<int64_t> counts;

  int64_t count() const;
  /// To say what is waited for: "the gradient of 'dense/weights' and 2 more".
  std::string what() const;
};

/// Of tensors that each micro-shard of a step gives, the sum over all of them in the order of one tree: the
/// same bits for any number of ranks. A rank gives those of its shards one after the other; with the last,
/// its sums go to the others: each rank adds up a range of elements, of which all get the result (a
/// reduce-scatter and an all-gather).
class TreeSum {
 public:
  /// Without ranks it is this process that has all shards. Throws UserError where there are more ranks than
  /// shards.
  TreeSum(std::shared_ptr<Ranks> ranks, int64_t shards);
  ~TreeSum();
  TreeSum(const TreeSum&) = delete;
  TreeSum& operator=(const TreeSum&) = delete;

  /// By which ops name it.
  int64_t id() const { return id_; }
  /// nullptr where there is none, or none any more.
  static TreeSum* find(int64_t id);

  /// All buckets, in the order in which they are given.
  void set_buckets(std::vector<SumBucket> buckets);
  const SumBucket& bucket(size_t index) const;
  size_t buckets() const { return buckets_.size(); }

  /// A step begins, in which these shards have examples.
  void begin(const std::vector<bool>& present);
  /// This rank's shards that have some.
  const std::vector<int64_t>& own_shards() const { return own_; }
  /// Whose results come next; nothing: they are not to count.
  void at_shard(std::optional<int64_t> shard) { shard_ = shard; }
  /// The step is over, or given up: give() and take() do nothing then.
  void end();

  /// Whether it adds at present.
  bool adds() const { return tree_.has_value(); }
  /// The bucket's tensors of the present shard. Elements that `left_out` says (not 0; one tensor for each, or
  /// none) are of no interest: their sum is 0, and they are not sent.
  void give(int64_t bucket, std::span<const TensorView> tensors, std::span<const TensorView> left_out);
  /// The sum of one of its tensors, once it is there.
  void take(int64_t bucket, int64_t tensor, const TensorView& into);

  /// `width` scalars, summed like buckets: those of own_shards().
  std::vector<double> sum(const std::vector<std::vector<double>>& of_shards, size_t width);

 private:
  struct State;
  // Its tensors, or a part of the one that it has.
  struct Bucket {
    SumBucket description;
    std::vector<State*> parts;
  };
  void give_part(State& state, std::span<const TensorView> tensors, std::span<const TensorView> left_out);
  void take_part(State& state, size_t tensor, const TensorView& into);
  void add_shard(State& state, std::span<const TensorView> tensors);
  void compare_zeros(State& state);
  void leave_zeros_out(State& state);
  void exchange(State& state);
  void combine(State& state);
  bool progress(State& state);

  std::shared_ptr<Ranks> ranks_;
  const int64_t shards_, id_;
  const int rank_, size_;
  std::vector<Bucket> buckets_;
  std::vector<std::unique_ptr<State>> states_;
  std::unique_ptr<State> scalars_;
  std::optional<ShardTree> tree_;
  std::vector<int64_t> own_;
  std::optional<int64_t> shard_;
  std::mutex mutex_;
};

}  // namespace lariat
