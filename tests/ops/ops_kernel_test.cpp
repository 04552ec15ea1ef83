// What the records' samples cannot show: large sizes, random shapes against plain loops, chunk order, NaN,
// messages.
#include <cmath>
#include <limits>
#include <numeric>

#include "graph/base/random.hpp"
#include "graph/program/program.hpp"
#include "ops/ops.hpp"
#include "tests/ops/kernel_runner.hpp"

namespace lariat::ops_kernel_test {

using namespace lariat::testing;

namespace {

Attributes axes_of(std::vector<int64_t> axes, bool keep = false) {
  return {{"axes", axes}, {"keep_dims", keep}};
}

}  // namespace

TEST_CASE("samples of integers give what their records expect") {
  int compared = 0;
  for (const OpDef* op : registry().all()) {
    for (const Sample& sample : op->samples) {
      if (sample.expected.empty() || !op->kernel) continue;
      std::vector<Tensor> inputs;
      bool all_integers = true;
      for (const SampleInput& input : sample.inputs) {
        all_integers &= input.dtype == i32;
        Tensor tensor(f64, input.extents);
        std::copy(input.values.begin(), input.values.end(), tensor.data<double>());
        inputs.push_back(tensor.cast(i32));
      }
      if (!all_integers) continue;
      CAPTURE(op->name);
      CAPTURE(sample.name);
      const Tensor result = run_op(op->name, inputs, sample.attributes)[0];
      REQUIRE(result.count() == static_cast<int64_t>(sample.expected.size()));
      for (int64_t i = 0; i < result.count(); ++i) CHECK(result.at(i) == sample.expected[i]);
      ++compared;
    }
  }
  CHECK(compared >= 10);
}

TEST_CASE("a float sum of 1e8 ones is 1e8, whatever the axes") {
  const Tensor ones = Tensor::filled(f32, {100'000'000}, 1);
  TensorView view = ones.view();
  CHECK(run_views("sum", {view})[0].item() == 1e8);
  CHECK(run_views("mean", {view})[0].item() == 1);
  CHECK(run_views("sum_to", {view}, {{"shape", Shape{1}}})[0].item() == 1e8);
  CHECK(run_views("abs_penalty", {view})[0].item() == 1e8);
  CHECK(run_views("square_penalty", {view})[0].item() == 1e8);
  view.extents = {20'000'000, 5};
  for (const Tensor sums = run_views("sum", {view}, axes_of({0}))[0]; int64_t i : {0, 1, 2, 3})
    CHECK(sums.at(i) == 2e7);
  view.extents = {4, 25'000'000};
  for (const Tensor sums = run_views("sum", {view}, axes_of({1}))[0]; int64_t i : {0, 1, 2, 3})
    CHECK(sums.at(i) == 2.5e7);
  view.extents = {5'000'000, 4, 5};
  for (const Tensor sums = run_views("sum", {view}, axes_of({0, 2}))[0]; int64_t i : {0, 1, 2, 3})
    CHECK(sums.at(i) == 2.5e7);
}

TEST_CASE("double sums are as good as long double ones") {
  const Tensor x = random_tensor<double>({1 << 20}, 1, 0, 1);
  long double exact = 0;
  for (double value : x.values<double>()) exact += value;
  CHECK(std::abs(run_op("sum", {x})[0].item() - static_cast<double>(exact)) <=
        1e-14 * static_cast<double>(exact));
}

TEST_CASE("kernels give the same bits in any order of chunks") {
  const auto same = [](const std::string& op, const std::vector<Tensor>& inputs,
                       const Attributes& attributes = {}) {
    CAPTURE(op);
    const std::vector<Tensor> forward = run_op(op, inputs, attributes);
    const std::vector<Tensor> backward = run_op(op, inputs, attributes, Reversed());
    REQUIRE(forward.size() == backward.size());
    for (size_t i = 0; i < forward.size(); ++i) CHECK(same_bits(forward[i], backward[i]));
  };
  const Tensor wide = random_tensor<float>({700, 900}, 2), deep = random_tensor<double>({40, 50, 60}, 3);
  for (const Tensor& x : {wide, deep}) {
    for (const auto& axes : std::vector<std::vector<int64_t>>{{}, {0}, {-1}, {0, -1}})
      for (const char* op : {"sum", "mean", "reduce_max"}) same(op, {x}, axes_of(axes));
    same("sum", {x}, axes_of({1}));
    for (const char* op : {"softmax", "log_softmax", "logsumexp", "argmax", "abs_penalty", "square_penalty"})
      same(op, {x});
  }
  same("transpose", {wide}, {{"permutation", std::vector<int64_t>{1, 0}}});
  same("transpose", {deep}, {{"permutation", std::vector<int64_t>{2, 0, 1}}});
  same("broadcast_to", {random_tensor<float>({900}, 4)}, {{"shape", Shape{700, 900}}});
  same("sum_to", {wide}, {{"shape", Shape{700, 1}}});
  same("concat", {wide, wide}, {{"axis", int64_t{1}}});
  const Tensor labels = random_tensor<int32_t>({700}, 5, 0, 900),
               rows = random_tensor<int32_t>({700}, 6, 0, 600);
  same("softmax_cross_entropy", {wide, labels}, {{"label_smoothing", 0.1}});
  same("label_residual", {wide, labels, random_tensor<float>({700}, 10)});
  same("one_hot", {labels}, {{"classes", int64_t{900}}});
  same("gather_rows", {wide, random_tensor<int32_t>({2000}, 7, 0, 700)});
  same("scatter_add_rows", {wide, rows}, {{"rows", Shape{600}}});
  same("dropout", {wide, integers({1, 2, 3})}, {{"rate", 0.3}, {"stream", int64_t{5}}});
  const Tensor sequences = random_tensor<float>({4, 300, 70}, 8),
               kernel = random_tensor<float>({5, 70, 30}, 9);
  same("conv1d", {sequences, kernel}, {{"pad_before", int64_t{2}}, {"pad_after", int64_t{2}}});
  same("max_pool1d", {sequences}, {{"size", int64_t{3}}, {"stride", int64_t{2}}});
  same("average_pool1d", {sequences}, {{"size", int64_t{3}}, {"stride", int64_t{2}}});
  const auto pair = [](int64_t height, int64_t width) { return std::vector<int64_t>{height, width}; };
  // Lines of columns that overlap, lines of their own, one image in bands, and filters in blocks.
  const Attributes none{}, dilated{{"dilation", pair(1, 2)}};
  for (const auto& [x, w, y, window] : std::vector<std::tuple<Extents, Extents, Extents, Attributes>>{
           {{9, 20, 40, 6}, {3, 5, 6, 7}, {9, 18, 36, 7}, none},
           {{9, 20, 40, 6}, {3, 5, 6, 7}, {9, 18, 32, 7}, dilated},
           {{1, 80, 9, 30}, {3, 4, 30, 20}, {1, 78, 6, 20}, none},
           {{3, 70, 4, 40}, {3, 3, 40, 300}, {3, 68, 2, 300}, none}}) {
    const Tensor images = random_tensor<float>(x, 10), weights = random_tensor<float>(w, 11),
                 adjoint = random_tensor<float>(y, 12);
    same("conv2d", {images, weights}, window);
    Attributes of_input = window, of_weight = window;
    of_input.set("image", Shape{x[1], x[2]});
    of_weight.set("kernel", pair(w[0], w[1]));
    same("conv2d_input_gradient", {adjoint, weights}, of_input);
    same("conv2d_weight_gradient", {images, adjoint}, of_weight);
  }
  const Tensor images = random_tensor<float>({3, 60, 50, 9}, 13);
  const Attributes pool{{"size", pair(3, 2)}, {"stride", pair(2, 1)}};
  same("max_pool2d", {images}, pool);
  same("average_pool2d", {images}, pool);
  same("average_unpool2d", {images},
       {{"size", pair(3, 2)}, {"stride", pair(2, 1)}, {"image", Shape{121, 51}}});
}

TEST_CASE("transpose of random shapes") {
  Dice dice(10);
  for (int round = 0; round < 300; ++round) {
    const Extents extents = dice.extents(dice(6));
    std::vector<int64_t> permutation(extents.size());
    std::iota(permutation.begin(), permutation.end(), 0);
    for (size_t i = permutation.size(); i > 1; --i)
      std::swap(permutation[i - 1], permutation[dice(static_cast<int64_t>(i))]);
    const Tensor x = round % 2 ? random_tensor<float>(extents, round) : random_tensor<double>(extents, round);
    const Tensor y = run_op("transpose", {x}, {{"permutation", permutation}})[0];
    bool equal = true;
    for_each_index(extents, [&](const Extents& index) {
      Extents moved;
      for (int64_t axis : permutation) moved.push_back(index[axis]);
      equal &= y.at(offset_of(moved, y.extents())) == x.at(offset_of(index, extents));
    });
    CAPTURE(text(extents));
    CHECK(equal);
  }
}

TEST_CASE("slice and pad of random shapes") {
  Dice dice(11);
  for (int round = 0; round < 300; ++round) {
    const Extents extents = dice.extents(1 + dice(4));
    const int64_t rank = static_cast<int64_t>(extents.size()), axis = dice(rank), size = extents[axis];
    const int64_t before = dice(size + 1), after = dice(size - before + 1), step = 1 + dice(3);
    const Attributes margins{{"axis", dice(2) ? axis : axis - rank},
                             {"before", Shape{before}},
                             {"after", Shape{after}},
                             {"step", step}};
    const Tensor x = round % 2 ? random_tensor<float>(extents, round) : random_tensor<double>(extents, round);
    const Tensor y = run_op("slice", {x}, margins)[0];
    CHECK(y.extents()[axis] == (size - before - after + step - 1) / step);
    bool equal = true;
    for_each_index(y.extents(), [&](Extents index) {
      const double value = y.at(offset_of(index, y.extents()));
      index[axis] = before + index[axis] * step;
      equal &= value == x.at(offset_of(index, extents));
    });
    const Tensor z = run_op("pad", {x}, margins)[0];
    CHECK(z.extents()[axis] == before + size * step + after);
    for_each_index(z.extents(), [&](Extents index) {
      const double value = z.at(offset_of(index, z.extents()));
      const int64_t place = index[axis] - before;
      index[axis] = place / step;
      const bool inside = place >= 0 && place % step == 0 && index[axis] < size;
      equal &= value == (inside ? x.at(offset_of(index, extents)) : 0);
    });
    CAPTURE(text(extents));
    CHECK(equal);
  }
}

TEST_CASE("concat of random shapes") {
  Dice dice(12);
  for (int round = 0; round < 200; ++round) {
    Extents extents = dice.extents(1 + dice(4));
    const int64_t axis = dice(static_cast<int64_t>(extents.size()));
    std::vector<Tensor> pieces;
    for (int64_t i = 0, count = 1 + dice(4); i < count; ++i) {
      extents[axis] = dice(5);
      pieces.push_back(round % 2 ? random_tensor<float>(extents, 100 * round + i)
                                 : random_tensor<double>(extents, 100 * round + i));
    }
    const Tensor y = run_op("concat", pieces, {{"axis", axis}})[0];
    int64_t place = 0;
    bool equal = true;
    for (const Tensor& piece : pieces) {
      for_each_index(piece.extents(), [&](Extents index) {
        const double value = piece.at(offset_of(index, piece.extents()));
        index[axis] += place;
        equal &= value == y.at(offset_of(index, y.extents()));
      });
      place += piece.extents()[axis];
    }
    CHECK(place == y.extents()[axis]);
    CHECK(equal);
  }
}

TEST_CASE("reductions and broadcasts of random shapes") {
  Dice dice(13);
  for (int round = 0; round < 400; ++round) {
    Extents extents = dice.extents(dice(6));
    if (round % 20 == 0) extents = {3, 40'000};
    if (round % 20 == 10) extents = {40'000, 3};
    std::vector<int64_t> axes;
    Extents kept = extents;
    for (size_t i = 0; i < extents.size(); ++i)
      if (dice(2)) {
        axes.push_back(static_cast<int64_t>(i));
        kept[i] = 1;
      }
    if (axes.empty()) continue;
    const Tensor x = round % 2 ? random_tensor<float>(extents, round) : random_tensor<double>(extents, round);
    std::vector<long double> sums(static_cast<size_t>(element_count(kept)));
    std::vector<double> maxima(sums.size(), -INFINITY);
    const auto target = [&](Extents index) {
      for (int64_t axis : axes) index[axis] = 0;
      return offset_of(index, kept);
    };
    for_each_index(extents, [&](const Extents& index) {
      const double value = x.at(offset_of(index, extents));
      sums[target(index)] += value;
      maxima[target(index)] = std::max(maxima[target(index)], value);
    });
    CAPTURE(text(extents));
    const double tolerance = x.dtype() == f32 ? 1e-7 : 1e-15;
    const Tensor sum = run_op("sum", {x}, axes_of(axes))[0];
    const Tensor sum_to = run_op("sum_to", {x}, {{"shape", to_shape(kept)}})[0];
    REQUIRE(sum.count() == static_cast<int64_t>(sums.size()));
    REQUIRE(sum_to.extents() == kept);
    bool close = true;
    for (size_t i = 0; i < sums.size(); ++i) {
      const auto wanted = static_cast<double>(sums[i]);
      // Relative to the sum of magnitudes, of which there are at most count(x) / count(sum) of size 1.
      const double scale = std::max(1.0, static_cast<double>(x.count()) / static_cast<double>(sums.size()));
      close &= std::abs(sum.at(i) - wanted) <= tolerance * scale && sum.at(i) == sum_to.at(i);
    }
    CHECK(close);
    if (x.count() > 0) {
      const Tensor maximum = run_op("reduce_max", {x}, axes_of(axes, true))[0];
      bool equal = true;
      for (size_t i = 0; i < maxima.size(); ++i) equal &= maximum.at(i) == maxima[i];
      CHECK(equal);
    }
    const Tensor stretched = run_op("broadcast_to", {sum_to}, {{"shape", to_shape(extents)}})[0];
    bool equal = true;
    for_each_index(extents, [&](const Extents& index) {
      equal &= stretched.at(offset_of(index, extents)) == sum_to.at(target(index));
    });
    CHECK(equal);
  }
}

TEST_CASE_TEMPLATE("NaN comes through every reduction, wherever it stands", T, float, double) {
  for (int64_t count : {1, 2, 15, 16, 17, 63, 64, 65, 130}) {
    for (int64_t at = 0; at < count; ++at) {
      Tensor x = random_tensor<T>({count}, 20);
      x.data<T>()[at] = std::numeric_limits<T>::quiet_NaN();
      CAPTURE(count);
      CAPTURE(at);
      for (const char* op : {"sum", "mean", "reduce_max", "abs_penalty", "square_penalty", "logsumexp"})
        CHECK(std::isnan(run_op(op, {x})[0].item()));
      CHECK(run_op("argmax", {x})[0].item() == at);
      for (const char* op : {"softmax", "log_softmax"}) {
        const Tensor y = run_op(op, {x})[0];
        bool all = true;
        for (int64_t i = 0; i < count; ++i) all &= std::isnan(y.at(i));
        CHECK(all);
      }
      TensorView row = x.view();
      row.extents = {1, count};
      CHECK(std::isnan(run_views("softmax_cross_entropy", {row, integers({0}).view()})[0].item()));
      TensorView sequence = x.view();
      sequence.extents = {1, count, 1};
      for (const char* op : {"max_pool1d", "average_pool1d"})
        CHECK(std::isnan(run_views(op, {sequence}, {{"size", count}, {"stride", int64_t{1}}})[0].item()));
      TensorView column = x.view();
      column.extents = {count, 1};
      CHECK(std::isnan(run_views("reduce_max", {column}, axes_of({0}))[0].item()));
    }
  }
}

TEST_CASE_TEMPLATE("exponentials of large, infinite and equal logits", T, float, double) {
  const double tolerance = 4 * std::numeric_limits<T>::epsilon();
  const auto rows = [](std::vector<T> values) {
    return Tensor::of<T>({1, static_cast<int64_t>(values.size())}, std::span<const T>(values));
  };
  const Tensor equal = rows({T(1e4), T(1e4)});
  CHECK(run_op("softmax", {equal})[0].at(0) == doctest::Approx(0.5).epsilon(tolerance));
  CHECK(run_op("logsumexp", {equal})[0].item() == doctest::Approx(10000.693147180559945).epsilon(tolerance));
  CHECK(run_op("log_softmax", {equal})[0].at(1) ==
        doctest::Approx(-0.69314718055994530942).epsilon(tolerance));
  for (T big : {T(1e4), T(-1e4), std::numeric_limits<T>::max()}) {
    const Tensor loss = run_op("softmax_cross_entropy", {rows({big, 0, -big / 2}), integers({1})})[0];
    CHECK(std::isfinite(loss.item()));
  }
  const T inf = std::numeric_limits<T>::infinity();
  CHECK(run_op("logsumexp", {rows({})})[0].item() == -INFINITY);
  CHECK(run_op("logsumexp", {rows({-inf, -inf})})[0].item() == -INFINITY);
  CHECK(run_op("logsumexp", {rows({-inf, 3})})[0].item() == 3);
  CHECK(run_op("logsumexp", {rows({inf, 3})})[0].item() == INFINITY);
  // ln(1 + 2e^-30), which is lost where 1 is added first.
  const Tensor certain = rows({30, 0, 0});
  CHECK(run_op("softmax_cross_entropy", {certain, integers({0})})[0].item() ==
        doctest::Approx(1.8715245937680347e-13).epsilon(tolerance));
}

TEST_CASE("dropout draws random_bits, each step and stream its own") {
  const Tensor x = Tensor::filled(f32, {1003}, 3);
  const auto masks = [&](int32_t step, int64_t stream, double rate) {
    return run_op("dropout", {x, integers({11, 22, step})}, {{"rate", rate}, {"stream", stream}});
  };
  const uint64_t key = 11 | uint64_t{22} << 32;
  for (int32_t step : {0, 1, -1}) {
    const std::vector<Tensor> y = masks(step, 9, 0.25);
    bool equal = true;
    for (int64_t i = 0; i < x.count(); ++i) {
      const uint64_t counter = (uint64_t{static_cast<uint32_t>(step)} << 32) + static_cast<uint64_t>(i / 4);
      const float mask = random_bits(key, 9, counter)[i % 4] >= 0x40000000u ? 1 / 0.75f : 0;
      equal &= y[1].data<float>()[i] == mask && y[0].data<float>()[i] == 3 * mask;
    }
    CHECK(equal);
  }
  CHECK_FALSE(same_bits(masks(1, 9, 0.25)[1], masks(2, 9, 0.25)[1]));
  CHECK_FALSE(same_bits(masks(1, 9, 0.25)[1], masks(1, 10, 0.25)[1]));
  CHECK(same_bits(masks(1, 9, 0.25)[1], masks(1, 9, 0.25)[1]));
}

TEST_CASE("dropout keeps the mean, and steps are independent") {
  const Tensor x = Tensor::filled(f64, {1 << 20}, 1);
  const double n = static_cast<double>(x.count());
  for (double rate : {0.1, 0.5, 0.9}) {
    const auto kept = [&](int32_t step) {
      return run_op("dropout", {x, integers({1, 0, step})}, {{"rate", rate}, {"stream", int64_t{3}}})[1];
    };
    const Tensor first = kept(1), second = kept(2);
    double zeros = 0, common = 0;
    for (int64_t i = 0; i < x.count(); ++i) {
      zeros += first.data<double>()[i] == 0;
      common += first.data<double>()[i] == 0 && second.data<double>()[i] == 0;
    }
    // Within five standard deviations of a binomial.
    CHECK(std::abs(zeros - n * rate) < 5 * std::sqrt(n * rate * (1 - rate)));
    CHECK(std::abs(common - n * rate * rate) < 5 * std::sqrt(n * rate * rate * (1 - rate * rate)));
  }
}

TEST_CASE("labels and lengths out of range are named") {
  const auto message = [](const std::string& op, const std::vector<Tensor>& inputs,
                          const Attributes& attributes = {}) {
    return message_of<UserError>([&] { run_op(op, inputs, attributes); });
  };
  const Tensor logits = random_tensor<float>({3, 4}, 30), sequences = random_tensor<float>({2, 3, 4}, 31);
  CHECK(message("softmax_cross_entropy", {logits, integers({0, 4, -1})}) ==
        "label 4 of row 1 is out of range: there are 4 classes, 0 to 3");
  CHECK(message("label_residual", {logits, integers({0, 3, -1}), random_tensor<float>({3}, 32)}) ==
        "label -1 of row 2 is out of range: there are 4 classes, 0 to 3");
  CHECK(message("one_hot", {integers({5})}, {{"classes", int64_t{3}}}) ==
        "label 5 of row 0 is out of range: there are 3 classes, 0 to 2");
  CHECK(message("one_hot", {integers({5})}, {{"classes", int64_t{0}}}) ==
        "label 5 of row 0 is out of range: there are 0 classes");
  CHECK(message("gather_rows", {logits, Tensor::of<int32_t>({2, 2}, {0, 1, 2, 3})}) ==
        "index 3 at [1, 1] is out of range: there are 3 rows, 0 to 2");
  CHECK(message("scatter_add_rows", {logits, integers({0, 7, 1})}, {{"rows", Shape{2}}}) ==
        "index 7 of row 1 is out of range: there are 2 rows, 0 to 1");
  CHECK(message("reverse_sequence", {sequences, integers({3, 4})}) ==
        "length 4 of row 1 is out of range: there are 3 steps");
  CHECK(message("sequence_mask", {integers({-1, 0}), sequences}) ==
        "length -1 of row 0 is out of range: there are 3 steps");
  CHECK(message("gather_steps", {sequences, Tensor::filled(i32, {2, 1, 4}, 3)}) ==
        "index 3 at [0, 0, 0] is out of range: there are 3 steps, 0 to 2");
}

}  // namespace lariat::ops_kernel_test
