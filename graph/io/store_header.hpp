#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "graph/base/shape.hpp"

namespace lariat {

/// What the header of a safetensors file says.
struct StoreHeader {
  struct Entry {
    std::string name;
    DType dtype = f32;
    Extents extents;
    uint64_t begin = 0, end = 0;  ///< counted from the first byte after the header
    bool coded = false;           ///< bytes that decoded() takes; `dtype` and `extents` are not said

    uint64_t bytes() const { return end - begin; }
  };
  std::vector<Entry> entries;  ///< in the order of their places
  std::map<std::string, std::string> metadata;
};

/// The most tensors that a file may have, and the most dimensions of one.
inline constexpr size_t most_tensors = 1'000'000, most_dimensions = 64;

/// The name under which the format keeps notes.
inline constexpr std::string_view metadata_key = "__metadata__";
/// The note of a file that has coded tensors, of U8, and what it says; Store keeps it to itself.
inline constexpr std::string_view coding_note = "coded_tensors",
                                  coding_text = "lariat 1, see docs/model_file.md";

std::string_view format_name(DType dtype);
/// As the format calls the type of coded tensors.
inline constexpr std::string_view coded_name = "U8";

/// Reads the header's JSON in one pass; `data_bytes` follow it in the file. Throws UserError with what is
/// wrong and the next step, without the file's name.
StoreHeader parse_store_header(std::string_view json, uint64_t data_bytes);

/// Throws UserError: what is wrong, and that the model should be saved again.
[[noreturn]] void damaged_store(std::string_view what);

}  // namespace lariat
