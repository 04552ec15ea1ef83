#include "ops/convolution/convolution.hpp"

#include "ops/convolution/convolution_lines.hpp"
#include "ops/kernels/axes.hpp"
#include "ops/kernels/gemm.hpp"
#include "ops/kernels/product_kernel.hpp"

namespace lariat {

namespace convolution_detail {

// A slot's taps are those of all kernel rows: a kernel [height, width, …] becomes [width, height, …].
bool turns_kernel(const Convolution& c) { return c.window.down.kernel > 1 && c.window.across.kernel > 1; }

template <class T>
const T* turned_kernel(const ParallelFor& parallel, const Convolution& c, const T* w, std::byte* workspace) {
  if (!turns_kernel(c)) return w;
  T* turned = reinterpret_cast<T*>(workspace);
  const int64_t size = c.channels * c.filters, height = c.window.down.kernel, width = c.window.across.kernel;
  parallel.run(c.taps(), rows_per_task(size), [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i)
      std::copy_n(w + (i % height * width + i / height) * size, size, turned + i * size);
  });
  return turned;
}

// Products of floats take the kernel as they read it.
template <class T>
bool packs_kernel(const Convolution& c) {
  return std::is_same_v<T, float> && c.filters > 1;
}

// The turned kernel, packed.
void pack_turned(const ParallelFor& parallel, const Convolution& c, const float* w, float* packed) {
  const int64_t size = c.channels * c.filters, height = c.window.down.kernel, width = c.window.across.kernel;
  parallel.run(c.taps(), rows_per_task(size), [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i)
      pack_columns<float>({w + (i % height * width + i / height) * size, c.filters, 1}, i * c.channels,
                          c.channels, c.depth(), 0, c.filters, packed);
  });
}

// What one task of the input gradient owns: whole images, or the rows [top, bottom) of a single one. The
// lines are those whose windows reach into it.
struct InputPiece {
  int64_t image, image_end, top, bottom, line, line_end;
};

struct InputPieces {
  int64_t images = 1, groups = 0, bands = 1;

  InputPieces(const Convolution& c, const Lines& lines) {
    // An eighth of the batch, but neither fewer lines than a product wants nor more than it profits from.
    images = std::clamp(c.batch / 8, divide_up(fewest_lines * 3 / 4, lines.per_image),
                        divide_up(fewest_lines * 2, lines.per_image));
    groups = divide_up(c.batch, images);
    // What two bands both need is computed twice: at most a quarter of a band.
    if (images == 1 && groups > 0 && groups < most_pieces)
      bands = std::clamp<int64_t>(c.height / (4 * c.window.down.reach()), 1, most_pieces / groups);
  }
  int64_t count() const { return groups * bands; }
  InputPiece at(const Convolution& c, const Lines& lines, int64_t index) const {
    const Window& down = c.window.down;
    const int64_t band = divide_up(c.height, bands), image = index / bands * images;
    InputPiece piece{image, std::min(image + images, c.batch), std::min(index % bands * band, c.height),
                     0,     image * lines.per_image,           0};
    piece.bottom = std::min(piece.top + band, c.height);
    piece.line_end = piece.image_end * lines.per_image;
    if (bands == 1) return piece;
    const int64_t first = divide_up(piece.top + down.before - down.reach() + 1, down.stride),
                  last = (piece.bottom - 1 + down.before) / down.stride;
    piece.line_end = piece.line + std::clamp<int64_t>(last + 1, 0, c.rows) * lines.per_row;
    piece.line += std::clamp<int64_t>(first, 0, c.rows) * lines.per_row;
    return piece;
  }
};

// The partial results of the weight gradient, doubles, and the blocks of filters that each is computed in.
struct KernelPieces {
  int64_t partials, block, blocks;

