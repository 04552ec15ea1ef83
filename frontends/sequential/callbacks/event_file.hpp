#pragma once

#include <string>

namespace lariat {

// The event files that TensorBoard reads, as records of the format TFRecord: the length, a masked CRC-32C of
// it, the bytes, a masked CRC-32C of those. An event is a protobuf: wall_time (double, 1), step (int64, 2),
// file_version (string, 3), summary (message, 5) of values (message, 1) with tag (string, 1) and simple_value
// (float, 2).

/// CRC-32C (Castagnoli) of some bytes.
uint32_t crc32c(const std::string& bytes);
/// The record that a file begins with.
std::string event_file_version(double wall_time);
/// The record of one number.
std::string scalar_event(double wall_time, int64_t step, const std::string& tag, double value);

}  // namespace lariat
