#include "frontends/data/batches.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>
#include <utility>

#include "frontends/data/random.hpp"
#include "graph/base/error.hpp"

namespace lariat::data {

namespace {

void check_positive(const char* name, int value) {
  if (value < 1) throw UserError(fmt::format("{} = {}: must be an integer from 1", name, value));
}

}  // namespace

Batches::Batches(const Dataset& dataset, const BatchOptions& options, uint32_t epoch)
    : dataset_(dataset), time_multiple_(options.time_multiple) {
  check_positive("batch_size", options.batch_size);
  check_positive("bucket_batches", options.bucket_batches);
  check_positive("time_multiple", options.time_multiple);
  const size_t count = dataset.examples.size(), batch_size = static_cast<size_t>(options.batch_size);
  if (count == 0)
    throw UserError("there are no examples to make batches of; check the dataset's skipped files");
  if (options.drop_last && count < batch_size) {
    throw UserError(
        fmt::format("batch_size = {}: must be an integer from 1 to {}, the number of examples, with "
                    "drop_last",
                    batch_size, count));
  }
  for (const Example& example : dataset.examples) check_size(example, dataset);
  std::vector<int> order(count);
  std::iota(order.begin(), order.end(), 0);
  RandomStream random(options.seed, RandomPurpose::shuffle, epoch);
  if (options.shuffle) shuffle(order, random);
  if (options.bucket) {
    const size_t window = batch_size * static_cast<size_t>(options.bucket_batches);
    const auto shorter = [&](int a, int b) {
      return dataset.examples[a].frames < dataset.examples[b].frames;
    };
    for (size_t begin = 0; begin < count; begin += window) {
      std::stable_sort(order.begin() + begin, order.begin() + std::min(count, begin + window), shorter);
    }
  }
  for (size_t begin = 0; begin < count; begin += batch_size) {
    if (options.drop_last && begin + batch_size > count) break;
    batches_.emplace_back(order.begin() + begin, order.begin() + std::min(count, begin + batch_size));
  }
  if (options.shuffle && options.bucket) shuffle(batches_, random);
}

Batch Batches::operator[](size_t index) const {
  require(index < batches_.size(), "the batch exists");
  return part(index, 0, batches_[index].size());
}

Batch Batches::part(size_t index, size_t begin, size_t end) const {
  require(index < batches_.size() && begin < end && end <= batches_[index].size(), "the part exists");
  const std::vector<int>& whole = batches_[index];
  const std::vector<int> indices(whole.begin() + static_cast<std::ptrdiff_t>(begin),
                                 whole.begin() + static_cast<std::ptrdiff_t>(end));
  const auto size = static_cast<int64_t>(indices.size());
  const int64_t dimensions = dataset_.examples[indices[0]].dimensions;
  int64_t time = 1;
  for (const int i : indices) {
    time = std::max(time, dataset_.examples[i].frames);
  }
  if (dataset_.sequences) time = (time + time_multiple_ - 1) / time_multiple_ * time_multiple_;
  const Targets& targets = dataset_.targets;
  Batch batch{
      Tensor(f32, dataset_.sequences ? Extents{size, time, dimensions} : Extents{size, dimensions}),
      Tensor(i32, {size}),
      Tensor(i32, {size}),
      Tensor(f32, targets.by_frame ? Extents{size, time, targets.width} : Extents{size, targets.width}),
      Tensor(f32, {size}),
      indices};
  float* features = batch.features.data<float>();
  for (int64_t i = 0; i < size; ++i, features += time * dimensions) {
    const Example& example = dataset_.examples[indices[i]];
    std::copy(example.values.begin(), example.values.end(), features);
    batch.lengths.data<int32_t>()[i] = static_cast<int32_t>(example.frames);
    batch.labels.data<int32_t>()[i] = example.label;
    std::copy(example.targets.begin(), example.targets.end(),
              batch.targets.data<float>() + i * (batch.targets.count() / size));
    batch.weights.data<float>()[i] = example.weight;
  }
  return batch;
}

}  // namespace lariat::data
