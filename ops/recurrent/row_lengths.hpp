#pragma once

#include <algorithm>

#include "ops/kernels/axes.hpp"
#include "ops/recurrent/cell.hpp"
#include "ops/recurrent/recurrence.hpp"

namespace lariat {

// What the sweeps in both directions share.
namespace sweep_detail {

template <class Cell>
constexpr bool has_middle = std::any_of(Cell::products.begin(), Cell::products.end(),
                                        [](const StepProduct& p) { return p.of_middle; });

/// How many steps each row has: all of them where the input is a scalar.
struct RowLengths {
  const int32_t* of_row;
  int64_t time;
  RowLengths(const TensorView& lengths, int64_t time)
      : of_row(lengths.rank() == 0 ? nullptr : lengths.as<int32_t>()), time(time) {
    if (of_row) check_lengths(lengths, time);
  }
  int64_t operator()(int64_t row) const { return of_row ? of_row[row] : time; }
  int64_t longest(int64_t begin, int64_t end) const {
    return of_row && begin < end ? *std::max_element(of_row + begin, of_row + end) : time;
  }
};

}  // namespace sweep_detail

}  // namespace lariat
