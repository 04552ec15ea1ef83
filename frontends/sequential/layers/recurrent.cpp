#include "frontends/sequential/layers/recurrent.hpp"

#include "frontends/sequential/layers/limits.hpp"
#include "ops/ops.hpp"

namespace lariat {

const Fields<LstmFields>& lstm_fields() {
  static const Fields<LstmFields> list =
      Fields<LstmFields>()
          .integer("units", &LstmFields::units, 1, most_units, "size of the state, in each direction")
          .boolean("return_sequences", &LstmFields::return_sequences,
                   "the states of all frames rather than the last one")
          .number("forget_bias", &LstmFields::forget_bias, -100, 100, "added to the forget gate")
          .number("dropout", &LstmFields::dropout, 0, 0.99, "share of the inputs that training drops")
          .parsed("kernel_penalty", &LstmFields::kernel_penalty, weight_penalty_range,
                  "penalties of the kernel", to_text, parse_weight_penalty)
          .parsed("recurrent_penalty", &LstmFields::recurrent_penalty, weight_penalty_range,
                  "penalties of the recurrent kernel", to_text, parse_weight_penalty)
          .parsed("bias_penalty", &LstmFields::bias_penalty, weight_penalty_range, "penalties of the bias",
                  to_text, parse_weight_penalty);
  return list;
}

Value lstm_states(LayerContext& context, const std::string& prefix, Value x, const LstmFields& options) {
  const int64_t channels = x.shape().back().size(), units = options.units;
  const Value kernel = context.parameter(prefix + "kernel", {channels, 4 * units}, init::glorot_uniform(),
                                         options.kernel_penalty);
  const Value recurrent = context.parameter(prefix + "recurrent_kernel", {units, 4 * units},
                                            init::orthogonal(), options.recurrent_penalty);
  const Value bias = context.parameter(prefix + "bias", {4 * units}, init::zeros(), options.bias_penalty);
  return lstm(x, kernel, recurrent, bias, options.forget_bias);
}

}  // namespace lariat
