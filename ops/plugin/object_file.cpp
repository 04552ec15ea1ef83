#include "ops/plugin/object_file.hpp"

#include <elf.h>
#include <fmt/format.h>
#include <link.h>

#include <algorithm>
#include <cstring>
#include <fstream>
#include <vector>

namespace lariat::plugin {

std::string cut_off(const std::string& file) {
  std::ifstream in(file, std::ios::binary);
  in.seekg(0, std::ios::end);
  const std::streamoff size = in.tellg();
  ElfW(Ehdr) header;
  in.seekg(0);
  if (!in.read(reinterpret_cast<char*>(&header), sizeof header)) return "";
  if (std::memcmp(header.e_ident, ELFMAG, SELFMAG) != 0) return "";
  if (header.e_phentsize != sizeof(ElfW(Phdr))) return "";
  const auto end_of = [](uint64_t offset, uint64_t count) {
    return offset > UINT64_MAX - count ? UINT64_MAX : offset + count;
  };
  uint64_t end = end_of(header.e_phoff, uint64_t{header.e_phnum} * header.e_phentsize);
  if (header.e_shoff != 0)
    end = std::max(end, end_of(header.e_shoff, uint64_t{header.e_shnum} * header.e_shentsize));
  std::vector<ElfW(Phdr)> segments(header.e_phnum);
  in.seekg(static_cast<std::streamoff>(header.e_phoff));
  if (in.read(reinterpret_cast<char*>(segments.data()),
              static_cast<std::streamsize>(segments.size() * sizeof(ElfW(Phdr)))))
    for (const ElfW(Phdr) & segment : segments)
      if (segment.p_type == PT_LOAD) end = std::max(end, end_of(segment.p_offset, segment.p_filesz));
  if (end <= static_cast<uint64_t>(size)) return "";
  return fmt::format("it is cut off: its parts reach up to byte {}, and it has {}; copy it again", end, size);
}

}  // namespace lariat::plugin
