#include "graph/base/tensor.hpp"

#include <cmath>
#include <cstring>
#include <limits>

#include "graph/base/error.hpp"
#include "tests/support/testing.hpp"

namespace lariat::tensor_test {

using lariat::testing::message_of;

TEST_CASE("tensor: made of zeros, of values, of one value") {
  const Tensor scalar;
  CHECK(scalar.dtype() == f32);
  CHECK(scalar.extents().empty());
  CHECK(scalar.item() == 0);
  const Tensor zeros(f64, {2, 3});
  CHECK(zeros.count() == 6);
  CHECK(zeros.bytes() == 48);
  for (const double value : zeros.values<double>()) CHECK(value == 0);
  const Tensor values = Tensor::of<float>({2, 2}, {1, 2, 3, 4});
  CHECK(values.type() == TensorType{f32, {2, 2}});
  CHECK(values.at(2) == 3);
  CHECK(Tensor::filled(i32, {3}, -7).at(2) == -7);
  CHECK(Tensor::scalar(0.1).item() == double{0.1f});
  CHECK(Tensor::scalar(0.1, f64).item() == 0.1);
}

TEST_CASE("tensor: memory is aligned, also where it is empty") {
  for (const Extents& extents : {Extents{}, Extents{0}, Extents{1}, Extents{17, 3}}) {
    const Tensor tensor(f32, extents);
    REQUIRE(tensor.view().data != nullptr);
    CHECK(reinterpret_cast<uintptr_t>(tensor.view().data) % 64 == 0);
  }
}

TEST_CASE("tensor: on elements elsewhere, which must be there, and of sizes that nobody has") {
  CHECK(message_of<UserError>([] {
          Tensor::on(f32, {2, 3}, nullptr, nullptr);
        }) ==
        "a tensor of shape [2, 3] was asked for on elements at a null pointer; give it 6 elements of f32, or "
        "build Tensor(f32, [2, 3])");
  CHECK(Tensor::on(f32, {0, 3}, nullptr, nullptr).count() == 0);
  CHECK_THROWS_AS(Tensor(f32, {int64_t{1} << 50}), OutOfMemory);
  CHECK_THROWS_AS(Tensor(f32, {int64_t{1} << 31, int64_t{1} << 31}), UserError);
}

TEST_CASE("tensor: copies share memory, clones do not") {
  const Tensor original = Tensor::of<float>({2}, {1, 2});
  const Tensor copy = original, clone = original.clone();
  original.data<float>()[0] = 9;
  CHECK(copy.at(0) == 9);
  CHECK(clone.at(0) == 1);
}

TEST_CASE("tensor: casts, with a value for every number") {
  const float infinity = std::numeric_limits<float>::infinity(),
              nan = std::numeric_limits<float>::quiet_NaN();
  const Tensor from = Tensor::of<float>({8}, {1.9f, -1.9f, nan, infinity, -infinity, 3e9f, -3e9f, 0x1p31f});
  const std::vector<int32_t> expected{1, -1, 0, INT32_MAX, INT32_MIN, INT32_MAX, INT32_MIN, INT32_MAX};
  const Tensor integers = from.cast(i32);
  CHECK(integers.type() == TensorType{i32, {8}});
  for (size_t i = 0; i < expected.size(); ++i) CHECK(integers.values<int32_t>()[i] == expected[i]);
  CHECK(Tensor::of<double>({2}, {2147483647.5, -2147483648.5}).cast(i32).at(0) == INT32_MAX);
  CHECK(Tensor::of<double>({2}, {2147483647.5, -2147483648.5}).cast(i32).at(1) == INT32_MIN);
  CHECK(Tensor::of<int32_t>({1}, {16777217}).cast(f32).at(0) == 16777216);
  CHECK(Tensor::of<int32_t>({1}, {16777217}).cast(f64).at(0) == 16777217);
  CHECK(std::isnan(from.cast(f64).at(2)));
}

TEST_CASE("tensor: equal bits, not equal numbers") {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  CHECK(same_bits(Tensor::of<float>({1}, {nan}), Tensor::of<float>({1}, {nan})));
  CHECK_FALSE(same_bits(Tensor::of<float>({1}, {0.0f}), Tensor::of<float>({1}, {-0.0f})));
  CHECK_FALSE(same_bits(Tensor::of<float>({1}, {0}), Tensor::of<int32_t>({1}, {0})));
  CHECK_FALSE(same_bits(Tensor(f32, {2, 3}), Tensor(f32, {3, 2})));
  CHECK_FALSE(same_bits(Tensor(f32, {0, 3}), Tensor(f32, {0, 2})));
}

TEST_CASE("tensor: views") {
  const TensorView view = Tensor(f64, {2, 3, 4}).view();
  CHECK(view.rank() == 3);
  CHECK(view.extent(0) == 2);
  CHECK(view.extent(-1) == 4);
  CHECK(view.bytes() == 192);
}

TEST_CASE("tensor: mistakes are named") {
  CHECK(message_of<UserError>([] {
          Tensor::of<float>({2, 2}, {1, 2, 3});
        }) == "a tensor of shape [2, 2] takes 4 values, 3 given");
  CHECK(message_of<UserError>([] { (void)Tensor(f32, {2}).item(); }) ==
        "a tensor of shape [2] is not a single value");
  CHECK(message_of<UserError>([] { (void)Tensor(f32, {2}).data<double>(); }) ==
        "a tensor of f32 is read as f64; use cast(f64) or at(), which gives doubles");
  CHECK(message_of<UserError>([] { (void)Tensor(f32, {2}).at(2); }) ==
        "element 2 of a tensor of shape [2] was asked for; it has 2");
  CHECK(message_of<UserError>([] { (void)Tensor(f32, {2}).at(-1); }) ==
        "element -1 of a tensor of shape [2] was asked for; it has 2");
  CHECK(message_of<UserError>([] { Tensor(f32, {2, -1}); }) == "the shape [2, -1] has a negative dimension");
  for (const double bad : {0.5, 2147483648.0, -2147483649.0})
    CHECK(message_of<UserError>([&] { Tensor::scalar(bad, i32); })
              .ends_with(
                  "does not fit i32; use a whole number from -2147483648 to 2147483647, or another dtype"));
  CHECK(
      message_of<UserError>([] { Tensor::scalar(std::nan(""), i32); }) ==
      "the number nan does not fit i32; use a whole number from -2147483648 to 2147483647, or another dtype");
  CHECK(Tensor::scalar(-2147483648.0, i32).item() == -2147483648.0);
  CHECK(message_of<UserError>([] { Tensor::scalar(-1e39); }) ==
        "the number -1e+39 does not fit f32; use f64, or infinity where it is meant");
  CHECK(Tensor::scalar(INFINITY).item() == INFINITY);
}

TEST_CASE("tensor: a size beyond 64 bits or beyond memory is refused") {
  constexpr int64_t large = int64_t{1} << 32;
  const std::string overflow =
      "the size 4294967296 * 4294967296 exceeds what 64 bits can count; use smaller dimensions";
  CHECK(message_of<UserError>([] { Tensor(f32, {large, large}); }) == overflow);
  CHECK(message_of<UserError>([] { Tensor(f32, {large, large, 0}); }) == overflow);
  CHECK(message_of<UserError>([] {
          Tensor(f64, {large, large / 4});
        }) == "a tensor of shape [4294967296, 1073741824] cannot be allocated");
  CHECK(message_of<OutOfMemory>([] {
          Tensor(f64, {large, large / 64});
        }) == "cannot allocate 2305843009213693952 bytes; use a smaller batch or smaller dimensions");
}

}  // namespace lariat::tensor_test
