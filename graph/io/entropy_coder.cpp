#include "graph/io/entropy_coder.hpp"

#include <algorithm>

namespace lariat {

namespace {

// How many bits a chance is the mean of at most.
constexpr int longest_memory = 1023;
constexpr uint32_t half = 1u << 15;

// In units of 2^-16, and neither 0 nor 1.
uint32_t coded_chance(const BitChance& chance) {
  return std::max(chance.chance() >> (BitChance::precision - 16), 1u);
}

// The last number of the lower part of low…high.
uint32_t cut(uint32_t low, uint32_t high, uint32_t chance) {
  return low + static_cast<uint32_t>((static_cast<uint64_t>(high - low) * chance) >> 16);
}

bool first_bytes_agree(uint32_t low, uint32_t high) { return (low ^ high) >> 24 == 0; }

}  // namespace

void EntropyEncoder::narrow(bool bit, uint32_t chance) {
  const uint32_t middle = cut(low_, high_, chance);
  bit ? high_ = middle : low_ = middle + 1;
  for (; first_bytes_agree(low_, high_); low_ <<= 8, high_ = high_ << 8 | 0xff)
    bytes_.push_back(static_cast<char>(high_ >> 24));
}

bool EntropyEncoder::code(bool bit, BitChance& chance) {
  narrow(bit, coded_chance(chance));
  chance.learn(bit, longest_memory);
  return bit;
}

uint32_t EntropyEncoder::code_raw(uint32_t bits, int count) {
  while (count-- > 0) narrow((bits >> count & 1) != 0, half);
  return bits;
}

std::string EntropyEncoder::finish() {
  // Any number of the interval will do; the zeros behind it need not be stored.
  for (int byte = 3; byte >= 0; --byte) bytes_.push_back(static_cast<char>(high_ >> 8 * byte));
  return std::move(bytes_);
}

EntropyDecoder::EntropyDecoder(std::string_view bytes) : bytes_(bytes) {
  for (int byte = 0; byte < 4; ++byte) value_ = value_ << 8 | next();
}

uint32_t EntropyDecoder::next() { return at_ < bytes_.size() ? static_cast<uint8_t>(bytes_[at_++]) : 0; }

bool EntropyDecoder::narrow(uint32_t chance) {
  const uint32_t middle = cut(low_, high_, chance);
  const bool bit = value_ <= middle;
  bit ? high_ = middle : low_ = middle + 1;
  for (; first_bytes_agree(low_, high_); low_ <<= 8, high_ = high_ << 8 | 0xff) value_ = value_ << 8 | next();
  return bit;
}

bool EntropyDecoder::code(bool, BitChance& chance) {
  const bool bit = narrow(coded_chance(chance));
  chance.learn(bit, longest_memory);
  return bit;
}

uint32_t EntropyDecoder::code_raw(uint32_t, int count) {
  uint32_t bits = 0;
  while (count-- > 0) bits = bits << 1 | uint32_t{narrow(half)};
  return bits;
}

}  // namespace lariat
