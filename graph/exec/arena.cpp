#include "graph/exec/arena.hpp"

#include <algorithm>

namespace lariat {

namespace {
constexpr size_t alignment = 64;
}

ArenaLayout::Block ArenaLayout::allocate(size_t size, std::vector<int>& predecessors) {
  size = std::max<size_t>((size + alignment - 1) / alignment * alignment, alignment);
  auto best = free_.end();
  for (auto it = free_.begin(); it != free_.end(); ++it)
    if (it->second >= size && (best == free_.end() || it->second < best->second)) best = it;
  Block block{.offset = end_, .size = size, .users = {}};
  if (best != free_.end()) {
    block.offset = best->first;
    const size_t rest = best->second - size;
    free_.erase(best);
    if (rest > 0) free_[block.offset + size] = rest;
  } else {
    // Nothing fits: grow, together with a free block at the end.
    if (!free_.empty() && free_.rbegin()->first + free_.rbegin()->second == end_) {
      block.offset = free_.rbegin()->first;
      free_.erase(block.offset);
    }
    end_ = block.offset + size;
  }

  const size_t end = block.offset + size;
  for (auto it = released_.begin(); it != released_.end() && it->first < end;) {
    Block& old = it->second;
    if (old.offset + old.size <= block.offset) {
      ++it;
      continue;
    }
    predecessors.insert(predecessors.end(), old.users.begin(), old.users.end());
    // What the new block covers whole is remembered by the new block itself.
    it = old.offset >= block.offset && old.offset + old.size <= end ? released_.erase(it) : std::next(it);
  }
  return block;
}

void ArenaLayout::release(Block block) {
  size_t offset = block.offset, size = block.size;
  if (const auto next = free_.find(offset + size); next != free_.end()) {
    size += next->second;
    free_.erase(next);
  }
  if (const auto next = free_.lower_bound(offset); next != free_.begin()) {
    const auto before = std::prev(next);
    if (before->first + before->second == offset) {
      offset = before->first;
      size += before->second;
      free_.erase(before);
    }
  }
  free_[offset] = size;

  if (const auto same = released_.find(block.offset); same != released_.end()) {
    Block& old = same->second;
    old.users.insert(old.users.end(), block.users.begin(), block.users.end());
    old.size = std::max(old.size, block.size);
  } else {
    released_.emplace(block.offset, std::move(block));
  }
}

}  // namespace lariat
