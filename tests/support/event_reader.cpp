#include "tests/support/event_reader.hpp"

#include <cstring>
#include <utility>

#include "tests/support/files.hpp"
#include "tests/support/testing.hpp"

namespace lariat::testing {

namespace {

uint32_t slow_crc32c(const std::string& bytes) {
  uint32_t crc = 0xffffffff;
  for (const unsigned char byte : bytes)
    for (int bit = 0; bit < 8; ++bit) {
      const bool carry = ((crc ^ (byte >> bit)) & 1) != 0;
      crc = (crc >> 1) ^ (carry ? 0x82f63b78u : 0);
    }
  return crc ^ 0xffffffff;
}

class ProtobufReader {
 public:
  explicit ProtobufReader(std::string bytes) : bytes_(std::move(bytes)) {}
  bool done() const { return at_ == bytes_.size(); }
  uint64_t varint() {
    uint64_t number = 0;
    for (int shift = 0;; shift += 7) {
      const auto byte = static_cast<unsigned char>(bytes_.at(at_++));
      number |= uint64_t(byte & 0x7f) << shift;
      if (byte < 0x80) return number;
    }
  }
  template <class Number>
  Number fixed() {
    Number number;
    std::memcpy(&number, take(sizeof number).data(), sizeof number);
    return number;
  }
  std::string take(size_t count) {
    REQUIRE(at_ + count <= bytes_.size());
    at_ += count;
    return bytes_.substr(at_ - count, count);
  }
  std::string block() { return take(varint()); }

 private:
  std::string bytes_;
  size_t at_ = 0;
};

}  // namespace

std::vector<Event> read_events(const std::string& file) {
  std::vector<Event> events;
  ProtobufReader records(read_file(file));
  const auto check = [&](const std::string& bytes) {
    const uint32_t crc = slow_crc32c(bytes);
    CHECK(records.fixed<uint32_t>() == uint32_t((crc >> 15) | (crc << 17)) + 0xa282ead8u);
  };
  while (!records.done()) {
    const std::string length = records.take(8);
    check(length);
    uint64_t size = 0;
    std::memcpy(&size, length.data(), 8);
    const std::string bytes = records.take(size);
    check(bytes);
    Event event;
    ProtobufReader message(bytes);
    while (!message.done()) {
      const uint64_t key = message.varint();
      if (key == (1 << 3 | 1))
        event.wall_time = message.fixed<double>();
      else if (key == (2 << 3 | 0))
        event.step = static_cast<int64_t>(message.varint());
      else if (key == (3 << 3 | 2))
        event.version = message.block();
      else {
        REQUIRE(key == (5 << 3 | 2));
        ProtobufReader summary(message.block());
        REQUIRE(summary.varint() == (1 << 3 | 2));
        ProtobufReader value(summary.block());
        REQUIRE(value.varint() == (1 << 3 | 2));
        event.tag = value.block();
        REQUIRE(value.varint() == (2 << 3 | 5));
        event.value = value.fixed<float>();
        CHECK(value.done());
        CHECK(summary.done());
      }
    }
    events.push_back(event);
  }
  return events;
}

}  // namespace lariat::testing
