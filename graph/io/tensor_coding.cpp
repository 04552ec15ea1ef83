#include "graph/io/tensor_coding.hpp"

#include <fmt/format.h>
#include <zlib.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstring>
#include <span>
#include <vector>

#include "graph/base/error.hpp"
#include "graph/io/entropy_coder.hpp"
#include "graph/io/store_header.hpp"

namespace lariat {

namespace {

// What stands before the stream: a checksum of all that follows it, the numbers' form, the rank, the extents.
constexpr size_t checksum_bytes = 4, form_at = checksum_bytes, rank_at = 5, extents_at = 6;
// The most that a byte may unfold to: a file's size bounds the memory that it takes.
constexpr uint64_t most_unfolded = 1024;
constexpr double least_zeros = 0.15;

uint32_t checksum(std::string_view bytes) {
  uLong sum = crc32(0, nullptr, 0);
  while (!bytes.empty()) {
    const size_t piece = std::min<size_t>(bytes.size(), 1u << 30);
    sum = crc32(sum, reinterpret_cast<const Bytef*>(bytes.data()), static_cast<uInt>(piece));
    bytes.remove_prefix(piece);
  }
  return static_cast<uint32_t>(sum);
}

// Chances of `count` bits, the highest first, each by those before it.
template <int count>
struct BitTree {
  std::array<BitChance, size_t{1} << count> chances{};

  template <class Coder>
  uint32_t code(Coder& coder, uint32_t bits) {
    uint32_t node = 1;
    for (int bit = count - 1; bit >= 0; --bit)
      node = node << 1 | uint32_t{coder.code((bits >> bit & 1) != 0, chances[node])};
    return node & ((1u << count) - 1);
  }
};

// Floats: the sign, the exponent, three bits of the significand by the exponent, and `raw` further bits as
// they are; the rest are 0.
class FloatCoder {
 public:
  explicit FloatCoder(int raw) : raw_(raw) {}

  template <class Coder>
  float code(Coder& coder, float value) {
    const uint32_t bits = std::bit_cast<uint32_t>(value);
    const uint32_t sign = coder.code(bits >> 31 != 0, sign_),
                   exponent = exponent_.code(coder, bits >> 23 & 0xff);
    const uint32_t upper = upper_[exponent].code(coder, bits >> 20 & 7);
    const uint32_t lower = coder.code_raw((bits & 0xfffff) >> (20 - raw_), raw_) << (20 - raw_);
    return std::bit_cast<float>(sign << 31 | exponent << 23 | upper << 20 | lower);
  }

 private:
  int raw_;
  BitChance sign_;
  BitTree<8> exponent_;
  std::array<BitTree<3>, 256> upper_;
};

// Where a matrix is not zero: by how often its row and its column, each on its own, have not been so far.
class PlaceCoder {
 public:
  explicit PlaceCoder(size_t columns) : columns_(columns, BitChance(all_.chance())) {}

  // A row begins as all elements before it were.
  void begin_row() { row_ = BitChance(all_.chance(), first_weight); }

  template <class Coder>
  bool code(Coder& coder, size_t column, bool bit) {
    BitChance &by_row = row_, &by_column = columns_[column];
    bit = coder.code(bit, chances_[level(by_row)][level(by_column)]);
    by_row.learn(bit, short_memory);
    by_column.learn(bit, short_memory);
    all_.learn(bit, long_memory);
    return bit;
  }

 private:
  static constexpr int first_weight = 4, short_memory = 255, long_memory = 1023;
  static constexpr size_t levels = 20;

  // Half-octaves from 1 down.
  static size_t level(const BitChance& chance) {
    const uint32_t units = chance.chance() | 1;
    const int octave = std::countl_zero(units) - (32 - BitChance::precision);
    const uint32_t next =
        BitChance::precision - 2 - octave >= 0 ? units >> (BitChance::precision - 2 - octave) & 1 : 0;
    return std::min<size_t>(levels - 1, 2 * static_cast<size_t>(octave) + 1 - next);
  }

