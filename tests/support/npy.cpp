#include "tests/support/npy.hpp"

#include <fmt/format.h>
#include <zlib.h>

#include "tests/support/testing.hpp"

namespace lariat::testing {

std::string npy_with_header(const std::string& header, const std::string& elements, char version) {
  std::string size;
  for (int byte = 0; byte < (version == 1 ? 2 : 4); ++byte)
    size += static_cast<char>(header.size() >> (8 * byte));
  return std::string("\x93NUMPY") + version + '\0' + size + header + elements;
}

std::string npy(const std::string& type, const std::string& shape, const std::string& elements,
                const std::string& by_columns, char version) {
  return npy_with_header(
      fmt::format("{{'descr': '{}', 'fortran_order': {}, 'shape': {}, }}\n", type, by_columns, shape),
      elements, version);
}

namespace {

std::string little(uint64_t value, int bytes) {
  std::string text;
  for (int i = 0; i < bytes; ++i) text += static_cast<char>(value >> (8 * i));
  return text;
}

}  // namespace

std::string zip(const std::vector<std::pair<std::string, std::string>>& members, bool deflated) {
  std::string file, list;
  for (const auto& [name, content] : members) {
    std::string packed = content;
    if (deflated) {
      z_stream stream = {};
      REQUIRE(deflateInit2(&stream, 6, Z_DEFLATED, -MAX_WBITS, 8, Z_DEFAULT_STRATEGY) == Z_OK);
      packed.resize(deflateBound(&stream, content.size()));
      stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(content.data()));
      stream.avail_in = static_cast<uInt>(content.size());
      stream.next_out = reinterpret_cast<Bytef*>(packed.data());
      stream.avail_out = static_cast<uInt>(packed.size());
      REQUIRE(deflate(&stream, Z_FINISH) == Z_STREAM_END);
      packed.resize(stream.total_out);
      deflateEnd(&stream);
    }
    const uint64_t checksum = crc32_z(0, reinterpret_cast<const Bytef*>(content.data()), content.size());
    const std::string common =
        little(0, 2) + little(deflated ? 8 : 0, 2) + little(0, 4) + little(checksum, 4);
    list += "PK\1\2" + little(45, 2) + little(45, 2) + common + little(packed.size(), 4) +
            little(content.size(), 4) + little(name.size(), 2) + std::string(12, '\0') +
            little(file.size(), 4) + name;
    file += "PK\3\4" + little(45, 2) + common + std::string(8, '\xff') + little(name.size(), 2) +
            little(20, 2) + name + little(1, 2) + little(16, 2) + little(content.size(), 8) +
            little(packed.size(), 8) + packed;
  }
  return file + list + "PK\5\6" + little(0, 4) + little(members.size(), 2) + little(members.size(), 2) +
         little(list.size(), 4) + little(file.size(), 4) + little(0, 2);
}

}  // namespace lariat::testing
