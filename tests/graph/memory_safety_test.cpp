// What a program hands to the engine and goes on using: stores, feeds, graphs that are gone, executors shared
// between threads.
#include <tbb/task_arena.h>

#include <fcntl.h>
#include <unistd.h>

#include <atomic>
#include <cmath>
#include <mutex>
#include <set>
#include <thread>

#include "autodiff/training/trainer.hpp"
#include "frontends/sequential/sequential.hpp"
#include "graph/base/error.hpp"
#include "graph/program/program.hpp"
#include "ops/ops.hpp"
#include "tests/support/files.hpp"
#include "tests/support/testing.hpp"

namespace lariat::memory_safety_test {

using testing::message_of;

namespace {

Trainer small_trainer(int64_t inputs = 3) {
  Graph g;
  const Value x = g.input("x", {dim::batch, inputs}), y = g.input("y", {dim::batch, 1});
  const Value w = g.parameter("W", {inputs, 1});
  return Trainer(mean(square(matmul(x, w) - y)) + 0.1 * sum(abs(w)), Adam{}, {.threads = 1});
}

Feeds ones(int64_t inputs = 3) {
  return {{"x", Tensor::filled(f32, {5, inputs}, 1)}, {"y", Tensor::filled(f32, {5, 1}, 1)}};
}

}  // namespace

TEST_CASE("a tensor of the store with another type than the graph's is refused before anything runs") {
  Trainer trainer = small_trainer();
  trainer.step(ones());
  const std::string other = "; the two belong to different models";
  for (const auto& [tensor, type] :
       std::vector<std::pair<Tensor, std::string>>{{Tensor(f32, {1}), "f32[1]"},
                                                   {Tensor(f64, {3, 1}), "f64[3, 1]"},
                                                   {Tensor(f32, {1, 3}), "f32[1, 3]"},
                                                   {Tensor(i32, {3, 1}), "i32[3, 1]"},
                                                   {Tensor(f32, {0, 1}), "f32[0, 1]"}})
    for (const std::string name : {"W", "optimizer/W/mean"}) {
      const Tensor before = trainer.store().get(name);
      trainer.store().set(name, tensor);
      const std::string wanted =
          "'" + name + "' is f32[3, 1] in the model but " + type + " in the store" + other;
      CHECK(message_of<UserError>([&] { trainer.step(ones()); }) == wanted);
      if (name == "W") CHECK(message_of<UserError>([&] { trainer.certify(ones()); }) == wanted);
      trainer.store().set(name, before);
      trainer.step(ones());
    }
}

TEST_CASE("a store that is another model's, loaded over the trainer's, is refused by the tensor's name") {
  const testing::TemporaryFolder folder;
  Trainer other = small_trainer(4), trainer = small_trainer();
  other.store().save(folder / "other.safetensors");
  trainer.store() = Store::load(folder / "other.safetensors");
  CHECK(message_of<UserError>([&] { trainer.step(ones()); }) ==
        "'W' is f32[3, 1] in the model but f32[4, 1] in the store; the two belong to different models");
  trainer.store() = Store();
  CHECK(message_of<UserError>([&] { trainer.step(ones()); }) ==
        "the store has no tensor 'step'; it is empty");
}

TEST_CASE("a trainer does not need the graph it was made of") {
  Trainer trainer = small_trainer();
  for (int i = 0; i < 10; ++i) trainer.step(ones());
  // Memory that the graph had is used for something else.
  std::vector<std::vector<char>> junk;
  for (int i = 0; i < 2000; ++i) junk.emplace_back(200 + i % 700, '\x5a');
  const Certificate certificate = trainer.certify(ones());
  CHECK(certificate.entries.size() == 1);
  CHECK(std::isfinite(certificate.loss));

  std::unique_ptr<Graph> g = std::make_unique<Graph>();
  const Value x = g->input("x", {dim::batch, 2}), w = g->parameter("W", {2, 1}, init::constant(2));
  const Value strength = g->input("strength", {}), y = matmul(x, w);
  Trainer second(mean(square(y)) + strength * sum(abs(w)), Sgd{.learning_rate = 0},
                 {.threads = 1, .parameters = {w}, .scheduled = {{strength, schedule::constant()}}});
  const Value later = y * 2;  // added to the graph after the trainer was made
  const Tensor data = Tensor::filled(f32, {1, 2}, 1);
  CHECK(second.evaluate({later}, {{"x", data}})[0].item() == 8);
  const Value last = y * 3;
  g.reset();
  second.step({{x, data}});
  CHECK(second.evaluate({y}, {{"x", data}})[0].item() == 4);
  CHECK(second.value(w).at(0) == 2);
  second.certify(Feeds{{"x", data}});
  CHECK(message_of<UserError>([&] {
          second.evaluate({last}, {{"x", data}});
        }) == "a value to evaluate was added to a graph that is gone; keep the graph");
}

TEST_CASE("values that are not the trainer's are refused") {
  Graph g, other;
  const Value w = g.parameter("W", {2}), foreign = other.parameter("V", {2});
  Trainer trainer(sum(square(w)), Sgd{}, {.threads = 1});
  CHECK(message_of<UserError>([&] { trainer.evaluate({foreign}, {}); }) ==
        "a value to evaluate belongs to another graph than the loss that is trained");
  CHECK(message_of<UserError>([&] { trainer.evaluate({Value()}, {}); }) ==
        "an empty Value was given to a trainer; build the value first");
  CHECK(message_of<UserError>([&] {
          trainer.value(w * 2);
        }).ends_with("is no parameter or state; evaluate() computes it"));
  CHECK(message_of<UserError>([] { Trainer(Value(), Sgd{}); }) ==
        "the loss is an empty Value; build the loss first");
}

TEST_CASE("feeds, constants and tensors of the store may share memory with what is updated") {
  for (const bool parallel : {false, true}) {
    const auto executor = parallel ? make_tbb_executor(2) : make_serial_executor();
    Graph g;
    const Value anchor = g.input("anchor", {4}), w = g.parameter("W", {4}, init::constant(1));
    g.update("W", w * 0.5);
    g.output("y", sum(anchor + 1.0));
    Program program(g);
    Store store;
    initialize_store(g, store, 1);
    CHECK(program.run({{"anchor", store.get("W")}}, store, *executor)[0].item() == 8);
    CHECK(store.get("W").at(0) == 0.5);

    // A part of a tensor's memory is enough: Tensor keeps whole ones, so a constant stands for it.
    Graph h;
    Store shared;
    shared.set("W", Tensor::filled(f32, {4}, 1));
    const Value v = h.parameter("W", {4}), c = h.constant(shared.get("W"));
    h.update("W", v * 0.5);
    h.output("y", sum(c + 1.0));
    Program constant(h);
    for (const double expected : {0.5, 0.25}) {
      CHECK(constant.run({}, shared, *executor)[0].item() == 8);
      CHECK(shared.get("W").at(0) == expected);
    }

    Graph two;
    const Value a = two.parameter("a", {2}), b = two.parameter("b", {2});
    two.update("a", a + 1);
    two.update("b", b * 10);
    Store both;
    both.set("a", Tensor::filled(f32, {2}, 1));
    both.set("b", both.get("a"));
    Program apart(two);
    for (int i = 0; i < 2; ++i) apart.run({}, both, *executor);
    CHECK(both.get("a").at(0) == 3);
    CHECK(both.get("b").at(0) == 100);
  }
}

TEST_CASE("an example whose values do not fit its frames and dimensions is refused by its source") {
  data::Dataset dataset;
  dataset.classes = {"a", "b"};
  dataset.sequences = false;
  for (int i = 0; i < 8; ++i)
    dataset.examples.push_back(
        {"row " + std::to_string(i), i % 2, 1, 3, {1.0f * static_cast<float>(i % 2), 1, 2}});
  const auto refused = [&](const std::function<void(data::Dataset&)>& spoil) {
    data::Dataset bad = dataset;
    spoil(bad);
    Sequential model{Dense(2)};
    model.compile(Sgd{});
    const std::string message = message_of<UserError>([&] { model.fit(bad, {.threads = 1}); });
    Sequential trained{Dense(2)};
    trained.compile(Sgd{});
    trained.fit(dataset, {.threads = 1});
    CHECK(message_of<UserError>([&] { trained.evaluate(bad); }) == message);
    return message;
  };
  CHECK(refused([](data::Dataset& d) { d.examples[3].values.pop_back(); }) ==
        "row 3: holds 2 values, but is of 1 frames of 3 dimensions; it must hold 3");
  CHECK(refused([](data::Dataset& d) { d.examples[7].values.resize(1 << 20); }) ==
        "row 7: holds 1048576 values, but is of 1 frames of 3 dimensions; it must hold 3");
  CHECK(refused([](data::Dataset& d) { d.examples[2].dimensions = 4; }) ==
        "row 2: is of 4 dimensions, the first example of 3; all must have as many");
  CHECK(refused([](data::Dataset& d) { d.examples[2].frames = 2; }) ==
        "row 2: is of 2 frames of 3 dimensions; data without a time axis have one frame");
  CHECK(refused([](data::Dataset& d) { d.examples[5].label = 2; }) ==
        "row 5: has the label 2, but the data have 2 classes; labels count from 0");
  CHECK(refused([](data::Dataset& d) { d.examples[5].label = -1; }) ==
        "row 5: has the label -1, but the data have 2 classes; labels count from 0");
}

TEST_CASE("two threads may use one executor, and one program") {
  Graph g;
  const Value x = g.input("x", {64, 64});
  Value a = x;
  for (int i = 0; i < 10; ++i) a = tanh(matmul(a, x * (0.01 * i + 0.1))) + matmul(x, a);
  g.output("y", sum(a));
  Store store;
  const Feeds feeds{{"x", Tensor::filled(f32, {64, 64}, 0.01)}};
  for (const int threads : {0, 1, 2, 3}) {
    const auto executor = threads == 0 ? make_serial_executor() : make_tbb_executor(threads);
    Program first(g), second(g);
    const double expected = first.run(feeds, store, *executor)[0].item();
    std::atomic<int> wrong = 0;
    const auto work = [&](Program& program) {
      for (int i = 0; i < 60; ++i) wrong += program.run(feeds, store, *executor)[0].item() != expected;
    };
    std::vector<std::thread> all;
    for (Program* program : {&first, &second, &first, &second}) all.emplace_back(work, std::ref(*program));
    for (std::thread& thread : all) thread.join();
    CHECK(wrong == 0);
  }
}

TEST_CASE("an executor keeps to its threads, whoever calls it") {
  const auto many = make_tbb_executor(8), two = make_tbb_executor(2);
  std::mutex mutex;
  std::set<std::thread::id> seen;
  const auto count_threads = [&] {
    seen.clear();
    two->run(64, 1, [&](int64_t, int64_t) {
      std::this_thread::sleep_for(std::chrono::milliseconds(2));
      const std::lock_guard lock(mutex);
      seen.insert(std::this_thread::get_id());
    });
    return seen.size();
  };
  CHECK(count_threads() <= 2);
  tbb::task_arena(6).execute([&] { CHECK(count_threads() <= 2); });
}

TEST_CASE("a number of threads that no executor has is refused") {
  for (const int threads : {-3, 1025, 100000})
    CHECK(message_of<UserError>([&] { make_tbb_executor(threads); }) ==
          "threads = " + std::to_string(threads) + ": must be an integer from 0 to 1024");
}

TEST_CASE("executors of different sizes side by side print nothing") {
  // oneTBB's warnings go to standard error, which is a file meanwhile.
  const auto trained = [](int threads) {
    Trainer trainer = [&] {
      Graph g;
      const Value x = g.input("x", {dim::batch, 64});
      Value h = x;
      for (int i = 0; i < 3; ++i) h = tanh(matmul(h, g.parameter("W" + std::to_string(i), {64, 64})));
      return Trainer(mean(square(h)), Sgd{}, {.threads = threads});
    }();
    for (int i = 0; i < 5; ++i) trainer.step(Feeds{{"x", Tensor::filled(f32, {128, 64}, 0.1)}});
    return trainer.store().hash();
  };
  const testing::TemporaryFolder folder;
  const std::string file = folder / "stderr";
  std::fflush(stderr);
  const int kept = dup(2);
  const int into = open(file.c_str(), O_CREAT | O_WRONLY, 0600);
  dup2(into, 2);
  const auto first = make_tbb_executor(8);
  const uint64_t eight = trained(8), three = trained(3), one = trained(1), again = trained(16);
  std::fflush(stderr);
  dup2(kept, 2);
  close(kept);
  close(into);
  CHECK(testing::read_file(file) == "");
  CHECK(eight == three);
  CHECK(eight == one);
  CHECK(eight == again);
}

}  // namespace lariat::memory_safety_test
