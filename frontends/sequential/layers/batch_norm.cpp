#include "frontends/sequential/layer_records.hpp"
#include "frontends/sequential/layers.hpp"
#include "frontends/sequential/layers/units.hpp"
#include "graph/program/evaluate.hpp"
#include "ops/ops.hpp"

namespace lariat {

namespace {

const Fields<BatchNormOptions>& batch_norm_fields() {
  static const Fields<BatchNormOptions> list =
      Fields<BatchNormOptions>()
          .number("momentum", &BatchNormOptions::momentum, 0, 1,
                  "how much of the running statistics stays at each step")
          .number("epsilon", &BatchNormOptions::epsilon, 1e-12, 1, "added to the variance")
          .boolean("center", &BatchNormOptions::center, "add an offset beta")
          .boolean("scale", &BatchNormOptions::scale, "multiply by gamma")
          .boolean("unbiased", &BatchNormOptions::unbiased,
                   "the running variance is that of n - 1 values rather than n")
          .parsed("gamma_penalty", &BatchNormOptions::gamma_penalty, weight_penalty_range,
                  "penalties of gamma", to_text, parse_weight_penalty)
          .parsed("beta_penalty", &BatchNormOptions::beta_penalty, weight_penalty_range, "penalties of beta",
                  to_text, parse_weight_penalty);
  return list;
}

// y = gamma·(x - μ)/√(σ² + ε) + beta, with μ and σ² of the batch's n values of each channel in training, and
// running means of them at inference, and where the layer is frozen: μ' = m·μ' + (1 - m)·μ, and so σ². One
// value has no variance, of which the running one would know: a batch of one leaves it as it is.
Signal build_batch_norm(LayerContext& context, const Signal& input, const BatchNormOptions& options) {
  const Value x = input.value;
  const Extents channels{input.channels()};
  std::vector<int64_t> axes;
  for (int64_t axis = 0; axis + 1 < x.rank(); ++axis) axes.push_back(axis);
  const Value mask = input.is_sequence() ? frame_mask(input) : Value();
  const auto total = [&](Value values) { return sum(mask ? where(mask, values, 0) : values, axes); };
  // A mask is as wide as one channel of one column.
  const Value values = mask ? sum(mask) * (x.rank() == 4 ? x.shape()[2].size() : 1) : element_count(x, axes);
  const Value n = maximum(values, 1);
  const Value mean = total(x) / n;
  const Value variance = total(square(x - mean)) / n;

  const Value running_mean = context.state("moving_mean", channels);
  const Value running_variance = context.state("moving_variance", channels, init::constant(1));
  const bool moves = context.is_trainable();
  const auto moved = [&](Value running, Value next) {
    return stop_gradient(options.momentum * running + (1 - options.momentum) * next);
  };
  const Value seen = options.unbiased ? variance * n / maximum(n - 1, 1) : variance;
  if (moves) {
    context.update(running_mean, moved(running_mean, mean));
    context.update(running_variance, moved(running_variance, where(greater(n, 1), seen, running_variance)));
  }

  const Value centred = x - (moves ? by_phase(mean, running_mean) : running_mean);
  Value factor =
      1 / sqrt((moves ? by_phase(variance, running_variance) : running_variance) + options.epsilon);
  if (options.scale)
    factor = factor * context.parameter("gamma", channels, init::constant(1), options.gamma_penalty);
  Value y = centred * factor;
  if (options.center) y = y + context.parameter("beta", channels, init::zeros(), options.beta_penalty);
  return {y, input.lengths, input.columns};
}

// What channels that always are `x` become at inference.
std::vector<float> normalised(const LayerInModel& layer, const std::vector<float>& x) {
  const BatchNormOptions options = batch_norm_fields().read(layer.spec);
  Graph graph;
  const auto weight = [&](const char* what) { return graph.constant(layer.weight(what)); };
  const Value values = graph.constant(Tensor::of<float>({std::ssize(x)}, std::span<const float>(x)));
  Value factor = 1 / sqrt(weight("moving_variance") + options.epsilon);
  if (options.scale) factor = factor * weight("gamma");
  Value y = (values - weight("moving_mean")) * factor;
  if (options.center) y = y + weight("beta");
  const Tensor computed = evaluate(y);
  const auto found = computed.values<float>();
  return {found.begin(), found.end()};
}

}  // namespace

LayerKind layer_records::batch_norm() {
  return layer_kind(
             "batch_norm",
             "each channel to mean 0 and variance 1 over the batch, then scaled and shifted; by running "
             "statistics at inference, and where trainable = false",
             batch_norm_fields(), build_batch_norm)
      .with(weighted_channels({"gamma", "beta", "moving_mean", "moving_variance"}, normalised, "gamma"));
}

BatchNorm::BatchNorm(const BatchNormOptions& options)
    : LayerSpec(batch_norm_fields().write("batch_norm", options)) {}

}  // namespace lariat
