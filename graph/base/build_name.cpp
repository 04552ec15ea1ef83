#include "graph/base/build_name.hpp"

#include <elf.h>
#include <fmt/format.h>
#include <link.h>

#include <cstring>
#include <string_view>

#include "graph/base/instruction_set.hpp"
#include "graph/base/version.hpp"

namespace lariat {

namespace build_name_detail {

// The identifier in a program's notes, as hexadecimal digits; "" where there is none. A note is the sizes of
// its name and of what it says, its type, then both, each filled up to words.
std::string identifier_in(std::string_view notes) {
  const auto filled = [](size_t size) { return (size + 3) / 4 * 4; };
  ElfW(Nhdr) head = {};
  while (notes.size() >= sizeof head) {
    std::memcpy(&head, notes.data(), sizeof head);
    notes.remove_prefix(sizeof head);
    const size_t name = filled(head.n_namesz), size = filled(head.n_descsz);
    if (name + size > notes.size()) break;
    if (head.n_type == NT_GNU_BUILD_ID && notes.substr(0, head.n_namesz) == std::string_view("GNU", 4)) {
      std::string digits;
      for (const char c : notes.substr(name, head.n_descsz))
        digits += fmt::format("{:02x}", static_cast<unsigned char>(c));
      return digits;
    }
    notes.remove_prefix(name + size);
  }
  return {};
}

// Of the first object, which is the program.
int look_at_program(dl_phdr_info* object, size_t, void* found) {
  for (int i = 0; i < object->dlpi_phnum; ++i) {
    const auto& part = object->dlpi_phdr[i];
    auto& identifier = *static_cast<std::string*>(found);
    if (part.p_type == PT_NOTE && identifier.empty())
      identifier = identifier_in({reinterpret_cast<const char*>(object->dlpi_addr + part.p_vaddr),
                                  static_cast<size_t>(part.p_memsz)});
  }
  return 1;
}

}  // namespace build_name_detail

std::string build_name() {
  constexpr size_t digits = 12;
  std::string identifier;
  dl_iterate_phdr(build_name_detail::look_at_program, &identifier);
  return fmt::format("{}, {}kernels for {}", version,
                     identifier.empty() ? "" : fmt::format("build {}, ", identifier.substr(0, digits)),
                     name_of(instruction_set()));
}

}  // namespace lariat
