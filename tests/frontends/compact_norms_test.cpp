// Useless units in front of layers that have weights for each channel.
#include "frontends/compact/compact_model.hpp"
#include "frontends/sequential/layers.hpp"
#include "frontends/sequential/model_file.hpp"
#include "ops/ops.hpp"
#include "tests/frontends/compact_stacks.hpp"
#include "tests/support/files.hpp"

namespace lariat::compact_norms_test {

using namespace compact_stacks;

namespace {

// Variances are above 0.
Stack with_variances(Stack stack) {
  for (const auto& [name, tensor] : stack.weights)
    if (name.ends_with("moving_variance"))
      for (float& value : tensor.values<float>()) value = std::fabs(value) + 0.1f;
  return stack;
}

}  // namespace

TEST_CASE("compact: dense units go through batch_norm, with its weights") {
  Stack stack = with_variances(plain(
      {Dense(6), BatchNorm(), Activation(relu), Dense(4), BatchNorm(), Activation(tanh), Dense(0)}, 5, 3));
  // Nothing reads unit 1. Nothing comes into 2 and 4: relu makes 0 of the one, and another number of the
  // other.
  zero_row(stack, "dense_2/kernel", 1);
  for (const int64_t unit : {2, 4}) zero_column(stack, "dense_1/kernel", unit);
  for (const int64_t unit : {2, 4}) stack.weights.get("batch_norm_1/gamma").data<float>()[unit] = 0.01f;
  stack.weights.get("batch_norm_1/beta").data<float>()[2] = -1;
  stack.weights.get("batch_norm_1/beta").data<float>()[4] = 1;
  zero_row(stack, "dense_3/kernel", 3);
  const CompactReport report = checked(stack, rounding);
  CHECK(report.unread == 2);
  CHECK(report.zero == 1);
  CHECK(report.folded == 1);
  CHECK(report.kept.empty());
  CHECK(stack.weights.get("dense_1/kernel").extents() == Extents{5, 3});
  for (const char* what : {"gamma", "beta", "moving_mean", "moving_variance"})
    CHECK(stack.weights.get(std::string("batch_norm_1/") + what).extents() == Extents{3});
  CHECK(stack.weights.get("dense_2/kernel").extents() == Extents{3, 3});
  CHECK(stack.weights.get("batch_norm_2/beta").extents() == Extents{3});
}

TEST_CASE("compact: filters go through batch_norm and relu into the next convolution") {
  for (const bool valid : {false, true}) {
    const Padding padding = valid ? Padding::valid : Padding::same;
    Stack stack = with_variances(plain({Image(5, 4), Conv2d(6, 3, 3), BatchNorm(), Activation(relu),
                                        Conv2d(4, 2, 2, {}, {.padding = padding, .use_bias = false}),
                                        BatchNorm(), Activation(relu), MaxPool2d(2, 2), Flatten(), Dense(0)},
                                       20, 3));
    for (const int64_t filter : {0, 3}) zero_column(stack, "conv2d_1/kernel", filter);
    stack.weights.get("batch_norm_1/gamma").data<float>()[0] = 0.01f;
    stack.weights.get("batch_norm_1/beta").data<float>()[0] = -1;
    stack.weights.get("batch_norm_1/gamma").data<float>()[3] = 0.01f;
    stack.weights.get("batch_norm_1/beta").data<float>()[3] = 1;
    zero_row(stack, "conv2d_2/kernel", 5);
    const CompactReport report = checked(stack, rounding);
    CHECK(report.unread == 1);
    CHECK(report.zero == 1);
    // A number other than 0 stays beside padding.
    CHECK(report.folded == (valid ? 1 : 0));
    CHECK(report.kept.size() == (valid ? 0 : 1));
    CHECK(stack.weights.get("conv2d_2/kernel").extents() == Extents{2, 2, valid ? 3 : 4, 4});
  }
}

TEST_CASE("compact: what batch_norm multiplies by 0 is a constant, whatever comes in") {
  Stack stack = with_variances(plain({Dense(5, relu), BatchNorm(), Dense(0)}, 4, 2));
  for (const int64_t unit : {0, 3}) stack.weights.get("batch_norm_1/gamma").data<float>()[unit] = 0;
  stack.weights.get("batch_norm_1/beta").data<float>()[0] = 0;
  stack.weights.get("batch_norm_1/beta").data<float>()[3] = 0.5f;
  const CompactReport report = checked(stack, rounding);
  CHECK(report.units[0] == std::pair<int64_t, int64_t>{5, 3});
  CHECK(report.folded == 1);
  CHECK(report.unread + report.zero == 1);
  // Without gamma or beta, and over the frames of sequences.
  stack = with_variances(
      clips({Dense(5), BatchNorm({.center = false, .scale = false}), Lstm(3), Dense(0)}, 4, 2));
  zero_row(stack, "lstm_1/kernel", 2);
  CHECK(checked(stack, rounding).unread == 1);
  CHECK(stack.weights.get("batch_norm_1/moving_mean").extents() == Extents{4});
}

TEST_CASE("compact: units go through prelu, with their slopes") {
  Stack stack = plain({Dense(5), make_layer("prelu"), Dense(0)}, 4, 2);
  zero_row(stack, "dense_2/kernel", 1);
  zero_column(stack, "dense_1/kernel", 3);
  stack.weights.get("dense_1/bias").data<float>()[3] = -2;
  stack.weights.get("prelu_1/slope").data<float>()[3] = 0.5f;
  const Tensor kernel = stack.weights.get("dense_2/kernel").clone(),
               bias = stack.weights.get("dense_2/bias").clone();
  const CompactReport report = checked(stack, rounding);
  CHECK(report.unread == 1);
  CHECK(report.folded == 1);
  CHECK(stack.weights.get("prelu_1/slope").extents() == Extents{3});
  for (int64_t j = 0; j < 2; ++j)
    CHECK(stack.weights.get("dense_2/bias").at(j) ==
          doctest::Approx(bias.at(j) - kernel.at(3 * 2 + j)).epsilon(1e-6));
}

TEST_CASE("compact: a normalised model in a file becomes a smaller one, and where it stays it says why") {
  const lariat::testing::TemporaryFolder folder;
  const std::string file = folder / "m";
  const DataShape shape{.sequences = false, .dimensions = 4, .classes = {"a", "b"}};
  Sequential model{Dense(6), BatchNorm(), Activation(relu), Dense(0)};
  model.build(shape, 1);
  Store& store = model.store();
  for (int64_t j = 0; j < 2; ++j) store.get("dense_2/kernel").data<float>()[2 * 2 + j] = 0;
  model.save(file);
  const Store before = Store::load(file);
  Stack stack = stack_of(before, file);
  CHECK(compact(stack).unread == 1);
  Store result = with_stack(before, stack, file);
  seal(result, model_format);
  SavedModel old = SavedModel::of(before, file), small = SavedModel::of(result, "small");
  data::Dataset dataset;
  dataset.classes = shape.classes;
  dataset.sequences = false;
  for (int i = 0; i < 9; ++i) {
    const auto x = static_cast<float>(i);
    dataset.examples.push_back({"e", i % 2, 1, 4, {x, 1 - x, x * x / 9, 1}});
  }
  const ModelDifference difference = difference_of(old, small, dataset, "");
  CHECK(difference.other_labels == 0);
  CHECK(difference.largest <= 1e-6);
  CHECK(difference.largest_number > 0.4);
  CHECK(difference.same_bits == (difference.largest == 0));
  CHECK(difference_of(old, old, dataset, "").same_bits);
  // Frames are looked for by all channels of them.
  Stack masking = clips({Dense(3), make_layer("masking"), Lstm(2), Dense(0)}, 4, 2);
  zero_row(masking, "lstm_1/kernel", 1);
  const CompactReport report = checked(masking, rounding);
  REQUIRE(!report.kept.empty());
  CHECK(lariat::testing::contains(report.kept.back(),
                                  "it looks for frames all of whose channels are one value"));
}

}  // namespace lariat::compact_norms_test
