// Connectionist temporal classification against all alignments, against another program, and on any number of
// threads.
#include <algorithm>
#include <cmath>
#include <limits>

#include "autodiff/gradient.hpp"
#include "graph/exec/executor.hpp"
#include "graph/ir/graph.hpp"
#include "graph/program/program.hpp"
#include "ops/ops.hpp"
#include "tests/ops/kernel_runner.hpp"

namespace lariat::ctc_loss_test {

using namespace lariat::testing;

namespace {

using Symbols = std::vector<int32_t>;

// What a path of one class a frame says.
Symbols collapsed(const Symbols& path) {
  Symbols symbols;
  for (size_t t = 0; t < path.size(); ++t)
    if (path[t] != 0 && (t == 0 || path[t] != path[t - 1])) symbols.push_back(path[t]);
  return symbols;
}

std::vector<double> softmax_of(const double* row, int64_t classes) {
  std::vector<double> shares;
  double sum = 0;
  for (int64_t j = 0; j < classes; ++j) sum += std::exp(row[j]);
  for (int64_t j = 0; j < classes; ++j) shares.push_back(std::exp(row[j]) / sum);
  return shares;
}

// p(labels) over all classes^frames paths, and of it the share in which a frame is of a class.
struct BruteForce {
  double probability = 0;
  std::vector<double> occupied;

