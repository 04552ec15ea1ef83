#pragma once

#include "frontends/sequential/layers.hpp"

namespace lariat {

struct LstmFields : LstmOptions {
  int64_t units = 0;
};

/// The options that the two LSTM layers share.
const Fields<LstmFields>& lstm_fields();
/// One direction over `x`, with parameters "layer/prefix…"; the states of all frames.
Value lstm_states(LayerContext& context, const std::string& prefix, Value x, const LstmFields& options);

}  // namespace lariat
