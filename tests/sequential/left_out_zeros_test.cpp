// Fits whose steps leave out zeros: what is said of it, and going on.
#include <atomic>

#include "autodiff/training/trainer.hpp"
#include "frontends/sequential/sequential.hpp"
#include "ops/ops.hpp"
#include "tests/support/testing.hpp"
#include "tests/support/toy_data.hpp"
#include "tests/support/toy_fits.hpp"

namespace lariat::left_out_zeros_test {

namespace {

// The first kernel is [64, 80]; of its rows the first four alone tell the classes apart.
Sequential wide_model() {
  Sequential model{Dense(80, relu, {.kernel_penalty = l1(4e-3)}), Dense(3)};
  model.compile(Adam{.learning_rate = 5e-3});
  return model;
}

const data::Dataset& wide_points() {
  static const data::Dataset data = testing::points(90, 3, 64, 3);
  return data;
}

FitOptions settling(std::vector<std::string>& notes) {
  FitOptions fit{.epochs = 30, .batch_size = 10, .settle_from = 0.5};
  fit.on_warning = [](const std::string&) {};
  fit.on_note = [&](const std::string& note) { notes.push_back(note); };
  return fit;
}

}  // namespace

TEST_CASE("a fit says from when on it leaves out zeros, and goes on with the same bits") {
  std::vector<std::string> notes, later;
  Sequential whole = wide_model();
  const FitResult result = whole.fit(wide_points(), settling(notes));
  REQUIRE(notes.size() == 1);
  CHECK(notes[0].starts_with("from step "));
  CHECK(notes[0].ends_with(" of 5120 weights are computed of dense_1/kernel"));
  CHECK(result.epochs.back().penalised.fraction() > 0.8);

  // Stopped behind the middle, between two looks at the zeros.
  std::atomic<bool> stop = false;
  Sequential first = wide_model(), second = wide_model();
  FitOptions fit = settling(later);
  fit.stop = &stop;
  int64_t steps = 0;
  fit.on_step = [&](const StepReport&) { stop = ++steps == 220; };
  const FitResult stopped = first.fit(wide_points(), fit);
  REQUIRE(stopped.stopped);
  fit.stop = nullptr;
  testing::go_on(second, first, stopped, wide_points(), fit);
  CHECK(second.parameter_hash() == whole.parameter_hash());
}

TEST_CASE("a model that was trained sparse is trained on by what is left of it") {
  std::vector<std::string> notes, more;
  Sequential model = wide_model();
  model.fit(wide_points(), settling(notes));
  const Tensor before = model.store().get("dense_1/kernel").clone();
  FitOptions fit{.epochs = 2, .batch_size = 10, .freeze_zeros = true};
  fit.on_warning = [](const std::string&) {};
  fit.on_note = [&](const std::string& note) { more.push_back(note); };
  model.fit(wide_points(), fit);
  const Tensor after = model.store().get("dense_1/kernel").clone();
  int64_t moved = 0, born = 0;
  for (int64_t i = 0; i < before.count(); ++i) {
    moved += before.at(i) != after.at(i);
    born += before.at(i) == 0 && after.at(i) != 0;
  }
  CHECK(born == 0);
  CHECK(moved > 0);
}

}  // namespace lariat::left_out_zeros_test
