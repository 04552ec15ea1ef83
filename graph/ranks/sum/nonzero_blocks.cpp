#include "graph/ranks/sum/nonzero_blocks.hpp"

#include <algorithm>
#include <cstring>

namespace lariat {

namespace {

constexpr int64_t elements_of_block = 64;

}  // namespace

NonzeroBlocks::NonzeroBlocks(int64_t elements)
    : elements_(elements),
      blocks_((elements + elements_of_block - 1) / elements_of_block),
      bits_(static_cast<size_t>((blocks_ + 63) / 64)) {}

int64_t NonzeroBlocks::end_of(int64_t block) const {
  return std::min(elements_, (block + 1) * elements_of_block);
}

void NonzeroBlocks::add(const std::byte* data, size_t element) {
  for (int64_t block = 0; block < blocks_; ++block) {
    if (has(block)) continue;
    const std::byte* begin = data + static_cast<size_t>(block * elements_of_block) * element;
    const std::byte* end = data + static_cast<size_t>(end_of(block)) * element;
    uint32_t any = 0;
    for (; begin != end; begin += sizeof any) {
      uint32_t word = 0;
      std::memcpy(&word, begin, sizeof word);
      any |= word;
    }
    if (any != 0) bits_[static_cast<size_t>(block / 64)] |= uint64_t{1} << (block % 64);
  }
}

void NonzeroBlocks::add(const std::vector<uint64_t>& bits) {
  for (size_t i = 0; i < bits_.size(); ++i) bits_[i] |= bits[i];
}

int64_t NonzeroBlocks::count() const {
  int64_t total = 0;
  for (int64_t block = 0; block < blocks_; ++block)
    if (has(block)) total += end_of(block) - block * elements_of_block;
  return total;
}

int32_t* NonzeroBlocks::write(int32_t* elements) const {
  for (int64_t block = 0; block < blocks_; ++block)
    for (int64_t at = block * elements_of_block; has(block) && at < end_of(block); ++at)
      *elements++ = static_cast<int32_t>(at);
  return elements;
}

}  // namespace lariat
