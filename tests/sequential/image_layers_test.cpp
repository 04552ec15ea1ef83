// The layers of images against plain loops, and networks of them that learn.
#include <cmath>

#include "frontends/data/random.hpp"
#include "frontends/sequential/sequential.hpp"
#include "ops/ops.hpp"
#include "tests/ops/kernel_runner.hpp"
#include "tests/sequential/one_layer.hpp"

namespace lariat::image_layers_test {

using namespace lariat::testing;

namespace {

// Bars of three pixels on noise: one class lies, one stands, one leans.
data::Dataset bars(int count, uint64_t seed) {
  constexpr int side = 8;
  data::Dataset dataset;
  dataset.sequences = false;
  dataset.classes = {"lying", "standing", "leaning"};
  for (int i = 0; i < count; ++i) {
    data::RandomStream random(seed, data::RandomPurpose::noise, static_cast<uint32_t>(i));
    data::Example example{"bar " + std::to_string(i), i % 3, 1, side * side, {}};
    for (int j = 0; j < side * side; ++j) example.values.push_back(static_cast<float>(0.2 * random.normal()));
    const auto row = static_cast<int>(random.below(side - 2)),
               column = static_cast<int>(random.below(side - 2));
    for (int j = 0; j < 3; ++j)
      example
          .values[static_cast<size_t>((row + (i % 3 == 0 ? 0 : j)) * side + column + (i % 3 == 1 ? 0 : j))] +=
          1.5F;
    dataset.examples.push_back(std::move(example));
  }
  return dataset;
}

}  // namespace

TEST_CASE("image layers: conv2d is its definition, within the sequence only") {
  const Tensor features = random_tensor<float>({2, 7, 5}, 1);
  const std::vector<int32_t> lengths{4, 7};
  const Applied out = apply(Conv2d(3, 3, 2, relu, {.stride_height = 2}), features, lengths);
  const Tensor &kernel = out.store.get("layer/kernel"), &bias = out.store.get("layer/bias");
  REQUIRE(out.values.extents() == Extents{2, 4, 5, 3});
  REQUIRE(kernel.extents() == Extents{3, 2, 1, 3});
  for_each_index(out.values.extents(), [&](const Extents& i) {
    if (i[1] * 2 >= lengths[static_cast<size_t>(i[0])]) return;
    double sum = bias.at(i[3]);
    for (int64_t down = 0; down < 3; ++down)
      for (int64_t across = 0; across < 2; ++across) {
        const int64_t frame = 2 * i[1] - 1 + down, bin = i[2] + across;
        if (frame < 0 || frame >= lengths[static_cast<size_t>(i[0])] || bin >= 5) continue;
        sum += features.at((i[0] * 7 + frame) * 5 + bin) * kernel.at((down * 2 + across) * 3 + i[3]);
      }
    CHECK(out.values.at(offset_of(i, out.values.extents())) ==
          doctest::Approx(std::max(sum, 0.0)).epsilon(1e-5));
  });
}

TEST_CASE("image layers: pooling looks at the pixels within the image only") {
  // All below zero, so that a padded zero would win.
  const Tensor images = random_tensor<float>({2, 5, 6, 3}, 2, -2, -1),
               frames = random_tensor<float>({2, 5, 6}, 3, -2, -1);
  for (const bool sequences : {false, true}) {
    const std::vector<int32_t> lengths = sequences ? std::vector<int32_t>{3, 5} : std::vector<int32_t>{};
    const Tensor& x = sequences ? frames : images;
    const int64_t channels = sequences ? 1 : 3;
    const Pool2dOptions strides{.stride_height = 2, .stride_width = 1};
    const Tensor largest = apply(MaxPool2d(3, 2, strides), x, lengths).values,
                 mean = apply(AveragePool2d(3, 2, strides), x, lengths).values;
    REQUIRE(largest.extents() == Extents{2, 3, 6, channels});
    for_each_index(largest.extents(), [&](const Extents& i) {
      const int64_t height = sequences ? lengths[static_cast<size_t>(i[0])] : 5;
      if (2 * i[1] >= height) return;
      double maximum = -1e30, sum = 0, pixels = 0;
      for (int64_t row = 2 * i[1] - 1; row <= 2 * i[1] + 1; ++row)
        for (int64_t column = i[2]; column <= i[2] + 1; ++column) {
          if (row < 0 || row >= height || column >= 6) continue;
          const double value = x.at(offset_of({i[0], row, column, i[3]}, {2, 5, 6, channels}));
          maximum = std::max(maximum, value);
          sum += value;
          ++pixels;
        }
      const int64_t at = offset_of(i, largest.extents());
      CHECK(largest.at(at) == maximum);
      CHECK(mean.at(at) == doctest::Approx(sum / pixels).epsilon(1e-6));
    });
  }
}

TEST_CASE("image layers: a convolutional network learns which way a bar lies") {
  const data::Dataset train = bars(300, 1), test = bars(150, 2);
  Sequential model{Image(8, 8),
                   Conv2d(8, 3, 3, relu, {.kernel_penalty = l1(1e-4)}),
                   MaxPool2d(2, 2),
                   Conv2d(8, 3, 3, relu),
                   AveragePool2d(2, 2),
                   Flatten(),
                   Dense(3)};
  model.compile(Adam{.learning_rate = 0.01});
  model.fit(train, {.epochs = 12, .batch_size = 25, .seed = 3});
  CHECK(model.evaluate(test).accuracy >= 0.97);
  CHECK(model.report().rewritten.size() == 1);
}

TEST_CASE("image layers: the state is the same for every number of threads") {
  const data::Dataset data = bars(60, 4);
  std::vector<uint64_t> hashes;
  for (const int threads : {1, 2, 3, 4, 8}) {
    Sequential model{Image(8, 8),
                     Conv2d(16, 3, 3, relu),
                     MaxPool2d(2, 2),
                     Conv2d(16, 3, 2, relu),
                     AveragePool2d(2, 2),
                     Flatten(),
                     Dense(3)};
    model.compile(Adam{});
    model.fit(data, {.epochs = 3, .batch_size = 20, .threads = threads});
    hashes.push_back(model.store().hash());
  }
  for (const uint64_t hash : hashes) CHECK(hash == hashes[0]);
}

}  // namespace lariat::image_layers_test