  KernelPieces(const Convolution& c, const Lines& lines) {
    const int64_t bytes = std::max<int64_t>(1, c.depth() * c.filters * static_cast<int64_t>(sizeof(double)));
    partials =
        std::clamp<int64_t>(partial_bytes / bytes, 1, std::clamp<int64_t>(lines.tiles(), 1, most_pieces));
    block = std::max(fewest_filters, divide_up(c.filters * partials, most_pieces));
    blocks = std::max<int64_t>(1, divide_up(c.filters, block));
  }
};

}  // namespace convolution_detail

Convolution convolution_of(const Extents& x, const Extents& w, const Extents& y, const Window2d& window) {
  return {x[0], x[1], x[2], x[3], y[1], y[2], w[3], window};
}

namespace convolution_detail {

size_t turned_bytes(const Convolution& c, size_t element) {
  return turns_kernel(c) ? static_cast<size_t>(c.depth() * c.filters) * element : 0;
}

bool is_one_product(const Convolution& c) {
  const Window &down = c.window.down, &across = c.window.across;
  return c.taps() == 1 && down.stride * across.stride == 1 &&
         down.before + down.after + across.before + across.after == 0;
}
// x [pixels, channels]·w
Product one_product(const Convolution& c) {
  return {false, false, c.batch * c.rows * c.columns, c.filters, c.channels, c.channels, c.filters};
}

template <class T>
Lines forward_lines(const Convolution& c) {
  // BLAS takes no matrix whose rows overlap.
  return Lines(c, sizeof(T), packs_kernel<T>(c));
}

// The most windows that are multiplied together.
int64_t windows_of_tile(const Lines& lines) {
  return lines.one_by_one ? lines.tile_columns : lines.tile_lines;
}

// `windows` windows that lie `lda` elements apart, times the kernel.
Product of_windows(const Convolution& c, int64_t windows, int64_t lda) {
  return {false, false, windows, c.filters, c.depth(), lda, c.filters};
}
// dy of a column times the transposed kernel.
Product of_adjoints(const Convolution& c, const Lines& lines, int64_t count) {
  return {false, true, count, c.depth(), c.filters, lines.columns * c.filters, c.filters};
}
// The transposed windows times dy, for some of the filters.
Product of_kernel(const Convolution& c, const Lines& lines, int64_t filters, int64_t count, int64_t lda) {
  return {true, false, c.depth(), filters, count, lda, lines.columns * c.filters};
}

// A thread's own scratch: lines, and behind them what their products need.
template <class T>
size_t line_bytes(const Convolution& c, const Lines& lines, int64_t count) {
  return (static_cast<size_t>(lines.scratch(c, count)) * sizeof(T) + 63) / 64 * 64;
}

// Of a kernel's gradient, the products of so many columns are added as floats before their sum is added as
// doubles; doubles need no sum of their own.
constexpr int64_t columns_of_sum = 16;
template <class T>
constexpr bool sums_columns = std::is_same_v<T, float>;
template <class T>
size_t column_sum_bytes(const Convolution& c, int64_t filters) {
  return sums_columns<T> ? (static_cast<size_t>(c.depth() * filters) * sizeof(T) + 63) / 64 * 64 : 0;
}

}  // namespace convolution_detail

template <class T>
Workspace convolve_workspace(const Convolution& c, const PackedMatrix* packed) {
  using namespace convolution_detail;
  if (is_one_product(c)) {
    const Product product = one_product(c);
    return packed ? packed->workspace(product) : gemm_workspace<T>(product);
  }
  const Lines lines = forward_lines<T>(c);
  const bool packs = packs_kernel<T>(c);
  Workspace result;
  if (!packed)
    result.shared = packs ? static_cast<size_t>(packed_count<T>(c.depth(), c.filters)) * sizeof(T)
                          : turned_bytes(c, sizeof(T));
  const int64_t windows = windows_of_tile(lines);
  // Where rows are apart by this, the most is packed.
  const int64_t apart = 2;
  const Product product = of_windows(c, windows, apart);
  result.per_thread = line_bytes<T>(c, lines, lines.tile_lines) +
                      (packed ? packed->tile_bytes(product) : gemm_tile_bytes<T>(product, packs));
  return result;
}

