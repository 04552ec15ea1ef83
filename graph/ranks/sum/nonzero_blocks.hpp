#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace lariat {

/// Which blocks of 64 elements hold a bit that is not 0: a bit for each. -0 counts as something, so that sums
/// of what is left out are 0 as they are.
class NonzeroBlocks {
 public:
  explicit NonzeroBlocks(int64_t elements = 0);

  /// Those of `data`, of elements of so many bytes, are in it too.
  void add(const std::byte* data, size_t element);
  void add(const std::vector<uint64_t>& bits);
  const std::vector<uint64_t>& bits() const { return bits_; }
  /// How many elements lie in the blocks.
  int64_t count() const;
  /// Writes which these are, in order, and gives the end.
  int32_t* write(int32_t* elements) const;

 private:
  bool has(int64_t block) const {
    return (bits_[static_cast<std::size_t>(block / 64)] >> (block % 64) & 1) != 0;
  }
  int64_t end_of(int64_t block) const;

  int64_t elements_, blocks_;
  std::vector<uint64_t> bits_;
};

}  // namespace lariat
