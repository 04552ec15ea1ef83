// Convolutions whose windows are dilated or end at their frame, and whose channels are in groups, against
// plain loops; what does not fit is one line.
#include <fmt/format.h>

#include <cmath>

#include "frontends/compact/compact.hpp"
#include "frontends/sequential/sequential.hpp"
#include "ops/ops.hpp"
#include "tests/ops/kernel_runner.hpp"
#include "tests/sequential/one_layer.hpp"
#include "tests/support/files.hpp"
#include "tests/support/toy_data.hpp"

namespace lariat::convolution_layers_test {

using namespace lariat::testing;

TEST_CASE("convolution layers: dilated, causal and grouped windows over time are their definition") {
  const int64_t time = 11, channels = 4, filters = 8;
  const std::vector<int32_t> lengths{5, 11, 9};
  // What lies behind the end must not matter.
  Tensor features = random_tensor<float>({3, time, channels}, 1);
  for (int64_t row = 0; row < 3; ++row)
    for (int64_t t = lengths[static_cast<size_t>(row)]; t < time; ++t)
      for (int64_t c = 0; c < channels; ++c) features.data<float>()[(row * time + t) * channels + c] = 1e30F;
  for (const Padding padding : {Padding::same, Padding::valid, Padding::causal})
    for (const int64_t dilation : {1, 2})
      for (const int64_t stride : {1, 3})
        for (const int64_t given : {1, 2, 0}) {
          CAPTURE(int(padding));
          CAPTURE(dilation);
          CAPTURE(stride);
          CAPTURE(given);
          const int64_t groups = given == 0 ? channels : given, seen = channels / groups;
          const Applied out =
              apply(Conv1d(filters, 3, {},
                           {.stride = stride, .padding = padding, .dilation = dilation, .groups = given}),
                    features, lengths);
          const Tensor& kernel = out.store.get("layer/kernel");
          REQUIRE(kernel.extents() == Extents{3, seen, filters});
          const int64_t reach = 2 * dilation, before = padding == Padding::valid  ? 0
                                                       : padding == Padding::same ? reach / 2
                                                                                  : reach;
          for (int64_t row = 0; row < 3; ++row) {
            const int64_t frames = lengths[static_cast<size_t>(row)];
            const int64_t steps = padding == Padding::valid ? (frames - reach - 1) / stride + 1
                                                            : (frames + stride - 1) / stride;
            CHECK(out.lengths.data<int32_t>()[row] == steps);
            for (int64_t step = 0; step < steps; ++step)
              for (int64_t f = 0; f < filters; ++f) {
                const int64_t first = f / (filters / groups) * seen;
                double sum = out.store.get("layer/bias").at(f);
                for (int64_t tap = 0; tap < 3; ++tap) {
                  const int64_t t = step * stride - before + tap * dilation;
                  if (t < 0 || t >= frames) continue;
                  for (int64_t c = 0; c < seen; ++c)
                    sum += features.at((row * time + t) * channels + first + c) *
                           kernel.at((tap * seen + c) * filters + f);
                }
                const int64_t at = (row * out.values.extents()[1] + step) * filters + f;
                CHECK(out.values.at(at) == doctest::Approx(sum).epsilon(1e-5));
              }
          }
        }
}

TEST_CASE("convolution layers: dilated and grouped windows over images are their definition") {
  const int64_t height = 7, width = 6, channels = 4;
  const Tensor images = random_tensor<float>({2, height, width, channels}, 2);
  for (const Padding padding : {Padding::same, Padding::valid})
    for (const int64_t down : {1, 3})
      for (const int64_t given : {1, 2, 0}) {
        const int64_t across = 2, groups = given == 0 ? channels : given, seen = channels / groups,
                      filters = 8;
        const Applied out = apply(Conv2d(filters, 2, 3, {},
                                         {.stride_height = 2,
                                          .padding = padding,
                                          .dilation_height = down,
                                          .dilation_width = across,
                                          .groups = given}),
                                  images);
        const Tensor& kernel = out.store.get("layer/kernel");
        REQUIRE(kernel.extents() == Extents{2, 3, seen, filters});
        const bool same = padding == Padding::same;
        const Extents expected{2, same ? 4 : (height - down - 1) / 2 + 1, same ? width : width - 2 * across,
                               filters};
        REQUIRE(out.values.extents() == expected);
        for_each_index(expected, [&](const Extents& i) {
          const int64_t first = i[3] / (filters / groups) * seen;
          double sum = out.store.get("layer/bias").at(i[3]);
          for (int64_t a = 0; a < 2; ++a)
            for (int64_t b = 0; b < 3; ++b) {
              const int64_t row = 2 * i[1] - (same ? down / 2 : 0) + a * down,
                            column = i[2] - (same ? across : 0) + b * across;
              if (row < 0 || row >= height || column < 0 || column >= width) continue;
              for (int64_t c = 0; c < seen; ++c)
                sum += images.at(((i[0] * height + row) * width + column) * channels + first + c) *
                       kernel.at(((a * 3 + b) * seen + c) * filters + i[3]);
            }
          CHECK(out.values.at(offset_of(i, expected)) == doctest::Approx(sum).epsilon(1e-5));
        });
      }
}

TEST_CASE("convolution layers: a depthwise kernel has its penalty, and is learned, saved and compacted") {
  const TemporaryFolder folder;
  const data::Dataset data = sequences(60, 3, 4, 8, 20, 5);
  Sequential model{Conv1d(8, 3, {}, {.dilation = 2, .groups = 0, .kernel_penalty = l1(0.02)}),
                   Conv1d(6, 1, relu, {.groups = 2}), GlobalAveragePool(), Dense(0)};
  model.compile(Adam{.learning_rate = 0.02});
  model.fit(data, {.epochs = 6, .seed = 1});
  REQUIRE(model.report().rewritten.size() == 1);
  const Sparsity zeros = sparsity(model.layer("conv1d_1").weight("kernel"));
  CHECK(zeros.count == 24);
  CHECK(zeros.zeros > 0);
  const std::vector<Prediction> said = model.predict(data);
  model.save(folder / "m");
  Sequential again = Sequential::load(folder / "m");
  for (size_t i = 0; i < said.size(); ++i) CHECK(again.predict(data)[i].values == said[i].values);

  // None of its channels can go, nor any that a layer with groups reads; the report says why.
  for (const bool depthwise : {true, false}) {
    Sequential made{Conv1d(8, 3, {}, {.dilation = 2, .groups = depthwise ? 0 : 1}),
                    Conv1d(6, 1, relu, {.groups = 2}), GlobalAveragePool(), Dense(2)};
    made.compile(Adam{});
    made.build({true, 8, {"a", "b"}});
    Stack stack{made.layers(), {}, made.shape(), 2};
    for (const auto& [name, tensor] : made.store())
      if (name.starts_with("conv1d_") || name.starts_with("dense_")) stack.weights.set(name, tensor.clone());
    for (float& weight : stack.weights.get("conv1d_1/kernel").values<float>()) weight = 0;
    const CompactReport report = compact(stack);
    CHECK(stack.weights.get("conv1d_1/kernel").extents().back() == 8);
    const std::string reason = "its channels are in groups, which are of one size";
    CHECK(report.kept.front() == fmt::format("8 useless channels of conv1d_1: {}{}",
                                             depthwise ? "" : "conv1d_2 reads them: ", reason));
    if (depthwise)
      CHECK(report.kept.at(1) == "8 useless channels of the data: conv1d_1 reads them: " + reason);
  }
}

TEST_CASE("convolution layers: groups that do not divide, and windows that do not fit") {
  const auto built = [](const std::vector<LayerSpec>& layers) {
    return message_of<UserError>([&] { Sequential(layers).build({true, 6, {"a", "b"}}); });
  };
  CHECK(built({Conv1d(8, 3, {}, {.groups = 4}), LastStep(), Dense(2)}) ==
        "layer conv1d_1: groups = 4: must divide the 6 channels that it takes");
  CHECK(built({Conv1d(8, 3, {}, {.groups = 3}), LastStep(), Dense(2)}) ==
        "layer conv1d_1: groups = 3: must divide the 8 filters");
  CHECK(built({Conv1d(8, 3, {}, {.groups = 0}), LastStep(), Dense(2)}) ==
        "layer conv1d_1: filters = 8: must be as many for each of the 6 channels that it takes, for groups = "
        "0; give it 6");
  CHECK(built({Conv1d(6, 3, {}, {.groups = 2, .kernel_penalty = group_inputs(1)}), LastStep(), Dense(2)}) ==
        "layer conv1d_1: group_inputs is for a kernel that has a row for each column of the data, and with "
        "groups = 2 it has none; give it group_rows");
  CHECK(message_of<UserError>([] { MaxPool1d(2, {.padding = Padding::causal}); }) ==
        "max_pool1d: padding = 2: must be one of same, valid");
  CHECK(message_of<UserError>([] { make_layer("conv1d filters=2 kernel=3 dilation_rate=2"); }) ==
        "layer conv1d has no key 'dilation_rate'. It is called 'dilation' here.");
  CHECK(message_of<UserError>([] {
          make_layer("depthwise_conv2d filters=2");
        }).ends_with(" It is called 'conv2d' here."));
}

TEST_CASE("convolution layers: images are pooled as a whole, channel by channel") {
  const Tensor images = random_tensor<float>({2, 4, 3, 5}, 3, -2, -1);
  const Tensor mean = apply(GlobalAveragePool(), images).values,
               largest = apply(GlobalMaxPool(), images).values;
  REQUIRE(mean.extents() == Extents{2, 5});
  REQUIRE(largest.extents() == Extents{2, 5});
  for (int64_t row = 0; row < 2; ++row)
    for (int64_t channel = 0; channel < 5; ++channel) {
      double sum = 0, maximum = -1e30;
      for (int64_t pixel = 0; pixel < 12; ++pixel) {
        sum += images.at((row * 12 + pixel) * 5 + channel);
        maximum = std::max(maximum, double(images.at((row * 12 + pixel) * 5 + channel)));
      }
      CHECK(mean.at(row * 5 + channel) == doctest::Approx(sum / 12).epsilon(1e-6));
      CHECK(largest.at(row * 5 + channel) == maximum);
    }
}

}  // namespace lariat::convolution_layers_test
