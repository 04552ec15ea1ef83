#include "frontends/cli/commands/compositions.hpp"

#include <map>

namespace lariat::cli {

const std::vector<Composition>& compositions() {
  static const std::vector<Composition> list{
      {"box", "x, low, high", "0 where all of x are within [low, high], else infinity: the sum of within."},
      {"huber", "prediction, target, delta = 1",
       "The mean of e²/2 where |e| <= delta, else delta·(|e| - delta/2); e = prediction - target. Huber "
       "(1964)."},
      {"last_step", "x, lengths", "Each row's last step: [batch, time, channels] to [batch, channels]."},
      {"lstm", "x, input_kernel, recurrent_kernel, bias, forget_bias = 0",
       "A whole LSTM layer from zero states: [batch, time, input] to [batch, time, units]."},
      {"masked_max_time", "x, lengths", "The maximum over each row's steps, whatever the padding holds."},
      {"masked_mean_time", "x, lengths", "The mean over each row's steps, whatever the padding holds."},
      {"mean_squared_error", "prediction, target", "The mean of (prediction - target)² over all elements."},
      {"nonnegative", "x", "0 where no x is below 0, else infinity: a bound as a term of a loss."},
      {"norm1", "x", "Σ|x| over all elements."},
      {"ones_like", "x", "1 in x's shape and dtype."},
      {"steps_of", "sequence, wanted", "Some steps of a sequence [batch, time, …] as [batch, …]."},
      {"where", "condition, yes, no", "yes where the condition is not 0, else no: the op select."},
      {"zeros_like", "x", "0 in x's shape and dtype."}};
  return list;
}

std::string room_of(const std::string& op) {
  static const std::map<std::string, std::string> rooms{
#include "op_rooms.inc"
  };
  const auto found = rooms.find(op);
  return found == rooms.end() ? "plugin" : found->second;
}

}  // namespace lariat::cli
