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

Extents extents_of(const Targets& targets, int64_t size, int64_t time, int64_t most_symbols) {
  if (targets.symbols) return {size, most_symbols};
  return targets.by_frame ? Extents{size, time, targets.width} : Extents{size, targets.width};
}

// The examples of these numbers as tensors.
Batch batch_of(const Dataset& dataset, const std::vector<int>& indices, int time_multiple,
               int64_t most_symbols) {
  const auto example_at = [&](int64_t i) -> const Example& {
    return dataset.examples[static_cast<size_t>(indices[static_cast<size_t>(i)])];
  };
  const auto size = static_cast<int64_t>(indices.size());
  const int64_t dimensions = example_at(0).dimensions;
  int64_t time = 1;
  bool streamed = false;
  for (int64_t i = 0; i < size; ++i) {
    time = std::max(time, example_at(i).frames);
    streamed = streamed || example_at(i).stored;
  }
  if (dataset.sequences) time = (time + time_multiple - 1) / time_multiple * time_multiple;
  Batch batch{Tensor(f32, dataset.sequences ? Extents{size, time, dimensions} : Extents{size, dimensions}),
              Tensor(i32, {size}),
              Tensor(i32, {size}),
              Tensor(f32, extents_of(dataset.targets, size, time, most_symbols)),
              Tensor(f32, {size}),
              indices};
  float* const features = batch.features.data<float>();
  const auto write_values = [&](int64_t i) {
    const Example& example = example_at(i);
    float* const to = features + i * time * dimensions;
    if (example.stored)
      read_stored(example, {to, static_cast<size_t>(example.frames * dimensions)});
    else
      std::copy(example.values.begin(), example.values.end(), to);
  };
  if (streamed)
    tbb::parallel_for(int64_t{0}, size, write_values);
  else
    for (int64_t i = 0; i < size; ++i) write_values(i);
  for (int64_t i = 0; i < size; ++i) {
    const Example& example = example_at(i);
    batch.lengths.data<int32_t>()[i] = static_cast<int32_t>(example.frames);
    batch.labels.data<int32_t>()[i] = example.label;
    std::copy(example.targets.begin(), example.targets.end(),
              batch.targets.data<float>() + i * (batch.targets.count() / size));
    batch.weights.data<float>()[i] = example.weight;
  }
  return batch;
}

}  // namespace

// A batch that is read beside other work.
class Batches::Reading {
 public:
  Reading(const Dataset& dataset, const std::vector<int>& indices, int time_multiple, int64_t most_symbols) {
    work_.run([=, this, &dataset] { batch_ = batch_of(dataset, indices, time_multiple, most_symbols); });
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
  Batch take() {
    work_.wait();
    return std::move(batch_);
  }

 private:
  Batch batch_;
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
  if (count == 0) fail_without_examples(dataset);
  if (options.drop_last && count < batch_size) {
    throw UserError(
        fmt::format("batch_size = {}: must be an integer from 1 to {}, the number of examples, with "
                    "drop_last",
                    batch_size, count));
  }
  for (const Example& example : dataset.examples) {
    check_size(example, dataset);
    // Of one width in all batches, so that few shapes occur.
    if (dataset.targets.symbols)
      most_symbols_ = std::max(most_symbols_, static_cast<int64_t>(example.targets.size()));
  }
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

std::vector<int> Batches::indices_of(const Part& part) const {
  const auto begin = batches_[part.index].begin();
  return {begin + static_cast<std::ptrdiff_t>(part.begin), begin + static_cast<std::ptrdiff_t>(part.end)};
}

// A part of a batch that lies in files, and the same ones of the next batches begun: of other parts nothing
// is read.
Batch Batches::read_ahead(const Part& part) const {
  const size_t count = batches_[part.index].size();
  const bool is_whole = part.end - part.begin == count;
  Part next = part;
  for (; next.index < std::min(size(), part.index + 1 + batches_ahead); ++next.index) {
    const size_t examples = batches_[next.index].size();
    if (is_whole) next.end = examples;
    if ((is_whole || examples == count) && !readings_.contains(next))
      readings_.emplace(next,
                        std::make_unique<Reading>(dataset_, indices_of(next), time_multiple_, most_symbols_));
  }
  const std::unique_ptr<Reading> reading = std::move(readings_.at(part));
  readings_.erase(part);
  readings_.erase(readings_.begin(), readings_.lower_bound(Part{part.index, 0, 0}));
  return reading->take();
}

Batch Batches::operator[](size_t index) const {
  require(index < batches_.size(), "the batch exists");
  return part(index, 0, batches_[index].size());
}

Batch Batches::part(size_t index, size_t begin, size_t end) const {
  require(index < batches_.size() && begin < end && end <= batches_[index].size(), "the part exists");
  const Part part{index, begin, end};
  return streamed_ ? read_ahead(part) : batch_of(dataset_, indices_of(part), time_multiple_, most_symbols_);
}

}  // namespace lariat::data
