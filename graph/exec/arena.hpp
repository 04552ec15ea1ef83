#pragma once

#include <cstddef>
#include <map>
#include <memory>
#include <set>
#include <vector>

namespace lariat {

/// Lays buffers out in one block of memory by best fit, and tells which earlier users of that memory a buffer
/// must wait for. Both take logarithmic time in the number of blocks.
class ArenaLayout {
 public:
  struct Block {
    size_t offset = 0, size = 0;
    /// Steps that read or wrote the block's memory and must be done before it is used for something else.
    std::vector<int> users;
  };

  /// Places `size` bytes; appends the steps to wait for to `predecessors`.
  Block allocate(size_t size, std::vector<int>& predecessors);
  void release(Block block);
  size_t size() const { return end_; }

 private:
  struct Stretch {
    size_t end = 0;
    std::shared_ptr<const std::vector<int>> users;
  };
  void add_free(size_t offset, size_t size);
  void remove_free(std::map<size_t, size_t>::iterator block);

  std::map<size_t, size_t> free_;              // offset -> size
  std::set<std::pair<size_t, size_t>> sizes_;  // size and offset of the same
  std::map<size_t, Stretch> released_;         // by offset; they do not overlap
  size_t end_ = 0;
};

}  // namespace lariat
