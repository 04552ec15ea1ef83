// From the loss to the plan, the work grows with the graph and no faster.
#include <fmt/format.h>

#include <functional>
#include <map>

#include "autodiff/gradient.hpp"
#include "autodiff/penalty/penalty.hpp"
#include "autodiff/penalty/proximal.hpp"
#include "autodiff/training/trainer.hpp"
#include "graph/exec/arena.hpp"
#include "graph/exec/plan.hpp"
#include "graph/ir/registry.hpp"
#include "graph/ir/verify.hpp"
#include "graph/passes/pass_list.hpp"
#include "graph/program/program.hpp"
#include "ops/kernels/elementwise_program.hpp"
#include "ops/ops.hpp"
#include "tests/support/testing.hpp"
#include "tests/support/work.hpp"

namespace lariat::planning_work_test {

using lariat::testing::check_linear;
using lariat::testing::Work;
using lariat::testing::work_so_far;

namespace {

constexpr int64_t width = 4;

using Stages = std::map<std::string, Work>;

void check_growth(const std::function<Stages(int)>& run, int size) {
  run(size);  // tables that are made once
  const Stages small = run(size), large = run(4 * size);
  for (const auto& [stage, work] : large) check_linear(stage, small.at(stage), work);
}

// What each stage takes of work.
class Meter {
 public:
  void lap(const std::string& stage) {
    stages_[stage] += work_so_far() - last_;
    last_ = work_so_far();
  }
  const Stages& stages() const { return stages_; }