template <class T>
Workspace input_gradient_workspace(const Convolution& c) {
  using namespace convolution_detail;
  const Lines lines(c, sizeof(T));
  const InputPieces pieces(c, lines);
  const size_t packed =
      std::is_same_v<T, float> ? static_cast<size_t>(packed_count<T>(c.filters, c.depth())) * sizeof(T) : 0;
  int64_t most_lines = 1;
  for (int64_t i = 0; i < pieces.count(); ++i) {
    const InputPiece piece = pieces.at(c, lines, i);
    most_lines = std::max(most_lines, even_tile(piece.line_end - piece.line, lines.tile_lines));
  }
  return {packed + turned_bytes(c, sizeof(T)),
          line_bytes<T>(c, lines, most_lines) +
              gemm_tile_bytes<T>(of_adjoints(c, lines, most_lines), std::is_same_v<T, float>)};
}

template <class T>
Workspace weight_gradient_workspace(const Convolution& c) {
  using namespace convolution_detail;
  const Lines lines(c, sizeof(T));
  const KernelPieces pieces(c, lines);
  const int64_t most_filters = std::min(pieces.block, c.filters);
  size_t products = 0;
  for (const int64_t filters : {most_filters, c.filters % pieces.block})
    products = std::max(products, gemm_tile_bytes<T>(of_kernel(c, lines, filters, lines.tile_lines, 2)));
  return {static_cast<size_t>(pieces.partials * c.depth() * c.filters) * sizeof(double),
          line_bytes<T>(c, lines, lines.tile_lines) + column_sum_bytes<T>(c, most_filters) + products};
}

std::shared_ptr<const void> pack_kernel(const KernelContext& k, const Convolution& c) {
  using namespace convolution_detail;
  const TensorView& w = k.inputs[1];
  if (!w.data || w.dtype != f32 || !packs_kernel<float>(c)) return {};
  const OwnScratch turned({turned_bytes(c, sizeof(float)), 0}, 1);
  const float* kernel = turned_kernel(k.parallel, c, w.as<float>(), Scratch(turned).shared);
  return std::make_shared<PackedMatrix>(false, c.filters, c.depth(), kernel, c.filters);
}

// y[:, column] = unfolded[:, slots of column]·w, or y[line] = windows of the line·w
template <class T>
void convolve(const ParallelFor& parallel, const Convolution& c, const T* x, const T* w, T* y,
              const Scratch& scratch, const PackedMatrix* given) {
  using namespace convolution_detail;
  const Lines lines = forward_lines<T>(c);
  if (is_one_product(c)) {
    const Product product = one_product(c);
    if constexpr (std::is_same_v<T, float>)
      if (given) return given->multiply(parallel, product, x, w, {}, y, c.filters, scratch);
    return gemm<T>(parallel, product, x, w, {}, y, c.filters, scratch);
  }
  const T *kernel = nullptr, *packed = nullptr;
  if constexpr (std::is_same_v<T, float>)
    if (!given && packs_kernel<T>(c)) {
      T* own = reinterpret_cast<T*>(scratch.shared);
      pack_turned(parallel, c, w, own);
      packed = own;
    }
  if (!given && !packed) kernel = turned_kernel(parallel, c, w, scratch.shared);
  const auto multiply = [&](const Product& product, const T* windows, T* to, int64_t to_row,
                            std::byte* rest) {
    if constexpr (std::is_same_v<T, float>)
      if (given) return given->multiply_tile(product, windows, nullptr, {}, to, to_row, rest);
    gemm_tile<T>(product, windows, kernel, {}, to, to_row, rest, packed);
  };
  parallel.run(lines.tiles(), 1, [&](int64_t begin, int64_t end) {
    std::byte* own = scratch.own(parallel);
    T* unfolded = reinterpret_cast<T*>(own);
    std::byte* rest = own + line_bytes<T>(c, lines, lines.tile_lines);
    for (int64_t i = begin; i < end; ++i) {
      const Tile tile = tile_at(lines, i);
      const int64_t stride = c.window.across.stride * lines.slot,
                    line = Lines::slots(c, tile.last - tile.first) * lines.slot;
      unfold(c, lines, tile, x, unfolded);
      if (lines.one_by_one) {
        multiply(of_windows(c, tile.last - tile.first, stride), unfolded,
                 y + (tile.begin * lines.columns + tile.first) * c.filters, c.filters, rest);
      } else {
        for (int64_t j = tile.first; j < tile.last; ++j)
          multiply(of_windows(c, tile.end - tile.begin, line), unfolded + (j - tile.first) * stride,
                   y + (tile.begin * lines.columns + j) * c.filters, lines.columns * c.filters, rest);
      }
    }
  });
}

