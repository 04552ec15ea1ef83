#pragma once

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

namespace lariat::testing {

/// A file as numpy.save writes it, with this header.
std::string npy_with_header(const std::string& header, const std::string& elements, char version = 1);

/// The bytes of an array: `type` as numpy spells it, such as "<f4", `shape` such as "(4, 2)".
std::string npy(const std::string& type, const std::string& shape, const std::string& elements,
                const std::string& by_columns = "False", char version = 1);

/// The same of numbers of that type; of a big-endian one they are turned.
template <class T>
std::string npy_of(const std::string& type, const std::string& shape, const std::vector<T>& values,
                   const std::string& by_columns = "False") {
  std::string elements;
  for (const T value : values) {
    std::string raw(reinterpret_cast<const char*>(&value), sizeof value);
    if (type[0] == '>') std::reverse(raw.begin(), raw.end());
    elements += raw;
  }
  return npy(type, shape, elements, by_columns);
}

/// An archive of these members as Python's zipfile writes it: lengths of 64 bits in the local header, of 32
/// in the list of members.
std::string zip(const std::vector<std::pair<std::string, std::string>>& members, bool deflated);

}  // namespace lariat::testing
