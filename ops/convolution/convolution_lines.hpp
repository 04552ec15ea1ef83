#pragma once

#include <algorithm>
#include <vector>

#include "ops/convolution/convolution.hpp"
#include "ops/kernels/product_kernel.hpp"

namespace lariat {

// Cho and Brand (2017), "MEC: Memory-efficient Convolution": x is unfolded along the height only. A line of
// scratch holds, for one row of y, the `slots` columns of x that its windows see, and in a slot the taps of
// all kernel rows side by side. The window of one column of y is then a run of kernel-width slots within the
// line, and the windows of the same column in all lines are a matrix whose rows are one line apart: a product
// takes it as it is. Little more than kernel-height times x is copied, one tile of lines after the other.
//
// The windows of one line are a matrix as well, whose rows overlap: where one column would meet too few
// lines, y is computed line by line. Where windows do not overlap along the width, or there are few columns
// too, each column of y has a line of its own, which is the usual im2col.

namespace convolution_detail {

// Scratch of a tile: half of a core's second-level cache at most, unless that were too few lines for a
// product.
inline constexpr int64_t tile_bytes = 256 * 1024;
inline constexpr int64_t fewest_lines = 64, most_lines = 1024, fewest_columns = 8;
// Line by line: columns that make a product worth it, and multiply-adds that are worth a piece of work of
// their own; vectors of columns that are multiplied without zeros stay whole. Pieces enough to share among
// threads.
inline constexpr int64_t columns_of_line = 12, products_of_piece = 1 << 19, whole_columns = 16,
                         line_pieces = 32;
// Pieces of a gradient that may run side by side, and the most that their partial results may take.
inline constexpr int64_t most_pieces = 16, partial_bytes = 8 << 20, fewest_filters = 64;

inline int64_t divide_up(int64_t a, int64_t b) { return a < 0 ? a / b : (a + b - 1) / b; }

// The size of equal tiles of `count`, each of at least `wanted` and less than twice as many.
inline int64_t even_tile(int64_t count, int64_t wanted) {
  return std::max<int64_t>(1, divide_up(count, std::max<int64_t>(1, count / wanted)));
}

struct Lines {
  int64_t per_row = 1;  // lines for one row of y
  int64_t columns = 1;  // columns of y in a line
  int64_t step = 1;     // columns of x from one slot to the next
  int64_t slot = 0;     // elements of a slot
  int64_t per_image = 0, count = 0;
  int64_t tile_lines = 1, tile_columns = 1;
  bool one_by_one = false;  // a tile is one line, and a product

