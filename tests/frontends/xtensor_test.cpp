// Tensors as arrays of xtensor, and back.
#include "frontends/xtensor.hpp"

#include <xtensor/xmath.hpp>
#include <xtensor/xview.hpp>

#include "frontends/lariat.hpp"
#include "tests/support/testing.hpp"

namespace lariat::xtensor_test {

using namespace testing;

TEST_CASE("xtensor: a tensor's elements are read and written where they are") {
  const Tensor tensor = Tensor::of<float>({2, 3}, {1, 2, 3, 4, 5, 6});
  auto array = as_xarray<float>(tensor);
  CHECK(array.shape() == std::vector<size_t>{2, 3});
  CHECK(&array(0, 0) == tensor.data<float>());
  CHECK(xt::sum(array, {0}) == xt::xarray<float>{5, 7, 9});
  xt::view(array, 1, xt::all()) *= 2;
  CHECK(tensor.at(5) == 12);
  CHECK(as_xarray<double>(Tensor::scalar(3, f64))() == 3);
  CHECK(as_xarray<int32_t>(Tensor(i32, {0, 4})).size() == 0);
  CHECK(message_of<UserError>([&] { as_xarray<double>(tensor); }) ==
        "a tensor of f32 is read as f64; use cast(f64) or at(), which gives doubles");
}

TEST_CASE("xtensor: an array that is moved in becomes a tensor as it is, an expression is computed") {
  xt::xarray<double> array{{1, 2}, {3, 4}};
  const double* const elements = array.data();
  const Tensor copy = to_tensor(array);
  CHECK(copy.data<double>() != elements);
  const Tensor tensor = to_tensor(std::move(array));
  CHECK(tensor.data<double>() == elements);
  CHECK(tensor.extents() == Extents{2, 2});
  CHECK(same_bits(tensor, copy));
  const Tensor halves = to_tensor(as_xarray<double>(tensor) / 2);
  CHECK(same_bits(halves, Tensor::of<double>({2, 2}, {.5, 1, 1.5, 2})));
  CHECK(to_tensor(xt::xarray<float>(7.f)).extents().empty());
}

TEST_CASE("xtensor: arrays are fed, also from memory that is not aligned, and stored") {
  Graph g;
  const Value x = g.input("x", {dim::batch, 3});
  const Value w = g.parameter("w", {3, 2}, init::zeros());
  const Value y = matmul(x, w);
  Store store;
  store.set("w", to_tensor(xt::xarray<float>{{1, 0}, {0, 1}, {1, 1}}));
  std::vector<float> numbers(13);
  for (size_t i = 0; i < numbers.size(); ++i) numbers[i] = static_cast<float>(i);
  const auto owner = std::make_shared<std::vector<float>>(numbers);
  const Tensor fed = Tensor::on(f32, {4, 3}, owner->data() + 1, owner);
  const Tensor result = evaluate(y, {{"x", fed}}, store);
  CHECK(as_xarray<float>(result) == xt::xarray<float>{{4, 5}, {10, 11}, {16, 17}, {22, 23}});
}

}  // namespace lariat::xtensor_test
