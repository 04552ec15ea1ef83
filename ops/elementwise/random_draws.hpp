#pragma once

#include "graph/ir/op_def.hpp"

namespace lariat {

/// Where the random numbers of a node begin at one step: key, stream and first counter of random_bits(), from
/// the state in input 1, i32 [seed low, seed high, step], and the attribute `stream`. The counter's upper
/// half is the step: steps never overlap.
struct RandomDraws {
  uint64_t key, stream, first;

  explicit RandomDraws(const KernelContext& k) {
    const auto word = [&](int i) { return uint64_t{static_cast<uint32_t>(k.in<int32_t>(1)[i])}; };
    key = word(0) | word(1) << 32;
    stream = static_cast<uint64_t>(k.attributes.get<int64_t>("stream"));
    first = word(2) << 32;
  }
};

}  // namespace lariat
