#include "frontends/sequential/callbacks/event_file.hpp"

#include <array>
#include <bit>
#include <cstdint>

namespace lariat {

namespace {

template <class Number>
std::string little_endian(Number number) {
  std::string bytes;
  for (size_t i = 0; i < sizeof(Number); ++i)
    bytes += static_cast<char>(static_cast<unsigned char>(number >> (8 * i)));
  return bytes;
}

std::string varint(uint64_t number) {
  std::string bytes;
  for (; number >= 0x80; number >>= 7) bytes += static_cast<char>(number | 0x80);
  return bytes + static_cast<char>(number);
}

// Fields of a protobuf message.
enum Wire { varint_wire = 0, fixed64_wire = 1, bytes_wire = 2, fixed32_wire = 5 };
std::string key(int field, Wire wire) { return varint(static_cast<uint64_t>(field << 3 | wire)); }
std::string bytes_field(int field, const std::string& bytes) {
  return key(field, bytes_wire) + varint(bytes.size()) + bytes;
}
std::string wall_time_field(double wall_time) {
  return key(1, fixed64_wire) + little_endian(std::bit_cast<uint64_t>(wall_time));
}

std::string masked_crc(const std::string& bytes) {
  const uint32_t crc = crc32c(bytes);
  return little_endian((crc >> 15 | crc << 17) + 0xa282ead8U);
}

std::string record(const std::string& event) {
  const std::string length = little_endian(static_cast<uint64_t>(event.size()));
  return length + masked_crc(length) + event + masked_crc(event);
}

}  // namespace

uint32_t crc32c(const std::string& bytes) {
  static const std::array<uint32_t, 256> table = [] {
    std::array<uint32_t, 256> entries{};
    for (uint32_t i = 0; i < 256; ++i) {
      uint32_t crc = i;
      for (int bit = 0; bit < 8; ++bit) crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78U : 0);
      entries[i] = crc;
    }
    return entries;
  }();
  uint32_t crc = ~0U;
  for (const char byte : bytes) crc = table[(crc ^ static_cast<unsigned char>(byte)) & 0xff] ^ crc >> 8;
  return ~crc;
}

std::string event_file_version(double wall_time) {
  return record(wall_time_field(wall_time) + bytes_field(3, "brain.Event:2"));
}

std::string scalar_event(double wall_time, int64_t step, const std::string& tag, double value) {
  const std::string number =
      key(2, fixed32_wire) + little_endian(std::bit_cast<uint32_t>(static_cast<float>(value)));
  return record(wall_time_field(wall_time) + key(2, varint_wire) + varint(static_cast<uint64_t>(step)) +
                bytes_field(5, bytes_field(1, bytes_field(1, tag) + number)));
}

}  // namespace lariat