  BruteForce(const double* logits, int64_t frames, int64_t classes, const Symbols& labels)
      : occupied(static_cast<size_t>(frames * classes)) {
    std::vector<std::vector<double>> shares;
    for (int64_t t = 0; t < frames; ++t) shares.push_back(softmax_of(logits + t * classes, classes));
    Symbols path(static_cast<size_t>(frames));
    while (true) {
      if (collapsed(path) == labels) {
        double product = 1;
        for (size_t t = 0; t < path.size(); ++t) product *= shares[t][static_cast<size_t>(path[t])];
        probability += product;
        for (size_t t = 0; t < path.size(); ++t)
          occupied[t * static_cast<size_t>(classes) + static_cast<size_t>(path[t])] += product;
      }
      size_t place = 0;
      while (place < path.size() && ++path[place] == classes) path[place++] = 0;
      if (place == path.size()) break;
    }
  }
};

Tensor integers(Extents extents, const Symbols& values) {
  return Tensor::of<int32_t>(std::move(extents), std::span<const int32_t>(values));
}

// All sequences of at most `most` of `classes` - 1 symbols that `frames` frames can be.
std::vector<Symbols> sequences_of(int64_t classes, size_t most, int64_t frames) {
  std::vector<Symbols> all{{}};
  for (size_t i = 0; i < all.size(); ++i) {
    if (all[i].size() == most) continue;
    for (int32_t symbol = 1; symbol < classes; ++symbol) {
      Symbols longer = all[i];
      longer.push_back(symbol);
      auto needed = static_cast<int64_t>(longer.size());
      for (size_t j = 1; j < longer.size(); ++j) needed += longer[j] == longer[j - 1];
      if (needed <= frames) all.push_back(longer);
    }
  }
  return all;
}

std::string refusal(const Symbols& labels, const Symbols& lengths, int64_t frames = 4, int64_t classes = 3) {
  const auto batch = static_cast<int64_t>(lengths.size());
  return message_of<UserError>([&] {
    run_op("ctc_loss", {Tensor(f32, {batch, frames, classes}),
                        integers({batch, static_cast<int64_t>(labels.size()) / batch}, labels),
                        integers({batch}, lengths)});
  });
}

// 3·sin(0.7·i² + 1.3·t + 2.1·k + 0.5·t·k)
Tensor waves(int64_t batch, int64_t frames, int64_t classes) {
  Tensor z(f64, {batch, frames, classes});
  double* value = z.data<double>();
  for (int64_t i = 0; i < batch; ++i)
    for (int64_t t = 0; t < frames; ++t)
      for (int64_t k = 0; k < classes; ++k)
        *value++ =
            3 * std::sin(0.7 * double(i * i) + 1.3 * double(t) + 2.1 * double(k) + 0.5 * double(t * k));
  return z;
}

}  // namespace

TEST_CASE("ctc: the loss and its gradient are those of all alignments together") {
  constexpr size_t most = 3;
  for (int64_t classes = 2; classes <= 4; ++classes)
    for (int64_t frames = 1; frames <= 5; ++frames) {
      CAPTURE(classes);
      CAPTURE(frames);
      const std::vector<Symbols> all = sequences_of(classes, most, frames);
      const auto batch = static_cast<int64_t>(all.size());
      // One frame more than the sequences have, which must not matter.
      Tensor logits = random_tensor<double>({batch, frames + 1, classes},
                                            static_cast<uint64_t>(10 * classes + frames), -3, 3);
      Symbols labels(all.size() * most);
      for (size_t i = 0; i < all.size(); ++i) std::copy(all[i].begin(), all[i].end(), &labels[i * most]);
      const Symbols lengths(all.size(), static_cast<int32_t>(frames));
      for (int64_t i = 0; i < batch; ++i)
        for (int64_t k = 0; k < classes; ++k)
          logits.data<double>()[((i + 1) * (frames + 1) - 1) * classes + k] =
              std::numeric_limits<double>::quiet_NaN();
      const std::vector<Tensor> found =
          run_op("ctc_loss",
                 {logits, integers({batch, static_cast<int64_t>(most)}, labels), integers({batch}, lengths)});
      double worst_loss = 0, worst_gradient = 0, probability = 0;
      for (int64_t i = 0; i < batch; ++i) {
        const double* own = logits.data<double>() + i * (frames + 1) * classes;
        const BruteForce exact(own, frames, classes, all[static_cast<size_t>(i)]);
        probability += exact.probability;
        worst_loss = std::max(worst_loss, std::abs(found[0].at(i) + std::log(exact.probability)));
        for (int64_t t = 0; t <= frames; ++t)
          for (int64_t k = 0; k < classes; ++k) {
            const double gradient = found[1].at((i * (frames + 1) + t) * classes + k);
            const double wanted =
                t == frames ? 0
                            : softmax_of(own + t * classes, classes)[static_cast<size_t>(k)] -
                                  exact.occupied[static_cast<size_t>(t * classes + k)] / exact.probability;
            worst_gradient = std::max(worst_gradient, std::abs(gradient - wanted));
          }
      }
      CHECK(probability > 0);
      CHECK(worst_loss < 1e-13);
      CHECK(worst_gradient < 1e-13);
    }
}

TEST_CASE("ctc: another program gives the same") {
  // torch.nn.functional.ctc_loss of PyTorch 1.13 in float64, reduction none, and the gradient of the sum.
  const Tensor logits = waves(4, 12, 6),
               labels = integers({4, 4}, {1, 2, 2, 3, 5, 0, 0, 0, 0, 0, 0, 0, 4, 4, 4, 0}),
               lengths = integers({4}, {12, 7, 4, 5});
  const std::vector<double> losses{16.278201069186, 10.343993380193, 15.753996917316, 9.959612555121};
  const std::vector<std::pair<int64_t, std::vector<double>>> rows{
      {0, {-0.780862337372, 0.283378300795, 0.002567433417, 0.036894989213, 0.455515967492, 0.002505646454}},
      {11,
       {-0.539722191755, 0.030783194588, 0.001392091701, -0.003720423024, 0.168488825699, 0.342778502791}},
      {38, {0.259701698472, 0.011550772703, 0.320557509918, 0.009411879069, -0.608987754521, 0.007765894360}},
      {18,
       {-0.629833154553, 0.440358226275, 0.021393904057, 0.001812501190, 0.005772995415, 0.160495527616}}};
  const std::vector<Tensor> found = run_op("ctc_loss", {logits, labels, lengths});
  for (int64_t i = 0; i < 4; ++i) CHECK(std::abs(found[0].at(i) - losses[static_cast<size_t>(i)]) < 1e-11);
  for (const auto& [row, values] : rows)
    for (size_t k = 0; k < values.size(); ++k)
      CHECK(std::abs(found[1].at(row * 6 + static_cast<int64_t>(k)) - values[k]) < 1e-11);
  double sum = 0;
  for (int64_t i = 0; i < found[1].count(); ++i) sum += std::abs(found[1].at(i));
  CHECK(std::abs(sum - 39.131472599778) < 1e-10);
  // In float32 the same to its precision.
  Tensor single(f32, {4, 12, 6});
  for (int64_t i = 0; i < single.count(); ++i) single.data<float>()[i] = static_cast<float>(logits.at(i));
  const std::vector<Tensor> near = run_op("ctc_loss", {single, labels, lengths});
  for (int64_t i = 0; i < 4; ++i)
    CHECK(near[0].at(i) == doctest::Approx(losses[static_cast<size_t>(i)]).epsilon(1e-6));
  CHECK(largest_difference(near[1], [&] {
          Tensor wide(f32, {4, 12, 6});
          for (int64_t i = 0; i < wide.count(); ++i)
            wide.data<float>()[i] = static_cast<float>(found[1].at(i));
          return wide;
        }()) < 1e-6);
}

TEST_CASE("ctc: long sequences stay finite, and extreme logits too") {
  constexpr int64_t frames = 2000, classes = 12, count = 300;
  for (const double scale : {1.0, 1e4}) {
    Tensor logits = random_tensor<float>({1, frames, classes}, 3, -scale, scale);
    Symbols labels;
    for (int32_t i = 0; i < count; ++i) labels.push_back(1 + i * i % (classes - 1));
    const std::vector<Tensor> found =
        run_op("ctc_loss", {logits, integers({1, count}, labels), integers({1}, {frames})});
    CHECK(std::isfinite(found[0].at(0)));
    CHECK(found[0].at(0) > 0);
    double sum = 0, largest = 0;
    for (int64_t i = 0; i < found[1].count(); ++i) {
      sum += found[1].at(i);
      largest = std::max(largest, std::abs(found[1].at(i)));
    }
    // Softmax and occupancy each sum to 1 in every frame.
    CHECK(std::abs(sum) < 1e-3);
    CHECK(largest <= 1.0001);
  }
}

TEST_CASE("ctc: logits of any size and classes that cannot be, against all alignments") {
  constexpr int64_t frames = 5, classes = 4;
  const double infinity = std::numeric_limits<double>::infinity();
  for (const Symbols& labels : {Symbols{1, 2, 0}, Symbols{3, 3, 0}, Symbols{2, 0, 0}, Symbols{0, 0, 0}})
    for (const bool masked : {false, true}) {
      CAPTURE(masked);
      Tensor logits = random_tensor<double>({1, frames, classes}, 11, -100, 100);
      double* values = logits.data<double>();
      // In every other frame one class cannot be, and no sequence needs it there.
      if (masked)
        for (int64_t t = 0; t < frames; t += 2) values[t * classes + 1 + t / 2 % 3] = -infinity;
      if (masked && labels[0] == 1) values[1] = 3;
      const Symbols said(labels.begin(), std::find(labels.begin(), labels.end(), 0));
      const BruteForce exact(values, frames, classes, said);
      REQUIRE(exact.probability > 0);
      const std::vector<Tensor> found =
          run_op("ctc_loss", {logits, integers({1, 3}, labels), integers({1}, {frames})});
      CHECK(found[0].at(0) == doctest::Approx(-std::log(exact.probability)).epsilon(1e-12));
      for (int64_t t = 0; t < frames; ++t) {
        const std::vector<double> shares = softmax_of(values + t * classes, classes);
        for (int64_t k = 0; k < classes; ++k) {
          const auto at = static_cast<size_t>(t * classes + k);
          CHECK(std::abs(found[1].at(t * classes + k) - shares[static_cast<size_t>(k)] +
                         exact.occupied[at] / exact.probability) < 1e-9);
        }
      }
      // In float32 what is finite stays so.
      Tensor single(f32, {1, frames, classes});
      for (int64_t i = 0; i < single.count(); ++i) single.data<float>()[i] = static_cast<float>(values[i]);
      const std::vector<Tensor> near =
          run_op("ctc_loss", {single, integers({1, 3}, labels), integers({1}, {frames})});
      CHECK(near[0].at(0) == doctest::Approx(found[0].at(0)).epsilon(1e-5));
      for (int64_t i = 0; i < near[1].count(); ++i) CHECK(std::isfinite(near[1].at(i)));
    }
}

TEST_CASE("ctc: the same bits on any number of threads") {
  constexpr int64_t batch = 13, frames = 40, classes = 7, most = 6;
  Symbols labels(batch * most), lengths(batch);
  for (int64_t i = 0; i < batch; ++i) {
    lengths[static_cast<size_t>(i)] = static_cast<int32_t>(20 + i);
    for (int64_t j = 0; j < i % (most + 1); ++j)
      labels[static_cast<size_t>(i * most + j)] = static_cast<int32_t>(1 + (i * j) % (classes - 1));
  }
  Graph graph;
  const Value logits = graph.input("logits", {batch, frames, classes}),
              loss = ctc_loss(logits, graph.input("labels", {batch, most}, i32),
                              graph.input("lengths", {batch}, i32));
  const Value factors = graph.input("factors", {batch});
  graph.output("loss", loss);
  graph.output("gradient", gradient(sum(factors * loss), {logits})[0]);
  const Feeds feeds{{"logits", random_tensor<float>({batch, frames, classes}, 5, -4, 4)},
                    {"labels", integers({batch, most}, labels)},
                    {"lengths", integers({batch}, lengths)},
                    {"factors", random_tensor<float>({batch}, 6)}};
  Store store;
  const std::vector<Tensor> serial = Program(graph).run(feeds, store, *make_serial_executor());
  for (int threads = 1; threads <= 8; ++threads) {
    const std::vector<Tensor> parallel = Program(graph).run(feeds, store, *make_tbb_executor(threads));
    for (size_t i = 0; i < serial.size(); ++i)
      CHECK(std::memcmp(parallel[i].view().data, serial[i].view().data, serial[i].bytes()) == 0);
  }
  const std::vector<Tensor> inputs{feeds.at("logits"), feeds.at("labels"), feeds.at("lengths")};
  const std::vector<Tensor> there = run_op("ctc_loss", inputs),
                            back = run_op("ctc_loss", inputs, {}, Reversed());
  for (size_t i = 0; i < there.size(); ++i)
    CHECK(std::memcmp(there[i].view().data, back[i].view().data, there[i].bytes()) == 0);
}

TEST_CASE("ctc: NaN stays in its example") {
  Tensor logits = random_tensor<float>({2, 4, 3}, 1);
  logits.data<float>()[4] = std::numeric_limits<float>::quiet_NaN();
  const std::vector<Tensor> found =
      run_op("ctc_loss", {logits, integers({2, 2}, {1, 2, 2, 0}), integers({2}, {4, 3})});
  CHECK(std::isnan(found[0].at(0)));
  CHECK(std::isfinite(found[0].at(1)));
  for (int64_t i = 12; i < 24; ++i) CHECK(std::isfinite(found[1].at(i)));
  // A class that cannot be: the sequence cannot either.
  logits = Tensor::filled(f32, {1, 2, 2}, 0);
  for (const int64_t i : {1, 3}) logits.data<float>()[i] = -std::numeric_limits<float>::infinity();
  CHECK(run_op("ctc_loss", {logits, integers({1, 1}, {1}), integers({1}, {2})})[0].at(0) ==
        std::numeric_limits<double>::infinity());
  // No frames say nothing.
  CHECK(run_op("ctc_loss", {Tensor(f32, {1, 2, 2}), integers({1, 1}, {0}), integers({1}, {0})})[0].at(0) ==
        0);
}

TEST_CASE("ctc: labels that are none of a sequence are refused with example, counts and advice") {
  CHECK(refusal({1, 3}, {4}) == "label 3 at [0, 1] is out of range: there are 3 classes, 0 to 2");
  CHECK(refusal({1, -1}, {4}) == "label -1 at [0, 1] is out of range: there are 3 classes, 0 to 2");
  CHECK(
      refusal({1, 2, 1, 0, 2, 0}, {4, 4}) ==
      "label 2 of example 1 stands behind a blank, at place 1; 0, the blank, pads labels at their end alone: "
      "leave out the one at place 0");
  CHECK(
      refusal({1, 2, 0, 1, 2, 1}, {4, 2}) ==
      "example 1 has 3 labels, which need 3 frames, but it is of 2; give it more, by smaller strides say, or "
      "leave it out");
  CHECK(refusal({1, 1, 1}, {4}) ==
        "example 0 has 3 labels and 2 blanks between equal neighbours, which need 5 frames, but it is of 4; "
        "give "
        "it more, by smaller strides say, or leave it out");
  CHECK(refusal({}, {1}, 4, 0) == "there are no classes, but class 0 is the blank; give it one logit");
  CHECK(refusal({1, 2}, {5}) == "length 5 of row 0 is out of range: there are 4 steps");
}

}  // namespace lariat::ctc_loss_test
