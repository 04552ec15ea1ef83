#include "graph/exec/plan.hpp"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "autodiff/training/trainer.hpp"
#include "graph/base/error.hpp"
#include "graph/base/random.hpp"
#include "graph/exec/arena.hpp"
#include "graph/exec/trace.hpp"
#include "graph/program/program.hpp"
#include "ops/ops.hpp"
#include "tests/support/as_built.hpp"
#include "tests/support/files.hpp"
#include "tests/support/testing.hpp"

namespace lariat::plan_test {

TEST_CASE("the arena fits buffers best, joins free neighbours, and names whom to wait for") {
  ArenaLayout arena;
  std::vector<int> wait;
  auto a = arena.allocate(100, wait), b = arena.allocate(300, wait), c = arena.allocate(64, wait);
  CHECK(a.offset == 0);
  CHECK(b.offset == 128);
  CHECK(c.offset == 448);
  CHECK(arena.size() == 512);
  CHECK(wait.empty());
  a.users = {1};
  b.users = {2, 3};
  arena.release(a);
  arena.release(b);
  const auto d = arena.allocate(448, wait);  // both, joined
  CHECK(d.offset == 0);
  CHECK(arena.size() == 512);
  std::sort(wait.begin(), wait.end());
  CHECK(wait == std::vector<int>{1, 2, 3});
}

TEST_CASE("a long chain runs in place, in the memory of one buffer") {
  Graph g;
  Value y = g.input("x", {dim::batch, 64});
  for (int i = 0; i < 20; ++i) y = softmax(y) * 2;
  g.output("y", y);
  const Plan plan(g, {{"batch", 100}});
  const size_t one = 100 * 64 * 4;
  CHECK(plan.arena_bytes() <= 3 * one);
  CHECK(plan.total_bytes() >= 20 * one);
}

TEST_CASE("of the tasks that become ready together, the one with the longest path comes first") {
  Graph g;
  const Value x = g.input("x", {200, 200});
  Value shorter = matmul(x, x), longer = matmul(x, transpose(x));
  g.output("short", softmax(shorter));
  for (int i = 0; i < 5; ++i) longer = matmul(longer, x);
  g.output("long", longer);
  const Plan plan(g, {});
  const auto& first = plan.first_tasks();
  REQUIRE(first.size() >= 2);
  for (size_t i = 1; i < first.size(); ++i)
    CHECK(plan.tasks()[first[i - 1]].path_microseconds >= plan.tasks()[first[i]].path_microseconds);
  double all = 0;
  for (const Task& task : plan.tasks()) {
    double longest = 0;
    for (int next : task.successors) {
      CHECK(plan.tasks()[task.successors.front()].path_microseconds >= plan.tasks()[next].path_microseconds);
      longest = std::max(longest, plan.tasks()[next].path_microseconds);
    }
    double own = 0;
    for (int step = task.first_step; step <= task.last_step; ++step) own += plan.steps()[step].microseconds;
    CHECK(task.path_microseconds == doctest::Approx(own + longest));
    all += own;
  }
  CHECK(plan.tasks()[first.front()].path_microseconds < all);
}

TEST_CASE("updates are written over the old values") {
  Graph g;
  const Value w = g.parameter("w", {50, 20});
  const Value x = g.input("x", {dim::batch, 50});
  Trainer trainer(mean(square(matmul(x, w))), Adam{}, {.threads = 1});
  const Plan& plan = trainer.plan({{"x", Tensor(f32, {8, 50})}});
  int in_store = 0;
  const auto& outputs = plan.graph().outputs();
  for (size_t i = 0; i < outputs.size(); ++i)
    in_store += outputs[i].is_update && plan.result_location(i).kind == Location::Kind::store;
  CHECK(in_store >= 3);  // w and both moments
  CHECK(plan.arena_bytes() < plan.total_bytes() + 4096);
}

TEST_CASE("random graphs give the same bits with passes and without, serial and parallel") {
  int compared = 0;
  for (uint64_t seed = 0; seed < 60; ++seed) {
    Graph g;
    std::vector<Value> values{g.input("a", {dim::batch, 6}), g.input("b", {6}),
                              g.input("c", {dim::batch, 1})};
    const auto pick = [&](uint64_t counter) {
      return values[random_bits(seed, 5, counter)[0] % values.size()];
    };
    for (uint64_t i = 0; i < 25; ++i) {
      const Value x = pick(3 * i), y = pick(3 * i + 1);
      switch (random_bits(seed, 6, i)[0] % 9) {
        case 0:
          values.push_back(x + y);
          break;
        case 1:
          values.push_back(x * y);
          break;
        case 2:
          values.push_back(x - y);
          break;
        case 3:
          values.push_back(tanh(x));
          break;
        case 4:
          values.push_back(maximum(x, y));
          break;
        case 5:
          values.push_back(x * 1);
          break;
        case 6:
          values.push_back(-(-x));
          break;
        case 7:
          values.push_back(softmax(x));
          break;
        default:
          values.push_back(x.rank() == 2 ? sum(x, {1}, true) : abs(x));
      }
    }
    for (size_t i = values.size() - 4; i < values.size(); ++i) g.output(std::to_string(i), values[i]);
    Tensor a(f32, {7, 6}), b(f32, {6}), c(f32, {7, 1});
    for (Tensor* t : {&a, &b, &c})
      for (int64_t i = 0; i < t->count(); ++i)
        t->data<float>()[i] = to_unit(random_bits(seed, 9, i)[0]) * 2 - 1;
    const Feeds feeds{{"a", a}, {"b", b}, {"c", c}};

    const std::vector<Tensor> built = testing::run_as_built(g, feeds, {{"batch", 7}});
    Program program(g);
    Store store;
    for (const bool parallel : {false, true}) {
      const auto results =
          program.run(feeds, store, *(parallel ? make_tbb_executor(3) : make_serial_executor()));
      for (size_t i = 0; i < results.size(); ++i) {
        CAPTURE(seed);
        REQUIRE(built[i].extents() == results[i].extents());
        bool same = true;
        for (int64_t k = 0; k < results[i].count(); ++k)
          same &= built[i].at(k) == results[i].at(k) || results[i].at(k) != results[i].at(k);
        CHECK(same);
        ++compared;
      }
    }
  }
  CHECK(compared == 60 * 4 * 2);
}

TEST_CASE("a kernel's refusal reaches the caller from every executor and leaves it usable") {
  for (const int threads : {0, 1, 3}) {
    Graph g;
    const Value y = g.input("labels", {dim::batch}, i32);
    g.output("y", one_hot(y, 3));
    Program program(g);
    Store store;
    const auto executor = threads == 0 ? make_serial_executor() : make_tbb_executor(threads);
    CHECK(testing::message_of<UserError>([&] {
            program.run({{"labels", Tensor::of<int32_t>({2}, {1, 7})}}, store, *executor);
          }).starts_with("[one_hot]"));
    CHECK(program.run({{"labels", Tensor::of<int32_t>({2}, {1, 2})}}, store, *executor)[0].at(1) == 1);
  }
}

TEST_CASE("a trace is JSON that names op, node, shapes, time and thread") {
  Graph g;
  g.output("y", matmul(g.input("x", {4, 4}), g.input("w", {4, 4})).named("product"));
  Program program(g);
  Store store;
  const auto executor = make_tbb_executor(2);
  Trace trace;
  executor->record(&trace);
  program.run({{"x", Tensor(f32, {4, 4})}, {"w", Tensor(f32, {4, 4})}}, store, *executor);
  CHECK(trace.size() == 1);
  const testing::TemporaryFolder folder;
  trace.save(folder / "trace.json");
  const auto json = nlohmann::json::parse(testing::read_file(folder / "trace.json"));
  const auto& event = json.at("traceEvents").at(0);
  CHECK(event.at("name") == "matmul");
  CHECK(event.at("ph") == "X");
  CHECK(event.at("args").at("node") == "product");
  CHECK(event.at("args").at("shapes") == "[4, 4] [4, 4] -> [4, 4]");
  CHECK(event.at("dur") >= 0);
}

TEST_CASE("plans are cached by extents and sizes that overflow are refused") {
  Graph g;
  const Value x = g.input("x", {dim::batch, 2});
  g.output("y", x + x);
  Program program(g);
  const Feeds small{{"x", Tensor(f32, {3, 2})}}, large{{"x", Tensor(f32, {9, 2})}};
  const Plan* first = &program.plan(small);
  program.plan(large);
  CHECK(&program.plan(small) == first);
  Graph h;
  const Value a = h.input("a", {dim::batch});
  h.output("z",
           broadcast_to(reshape(a, {-1, 1, 1}), {dim::batch, Dim(int64_t{1} << 31), Dim(int64_t{1} << 31)}));
  Program huge(h);
  CHECK(testing::message_of<UserError>([&] {
          huge.plan({{"a", Tensor(f32, {4})}});
        })
            .ends_with(
                "the size 8589934592 * 2147483648 exceeds what 64 bits can count; use smaller dimensions"));
}

namespace {

// Runs a graph once, serially and on two threads, on a store of the given tensors; checks that both agree.
Store after_one_run(const Graph& graph, const Store& before, const Feeds& feeds = {}) {
  Store serial = before, parallel = before;
  Program(graph).run(feeds, serial, *make_serial_executor());
  Program(graph).run(feeds, parallel, *make_tbb_executor(2));
  CHECK(serial.hash() == parallel.hash());
  return serial;
}

std::string refused(const Graph& graph, const Feeds& feeds) {
  return testing::message_of<UserError>([&] { Program(graph).plan(feeds); });
}

}  // namespace

TEST_CASE("an update never reaches a reader of the old value") {
  // L = Σ x·(u∘v):  dL/du = s∘v and dL/dv = s∘u, each of the old values.
  Graph g;
  const Value u = g.parameter("u", {4, 4}, init::uniform(1), f64),
              v = g.parameter("v", {4, 4}, init::uniform(1), f64);
  const Value x = g.constant(Tensor::filled(f64, {1, 4}, 1));
  Trainer trainer(sum(matmul(x, u * v)), Sgd{.learning_rate = 0.5}, {.threads = 2});
  const Tensor u0 = trainer.value(u), v0 = trainer.value(v);
  trainer.step(Feeds{});
  for (int64_t i = 0; i < 16; ++i) {
    CHECK(trainer.value(u).at(i) == u0.at(i) - 0.5 * v0.at(i));
    CHECK(trainer.value(v).at(i) == v0.at(i) - 0.5 * u0.at(i));
  }
}

TEST_CASE("an update waits for readers that see the old value through a view") {
  Graph g;
  const Value v = g.state("v", {4}, init::constant(1), f64), u = g.state("u", {2, 2}, init::zeros(), f64);
  const Value view = reshape(v, {2, 2});
  g.update("v", v + 1.0);
  g.update("u", u + (softmax(matmul(view, view)) + matmul(view, view)));
  Store store;
  initialize_store(g, store, 0);
  const Store after = after_one_run(g, store);
  for (int64_t i = 0; i < 4; ++i) {
    CHECK(after.get("v").at(i) == 2);
    CHECK(after.get("u").at(i) == 2.5);
  }
}

TEST_CASE("random updates of parameters that read one another are those of the old values") {
  int compared = 0, in_place = 0;
  for (uint64_t seed = 0; seed < 80; ++seed) {
    // The same nodes twice: as updates, and as plain outputs, which overwrite nothing.
    Graph updating, plain;
    for (Graph* g : {&updating, &plain}) {
      std::vector<Value> values;
      const std::vector<std::string> names{"p", "q", "r"};
      for (const std::string& name : names)
        values.push_back(g->parameter(name, {4, 4}, init::uniform(1), f64));
      const auto pick = [&](uint64_t counter) {
        return values[random_bits(seed, 5, counter)[0] % values.size()];
      };
      for (uint64_t i = 0; i < 12; ++i) {
        const Value x = pick(2 * i), y = pick(2 * i + 1);
        switch (random_bits(seed, 6, i)[0] % 6) {
          case 0:
            values.push_back(x + 0.5 * y);
            break;
          case 1:
            values.push_back(x * y);
            break;
          case 2:
            values.push_back(tanh(x));
            break;
          case 3:
            values.push_back(matmul(x, y));
            break;
          case 4:
            values.push_back(softmax(reshape(x, {2, 8})));
            values.back() = reshape(values.back(), {4, 4});
            break;
          default:
            values.push_back(reshape(reshape(x, {16}), {4, 4}));
            break;
        }
      }
      for (size_t i = 0; i < names.size(); ++i) {
        const Value next = g->find_source(names[i]) - 0.1 * values[values.size() - 1 - i];
        g == &updating ? g->update(names[i], next) : g->output(names[i], next);
      }
    }
    Store store;
    initialize_store(updating, store, seed);
    const std::vector<Tensor> expected = Program(plain).run({}, store, *make_serial_executor());
    const Store after = after_one_run(updating, store);
    const Plan plan(updating, {});
    for (size_t i = 0; i < expected.size(); ++i) {
      CAPTURE(seed);
      CHECK(same_bits(after.get(updating.outputs()[i].name), expected[i]));
      in_place += plan.result_location(i).kind == Location::Kind::store;
      ++compared;
    }
  }
  CHECK(compared == 80 * 3);
  CHECK(in_place >= 40);
}

TEST_CASE("updates may exchange values, and results are those from before") {
  Graph g;
  const Value a = g.state("a", {}, init::constant(1)), b = g.state("b", {}, init::constant(2));
  g.update("a", b);
  g.update("b", a);
  g.output("a before", a);
  Store store;
  initialize_store(g, store, 0);
  const Store after = after_one_run(g, store);
  CHECK(after.get("a").item() == 2);
  CHECK(after.get("b").item() == 1);
  CHECK(Program(g).run({}, store, *make_serial_executor())[0].item() == 1);
  CHECK(store.get("a").item() == 2);
}

TEST_CASE("a node refuses extents that its symbols did not show") {
  const auto feed = [](int64_t time) { return Feeds{{"x", Tensor(f32, {2, time})}}; };
  const auto with = [&](auto&& build) {
    auto g = std::make_unique<Graph>();
    g->output("y", build(g->input("x", {dim::batch, dim::time})));
    return g;
  };
  const auto padded = with([](Value x) { return pad(x, 1, 0, Dim(10) - dim::time).named("ten"); });
  Program(*padded).plan(feed(10));
  CHECK(refused(*padded, feed(5000)).starts_with("[pad] 'ten' built at plan_test.cpp:"));
  CHECK(refused(*padded, feed(5000))
            .ends_with("cannot pad axis 1 of [2, 5000] by 0 and -4990; use slice to shorten it"));
  // A known shape that is made of symbolic ones: fewer elements than it says would be read beyond their end.
  const auto flattened = with([](Value x) { return reshape(x, {12}); });
  Program(*flattened).plan(feed(6));
  CHECK(refused(*flattened, feed(5)).find("[2, 5]") != std::string::npos);
  CHECK(refused(*flattened, feed(0)).find("[2, 0]") != std::string::npos);
  CHECK(refused(*with([](Value x) { return slice(x, 1, 0, 10); }), feed(5))
            .ends_with("[0, 10) does not lie within axis 1 of [2, 5]"));
  CHECK(refused(*with([](Value x) { return slice(x, 1, -3, dim::time); }), feed(2))
            .ends_with("[-1, 2) does not lie within axis 1 of [2, 2]"));
  CHECK(refused(*with([](Value x) {
          return reshape(x, {dim::batch, 7});
        }),
                feed(5))
            .find("[2, 5]") != std::string::npos);
  CHECK(refused(*with([](Value x) {
          return max_pool1d(reshape(x, {dim::batch, dim::time, 1}), 5, 4);
        }),
                feed(2))
            .ends_with("the window spans 5 time steps, but there are 2 with padding"));
  CHECK(
      refused(*with([](Value x) {
        return sum(
            broadcast_to(reshape(slice(x, 1, 0, 1), {dim::batch, 1}), {dim::batch, Dim(int64_t{1} << 45)}));
      }),
              feed(3))
          .ends_with(
              "a result of shape [2, 35184372088832] is larger than memory can be; use smaller dimensions"));
}

TEST_CASE("names that are no inputs are refused at every run") {
  Graph g;
  g.output("y", g.input("x", {2}) + 1);
  Program program(g);
  program.plan({{"x", Tensor(f32, {2})}});
  CHECK(testing::message_of<UserError>([&] {
          program.plan({{"x", Tensor(f32, {2})}, {"xx", Tensor(f32, {2})}});
        }) == "there is no input 'xx'. Did you mean 'x'?");
}

TEST_CASE("no step makes a tensor of a weight's size of one number") {
  const std::vector<std::pair<const char*, Value (*)(Value)>> penalties{
      {"sum of squares", [](Value w) { return sum(square(w)); }},
      {"square_penalty", [](Value w) { return square_penalty(w); }},
      {"products", [](Value w) { return sum(w * w); }},
      {"zero times", [](Value w) { return 0 * sum(abs(w)); }},
      {"plain sum", [](Value w) { return sum(w); }},
      {"mean", [](Value w) { return mean(square(3 * w)); }},
      {"weighted", [](Value w) { return sum(0.5 * (w * w) * 2.0 + 1); }},
      {"transposed", [](Value w) { return sum(exp(transpose(w))); }},
      {"moved",
       [](Value w) {
         return sum(transpose(reshape(w, {8, 8, 16}), {2, 0, 1}));
       }},
      {"both axes", [](Value w) { return sum(sum(square(w), {0})); }},
      {"smooth", [](Value w) { return sum(softplus(w) - w * 0.5); }}};
  for (const bool rewrite : {true, false})
    for (const auto& [name, penalty] : penalties) {
      CAPTURE(name);
      CAPTURE(rewrite);
      Graph g;
      const Value x = g.input("x", {dim::batch, 64}), w = g.parameter("w", {64, 16});
      Trainer trainer(mean(square(matmul(x, w))) + 1e-3 * penalty(w), Adam{},
                      {.threads = 1, .rewrite = rewrite});
      const Plan& plan = trainer.plan({{"x", Tensor(f32, {3, 64})}});
      for (const Step& step : plan.steps())
        if (plan.graph().node(step.node).op->name == "broadcast_to") CHECK(step.outputs[0].count() < 64 * 16);
    }
}

}  // namespace lariat::plan_test
