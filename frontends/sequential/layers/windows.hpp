#pragma once

#include "frontends/sequential/layers.hpp"
#include "frontends/sequential/layers/limits.hpp"

namespace lariat {

/// Windows that move over the time of a sequence. Their places depend on where a sequence begins, never on
/// how far its batch is padded.
struct SequenceWindow {
  int64_t size = 1, stride = 1;
  Padding padding = Padding::same;

  /// x with the zeros in front and behind that `same` needs along `axis` for windows of a `valid` operation.
  Value padded(Value x, int64_t axis = 1) const;
  /// How many windows sequences have.
  Value lengths(Value lengths) const;
  int64_t frames_needed(int64_t windows) const;
};

/// Why a convolution cannot do without a channel that is always `value`, or "".
std::string beside_padding(Padding padding, float value);

const std::vector<std::string>& padding_names();
inline constexpr const char* padding_doc =
    "same: a window around every stride-th frame; valid: only windows within the sequence";

}  // namespace lariat
