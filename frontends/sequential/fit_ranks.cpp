#include "frontends/sequential/fit_ranks.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "frontends/spec/op_fingerprint.hpp"
#include "graph/base/error.hpp"
#include "graph/base/random.hpp"

namespace lariat {

namespace {

// Of values that lie in files, how many examples are read at least to compare them: to read all of many would
// take an epoch.
constexpr size_t some_stored = 256;

uint64_t hash_of(const data::Dataset& dataset) {
  uint64_t hash = hash_name("");
  const auto add = [&](const auto& numbers) {
    hash = hash_bytes(numbers.data(), numbers.size() * sizeof numbers[0], hash);
  };
  const size_t every = std::max<size_t>(1, dataset.examples.size() / some_stored);
  for (size_t i = 0; i < dataset.examples.size(); ++i) {
    const data::Example& example = dataset.examples[i];
    add(example.stored && i % every == 0 ? data::loaded(example).values : example.values);
    add(example.targets);
    add(std::vector<int64_t>{example.label, example.frames, example.dimensions});
    add(std::vector<float>{example.weight});
  }
  return hash;
}

}  // namespace

std::string fingerprint_of(const data::Dataset& dataset) {
  return fmt::format("{} examples (hash {:016x})", dataset.examples.size(), hash_of(dataset));
}

void check_shards(const Network& network, const FitOptions& options) {
  const int shards = options.micro_shards;
  if (shards == 0) return;
  if (shards < 0) throw UserError(fmt::format("micro_shards = {}: must be an integer from 0", shards));
  if (options.batch_size < shards)
    throw UserError(
        fmt::format("micro_shards = {}: a batch of batch_size = {} cannot be cut into so many; give at most "
                    "{}, or larger batches",
                    shards, options.batch_size, options.batch_size));
  if (network.rows > 0)
    throw UserError(
        fmt::format("micro_shards = {}: the states of the model go on from batch to batch, row by row, and "
                    "are not cut; train it with "
                    "micro_shards = 0",
                    shards));
}

void agree_on_fit(Ranks& ranks, const Network& network, const Store& store, const data::Dataset& dataset,
                  const FitOptions& options) {
  std::string tensors;
  for (const auto& [name, tensor] : store) tensors += fmt::format("'{}' {}\n", name, text(tensor.type()));
  std::vector<const OpDef*> ops;
  for (int32_t id = 0; id < network.graph->size(); ++id) ops.push_back(network.graph->node(id).op);
  const std::string settings = fmt::format(
      "epochs {}\nbatch_size {}\naccumulate {}\nmicro_shards {}\nseed {}\nclip_norm {}\nclip_value "
      "{}\nsettle_from {}\n"
      "penalty_ramp {}\nepoch {}, step {}\n",
      options.epochs, options.batch_size, options.accumulate, options.micro_shards, options.seed,
      options.clip_norm, options.clip_value, options.settle_from, options.penalty_ramp, options.from.epoch,
      options.from.step);
  std::string scales;
  for (const Head& head : network.heads)
    for (const data::TargetScale& scale : head.shape.target_scales)
      scales += fmt::format("mean {}, deviation {}\n", scale.mean, scale.deviation);
  ranks.agree(
      {{"other plugins", plugins_among(ops)},
       {"other tensors", tensors},
       {"other data", fingerprint_of(dataset)},
       {"other standardised targets", scales},
       // By which callbacks may end a training.
       {"other data to validate on", options.validation ? fingerprint_of(*options.validation) : "none"},
       {"other settings", settings}});
  agree_on_state(ranks, store);
}

void agree_on_state(Ranks& ranks, const Store& store) {
  std::string weights;
  for (const auto& [name, tensor] : store)
    weights += fmt::format("'{}' (hash {:016x})\n", name, hash_bytes(tensor.view().data, tensor.bytes()));
  ranks.agree({{"other weights", weights}});
}

}  // namespace lariat
