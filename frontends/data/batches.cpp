#include "frontends/data/batches.hpp"

#include <fmt/format.h>
#include <tbb/parallel_for.h>
#include <tbb/task_group.h>

#include <algorithm>
#include <numeric>
#include <utility>

#include "frontends/data/random.hpp"
#include "frontends/data/transform.hpp"
#include "graph/base/error.hpp"

namespace lariat::data {

namespace {

void check_positive(const char* name, int value) {
  if (value < 1) throw UserError(fmt::format("{} = {}: must be an integer from 1", name, value));
}

// How many batches behind the one that is used are read.
constexpr size_t batches_ahead = 2;

std::vector<Example> read_all(const Dataset& dataset, const std::vector<int>& indices) {
  std::vector<Example> examples(indices.size());
  tbb::parallel_for(size_t{0}, indices.size(), [&](size_t i) {
    examples[i] = loaded(dataset.examples[static_cast<size_t>(indices[i])]);
  });
  return examples;
}

}  // namespace

// A batch that is read beside other work.
class Batches::Reading {
 public:
  Reading(const Dataset& dataset, const std::vector<int>& indices) {
    work_.run([this, &dataset, indices] { examples_ = read_all(dataset, indices); });
  }
  Reading(const Reading&) = delete;
  Reading& operator=(const Reading&) = delete;
  ~Reading() {
    work_.cancel();
    try {
      work_.wait();
    } catch (const std::exception&) {
      // Of a batch that nobody asks for.
    }
  }
  std::vector<Example> take() {
    work_.wait();
    return std::move(examples_);
  }

 private:
  std::vector<Example> examples_;
  tbb::task_group work_;
};

Batches::Batches(Batches&&) noexcept = default;
Batches::~Batches() = default;

Batches::Batches(const Dataset& dataset, const BatchOptions& options, uint32_t epoch)
    : dataset_(dataset), time_multiple_(options.time_multiple), streamed_(is_streamed(dataset)) {
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
  const auto all = static_cast<int64_t>(count);
  const bool windowed = options.window > 0 && options.window < all;
  if (options.window < 0)
    throw UserError(fmt::format("window = {}: must be an integer from 0", options.window));
  if (options.shuffle && windowed) {
    const std::vector<int64_t> drawn = window_order(all, options.window, options.seed, epoch);
    std::copy(drawn.begin(), drawn.end(), order.begin());
  } else if (options.shuffle) {
    shuffle(order, random);
  }
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
  if (options.shuffle && options.bucket) shuffle_batches(windowed ? options.bucket_batches : size(), random);
}

// Those of one window stay together, so that examples that lie together are read together.
void Batches::shuffle_batches(size_t window, RandomStream& random) {
  for (size_t begin = 0; begin < batches_.size(); begin += window) {
    const auto first = batches_.begin() + static_cast<std::ptrdiff_t>(begin);
    const auto last = batches_.begin() + static_cast<std::ptrdiff_t>(std::min(size(), begin + window));
    std::vector<std::vector<int>> some(std::make_move_iterator(first), std::make_move_iterator(last));
    shuffle(some, random);
    std::move(some.begin(), some.end(), first);
  }
}

// A batch that lies in files, and the next ones begun.
std::vector<Example> Batches::whole_batch(size_t index) const {
  for (size_t next = index; next < std::min(size(), index + 1 + batches_ahead); ++next)
    if (!readings_.contains(next))
      readings_.emplace(next, std::make_unique<Reading>(dataset_, batches_[next]));
  const std::unique_ptr<Reading> reading = std::move(readings_.at(index));
  readings_.erase(readings_.begin(), readings_.upper_bound(index));
  return reading->take();
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
  std::vector<Example> read;
  if (streamed_) read = indices.size() == whole.size() ? whole_batch(index) : read_all(dataset_, indices);
  const auto example_at = [&](size_t i) -> const Example& {
    return streamed_ ? read[i] : dataset_.examples[static_cast<size_t>(indices[i])];
  };
  const int64_t dimensions = example_at(0).dimensions;
  int64_t time = 1;
  for (size_t i = 0; i < indices.size(); ++i) time = std::max(time, example_at(i).frames);
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
    const Example& example = example_at(static_cast<size_t>(i));
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
