#include "graph/ranks/sum/shard_tree.hpp"

#include <algorithm>

#include "graph/base/error.hpp"

namespace lariat {

namespace {

// Elements that are added at a time.
constexpr int64_t block_of_sums = 2048;

template <class T>
void add_to(T* into, const T* first, const T* second, int64_t count) {
  for (int64_t i = 0; i < count; ++i) into[i] = first[i] + second[i];
}

// The sum that the program says of what lies at `pieces`, one of which may be where the result is to be: that
// is written last. What is pushed stays where it lies until it is added to.
template <class T>
void run_postfix(const std::vector<int>& program, const std::vector<const T*>& pieces, T* result,
                 int64_t count) {
  std::vector<T> places(block_of_sums * program.size() / 2);
  std::vector<const T*> stack(program.size());
  for (int64_t begin = 0; begin < count; begin += block_of_sums) {
    const int64_t length = std::min(block_of_sums, count - begin);
    size_t depth = 0;
    for (const int& piece : program) {
      if (piece >= 0) {
        stack[depth++] = pieces[static_cast<size_t>(piece)] + begin;
        continue;
      }
      --depth;
      T* into = &piece == &program.back() ? result + begin
                                          : places.data() + static_cast<int64_t>(depth - 1) * block_of_sums;
      add_to(into, stack[depth - 1], stack[depth], length);
      stack[depth - 1] = into;
    }
    if (stack[0] != result + begin) std::copy_n(stack[0], length, result + begin);
  }
}

}  // namespace

ShardTree::ShardTree(const std::vector<bool>& present, int ranks)
    : present_(present),
      merges_(present.size()),
      pieces_(static_cast<size_t>(ranks)),
      rank_of_(present.size()) {
  const auto shards = static_cast<int64_t>(present.size());
  require(shards > 0 && std::count(present.begin(), present.end(), true) > 0, "there is a shard to add");
  for (int rank = 0; rank < ranks; ++rank)
    std::fill(rank_of_.begin() + first_shard(shards, ranks, rank),
              rank_of_.begin() + first_shard(shards, ranks, rank + 1), rank);
  int top = 0;
  while ((int64_t{1} << top) < shards) ++top;
  add(top, 0);
}

bool ShardTree::has(int level, int64_t index) const {
  const auto shards = static_cast<int64_t>(present_.size());
  const int64_t begin = std::min(shards, index << level), end = std::min(shards, (index + 1) << level);
  return std::find(present_.begin() + begin, present_.begin() + end, true) != present_.begin() + end;
}

// A node that one rank computes: its last two sums are one after the last shard that there is below it.
void ShardTree::add_within(int level, int64_t index) {
  if (level == 0) return;
  for (const int64_t child : {2 * index, 2 * index + 1})
    if (has(level - 1, child)) add_within(level - 1, child);
  if (!has(level - 1, 2 * index) || !has(level - 1, 2 * index + 1)) return;
  int64_t last = std::min(static_cast<int64_t>(present_.size()), (index + 1) << level) - 1;
  while (!present_[static_cast<size_t>(last)]) --last;
  ++merges_[static_cast<size_t>(last)];
}

void ShardTree::add(int level, int64_t index) {
  const auto shards = static_cast<int64_t>(present_.size());
  const int64_t begin = index << level, end = std::min(shards, (index + 1) << level);
  const int owner = rank_of_[static_cast<size_t>(begin)];
  if (rank_of_[static_cast<size_t>(end - 1)] == owner) {
    add_within(level, index);
    ++pieces_[static_cast<size_t>(owner)];
    program_.push_back(count_++);
    return;
  }
  const bool left = has(level - 1, 2 * index), right = has(level - 1, 2 * index + 1);
  if (left) add(level - 1, 2 * index);
  if (right) add(level - 1, 2 * index + 1);
  if (left && right) program_.push_back(-1);
}

void ShardTree::sum(const std::vector<const float*>& pieces, float* result, int64_t count) const {
  run_postfix(program_, pieces, result, count);
}
void ShardTree::sum(const std::vector<const double*>& pieces, double* result, int64_t count) const {
  run_postfix(program_, pieces, result, count);
}

}  // namespace lariat
