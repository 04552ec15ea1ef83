// Which epochs of a fit get a checkpoint where these take much longer than the epochs, or are asked for.
#include <chrono>
#include <thread>

#include "tests/support/testing.hpp"
#include "tests/support/toy_fits.hpp"

namespace lariat::checkpoint_times_test {

using namespace lariat::testing;

namespace {

// The epochs after which there was one that took `milliseconds`; steps within an epoch as 0.
std::vector<int64_t> checkpoints(FitOptions options, int milliseconds) {
  std::vector<int64_t> epochs;
  options.on_checkpoint = [&](const FitState& state, const std::vector<EpochReport>& reports) {
    CHECK(state.epoch == static_cast<int64_t>(reports.size()));
    std::this_thread::sleep_for(std::chrono::milliseconds(milliseconds));
    epochs.push_back(state.step == 0 ? state.epoch : 0);
  };
  Sequential model = small_model();
  model.fit(train_points(), options);
  return epochs;
}

}  // namespace

TEST_CASE(
    "checkpoint times: epochs that are short get none while the last one would take more than a twentieth") {
  FitOptions options = fit_with({}, 30);
  options.validation.reset();
  options.checkpoint_epochs = 0;
  // 30 epochs take less than 19 times as long as one checkpoint.
  CHECK(checkpoints(options, 400) == std::vector<int64_t>{1, 30});
  options.checkpoint_epochs = 1;
  CHECK(checkpoints(options, 0).size() == 30);
  options.checkpoint_epochs = 12;
  CHECK(checkpoints(options, 0) == std::vector<int64_t>{12, 24, 30});
  // Steps that were asked for count on over the ends of epochs, of which each has 6.
  options.epochs = 4;
  options.checkpoint_steps = 9;
  CHECK(checkpoints(options, 0) == std::vector<int64_t>{0, 3, 4});
}

TEST_CASE("checkpoint times: epochs that take long, and the last one of a fit that ends, have one") {
  FitOptions options = fit_with({}, 4);
  options.checkpoint_epochs = 0;
  options.on_epoch_end = [](const EpochReport&) {
    std::this_thread::sleep_for(std::chrono::milliseconds(200));
  };
  CHECK(checkpoints(options, 0) == std::vector<int64_t>{1, 2, 3, 4});
  std::atomic<bool> stop = false;
  options = fit_with({}, 30);
  options.checkpoint_epochs = 0;
  options.stop = &stop;
  options.on_epoch_end = {};
  options.on_step = [&](const StepReport& step) { stop = step.epoch == 3 && step.step == step.steps; };
  CHECK(checkpoints(options, 400) == std::vector<int64_t>{1, 3});
}

}  // namespace lariat::checkpoint_times_test
