#include "frontends/data/transform.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "frontends/data/random.hpp"
#include "graph/base/error.hpp"

namespace lariat::data {

Dataset chosen(const Dataset& dataset, const std::vector<int64_t>& numbers) {
  Dataset result{dataset.classes, {}, dataset.sequences, dataset.skipped, dataset.notices, dataset.targets,
                 dataset.columns};
  result.examples.reserve(numbers.size());
  for (const int64_t number : numbers) {
    if (number < 0 || number >= static_cast<int64_t>(dataset.examples.size()))
      throw UserError(
          fmt::format("there is no example {}; there are {}, from 0", number, dataset.examples.size()));
    result.examples.push_back(dataset.examples[static_cast<size_t>(number)]);
  }
  return result;
}

Dataset map(Dataset dataset, const std::function<void(Example&)>& change) {
  require_function(change, "what data::map changes examples by");
  for (Example& example : dataset.examples) {
    if (example.stored) example = loaded(example);
    change(example);
  }
  return dataset;
}

Dataset filter(Dataset dataset, const std::function<bool(const Example&)>& keep) {
  require_function(keep, "what data::filter keeps examples by");
  const size_t before = dataset.examples.size();
  std::erase_if(dataset.examples,
                [&](const Example& example) { return !keep(example.stored ? loaded(example) : example); });
  if (dataset.examples.empty())
    throw UserError(fmt::format("the filter leaves none of {} examples; it must keep some", before));
  return dataset;
}

std::vector<int64_t> window_order(int64_t count, int64_t window, uint64_t seed, uint32_t epoch) {
  if (window < 1) throw UserError(fmt::format("window = {}: must be an integer from 1", window));
  RandomStream random(seed, RandomPurpose::shuffle, epoch, 1);
  std::vector<int64_t> held, order;
  int64_t next = 0;
  while (next < std::min(window, count)) held.push_back(next++);
  while (!held.empty()) {
    int64_t& drawn = held[random.below(static_cast<uint32_t>(held.size()))];
    order.push_back(drawn);
    if (next < count) {
      drawn = next++;
    } else {
      drawn = held.back();
      held.pop_back();
    }
  }
  return order;
}

Dataset shuffled(Dataset dataset, int64_t window, uint64_t seed, uint32_t epoch) {
  std::vector<Example> examples;
  for (const int64_t number :
       window_order(static_cast<int64_t>(dataset.examples.size()), window, seed, epoch))
    examples.push_back(std::move(dataset.examples[static_cast<size_t>(number)]));
  dataset.examples = std::move(examples);
  return dataset;
}

}  // namespace lariat::data
