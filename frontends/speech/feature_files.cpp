#include "frontends/speech/feature_files.hpp"

#include <fmt/format.h>

#include <bit>
#include <iterator>

#include "graph/io/atomic_file.hpp"

namespace lariat::speech {

void write_csv(const std::string& file, const FeatureMatrix& features) {
  AtomicFile out(file);
  fmt::memory_buffer line;
  for (int64_t t = 0; t < features.frames; ++t) {
    line.clear();
    for (int64_t d = 0; d < features.dimensions; ++d) {
      fmt::format_to(std::back_inserter(line), "{}{}", d == 0 ? "" : ",",
                     features.values[static_cast<size_t>(t * features.dimensions + d)]);
    }
    line.push_back('\n');
    out.write(line.data(), line.size());
  }
  out.commit();
}

void write_npy(const std::string& file, const FeatureMatrix& features) {
  static_assert(std::endian::native == std::endian::little, "the header says little-endian");
  // Magic, version 1.0, header length in two bytes, then the header, padded so that the data start at a
  // multiple of 64.
  std::string header = fmt::format("{{'descr': '<f4', 'fortran_order': False, 'shape': ({}, {}), }}",
                                   features.frames, features.dimensions);
  const size_t preamble = 10;
  header.append(63 - (preamble + header.size()) % 64, ' ');
  header.push_back('\n');
  AtomicFile out(file);
  out.write(std::string_view("\x93NUMPY\x01\x00", 8));
  const auto length = static_cast<uint16_t>(header.size());
  out.write(&length, sizeof length);
  out.write(header);
  out.write(features.values.data(), features.values.size() * sizeof(float));
  out.commit();
}

}  // namespace lariat::speech
