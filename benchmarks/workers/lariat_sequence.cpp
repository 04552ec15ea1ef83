#include "autodiff/gradient.hpp"
#include "benchmarks/data.hpp"
#include "benchmarks/workers/lariat_nets.hpp"
#include "benchmarks/workers/lariat_workloads.hpp"
#include "graph/program/program.hpp"

namespace lariat::benchmarks {

namespace {

class SequenceWorkload final : public Workload {
 public:
  explicit SequenceWorkload(const Request& request) : executor_(make_tbb_executor(request.threads)) {
    const Case& c = request.what;
    const Extents hidden{c.batch, c.time, c.units};
    const auto source = [&](const std::string& name, const Extents& extents, double scale) {
      feeds_.emplace(name, Tensor::of<float>(extents, numbers(name, element_count(extents), scale)));
      return graph_.input(name, to_shape(extents));
    };
    const Value x = source("x", {c.batch, c.time, c.inputs}, 1);
    const Value input_kernel =
        source("input_kernel", {c.inputs, 4 * c.units}, kernel_scale(c.inputs, 4 * c.units));
    const Value recurrent_kernel =
        source("recurrent_kernel", {c.units, 4 * c.units}, kernel_scale(c.units, 4 * c.units));
    const Value bias = source("bias", {4 * c.units}, 0);
    const Value adjoint = source("adjoint", hidden, adjoint_scale);
    // The gradient of Σ hidden·adjoint is the layer's backward pass with that adjoint; the sum is not asked
    // for.
    const Value loss = sum(lstm(x, input_kernel, recurrent_kernel, bias) * adjoint);
    for (const Value& g : gradient(loss, {input_kernel, recurrent_kernel, bias, x}))
      graph_.output("gradient " + std::to_string(graph_.outputs().size()), g);
    program_ = std::make_unique<Program>(graph_);
  }

  double run() override { return gradients()[bias_index].at(0); }
  double check() override { return covering_sum(gradients()[checked_++ % 4].values<float>()); }
  void profile(int times) override {
    print_profile(*executor_, times, [&] { run(); });
  }

 private:
  static constexpr size_t bias_index = 2;
  std::vector<Tensor> gradients() { return program_->run(feeds_, store_, *executor_); }

  std::unique_ptr<Executor> executor_;
  Graph graph_;
  std::unique_ptr<Program> program_;
  Store store_;
  Feeds feeds_;
  size_t checked_ = 0;
};

}  // namespace

std::unique_ptr<Workload> lstm_sequence_workload(const Request& request) {
  return std::make_unique<SequenceWorkload>(request);
}

}  // namespace lariat::benchmarks
