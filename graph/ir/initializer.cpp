#include "graph/ir/initializer.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>
#include <xtensor-blas/xlinalg.hpp>
#include <xtensor/xtensor.hpp>
#include <xtensor/xview.hpp>

#include "graph/base/blas.hpp"
#include "graph/base/error.hpp"
#include "graph/base/random.hpp"

namespace lariat {

namespace {

using Columns = xt::xtensor<double, 2, xt::layout_type::column_major>;

/// Random numbers by their index: each depends on seed and name only.
class Draw {
 public:
  Draw(uint64_t seed, std::string_view name)
      : key_(seed), stream_(hash_bytes(name.data(), name.size(), hash_name("initializer "))) {}

  /// Two independent numbers, uniform in [0, 1) with 53 bits.
  std::array<double, 2> uniform_pair(int64_t index) const {
    const auto bits = random_bits(key_, stream_, static_cast<uint64_t>(index));
    const auto unit = [](uint32_t high, uint32_t low) {
      return static_cast<double>(((uint64_t{high} << 32) | low) >> 11) * 0x1p-53;
    };
    return {unit(bits[0], bits[1]), unit(bits[2], bits[3])};
  }

  /// Two independent standard normal numbers: r·cos t and r·sin t (Box and Muller, 1958).
  std::array<double, 2> normal_pair(int64_t index) const {
    const auto [a, b] = uniform_pair(index);
    const double radius = std::sqrt(-2 * std::log(1 - a)), angle = 2 * std::numbers::pi * b;
    return {radius * std::cos(angle), radius * std::sin(angle)};
  }

 private:
  uint64_t key_, stream_;
};

/// Calls `pair(index)` for every second element and stores the two results times `scale`.
template <class Pair>
void fill_by_pairs(const Tensor& out, double scale, Pair&& pair) {
  with_type(out.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const std::span<T> values = out.values<T>();
    for (size_t i = 0; i < values.size(); i += 2) {
      const std::array<double, 2> drawn = pair(static_cast<int64_t>(i / 2));
      values[i] = static_cast<T>(scale * drawn[0]);
      if (i + 1 < values.size()) values[i + 1] = static_cast<T>(scale * drawn[1]);
    }
  });
}

void fill_uniform(const Tensor& out, const Draw& draw, double half_width) {
  fill_by_pairs(out, half_width, [&](int64_t index) {
    const auto [a, b] = draw.uniform_pair(index);
    return std::array<double, 2>{2 * a - 1, 2 * b - 1};
  });
}

void fill_normal(const Tensor& out, const Draw& draw, double standard_deviation) {
  fill_by_pairs(out, standard_deviation, [&](int64_t index) { return draw.normal_pair(index); });
}

/// `count` ≤ `length` orthonormal vectors, uniform among all such: Q of a normal matrix Q·R with the signs
/// that make the diagonal of R positive (Mezzadri, How to generate random matrices from the classical compact
/// groups, 2007).
Columns orthonormal_vectors(size_t count, size_t length, const Draw& draw) {
  Columns normal({length, count});
  for (size_t i = 0; i < normal.size(); i += 2) {
    const auto drawn = draw.normal_pair(static_cast<int64_t>(i / 2));
    normal.data()[i] = drawn[0];
    if (i + 1 < normal.size()) normal.data()[i + 1] = drawn[1];
  }
  use_one_blas_thread();
  auto [vectors, r] = xt::linalg::qr(normal, xt::linalg::qrmode::reduced);
  for (size_t j = 0; j < count; ++j)
    if (r(j, j) < 0) xt::col(vectors, static_cast<std::ptrdiff_t>(j)) *= -1.0;
  return vectors;
}

void fill_orthogonal(const Tensor& out, const Draw& draw, double gain) {
  if (out.count() == 0) return;
  const int64_t columns = out.extents().empty() ? 1 : out.extents().back();
  const int64_t rows = out.count() / columns;
  const bool tall = rows >= columns;
  const Columns vectors = orthonormal_vectors(static_cast<size_t>(std::min(rows, columns)),
                                              static_cast<size_t>(std::max(rows, columns)), draw);
  with_type(out.dtype(), [&](auto zero) {
    using T = decltype(zero);
    T* values = out.data<T>();
    for (int64_t row = 0; row < rows; ++row)
      for (int64_t column = 0; column < columns; ++column)
        values[row * columns + column] =
            static_cast<T>(gain * (tall ? vectors(row, column) : vectors(column, row)));
  });
}

struct Fans {
  double in = 1, out = 1;
};

Fans fans_of(const Extents& extents) {
  const size_t rank = extents.size();
  if (rank == 0) return {};
  const auto last = static_cast<double>(extents[rank - 1]);
  if (rank == 1) return {last, last};
  double window = 1;
  for (size_t i = 0; i + 2 < rank; ++i) window *= static_cast<double>(extents[i]);
  return {window * static_cast<double>(extents[rank - 2]), window * last};
}

void fill_glorot_uniform(const Tensor& out, const Draw& draw, double gain) {
  const Fans fans = fans_of(out.extents());
  fill_uniform(out, draw, gain * std::sqrt(6 / (fans.in + fans.out)));
}

void fill_he_normal(const Tensor& out, const Draw& draw, double gain) {
  fill_normal(out, draw, gain * std::sqrt(2 / fans_of(out.extents()).in));
}

/// A kind that draws; `fill` takes the initializer's scale.
struct Kind {
  std::string_view name;
  void (*fill)(const Tensor& out, const Draw& draw, double scale);
};

constexpr std::array kinds{Kind{"uniform", fill_uniform}, Kind{"normal", fill_normal},
                           Kind{"glorot_uniform", fill_glorot_uniform}, Kind{"he_normal", fill_he_normal},
                           Kind{"orthogonal", fill_orthogonal}};

[[noreturn]] void refuse(std::string_view name, const std::string& message) {
  throw UserError(fmt::format("cannot initialize '{}': {}", name, message));
}

}  // namespace

Tensor initialize(const Initializer& initializer, std::string_view name, const Extents& extents, DType dtype,
                  uint64_t seed) {
  const std::string& kind = initializer.kind;
  const double scale = initializer.scale;
  const auto found = std::find_if(kinds.begin(), kinds.end(), [&](const Kind& k) { return k.name == kind; });
  if (kind != "constant" && found == kinds.end()) {
    std::vector<std::string> known{"constant"};
    for (const Kind& other : kinds) known.emplace_back(other.name);
    refuse(name, fmt::format("there is no initializer '{}'.{}", kind, did_you_mean(kind, known)));
  }
  if (kind == "constant") {
    try {
      return Tensor::filled(dtype, extents, scale);
    } catch (const UserError& error) {
      refuse(name, error.what());
    }
  }
  if (!is_float(dtype))
    refuse(name, fmt::format("'{}' draws real numbers, the tensor is {}; use init::constant", kind,
                             name_of(dtype)));
  if (!(scale >= 0 && std::isfinite(scale)))
    refuse(name, fmt::format("the scale of '{}' is {}; it must be finite and not negative", kind, scale));
  const Tensor out(dtype, extents);
  if (out.count() > 0) found->fill(out, Draw(seed, name), scale);
  return out;
}

}  // namespace lariat