 private:
  Stages stages_;
  Work last_ = work_so_far();
};

enum class Kind {
  plain,
  l1,
  l2,
  fed_l1,
  groups,
  bounded_groups,
  variation,
  chain,
  numbers,
  views,
  recurrent
};

Value term_of(Kind kind, Value w) {
  switch (kind) {
    case Kind::l2:
      return sum(square(w));
    case Kind::groups:
      return sum(norm2(w, {1}));
    case Kind::bounded_groups:
      return sum(norm2(w, {1})) + sum(abs(w - 0.5));
    case Kind::variation:
      return sum(absolute_differences(w, 0));
    default:
      return sum(abs(w));
  }
}

Value built(Graph& g, Kind kind, int size) {
  const Value x = g.input("x", {dim::batch, width});
  Value h = x, penalty;
  const auto last_product = [&] { h = matmul(h, g.parameter("w", {width, width})); };
  switch (kind) {
    case Kind::chain:
      for (int i = 0; i < size; ++i) h = i % 2 ? tanh(h) : h * 1.01;
      last_product();
      break;
    case Kind::numbers: {
      Value s = g.parameter("s", {});
      for (int i = 0; i < size; ++i) s = i % 2 ? tanh(s) : s * 1.01;
      last_product();
      h = h * s;
      break;
    }
    case Kind::views:
      for (int i = 0; i < size; ++i)
        h = i % 2 ? reshape(h, {dim::batch, width})
                  : transpose(reshape(h, {dim::batch, 1, width}), {1, 0, 2});
      h = reshape(h, {dim::batch, width});
      last_product();
      break;
    case Kind::recurrent:
      // Many short chains, one after the other.
      for (int i = 0; i < size / 8; ++i) {
        const Value k = g.parameter(fmt::format("k{}", i), {width, 4 * width}),
                    r = g.parameter(fmt::format("r{}", i), {width, 4 * width}),
                    b = g.parameter(fmt::format("b{}", i), {4 * width});
        LstmState state{h, h};
        for (int t = 0; t < 4; ++t) state = lstm_cell(h, state.hidden, state.cell, k, r, b);
        h = state.hidden;
      }
      last_product();
      break;
    default:
      for (int i = 0; i < size; ++i) {
        const Value w = g.parameter(fmt::format("w{}", i), {width, width});
        h = tanh(matmul(h, w));
        if (kind == Kind::plain) continue;
        const Value term = 1e-3 * term_of(kind, w);
        penalty = penalty ? penalty + term : term;
      }
  }
  const Value loss = mean(square(h));
  if (penalty && kind == Kind::fed_l1) penalty = g.input("strength", {}) * penalty;
  return penalty ? loss + penalty : loss;
}

std::vector<Value> parameters_of(Graph& g) {
  std::vector<Value> found;
  for (int32_t id = 0; id < g.size(); ++id)
    if (g.node(id).op->traits.source == SourceKind::parameter) found.push_back({&g, id});
  return found;
}

Stages stages_of(Kind kind, int size) {
  Meter watch;
  Graph g;
  const Value loss = built(g, kind, size);
  watch.lap("build");
  {
    Graph copied;
    GraphCopy copy(g, copied);
    for (int32_t id = 0; id < g.size(); ++id) copy.copy(id);
    watch.lap("copy");
    const std::vector<Value> parameters = parameters_of(copied);
    const PenaltySplit split = split_penalties(copy(loss), parameters);
    watch.lap("split");
    make_report(split, "metric");
    watch.lap("report");
    const std::vector<Value> gradients = gradient(copy(loss), parameters);
    watch.lap("gradient");
    for (size_t i = 0; i < gradients.size(); ++i) copied.output(std::to_string(i), gradients[i]);
    watch.lap("outputs");
    verify(copied);
    watch.lap("verify");
    auto current = std::make_unique<Graph>();
    copy_graph(copied, *current);
    for (const Pass& pass : passes()) {
      auto next = std::make_unique<Graph>();
      pass.run(*current, *next);
      current = std::move(next);
      watch.lap(pass.name);
    }
  }
  Trainer trainer(loss, Adam{}, {.threads = 1});
  watch.lap("trainer");
  const auto feeds = [&](int64_t batch) {
    Feeds all{{"x", Tensor(f32, {batch, width})}};
    if (kind == Kind::fed_l1) all.emplace("strength", Tensor::scalar(1));
    return all;
  };
  trainer.plan(feeds(2));
  watch.lap("plan");
  trainer.plan(feeds(3));
  watch.lap("plan of another shape");
  trainer.step(feeds(2));
  watch.lap("first step");
  trainer.step(feeds(2));
  watch.lap("step");
  return watch.stages();
}

}  // namespace

TEST_CASE("planning work: layers, with and without penalties") {
  for (const Kind kind : {Kind::plain, Kind::l1, Kind::l2, Kind::fed_l1})
    check_growth([&](int size) { return stages_of(kind, size); }, 100);
}

TEST_CASE("planning work: layers with structured penalties") {
  for (const Kind kind : {Kind::groups, Kind::bounded_groups, Kind::variation})
    check_growth([&](int size) { return stages_of(kind, size); }, 30);
}

TEST_CASE("planning work: chains of elements, numbers, views and recurrent steps") {
  for (const Kind kind : {Kind::chain, Kind::numbers, Kind::views, Kind::recurrent})
    check_growth([&](int size) { return stages_of(kind, size); }, 400);
}

TEST_CASE("planning work: the slots of a fused loop") {
  const auto slots = [](int size) {
    // Results that all live to the end, and then are read one by one.
    const Attributes none;
    const BlockKernel add = registry().get("add").block.float32;
    std::vector<ElementwiseProgram::Instruction> program;
    for (int i = 0; i < size; ++i) program.push_back({add, &none, {0, 0}});
    for (int i = 0; i < size; ++i) program.push_back({add, &none, {1 + i, size + i}});
    const std::vector<TensorView> input{{nullptr, f32, {100}}};
    Meter watch;
    const ElementwiseProgram compiled({100}, f32, input, program, {2 * size});
    watch.lap("slots");
    CHECK(compiled.workspace().per_thread > 0);
    return watch.stages();
  };
  check_growth(slots, 20000);
}

TEST_CASE("planning work: the arena, with many blocks that live and many that are free") {
  const auto arena = [](int size) {
    Meter watch;
    ArenaLayout layout;
    std::vector<ArenaLayout::Block> blocks;
    std::vector<int> wait;
    for (int i = 0; i < size; ++i)
      blocks.push_back(layout.allocate(static_cast<size_t>(64 * (1 + i % 7)), wait));
    for (int i = 0; i < size; i += 2) {
      blocks[i].users = {i};
      layout.release(std::move(blocks[i]));
    }
    for (int i = 0; i < size; i += 2) {
      wait.clear();
      layout.release(layout.allocate(static_cast<size_t>(64 * (1 + i % 5)), wait));
    }
    watch.lap("arena");
    return watch.stages();
  };
  check_growth(arena, 20000);
}

TEST_CASE("planning work: plans of several extents are those that each would be alone") {
  Graph g;
  const Value loss = built(g, Kind::l2, 30);
  Trainer trainer(loss, Adam{}, {.threads = 1});
  const auto described = [](const Plan& plan) {
    std::string text = fmt::format("{} bytes, {} tasks\n", plan.arena_bytes(), plan.tasks().size());
    for (const Step& step : plan.steps()) {
      text += fmt::format("{} {}:", step.node, step.workspace_offset);
      for (const Location& location : step.output_locations)
        text += fmt::format(" {}@{}", static_cast<int>(location.kind), location.index);
      text += "\n";
    }
    return text;
  };
  for (const int64_t batch : {2, 70, 3}) {
    const Plan& shared = trainer.plan({{"x", Tensor(f32, {batch, width})}});
    const Plan alone(trainer.graph(), {{"batch", batch}});
    CHECK(described(shared) == described(alone));
  }
}

}  // namespace lariat::planning_work_test