  BitChance all_{1u << (BitChance::precision - 4)}, row_;
  std::vector<BitChance> columns_;
  std::array<std::array<BitChance, levels>, levels> chances_{};
};

// The elements of a tensor as a matrix of its last axis' columns, row by row; the scale of a column comes
// before its first number.
template <class Coder>
void code_elements(Coder& coder, std::span<float> values, size_t columns, NumberForm form,
                   std::span<float> scales) {
  PlaceCoder places(columns);
  FloatCoder floats(form == NumberForm::float16 ? 7 : 20), scale_floats(1);
  BitTree<7> magnitudes;
  std::vector<bool> has_scale(columns, false);
  for (size_t at = 0; at < values.size(); ++at) {
    const size_t column = at % columns;
    if (column == 0) places.begin_row();
    float& value = values[at];
    if (!places.code(coder, column, std::bit_cast<uint32_t>(value) != 0)) {
      value = 0;
      continue;
    }
    if (form != NumberForm::int8) {
      value = floats.code(coder, value);
      continue;
    }
    float& scale = scales[column];
    if (!has_scale[column]) scale = scale_floats.code(coder, scale);
    has_scale[column] = true;
    // A file may hold any scale.
    const float quotient = scale > 0 ? value / scale : 0;
    const uint32_t negative = coder.code_raw(quotient < 0, 1);
    const uint32_t magnitude = magnitudes.code(coder, static_cast<uint32_t>(std::fabs(quotient)));
    value = (negative != 0 ? -1.0f : 1.0f) * static_cast<float>(magnitude) * scale;
  }
}

size_t columns_of(const Extents& extents) {
  return extents.empty() ? 1 : static_cast<size_t>(extents.back());
}

void put(std::string& bytes, const void* data, size_t size) {
  bytes.append(static_cast<const char*>(data), size);
}

template <class T>
T taken(std::string_view bytes, size_t at) {
  T value;
  std::memcpy(&value, bytes.data() + at, sizeof value);
  return value;
}

}  // namespace

std::optional<std::string> coded(const Tensor& tensor) {
  if (tensor.dtype() != f32 || tensor.count() == 0) return std::nullopt;
  std::vector<float> scales;
  const NumberForm form = form_of(tensor, &scales);
  const auto values = tensor.values<float>();
  const auto zeros = std::count_if(values.begin(), values.end(),
                                   [](float value) { return std::bit_cast<uint32_t>(value) == 0; });
  if (form == NumberForm::float32 &&
      static_cast<double>(zeros) < least_zeros * static_cast<double>(values.size()))
    return std::nullopt;
  std::string bytes(checksum_bytes, '\0');
  bytes.push_back(static_cast<char>(form));
  bytes.push_back(static_cast<char>(tensor.extents().size()));
  put(bytes, tensor.extents().data(), sizeof(int64_t) * tensor.extents().size());
  EntropyEncoder encoder;
  const Tensor copy = tensor.clone();
  code_elements(encoder, copy.values<float>(), columns_of(tensor.extents()), form, scales);
  bytes += encoder.finish();
  bytes.resize(std::max<size_t>(bytes.size(), (tensor.bytes() + most_unfolded - 1) / most_unfolded));
  const uint32_t sum = checksum(std::string_view(bytes).substr(checksum_bytes));
  std::memcpy(bytes.data(), &sum, checksum_bytes);
  if (bytes.size() > tensor.bytes() / 4 * 3) return std::nullopt;
  return bytes;
}

Tensor decoded(std::string_view bytes, const std::string& name, NumberForm* numbers) {
  const auto refuse = [&](const std::string& what) {
    damaged_store(fmt::format("tensor '{}' {}", name, what));
  };
  if (bytes.size() < extents_at) refuse(fmt::format("is coded in {} bytes, too few", bytes.size()));
  if (taken<uint32_t>(bytes, 0) != checksum(bytes.substr(checksum_bytes)))
    refuse("is damaged: its checksum is another one");
  const auto form = taken<uint8_t>(bytes, form_at);
  const size_t rank = taken<uint8_t>(bytes, rank_at);
  if (form > static_cast<uint8_t>(NumberForm::int8))
    refuse(fmt::format("is in form {}, but there are 0 to 2", form));
  if (rank > most_dimensions || bytes.size() < extents_at + sizeof(int64_t) * rank)
    refuse(fmt::format("is coded in {} bytes, too few for {} dimensions", bytes.size(), rank));
  Extents extents;
  uint64_t size = sizeof(float);
  for (size_t axis = 0; axis < rank; ++axis) {
    const auto extent = taken<int64_t>(bytes, extents_at + sizeof(int64_t) * axis);
    if (extent < 1 || __builtin_mul_overflow(size, static_cast<uint64_t>(extent), &size) ||
        size > bytes.size() * most_unfolded)
      refuse(fmt::format("claims more than {} times the {} bytes that it is coded in", most_unfolded,
                         bytes.size()));
    extents.push_back(extent);
  }
  Tensor tensor(f32, extents);
  const size_t columns = columns_of(extents);
  std::vector<float> scales(columns, 1);
  EntropyDecoder decoder(bytes.substr(extents_at + sizeof(int64_t) * rank));
  code_elements(decoder, tensor.values<float>(), columns, static_cast<NumberForm>(form), scales);
  if (numbers != nullptr) *numbers = static_cast<NumberForm>(form);
  return tensor;
}

}  // namespace lariat
