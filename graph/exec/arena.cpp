#include "graph/exec/arena.hpp"

#include <algorithm>

namespace lariat {

namespace {
constexpr size_t alignment = 64;
}

void ArenaLayout::add_free(size_t offset, size_t size) {
  free_.emplace(offset, size);
  sizes_.emplace(size, offset);
}

void ArenaLayout::remove_free(std::map<size_t, size_t>::iterator block) {
  sizes_.erase({block->second, block->first});
  free_.erase(block);
}

ArenaLayout::Block ArenaLayout::allocate(size_t size, std::vector<int>& predecessors) {
  size = std::max<size_t>((size + alignment - 1) / alignment * alignment, alignment);
  Block block{.offset = end_, .size = size, .users = {}};
  if (const auto best = sizes_.lower_bound({size, 0}); best != sizes_.end()) {
    const auto [found, offset] = *best;
    block.offset = offset;
    remove_free(free_.find(offset));
    if (found > size) add_free(offset + size, found - size);
  } else {
    // Nothing fits: grow, together with a free block at the end.
    if (!free_.empty() && free_.rbegin()->first + free_.rbegin()->second == end_) {
      block.offset = free_.rbegin()->first;
      remove_free(std::prev(free_.end()));
    }
    end_ = block.offset + size;
  }

  // Earlier users of this memory are remembered by the new block from here on, and what they had beside it is
  // left to them.
  const size_t end = block.offset + size;
  auto it = released_.upper_bound(block.offset);
  if (it != released_.begin() && std::prev(it)->second.end > block.offset) --it;
  while (it != released_.end() && it->first < end) {
    const auto [begin, old] = *it;
    predecessors.insert(predecessors.end(), old.users->begin(), old.users->end());
    it = released_.erase(it);
    if (begin < block.offset) released_.emplace(begin, Stretch{block.offset, old.users});
    if (old.end > end) it = released_.emplace(end, Stretch{old.end, old.users}).first;
  }
  return block;
}

void ArenaLayout::release(Block block) {
  size_t offset = block.offset, size = block.size;
  if (const auto next = free_.find(offset + size); next != free_.end()) {
    size += next->second;
    remove_free(next);
  }
  if (const auto next = free_.lower_bound(offset); next != free_.begin()) {
    const auto before = std::prev(next);
    if (before->first + before->second == offset) {
      offset = before->first;
      size += before->second;
      remove_free(before);
    }
  }
  add_free(offset, size);
  released_.emplace(block.offset, Stretch{block.offset + block.size,
                                          std::make_shared<const std::vector<int>>(std::move(block.users))});
}

}  // namespace lariat
