#pragma once

#include "graph/ranks/sum/kept_elements.hpp"
#include "graph/ranks/sum/nonzero_blocks.hpp"
#include "graph/ranks/sum/tree_sum.hpp"

namespace lariat {

// Below this many bytes everyone adds up everything, which takes one message where the other way takes two.
constexpr int64_t few_bytes = 32768;

// Memory of at least so many bytes; what is there is kept, so that steps of different sizes clear nothing.
inline std::byte* room(std::vector<std::byte>& memory, size_t bytes) {
  if (memory.size() < bytes) memory.resize(bytes);
  return memory.data();
}

// Tensors, or a part of one, within a step. Memory is kept from step to step.
struct TreeSum::State {
  SumBucket bucket;
  int index = 0;
  size_t element = 4;  // bytes
  std::vector<int64_t> offsets;
  // Sums of this rank's shards, the last on top; then those of all ranks, of the elements that travel.
  std::vector<std::vector<std::byte>> own, sent;
  size_t depth = 0;
  // What was given, where that is this rank's only sum and in one piece: it stays until the sum is taken.
  const std::byte* direct = nullptr;
  // From each rank. Of a large tensor's parts a few are on their way at a time, in memory that stays in
  // cache: a part takes over that of `earlier`, once that is done.
  using Received = std::vector<std::vector<std::byte>>;
  std::shared_ptr<Received> received = std::make_shared<Received>();
  const State* earlier = nullptr;
  std::vector<std::byte> result;
  // Which elements travel, where some are left out.
  KeptElements kept;
  bool leaves_out = false;
  // Where the sum is to be, once it is taken, if in one piece.
  std::byte* wanted = nullptr;
  // Where the sum is, of the elements that travel, once it has been added up.
  std::byte* combined = nullptr;
  int64_t travelling = 0;  // elements
  // Where this rank's sums are not 0, and those of the others.
  NonzeroBlocks nonzero;
  std::vector<std::vector<uint64_t>> others_nonzero;
  int steps_to_look = 0;
  enum class Stage { adds, compares, waits, exchanges, gathers, done } stage = Stage::adds;
  Ranks::Requests open;

  bool scattered(int size) const {
    return size > 1 && travelling * static_cast<int64_t>(element) > few_bytes;
  }
  // Which of the elements that travel a rank adds up.
  int64_t begin_of(int rank, int size) const { return scattered(size) ? travelling * rank / size : 0; }
  int64_t end_of(int rank, int size) const {
    return scattered(size) ? travelling * (rank + 1) / size : travelling;
  }
  std::span<std::byte> range_of(int rank, int size) const {
    const auto begin = static_cast<size_t>(begin_of(rank, size)) * element;
    return {combined + begin, static_cast<size_t>(end_of(rank, size)) * element - begin};
  }
  // Where the sum is memory of others, which may be gone before a message arrives that is late.
  bool gathers_apart() const { return combined == wanted; }
  const std::byte* own_sum(size_t piece) const { return direct != nullptr ? direct : own[piece].data(); }
  // Of the elements that travel.
  const std::byte* own_part(size_t piece) const { return leaves_out ? sent[piece].data() : own_sum(piece); }
  const std::byte* whole() const { return combined != nullptr ? combined : own_sum(0); }
};

}  // namespace lariat
