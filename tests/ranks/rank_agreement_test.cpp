// What ranks compare before and while they work together: builds, data, and that they do the same.
#include <fmt/format.h>

#include <chrono>
#include <cstdlib>
#include <functional>
#include <future>

#include "autodiff/convex/solver.hpp"
#include "autodiff/training/trainer.hpp"
#include "frontends/sequential/fit_ranks.hpp"
#include "graph/base/build_name.hpp"
#include "graph/base/version.hpp"
#include "graph/ranks/mpi_transport.hpp"
#include "ops/ops.hpp"
#include "tests/support/rank_threads.hpp"
#include "tests/support/testing.hpp"
#include "tests/support/toy_fits.hpp"

namespace lariat::rank_agreement_test {

namespace {

// "" where it succeeds.
std::string failure_of(const std::function<void()>& body) {
  try {
    body();
  } catch (const UserError& error) {
    return error.what();
  }
  return {};
}

// The line that one of the ranks says, where all end.
std::string one_says(const std::vector<std::string>& failures) {
  std::string said;
  for (const std::string& failure : failures) {
    CHECK(failure != "");
    if (!failure.starts_with("says: ")) continue;
    CHECK(said == "");
    said = failure.substr(6);
  }
  return said;
}

// Values that are not in memory, of which one is another on a rank.
class Stored : public data::Source {
 public:
  explicit Stored(int64_t other) : other_(other) {}
  void read(int64_t number, std::span<float> values) const override {
    for (size_t i = 0; i < values.size(); ++i)
      values[i] = static_cast<float>(number % 5) + static_cast<float>(i) + (number == other_ ? 1.0F : 0.0F);
  }

 private:
  int64_t other_;
};

// One that does not end by itself.
class Endless : public Transport {
 public:
  explicit Endless(std::unique_ptr<Transport> of) : of_(std::move(of)) {}
  int rank() const override { return of_->rank(); }
  int size() const override { return of_->size(); }
  std::string name() const override { return of_->name(); }
  bool any_thread() const override { return of_->any_thread(); }
  Request send(int to, int tag, const void* data, size_t bytes) override {
    return of_->send(to, tag, data, bytes);
  }
  Request receive(int from, int tag, void* data, size_t bytes) override {
    return of_->receive(from, tag, data, bytes);
  }
  bool over(Request request) override { return of_->over(request); }
  void end(bool) override { released.get_future().wait(); }

  std::promise<void> released;

 private:
  std::unique_ptr<Transport> of_;
};

data::Dataset stored(int64_t other) {
  data::Dataset dataset{.classes = {"a", "b", "c"}, .sequences = false};
  const auto source = std::make_shared<Stored>(other);
  for (int i = 0; i < 40; ++i) {
    data::Example example{fmt::format("file {}", i), i % 3, 1, 2, {}};
    example.stored = source;
    example.number = i;
    dataset.examples.push_back(example);
  }
  return dataset;
}

}  // namespace

TEST_CASE("ranks: a build is named by version, its identifier and its kernels") {
  const std::string name = build_name();
  CHECK(name.starts_with(fmt::format("{}, ", version)));
  CHECK(name.find("kernels for ") != name.npos);
  CHECK(build_name() == name);
}

TEST_CASE("ranks: data in files and data to validate on are compared too") {
  const auto fails = [](int64_t other, bool validation) {
    return one_says(on_ranks(2, [&](const std::shared_ptr<Ranks>& ranks) {
      const data::Dataset same = stored(-1), own = stored(ranks->rank() == 1 ? other : -1);
      Sequential model = testing::small_model();
      FitOptions options = testing::fit_with({}, 1);
      options.micro_shards = 2;
      options.ranks = ranks;
      options.validation = validation ? own : same;
      model.fit(validation ? same : own, options);
    }));
  };
  const std::string other = fails(7, false), other_validation = fails(7, true);
  CAPTURE(other);
  CAPTURE(other_validation);
  CHECK(other.starts_with("rank 1 has other data than rank 0: 40 examples (hash "));
  CHECK(other_validation.starts_with("rank 1 has other data to validate on than rank 0: 40 examples (hash "));
}

TEST_CASE("ranks: those that do not do the same end with a line, and do not wait for ever") {
  CHECK(one_says(on_ranks(2,
                          [](const std::shared_ptr<Ranks>& ranks) {
                            ranks->gather("x", ranks->rank() == 0 ? "the other folds" : "the other trials");
                          })) ==
        "rank 1 waits for the other trials, but rank 0 for the other folds: they do not do the same; give "
        "every "
        "rank the same");
  const auto begin = std::chrono::steady_clock::now();
  CHECK(one_says(on_ranks(2,
                          [](const std::shared_ptr<Ranks>& ranks) {
                            if (ranks->rank() == 0) return;
                            ranks->at("step 4");
                            ranks->wait([] { return false; }, "the gradient of 'w'");
                          })) ==
        "rank 0 is done, while rank 1, at step 4, waits for the gradient of 'w': they do not do the same; "
        "give every "
        "rank the same");
  CHECK(std::chrono::steady_clock::now() - begin < std::chrono::seconds(9));
}

TEST_CASE("ranks: processes that were started together but are not joined do not each do all of the work") {
  REQUIRE(std::getenv("OMPI_COMM_WORLD_SIZE") == nullptr);
  const auto training = [] {
    return failure_of([] {
      Graph graph;
      const Value w = graph.parameter("w", {2});
      Trainer trainer(sum(square(w - 1)), Sgd{}, TrainerOptions{});
      trainer.step(Feeds{});
    });
  };
  const auto solving = [] {
    return failure_of([] {
      Graph graph;
      const Value w = graph.parameter("w", {2}, init::zeros(), f64);
      solve(sum(square(w - 1)), SolveOptions{});
    });
  };
  CHECK(training() == "");
  CHECK(solving() == "");
  setenv("OMPI_COMM_WORLD_SIZE", "3", 1);
  const std::string why =
      " was given no ranks, but this process was started as one of 3 by Open MPI's mpirun "
      "(OMPI_COMM_WORLD_SIZE=3), "
      "each of which would do all of it by itself; give it mpi_ranks(), or set LARIAT_MPI=none";
  CHECK(training() == "the training" + why);
  CHECK(solving() == "the solver" + why);
  setenv("LARIAT_MPI", "none", 1);
  CHECK(training() == "");
  unsetenv("LARIAT_MPI");
  setenv("OMPI_COMM_WORLD_SIZE", "1", 1);
  CHECK(training() == "");
  unsetenv("OMPI_COMM_WORLD_SIZE");
}

TEST_CASE("ranks: where MPI itself does not end after all are done, the program hears of it") {
  auto endless = std::make_unique<Endless>(std::move(thread_transports(1)[0]));
  Endless& transport = *endless;
  int heard = 0;
  RanksOptions options{.limit_seconds = 0.05, .pulses = false};
  options.when_end_hangs = [&] {
    ++heard;
    transport.released.set_value();
  };
  Ranks ranks(std::move(endless), options);
  ranks.finish();
  CHECK(heard == 1);
  // One that ends is not told of.
  Ranks others(std::move(thread_transports(1)[0]), options);
  others.finish();
  CHECK(heard == 1);
}

}  // namespace lariat::rank_agreement_test
