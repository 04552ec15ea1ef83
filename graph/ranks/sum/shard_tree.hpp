#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace lariat {

/// In which order the results of micro-shards are added up, whoever computed them: the sums of one binary
/// tree, whose node k of level l is of the shards from k·2^l to (k+1)·2^l. Rank r of `ranks` computes the
/// shards from first_shard(r) to first_shard(r + 1), and makes of them the sums of the largest nodes that lie
/// within; what is above them is added of what the ranks exchange.
class ShardTree {
 public:
  /// `present`: which shards there are; the others have no examples.
  ShardTree(const std::vector<bool>& present, int ranks);

  /// Where the shards of a rank begin.
  static int64_t first_shard(int64_t shards, int ranks, int rank) { return shards * rank / ranks; }

  /// After a rank's shard, how many times the last two sums are added.
  int merges(int64_t shard) const { return merges_[static_cast<std::size_t>(shard)]; }
  /// How many sums a rank has of its own shards.
  int pieces(int rank) const { return pieces_[static_cast<std::size_t>(rank)]; }
  /// The whole sum in postfix order: a piece, of all ranks' in their order, is pushed, or (-1) the last two
  /// are added.
  const std::vector<int>& program() const { return program_; }

  /// What it comes to of what lies at `pieces`.
  void sum(const std::vector<const float*>& pieces, float* result, int64_t count) const;
  void sum(const std::vector<const double*>& pieces, double* result, int64_t count) const;

 private:
  // Whether there is anything below the node.
  bool has(int level, int64_t index) const;
  void add_within(int level, int64_t index);
  void add(int level, int64_t index);

  std::vector<bool> present_;
  std::vector<int> merges_, pieces_, program_, rank_of_;
  int count_ = 0;
};

}  // namespace lariat
