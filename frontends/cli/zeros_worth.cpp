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

std::optional<Stack> plain_stack(const std::string& file) {
  try {
    return stack_of(Store::load(file), file);
  } catch (const UserError&) {
    // A model of several branches has figures of its file alone, which stand elsewhere.
    return std::nullopt;
  }
}

// Up to 100 frames of a recording, so that the figure does not depend on which one is the first.
Tensor example_of(const Stack& stack, const data::Dataset* examples) {
  if (stack.shape.sequences || examples == nullptr) return example_for(stack);
  const data::Example first = data::loaded(examples->examples.front());
  return Tensor::of<float>({first.dimensions}, std::span<const float>(first.values));
}

std::string count_text(double count) { return grouped(static_cast<int64_t>(count)); }

}  // namespace

ZerosWorth zeros_worth(const std::string& file, const data::Dataset* examples) {
  const std::optional<Stack> stack = plain_stack(file);
  if (!stack) return {};
  const Stack dense = without_zeros(*stack);
  const auto executor = make_tbb_executor(1);
  const std::vector<StackCost> costs = costs_of({&dense, &*stack}, example_of(*stack, examples), *executor);
  ZerosWorth worth{{{"layer", "weights", "zero", "bytes", "in the file", "multiply-adds", "without zeros",
                     "µs dense", "µs"}},
                   ""};
  int64_t weights = 0, zeros = 0;
  double plain = 0, coded = 0, products = 0, left = 0;
  for (size_t i = 0; i < costs[1].layers.size(); ++i) {
    const LayerCost& layer = costs[1].layers[i];
    if (layer.weights == 0) continue;
    int64_t in_products = 0, of_them_zero = 0;
    for (const auto& [name, tensor] : stack->weights) {
      if (!name.starts_with(layer.name + "/") || tensor.extents().size() < 2) continue;
      const Sparsity found = sparsity(tensor);
      in_products += found.count;
      of_them_zero += found.zeros;
    }
    const double share =
        in_products == 0 ? 1 : 1 - static_cast<double>(of_them_zero) / static_cast<double>(in_products);
    const double bytes = 4 * static_cast<double>(layer.weights);
    worth.rows.push_back({layer.name, grouped(layer.weights),
                          percent(static_cast<double>(layer.zeros) / static_cast<double>(layer.weights)),
                          count_text(bytes), grouped(static_cast<int64_t>(layer.bytes)),
                          count_text(layer.multiply_adds), count_text(layer.multiply_adds * share),
                          fmt::format("{:.1f}", costs[0].layers[i].seconds * 1e6),
                          fmt::format("{:.1f}", layer.seconds * 1e6)});
    weights += layer.weights;
    zeros += layer.zeros;
    plain += bytes;
    coded += static_cast<double>(layer.bytes);
    products += layer.multiply_adds;
    left += layer.multiply_adds * share;
  }
  if (zeros == 0) return {};
  const double before = costs[0].seconds * 1e6, after = costs[1].seconds * 1e6;
  worth.rows.push_back({"all", grouped(weights),
                        percent(static_cast<double>(zeros) / static_cast<double>(weights)), count_text(plain),
                        count_text(coded), count_text(products), count_text(left),
                        fmt::format("{:.1f}", before), fmt::format("{:.1f}", after)});
  worth.plainly = fmt::format(
      "Coded around its zeros the weights take {} where plain floats take {}; {} needs {:.1f} µs where it "
      "would "
      "need {:.1f} µs without zeros, on one thread; where no kernel leaves zeros out, or few are zero, the "
      "two are "
      "alike.",
      bytes_text(coded), bytes_text(plain),
      stack->shape.sequences ? "a sequence of 100 frames" : "an example", after, before);
  return worth;
}

}  // namespace lariat::cli
