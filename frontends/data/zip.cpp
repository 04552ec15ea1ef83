#include "frontends/data/zip.hpp"

#include <fmt/format.h>
#include <zlib.h>

#include <algorithm>
#include <cstdint>
#include <set>
#include <vector>

#include "frontends/data/option_table.hpp"
#include "graph/base/error.hpp"

namespace lariat::data {

namespace {

[[noreturn]] void damaged(const std::string& file) {
  throw UserError(
      fmt::format("{}: is no whole zip archive; save it again with numpy.savez, or copy it again", file));
}

// https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT, sections 4.3.7, 4.3.12, 4.3.14 to 16, 4.5.3.
class ZipReader {
 public:
  ZipReader(std::string_view bytes, const std::string& file) : bytes_(bytes), file_(file) {}

  struct Member {
    std::string_view name;
    uint64_t method = 0, checksum = 0, packed = 0, size = 0, header = 0;
  };

  std::vector<Member> members() const {
    auto [at, count] = directory();
    std::vector<Member> members;
    std::set<std::string_view> names;
    for (; count > 0; --count) {
      constexpr uint64_t fixed = 46;
      if (number(at, 4) != 0x02014b50) damaged();
      Member member{.name = {},
                    .method = number(at + 10, 2),
                    .checksum = number(at + 16, 4),
                    .packed = number(at + 20, 4),
                    .size = number(at + 24, 4),
                    .header = number(at + 42, 4)};
      const uint64_t name = number(at + 28, 2), extra = number(at + 30, 2), comment = number(at + 32, 2);
      member.name = part(at + fixed, name);
      if ((number(at + 8, 2) & 1) != 0)
        throw UserError(fmt::format("{}: is encrypted; save it again with numpy.savez", file_));
      widen(member, part(at + fixed + name, extra));
      if (!names.insert(member.name).second) damaged();
      members.push_back(member);
      at += fixed + name + extra + comment;
    }
    return members;
  }

  std::string_view part(uint64_t at, uint64_t size) const {
    if (at > bytes_.size() || size > bytes_.size() - at) damaged();
    return bytes_.substr(at, size);
  }

  // Where the bytes of a member begin.
  uint64_t begin(const Member& member) const {
    // The local header may have another extra field.
    if (number(member.header, 4) != 0x04034b50) damaged();
    return member.header + 30 + number(member.header + 26, 2) + number(member.header + 28, 2);
  }

  std::string unpack(const Member& member) const {
    const std::string_view packed = part(begin(member), member.packed);
    std::string result;
    if (member.method == 0) {
      result = packed;
    } else if (member.method == 8) {
      result = inflated(packed, member.size);
    } else {
      throw UserError(fmt::format("{}: '{}' is packed by method {}; save it again with numpy.savez", file_,
                                  shortened(member.name), member.method));
    }
    uLong checksum = crc32_z(0, reinterpret_cast<const Bytef*>(result.data()), result.size());
    if (result.size() != member.size || checksum != member.checksum) damaged();
    return result;
  }

 private:
  [[noreturn]] void damaged() const { data::damaged(file_); }

  uint64_t number(uint64_t at, int size) const { return number_of(part(at, static_cast<uint64_t>(size))); }
  static uint64_t number_of(std::string_view bytes) {
    uint64_t value = 0;
    for (size_t i = bytes.size(); i-- > 0;) value = value << 8 | static_cast<unsigned char>(bytes[i]);
    return value;
  }

  // Where the list of members begins, and how many there are.
  std::pair<uint64_t, uint64_t> directory() const {
    const size_t end = bytes_.rfind("PK\5\6");
    if (end == bytes_.npos) damaged();
    part(end, 22);
    uint64_t count = number(end + 10, 2), at = number(end + 16, 4);
    if ((count == 0xffff || at == 0xffffffff) && end >= 20 && number(end - 20, 4) == 0x07064b50) {
      const uint64_t wide = number(end - 12, 8);
      if (number(wide, 4) != 0x06064b50) damaged();
      count = number(wide + 32, 8);
      at = number(wide + 48, 8);
    }
    return {at, count};
  }

  // Lengths that do not fit 32 bits stand in the extra field, in this order.
  void widen(Member& member, std::string_view extra) const {
    while (extra.size() >= 4) {
      const uint64_t kind = number_of(extra.substr(0, 2));
      const size_t size = number_of(extra.substr(2, 2));
      std::string_view body = extra.substr(4, size);
      if (kind == 1)
        for (uint64_t* length : {&member.size, &member.packed, &member.header}) {
          if (*length != 0xffffffff) continue;
          if (body.size() < 8) damaged();
          *length = number_of(body.substr(0, 8));
          body.remove_prefix(8);
        }
      extra.remove_prefix(std::min(extra.size(), 4 + size));
    }
  }

  std::string inflated(std::string_view packed, uint64_t size) const {
    // Deflate packs at most 1032 bytes into one.
    if (size / 1032 > packed.size()) damaged();
    std::string result(size, '\0');
    z_stream stream = {};
    if (inflateInit2(&stream, -MAX_WBITS) != Z_OK) throw std::bad_alloc();
    int status = Z_OK;
    size_t read = 0, written = 0;
    while (status == Z_OK) {
      constexpr size_t most = size_t{1} << 30;  // zlib counts in 32 bits
      stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(packed.data() + read));
      stream.avail_in = static_cast<uInt>(std::min(most, packed.size() - read));
      stream.next_out = reinterpret_cast<Bytef*>(result.data() + written);
      stream.avail_out = static_cast<uInt>(std::min(most, result.size() - written));
      const uInt in = stream.avail_in, out = stream.avail_out;
      status = inflate(&stream, Z_NO_FLUSH);
      read += in - stream.avail_in;
      written += out - stream.avail_out;
    }
    inflateEnd(&stream);
    if (status != Z_STREAM_END || written != size) damaged();
    return result;
  }

  std::string_view bytes_;
  const std::string& file_;
};

}  // namespace

std::map<std::string, std::string> read_zip(std::string_view bytes, const std::string& file) {
  return read_zip(bytes, file, [](std::string_view) { return true; });
}

std::map<std::string, std::string> read_zip(std::string_view bytes, const std::string& file,
                                            const std::function<bool(std::string_view name)>& wanted) {
  const ZipReader reader(bytes, file);
  std::map<std::string, std::string> members;
  for (const ZipReader::Member& member : reader.members())
    if (wanted(member.name)) members.emplace(member.name, reader.unpack(member));
  return members;
}

std::map<std::string, ZipPlace> zip_places(std::string_view bytes, const std::string& file) {
  const ZipReader reader(bytes, file);
  std::map<std::string, ZipPlace> places;
  for (const ZipReader::Member& member : reader.members()) {
    const uint64_t at = reader.begin(member);
    reader.part(at, member.packed);
    places.emplace(member.name, ZipPlace{at, member.packed, member.method == 0, member.checksum});
  }
  return places;
}

void check_member(const RandomFile& file, const ZipPlace& place) {
  constexpr uint64_t at_once = uint64_t{1} << 20;
  std::vector<Bytef> block(std::min(at_once, place.size));
  uLong checksum = crc32_z(0, nullptr, 0);
  for (uint64_t done = 0; done < place.size; done += block.size()) {
    block.resize(std::min(at_once, place.size - done));
    file.read(place.at + done, block.data(), block.size());
    checksum = crc32_z(checksum, block.data(), block.size());
  }
  if (checksum != place.checksum) damaged(file.name());
}

}  // namespace lariat::data