// dx = fold(d unfolded), d unfolded[:, slots of column] += dy[:, column]·wᵀ, one piece of dx at a time.
template <class T>
void convolve_input_gradient(const ParallelFor& parallel, const Convolution& c, const T* d_y, const T* w,
                             T* d_x, const Scratch& scratch) {
  using namespace convolution_detail;
  const Lines lines(c, sizeof(T));
  const InputPieces pieces(c, lines);
  const T *kernel = nullptr, *packed = nullptr;
  if constexpr (std::is_same_v<T, float>) {
    T* own = reinterpret_cast<T*>(scratch.shared);
    kernel =
        turned_kernel(parallel, c, w, scratch.shared + packed_count<T>(c.filters, c.depth()) * sizeof(T));
    parallel.run(c.depth(), 4 * panel_columns<T>(), [&](int64_t begin, int64_t end) {
      pack_columns<T>({kernel, 1, c.filters}, c.filters, begin, end, own);
    });
    packed = own;
  } else {
    kernel = turned_kernel(parallel, c, w, scratch.shared);
  }
  parallel.run(pieces.count(), 1, [&](int64_t first, int64_t last) {
    std::byte* own = scratch.own(parallel);
    T* unfolded = reinterpret_cast<T*>(own);
    for (int64_t i = first; i < last; ++i) {
      const InputPiece piece = pieces.at(c, lines, i);
      for (int64_t image = piece.image; image < piece.image_end; ++image)
        std::fill(d_x + (image * c.height + piece.top) * c.width * c.channels,
                  d_x + (image * c.height + piece.bottom) * c.width * c.channels, T(0));
      const int64_t tile_lines = even_tile(piece.line_end - piece.line, lines.tile_lines);
      std::byte* rest = own + line_bytes<T>(c, lines, tile_lines);
      Tile tile;
      for (tile.begin = piece.line; tile.begin < piece.line_end; tile.begin = tile.end) {
        tile.end = std::min(tile.begin + tile_lines, piece.line_end);
        for (tile.first = 0; tile.first < lines.columns; tile.first = tile.last) {
          tile.last = std::min(tile.first + lines.tile_columns, lines.columns);
          const int64_t stride = c.window.across.stride * lines.slot,
                        line = Lines::slots(c, tile.last - tile.first) * lines.slot;
          std::fill_n(unfolded, (tile.end - tile.begin) * line, T(0));
          for (int64_t j = tile.first; j < tile.last; ++j)
            gemm_tile<T>(of_adjoints(c, lines, tile.end - tile.begin),
                         d_y + (tile.begin * lines.columns + j) * c.filters, kernel,
                         {unfolded + (j - tile.first) * stride, line}, unfolded + (j - tile.first) * stride,
                         line, rest, packed);
          fold(c, lines, tile, unfolded, piece.top, piece.bottom, d_x);
        }
      }
    }
  });
}

