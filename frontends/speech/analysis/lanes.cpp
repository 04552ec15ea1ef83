#include "frontends/speech/analysis/lanes.hpp"

#include <algorithm>
#include <utility>

namespace lariat::speech {

namespace {

using Register = Lanes::register_type;
using LaneNumbers = std::make_index_sequence<lane_count>;

// a_first, b_first, a_(first + 1), b_(first + 1) … to the end of the vector. xsimd's own zip does so only
// within 128 bits.
template <size_t first, size_t... I>
Lanes interleaved(Lanes a, Lanes b, std::index_sequence<I...>) {
  return __builtin_shufflevector(static_cast<Register>(a), static_cast<Register>(b),
                                 (first + I / 2 + I % 2 * lane_count)...);
}

Lanes load(const float* numbers) {
  alignas(Lanes) double widened[lane_count];
  for (int64_t i = 0; i < lane_count; ++i) widened[i] = numbers[i];
  return Lanes::load_aligned(widened);
}

void store(Lanes lanes, float* numbers) {
  alignas(Lanes) double widened[lane_count];
  lanes.store_aligned(widened);
  for (int64_t i = 0; i < lane_count; ++i) numbers[i] = static_cast<float>(widened[i]);
}

// Interleaving the upper half of a matrix with the lower one rotates the bits of (row, column) by one; as
// many times as either has bits, that exchanges row and column.
void transpose(Lanes (&matrix)[lane_count]) {
  constexpr int64_t half = lane_count / 2;
  for (int64_t n = 1; n < lane_count; n *= 2) {
    Lanes shuffled[lane_count];
    for (int64_t i = 0; i < half; ++i) {
      shuffled[2 * i] = interleaved<0>(matrix[i], matrix[i + half], LaneNumbers{});
      shuffled[2 * i + 1] = interleaved<half>(matrix[i], matrix[i + half], LaneNumbers{});
    }
    std::copy_n(shuffled, lane_count, matrix);
  }
}

}  // namespace

void load_lanes(const float* rows, int64_t stride, int64_t count, int64_t length, Lanes* lanes) {
  const auto row = [=](int64_t j) { return rows + std::min(j, count - 1) * stride; };
  int64_t t = 0;
  for (; t + lane_count <= length; t += lane_count) {
    Lanes block[lane_count];
    for (int64_t j = 0; j < lane_count; ++j) block[j] = load(row(j) + t);
    transpose(block);
    std::copy_n(block, lane_count, lanes + t);
  }
  for (; t < length; ++t) {
    alignas(Lanes) double column[lane_count];
    for (int64_t j = 0; j < lane_count; ++j) column[j] = row(j)[t];
    lanes[t] = Lanes::load_aligned(column);
  }
}

void store_lanes(const Lanes* lanes, int64_t count, int64_t length, float* rows) {
  int64_t t = 0;
  for (; t + lane_count <= length; t += lane_count) {
    Lanes block[lane_count];
    std::copy_n(lanes + t, lane_count, block);
    transpose(block);
    for (int64_t j = 0; j < count; ++j) store(block[j], rows + j * length + t);
  }
  for (; t < length; ++t) {
    alignas(Lanes) double column[lane_count];
    lanes[t].store_aligned(column);
    for (int64_t j = 0; j < count; ++j) rows[j * length + t] = static_cast<float>(column[j]);
  }
}

}  // namespace lariat::speech
