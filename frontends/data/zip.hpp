#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>

#include "frontends/data/source.hpp"

namespace lariat::data {

/// The members of a zip archive by name, stored or deflated, as numpy.savez writes them. `file` names it in
/// messages. Throws UserError where the archive is damaged or packed in another way.
std::map<std::string, std::string> read_zip(std::string_view bytes, const std::string& file);
/// Only those of these names.
std::map<std::string, std::string> read_zip(std::string_view bytes, const std::string& file,
                                            const std::function<bool(std::string_view name)>& wanted);

/// Where a member lies in an archive, and whether it lies there as it is, or packed.
struct ZipPlace {
  uint64_t at = 0, size = 0;
  bool plain = true;
  uint64_t checksum = 0;  ///< CRC-32 of the member unpacked
};
std::map<std::string, ZipPlace> zip_places(std::string_view bytes, const std::string& file);
/// Reads a member that is not packed once, and throws UserError where it is not what was written.
void check_member(const RandomFile& file, const ZipPlace& place);

}  // namespace lariat::data
