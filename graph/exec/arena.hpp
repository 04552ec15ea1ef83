#pragma once

#include <cstddef>
#include <map>
#include <vector>

namespace lariat {

/// Lays buffers out in one block of memory by best fit, and tells which earlier users of that memory a buffer
/// must wait for.
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
  std::map<size_t, size_t> free_;     // offset -> size
  std::map<size_t, Block> released_;  // by offset; may overlap
  size_t end_ = 0;
};

}  // namespace lariat
