#include "tests/support/npy.hpp"

#include <fmt/format.h>

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

}  // namespace lariat::testing
