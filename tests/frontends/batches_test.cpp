#include "frontends/data/batches.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>
#include <set>
#include <string>
#include <vector>

#include "frontends/data/random.hpp"
#include "graph/base/error.hpp"
#include "tests/support/testing.hpp"

namespace lariat::batches_test {

using namespace lariat::data;
using lariat::Extents;
using lariat::UserError;
using lariat::testing::message_of;

namespace {

// Examples of 1 … 50 frames in a fixed random order; value = 1000·example + position + 1, so never 0.
Dataset sequences(int count, int64_t dimensions = 2) {
  Dataset dataset;
  RandomStream random(9, RandomPurpose::noise);
  for (int i = 0; i < count; ++i) {
    Example example{"", i % 3, 1 + random.below(50), dimensions, {}};
    for (int64_t j = 0; j < example.frames * dimensions; ++j)
      example.values.push_back(float(1000 * i + j + 1));
    dataset.examples.push_back(example);
  }
  return dataset;
}

std::vector<int> order_of(const Batches& batches) {
  std::vector<int> order;
  for (size_t b = 0; b < batches.size(); ++b) {
    const Batch batch = batches[b];
    order.insert(order.end(), batch.indices.begin(), batch.indices.end());
  }
  return order;
}

// Padded frames per real one.
double padding_of(const Dataset& dataset, const Batches& batches) {
  double real = 0, all = 0;
  for (size_t b = 0; b < batches.size(); ++b) {
    const Batch batch = batches[b];
    all += double(batch.features.extents()[0] * batch.features.extents()[1]);
    for (const int i : batch.indices) real += double(dataset.examples[i].frames);
  }
  return all / real - 1;
}

}  // namespace

TEST_CASE("batches: every example comes once, whatever the options") {
  const Dataset dataset = sequences(101);
  std::vector<int> all(101);
  std::iota(all.begin(), all.end(), 0);
  for (const bool shuffle : {false, true})
    for (const bool bucket : {false, true}) {
      BatchOptions options;
      options.batch_size = 8;
      options.shuffle = shuffle;
      options.bucket = bucket;
      options.bucket_batches = 4;
      const Batches batches(dataset, options);
      CHECK(batches.size() == 13);
      std::vector<int> order = order_of(batches);
      CHECK((order == all) == (!shuffle && !bucket));
      std::sort(order.begin(), order.end());
      CHECK(order == all);
      options.drop_last = true;
      const Batches full(dataset, options);
      CHECK(full.size() == 12);
      for (size_t b = 0; b < full.size(); ++b) CHECK(full[b].indices.size() == 8);
    }
}

TEST_CASE("batches: features, lengths and labels are the examples', zero behind the end") {
  const Dataset dataset = sequences(20);
  BatchOptions options;
  options.batch_size = 6;
  options.time_multiple = 8;
  const Batches batches(dataset, options);
  for (size_t b = 0; b < batches.size(); ++b) {
    const Batch batch = batches[b];
    const auto size = static_cast<int64_t>(batch.indices.size());
    int64_t longest = 0;
    for (const int i : batch.indices) longest = std::max(longest, dataset.examples[i].frames);
    const int64_t time = (longest + 7) / 8 * 8;
    REQUIRE(batch.features.extents() == Extents{size, time, 2});
    REQUIRE(batch.lengths.extents() == Extents{size});
    REQUIRE(batch.labels.extents() == Extents{size});
    for (int64_t i = 0; i < size; ++i) {
      const Example& example = dataset.examples[batch.indices[i]];
      CHECK(batch.lengths.data<int32_t>()[i] == example.frames);
      CHECK(batch.labels.data<int32_t>()[i] == example.label);
      const float* row = batch.features.data<float>() + i * time * 2;
      for (int64_t j = 0; j < time * 2; ++j) {
        REQUIRE(row[j] == (j < example.frames * 2 ? example.values[j] : 0.0f));
      }
    }
  }
}

TEST_CASE("batches: data without a time axis") {
  Dataset dataset;
  dataset.sequences = false;
  for (int i = 0; i < 5; ++i) dataset.examples.push_back({"", i, 1, 3, {float(i), 1, 2}});
  BatchOptions options;
  options.batch_size = 4;
  options.time_multiple = 8;
  options.shuffle = false;
  const Batches batches(dataset, options);
  CHECK(batches[0].features.extents() == Extents{4, 3});
  CHECK(batches[1].features.extents() == Extents{1, 3});
  CHECK(batches[1].features.data<float>()[0] == 4);
  CHECK(batches[1].labels.data<int32_t>()[0] == 4);
  CHECK(batches[0].lengths.data<int32_t>()[0] == 1);
}

TEST_CASE("batches: the order depends on seed and epoch alone") {
  const Dataset dataset = sequences(101);
  BatchOptions options;
  options.seed = 5;
  const auto order = [&](uint32_t epoch) { return order_of(Batches(dataset, options, epoch)); };
  CHECK(order(0) == order(0));
  CHECK(order(0) != order(1));
  const std::vector<int> before = order(0);
  options.seed = 6;
  CHECK(order(0) != before);
}

TEST_CASE("batches: bucketing saves padding and still mixes short and long over the epoch") {
  const Dataset dataset = sequences(1000);
  BatchOptions options;
  options.batch_size = 10;
  options.bucket = false;
  const double without = padding_of(dataset, Batches(dataset, options));
  options.bucket = true;
  const Batches batches(dataset, options);
  CHECK(without > 0.5);
  CHECK(padding_of(dataset, batches) < without / 5);
  int rises = 0;
  for (size_t b = 1; b < batches.size(); ++b) {
    rises += batches[b].features.extents()[1] > batches[b - 1].features.extents()[1];
  }
  CHECK(rises > 30);
  CHECK(rises < 70);
}

TEST_CASE("batches: a multiple of time makes few shapes") {
  const Dataset dataset = sequences(500);
  BatchOptions options;
  options.batch_size = 5;
  options.time_multiple = 16;
  const Batches batches(dataset, options);
  std::set<int64_t> times;
  for (size_t b = 0; b < batches.size(); ++b) times.insert(batches[b].features.extents()[1]);
  CHECK(times == std::set<int64_t>{16, 32, 48, 64});
}

TEST_CASE("batches: impossible options") {
  const Dataset dataset = sequences(3), none;
  const auto message = [](const Dataset& data, const BatchOptions& options) {
    return message_of<UserError>([&] { Batches batches(data, options); });
  };
  BatchOptions options;
  CHECK(message(none, options) == "the dataset has no examples; give it one at least");
  options.drop_last = true;
  CHECK(message(dataset, options) ==
        "batch_size = 32: must be an integer from 1 to 3, the number of examples, with drop_last");
  options.batch_size = 0;
  CHECK(message(dataset, options) == "batch_size = 0: must be an integer from 1");
  options = {};
  options.time_multiple = 0;
  CHECK(message(dataset, options) == "time_multiple = 0: must be an integer from 1");
  options = {};
  options.bucket_batches = -1;
  CHECK(message(dataset, options) == "bucket_batches = -1: must be an integer from 1");
}

TEST_CASE("random streams: independent of each other, uniform and normal as they say") {
  RandomStream a(1, RandomPurpose::noise, 2, 3), same(1, RandomPurpose::noise, 2, 3);
  std::set<uint32_t> first;
  for (const auto& [seed, x, y] :
       {std::array<uint32_t, 3>{1, 2, 3}, {2, 2, 3}, {1, 3, 3}, {1, 2, 4}, {1, 3, 2}}) {
    first.insert(RandomStream(seed, RandomPurpose::noise, x, y).next());
  }
  first.insert(RandomStream(1, RandomPurpose::gain, 2, 3).next());
  CHECK(first.size() == 6);
  for (int i = 0; i < 10; ++i) CHECK(a.next() == same.next());
  double sum = 0, squares = 0;
  std::array<int, 7> counts = {};
  for (int i = 0; i < 70000; ++i) {
    const double value = a.normal();
    sum += value;
    squares += value * value;
    ++counts[a.below(7)];
    const double unit = a.uniform();
    REQUIRE(unit >= 0);
    REQUIRE(unit < 1);
  }
  CHECK(std::abs(sum / 70000) < 0.02);
  CHECK(squares / 70000 == doctest::Approx(1).epsilon(0.03));
  for (const int count : counts) CHECK(std::abs(count - 10000) < 500);
  // Three quarters of 2³²: a plain remainder would make the lower third as likely as the rest.
  int low = 0;
  for (int i = 0; i < 30000; ++i) low += a.below(3u << 30) < 1u << 30;
  CHECK(std::abs(low - 10000) < 500);
}

}  // namespace lariat::batches_test
