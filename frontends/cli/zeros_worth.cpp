#include "frontends/cli/zeros_worth.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "frontends/cli/console.hpp"
#include "frontends/cli/summary.hpp"
#include "frontends/compact/compact_model.hpp"
#include "frontends/compact/figures.hpp"
#include "graph/base/error.hpp"

namespace lariat::cli {

namespace {

// In place of a zero: too small to change anything, and no zero to whatever leaves these out.
constexpr float nearly_zero = 1e-20F;

// The same stack as if none of its weights were zero.
Stack without_zeros(const Stack& stack) {
  Stack dense = stack;
  for (const auto& [name, tensor] : stack.weights) {
    if (tensor.dtype() != f32) continue;
    Tensor changed = tensor.clone();
    for (float& value : changed.values<float>())
      if (value == 0) value = nearly_zero;
    dense.weights.set(name, std::move(changed));
  }
  return dense;
}

std::optional<Stack> stack_in(const std::string& file) {
  try {
    return stack_of(Store::load(file), file);
  } catch (const UserError&) {
    // What cannot be taken apart has figures of its file alone, which stand elsewhere.
    return std::nullopt;
  }
}

// Up to 100 frames of a recording, so that the figure does not depend on which one is the first.
Tensor example_of(const Stack& stack, const data::Dataset* examples) {
  if (stack.shape.sequences || examples == nullptr) return example_for(stack);
  const data::Example first = data::loaded(examples->examples.front());
  return Tensor::of<float>({first.dimensions}, std::span<const float>(first.values));
}

struct Worth {
  int64_t weights = 0, zeros = 0, coded = 0;
  /// Multiplications of weights, and those that are not by zero.
  double products = 0, left = 0;
};

// Of the weights of a layer that are multiplied, the share that is not zero.
double share_left(const Stack& stack, const std::string& layer) {
  Sparsity all;
  for (const auto& [name, tensor] : stack.weights) {
    if (!name.starts_with(layer + "/") || tensor.extents().size() < 2) continue;
    const Sparsity found = sparsity(tensor);
    all.count += found.count;
    all.zeros += found.zeros;
  }
  return all.count == 0 ? 1 : 1 - all.fraction();
}

std::string count_text(double count) { return grouped(static_cast<int64_t>(count)); }

}  // namespace

ZerosWorth zeros_worth(const std::string& file, const data::Dataset* examples, double seconds) {
  const std::optional<Stack> stack = stack_in(file);
  const auto has_zeros = [](const auto& entry) { return sparsity(entry.second).zeros > 0; };
  if (!stack || std::none_of(stack->weights.begin(), stack->weights.end(), has_zeros)) return {};
  const Stack dense = without_zeros(*stack);
  const auto executor = make_tbb_executor(1);
  const std::vector<StackCost> costs =
      costs_of({&dense, &*stack}, example_of(*stack, examples), *executor, seconds);
  reports::ReportData::Table bytes{"", {{"layer", "weights", "zero", "bytes", "coded"}}};
  reports::ReportData::Table work{"", {{"layer", "multiply-adds", "not by zero", "µs dense", "µs"}}};
  Worth all;
  const auto add = [&](const std::string& name, const Worth& layer, double dense_seconds, double seconds) {
    bytes.rows.push_back({name, grouped(layer.weights),
                          percent(static_cast<double>(layer.zeros) / static_cast<double>(layer.weights)),
                          grouped(4 * layer.weights), grouped(layer.coded)});
    work.rows.push_back({name, count_text(layer.products), count_text(layer.left),
                         fmt::format("{:.1f}", dense_seconds * 1e6), fmt::format("{:.1f}", seconds * 1e6)});
  };
  for (size_t i = 0; i < costs[1].layers.size(); ++i) {
    const LayerCost& cost = costs[1].layers[i];
    if (cost.weights == 0) continue;
    const Worth layer{cost.weights, cost.zeros, static_cast<int64_t>(cost.bytes), cost.multiply_adds,
                      cost.multiply_adds * share_left(*stack, cost.name)};
    add(cost.name, layer, costs[0].layers[i].seconds, cost.seconds);
    all = {all.weights + layer.weights, all.zeros + layer.zeros, all.coded + layer.coded,
           all.products + layer.products, all.left + layer.left};
  }
  if (all.zeros == 0) return {};
  add("all", all, costs[0].seconds, costs[1].seconds);
  return {{bytes, work},
          fmt::format(
              "Coded around its zeros the weights take {} where plain floats take {}. On one thread {} takes "
              "{:.1f} µs, and {:.1f} µs where no weight is zero: kernels leave zeros out where that pays.",
              bytes_text(static_cast<double>(all.coded)), bytes_text(4 * static_cast<double>(all.weights)),
              stack->shape.sequences ? "a sequence of 100 frames" : "an example", costs[1].seconds * 1e6,
              costs[0].seconds * 1e6)};
}

}  // namespace lariat::cli
