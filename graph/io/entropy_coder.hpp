#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace lariat {

/// The chance that the next bit of one kind is 1, learned from those before it: the mean of `limit` bits or
/// more, counted from a first guess of 1/2.
class BitChance {
 public:
  static constexpr int precision = 22;
  BitChance() = default;
  explicit BitChance(uint32_t chance, int seen = 0) : chance_(static_cast<int32_t>(chance)), seen_(seen) {}

  /// In units of 2^-22, from 0 up to, but not, 1.
  uint32_t chance() const { return static_cast<uint32_t>(chance_); }
  void learn(bool bit, int limit) {
    if (seen_ < limit) ++seen_;
    const int32_t target = bit ? (1 << precision) - 1 : 0;
    chance_ += (target - chance_) * 2 / (2 * seen_ + 3);
  }

 private:
  int32_t chance_ = 1 << (precision - 1), seen_ = 0;
};

/// A binary range coder (Martin 1979, as in Mahoney's paq): an interval of 32-bit numbers is cut at each bit
/// by its chance. Both ends learn alike, so that only the bits are stored.
class EntropyEncoder {
 public:
  bool code(bool bit, BitChance& chance);
  /// `count` low bits of `bits`, the highest first, each as likely as not.
  uint32_t code_raw(uint32_t bits, int count);
  /// Ends the stream.
  std::string finish();

 private:
  void narrow(bool bit, uint32_t chance);
  uint32_t low_ = 0, high_ = 0xffffffff;
  std::string bytes_;
};

/// The same calls give back what the encoder was given, whatever they are given. Zeros follow the end of its
/// bytes, so that it cannot run out.
class EntropyDecoder {
 public:
  explicit EntropyDecoder(std::string_view bytes);
  bool code(bool, BitChance& chance);
  uint32_t code_raw(uint32_t, int count);

 private:
  bool narrow(uint32_t chance);
  uint32_t next();
  std::string_view bytes_;
  size_t at_ = 0;
  uint32_t low_ = 0, high_ = 0xffffffff, value_ = 0;
};

}  // namespace lariat