// dw = Σ over columns of unfolded[:, slots of column]ᵀ·dy[:, column], in partial results that are added in
// their order. Where the kernel is so large that there are few, each is computed in blocks of filters.
template <class T>
void convolve_weight_gradient(const ParallelFor& parallel, const Convolution& c, const T* x, const T* d_y,
                              T* d_w, const Scratch& scratch) {
  using namespace convolution_detail;
  const Lines lines(c, sizeof(T));
  const KernelPieces pieces(c, lines);
  const int64_t tiles = lines.tiles(), depth = c.depth();
  double* const partial = reinterpret_cast<double*>(scratch.shared);
  parallel.run(pieces.partials * pieces.blocks, 1, [&](int64_t begin, int64_t end) {
    std::byte* const own = scratch.own(parallel);
    T* const unfolded = reinterpret_cast<T*>(own);
    std::byte* rest = own + line_bytes<T>(c, lines, lines.tile_lines);
    T* const column_sum = reinterpret_cast<T*>(rest);
    rest += column_sum_bytes<T>(c, std::min(pieces.block, c.filters));
    for (int64_t piece = begin; piece < end; ++piece) {
      const int64_t p = piece / pieces.blocks, filter = piece % pieces.blocks * pieces.block,
                    filters = std::min(pieces.block, c.filters - filter);
      double* const sum = partial + p * depth * c.filters + filter;
      clear_runs(sum, c.filters, depth, filters);
      for (int64_t i = p * tiles / pieces.partials; i < (p + 1) * tiles / pieces.partials; ++i) {
        const Tile tile = tile_at(lines, i);
        const int64_t stride = c.window.across.stride * lines.slot,
                      line = Lines::slots(c, tile.last - tile.first) * lines.slot;
        unfold(c, lines, tile, x, unfolded);
        for (int64_t j = tile.first; j < tile.last; ++j) {
          const Product product = of_kernel(c, lines, filters, tile.end - tile.begin, line);
          const T* const windows = unfolded + (j - tile.first) * stride;
          const T* const adjoints = d_y + (tile.begin * lines.columns + j) * c.filters + filter;
          if constexpr (sums_columns<T>) {
            const int64_t column = (j - tile.first) % columns_of_sum;
            gemm_tile<T>(product, windows, adjoints, {column == 0 ? nullptr : column_sum, filters},
                         column_sum, filters, rest);
            if (column + 1 == columns_of_sum || j + 1 == tile.last)
              for (int64_t k = 0; k < depth; ++k)
                for (int64_t f = 0; f < filters; ++f)
                  sum[k * c.filters + f] += static_cast<double>(column_sum[k * filters + f]);
          } else {
            gemm_tile<T>(product, windows, adjoints, {sum, c.filters}, sum, c.filters, rest);
          }
        }
      }
    }
  });
  // Back from [width, height, …] to the kernel's own order.
  const int64_t size = c.channels * c.filters, height = c.window.down.kernel, width = c.window.across.kernel;
  parallel.run(c.taps(), rows_per_task(size * pieces.partials), [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      double* const total = partial + (i % width * height + i / width) * size;
      for (int64_t p = 1; p < pieces.partials; ++p)
        move_runs<true>(total + p * depth * c.filters, size, total, size, 1, size);
      std::transform(total, total + size, d_w + i * size, [](double sum) { return static_cast<T>(sum); });
    }
  });
}

#define LARIAT_CONVOLUTION(T)                                                                               \
  template Workspace convolve_workspace<T>(const Convolution&, const PackedMatrix*);                        \
  template Workspace input_gradient_workspace<T>(const Convolution&);                                       \
  template Workspace weight_gradient_workspace<T>(const Convolution&);                                      \
  template void convolve<T>(const ParallelFor&, const Convolution&, const T*, const T*, T*, const Scratch&, \
                            const PackedMatrix*);                                                           \
  template void convolve_input_gradient<T>(const ParallelFor&, const Convolution&, const T*, const T*, T*,  \
                                           const Scratch&);                                                 \
  template void convolve_weight_gradient<T>(const ParallelFor&, const Convolution&, const T*, const T*, T*, \
                                            const Scratch&);
LARIAT_CONVOLUTION(float)
LARIAT_CONVOLUTION(double)
#undef LARIAT_CONVOLUTION

}  // namespace lariat
