#pragma once

#include <algorithm>
#include <cstddef>
#include <span>

#include "graph/ir/op_def.hpp"

namespace lariat {

/// Arrays in a piece of scratch, one behind the other.
class ScratchArrays {
 public:
  explicit ScratchArrays(std::byte* memory) : next_(memory) {}
  /// What an array takes of it.
  template <class Element>
  static constexpr int64_t bytes(int64_t count) {
    return (count * static_cast<int64_t>(sizeof(Element)) + alignment - 1) / alignment * alignment;
  }
  template <class Element>
  std::span<Element> take(int64_t count) {
    auto* taken = reinterpret_cast<Element*>(next_);
    next_ += bytes<Element>(count);
    return {taken, static_cast<size_t>(count)};
  }

 private:
  static constexpr int64_t alignment = alignof(std::max_align_t);
  std::byte* next_;
};

/// Scratch for pieces of work that need some bytes each, one after the other: every thread has its own where
/// they are few, and where they are many a few lanes have, whatever the number of threads.
class PieceScratch {
 public:
  PieceScratch(int64_t pieces, int64_t bytes)
      : pieces_(pieces),
        bytes_((static_cast<size_t>(bytes) + cache_line - 1) / cache_line * cache_line),
        lanes_(bytes > most_by_thread ? std::min(pieces, most_lanes) : 0) {}

  Workspace workspace() const {
    return lanes_ > 0 ? Workspace{static_cast<size_t>(lanes_) * bytes_, 0} : Workspace{0, bytes_};
  }

  /// body(piece, scratch) for each piece, `grain` of them at a time.
  template <class Body>
  void run(const KernelContext& k, int64_t grain, const Body& body) const {
    if (lanes_ == 0) {
      k.parallel.run(pieces_, grain, [&](int64_t begin, int64_t end) {
        for (int64_t piece = begin; piece < end; ++piece) body(piece, k.scratch.own(k.parallel));
      });
      return;
    }
    k.parallel.run(lanes_, 1, [&](int64_t begin, int64_t end) {
      for (int64_t lane = begin; lane < end; ++lane)
        for (int64_t piece = lane; piece < pieces_; piece += lanes_)
          body(piece, k.scratch.shared + static_cast<size_t>(lane) * bytes_);
    });
  }

 private:
  static constexpr size_t cache_line = 64;
  static constexpr int64_t most_by_thread = 1 << 20, most_lanes = 8;
  int64_t pieces_;
  size_t bytes_;
  int64_t lanes_;
};

}  // namespace lariat