  Lines(const Convolution& c, size_t element, bool may_go_one_by_one = false)
      : slot(c.window.down.kernel * c.channels) {
    const Window& across = c.window.across;
    const bool overlaps = across.dilation == 1 && across.stride < across.kernel;
    one_by_one =
        may_go_one_by_one && overlaps && c.batch * c.rows < fewest_lines && c.columns >= columns_of_line;
    const bool slides = one_by_one || (overlaps && c.batch * c.rows >= fewest_lines);
    per_row = slides ? 1 : c.columns;
    columns = slides ? c.columns : 1;
    step = across.dilation;
    per_image = c.rows * per_row;
    count = c.batch * per_image;
    const int64_t slot_bytes = std::max<int64_t>(1, slot * static_cast<int64_t>(element));
    const auto fitting_columns = [&](int64_t bytes, int64_t fewest, int64_t most) {
      const int64_t fitting = (bytes / slot_bytes - across.kernel) / across.stride + 1;
      return std::clamp(fitting, std::min(most, fewest), most);
    };
    if (one_by_one) {
      const int64_t worth = std::max(columns_of_line,
                                     products_of_piece / std::max<int64_t>(1, c.depth() * c.filters)),
                    most = std::max<int64_t>(1, columns / worth);
      const int64_t pieces = std::clamp<int64_t>(line_pieces / std::max<int64_t>(1, count), 1, most);
      const int64_t whole = divide_up(divide_up(columns, pieces), whole_columns) * whole_columns;
      tile_columns = fitting_columns(tile_bytes, columns_of_line, std::min(columns, whole));
    } else {
      tile_columns = fitting_columns(tile_bytes / fewest_lines, fewest_columns, columns);
      const int64_t fitting = tile_bytes / (slots(c, tile_columns) * slot_bytes);
      tile_lines = even_tile(count, std::clamp(fitting / 16 * 16, fewest_lines, most_lines));
    }
  }
  static int64_t slots(const Convolution& c, int64_t columns) {
    return (columns - 1) * c.window.across.stride + c.window.across.kernel;
  }
  int64_t scratch(const Convolution& c, int64_t lines) const { return lines * slots(c, tile_columns) * slot; }
  int64_t tiles_across() const { return divide_up(columns, tile_columns); }
  int64_t tiles() const { return divide_up(count, tile_lines) * tiles_across(); }
};

// Lines [begin, end), columns [first, last) of each.
struct Tile {
  int64_t begin, end, first, last;
};

inline Tile tile_at(const Lines& lines, int64_t index) {
  const int64_t begin = index / lines.tiles_across() * lines.tile_lines,
                first = index % lines.tiles_across() * lines.tile_columns;
  return {begin, std::min(begin + lines.tile_lines, lines.count), first,
          std::min(first + lines.tile_columns, lines.columns)};
}

// `runs` runs of `length` elements, each so many elements behind the one before it.
template <bool add, class T>
void move_runs(const T* from, int64_t from_step, T* to, int64_t to_step, int64_t runs, int64_t length) {
  if (from_step == length && to_step == length) {
    length *= runs;
    runs = std::min<int64_t>(runs, 1);
  }
  if (length == 1) {
    for (int64_t i = 0; i < runs; ++i)
      to[i * to_step] = add ? to[i * to_step] + from[i * from_step] : from[i * from_step];
    return;
  }
  for (int64_t i = 0; i < runs; ++i, from += from_step, to += to_step)
    for (int64_t j = 0; j < length; ++j) to[j] = add ? to[j] + from[j] : from[j];
}

template <class T>
void clear_runs(T* to, int64_t step, int64_t runs, int64_t length) {
  for (int64_t i = 0; i < runs; ++i) std::fill_n(to + i * step, length, T(0));
}

// For each line of the tile and each kernel row: body(line's place in the tile, kernel row, image, row of x,
// which may lie outside, [begin, end) of the slots that lie within x, column of x at slot 0).
template <class Body>
void for_each_tap_row(const Convolution& c, const Lines& lines, const Tile& tile, const Body& body) {
  const Window &down = c.window.down, &across = c.window.across;
  const int64_t slots = Lines::slots(c, tile.last - tile.first);
  for (int64_t line = tile.begin; line < tile.end; ++line) {
    const int64_t column = (line % lines.per_row + tile.first) * across.stride - across.before;
    const int64_t begin = std::clamp<int64_t>(divide_up(-column, lines.step), 0, slots);
    const int64_t end = std::clamp<int64_t>(divide_up(c.width - column, lines.step), begin, slots);
    const int64_t row = line / lines.per_row;
    const int64_t top = row % c.rows * down.stride - down.before;
    for (int64_t k = 0; k < down.kernel; ++k)
      body(line - tile.begin, k, row / c.rows, top + k * down.dilation, begin, end, column);
  }
}

template <class T>
void unfold(const Convolution& c, const Lines& lines, const Tile& tile, const T* x, T* out) {
  const int64_t slots = Lines::slots(c, tile.last - tile.first), n = c.channels;
  for_each_tap_row(
      c, lines, tile,
      [&](int64_t line, int64_t k, int64_t image, int64_t row, int64_t begin, int64_t end, int64_t column) {
        T* to = out + line * slots * lines.slot + k * n;
        if (row < 0 || row >= c.height) begin = end = slots;
        clear_runs(to, lines.slot, begin, n);
        clear_runs(to + end * lines.slot, lines.slot, slots - end, n);
        if (begin == end) return;
        const T* from = x + ((image * c.height + row) * c.width + column + begin * lines.step) * n;
        move_runs<false>(from, lines.step * n, to + begin * lines.slot, lines.slot, end - begin, n);
      });
}

// The adjoint of unfold, for the rows [top, bottom) of x.
template <class T>
void fold(const Convolution& c, const Lines& lines, const Tile& tile, const T* unfolded, int64_t top,
          int64_t bottom, T* x) {
  const int64_t slots = Lines::slots(c, tile.last - tile.first), n = c.channels;
  for_each_tap_row(
      c, lines, tile,
      [&](int64_t line, int64_t k, int64_t image, int64_t row, int64_t begin, int64_t end, int64_t column) {
        if (row < top || row >= bottom || begin == end) return;
        const T* from = unfolded + (line * slots + begin) * lines.slot + k * n;
        T* to = x + ((image * c.height + row) * c.width + column + begin * lines.step) * n;
        move_runs<true>(from, lines.slot, to, lines.step * n, end - begin, n);
      });
}

}  // namespace convolution_detail

}  // namespace lariat
