// Every op of the registry, plugins in LARIAT_PLUGIN_PATH among them, on one thread: with the data of each of
// its samples, and element-wise ops also with a million elements. Times are the kernel's and the serial
// executor's; work is what the record estimates.

#include <benchmark/benchmark.h>

#include <algorithm>
#include <iostream>

#include "autodiff/check/gradcheck.hpp"
#include "graph/base/error.hpp"
#include "graph/exec/executor.hpp"
#include "graph/exec/plan.hpp"
#include "graph/ir/graph.hpp"
#include "graph/ir/registry.hpp"
#include "ops/plugin/loader.hpp"

namespace lariat {

namespace {

constexpr int64_t many = 1'000'000;

// The sample's use of the op with all inputs of `many` elements, whose range stays as it is.
Sample enlarged(Sample sample) {
  sample.name = std::to_string(many) + " elements";
  for (SampleInput& input : sample.inputs) {
    input.extents = {many};
    if (input.values.empty()) continue;
    const auto [low, high] = std::ranges::minmax(input.values);
    input.low = low;
    input.high = high;
    input.values.clear();
  }
  return sample;
}

// A graph of one node, planned and bound to its data; not optimised, so that the node is what runs.
class OneNode {
 public:
  OneNode(const OpDef& op, const Sample& sample) {
    std::vector<Value> inputs;
    for (size_t i = 0; i < sample.inputs.size(); ++i) {
      data_.push_back(sample_tensor(sample.inputs[i], f32, 0, i));
      inputs.push_back(graph_.input("x" + std::to_string(i), to_shape(data_[i].extents()), data_[i].dtype()));
    }
    graph_.output("result", graph_.add(op, inputs, sample.attributes));
    plan_ = std::make_unique<Plan>(graph_, Bindings{});
    arena_ = allocate_bytes(plan_->arena_bytes());
    std::vector<void*> sources(graph_.size());
    for (size_t i = 0; i < data_.size(); ++i) sources[inputs[i].node()] = data_[i].view().data;
    plan_->bind(arena_.get(), sources);
  }
  void run() { executor_->run_plan(*plan_); }
  Cost cost() const {
    Cost total;
    for (const Step& step : plan_->steps()) {
      total.flops += step.cost.flops;
      total.bytes += step.cost.bytes;
    }
    return total;
  }

 private:
  Graph graph_;
  std::vector<Tensor> data_;
  std::unique_ptr<Plan> plan_;
  std::shared_ptr<std::byte> arena_;
  std::unique_ptr<Executor> executor_ = make_serial_executor();
};

void measure(benchmark::State& state, const OpDef& op, const Sample& sample) {
  OneNode node(op, sample);
  for (auto _ : state) node.run();
  const auto rate = [&](const char* name, double work) {
    if (work > 0)
      state.counters[name] = benchmark::Counter(work * 1e-9, benchmark::Counter::kIsIterationInvariantRate);
  };
  rate("GFLOP/s", node.cost().flops);
  rate("GB/s", node.cost().bytes);
}

void register_all() {
  for (const OpDef* op : registry().all()) {
    const auto add = [&](const Sample& sample) {
      benchmark::RegisterBenchmark((op->name + "/" + sample.name).c_str(),
                                   [op, sample](benchmark::State& state) { measure(state, *op, sample); });
    };
    for (const Sample& sample : op->samples) add(sample);
    if (op->traits.elementwise && !op->samples.empty()) add(enlarged(op->samples.front()));
  }
}

}  // namespace

}  // namespace lariat

int main(int count, char** arguments) {
  try {
    for (const std::string& notice : lariat::load_plugins()) std::cerr << notice << "\n";
    lariat::register_all();
    benchmark::Initialize(&count, arguments);
    if (benchmark::ReportUnrecognizedArguments(count, arguments)) return 2;
    benchmark::RunSpecifiedBenchmarks();
    return 0;
  } catch (const lariat::Error& error) {
    std::cerr << error.what() << "\n";
    return 2;
  }
}
