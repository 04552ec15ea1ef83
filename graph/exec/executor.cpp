#include "graph/exec/executor.hpp"

#include "graph/base/error.hpp"
#include "graph/exec/subnormals.hpp"
#include "graph/exec/trace.hpp"

namespace lariat {

void Executor::run_task(const Plan& plan, const Task& task) const {
  const NoSubnormals scope;
  for (int i = task.first_step; i <= task.last_step; ++i) {
    const Step& step = plan.steps()[i];
    const Node& node = plan.graph().node(step.node);
    const Kernel kernel = node.op->kernel.get(step.outputs[0].dtype);
    if (!kernel)
      throw UserError(place_of(node) + "has no kernel for " + std::string(name_of(step.outputs[0].dtype)) +
                      "; use cast");
    const double begin = trace_ ? trace_->now() : 0;
    try {
      kernel({*node.op, step.inputs, step.outputs, node.attributes, *this, step.scratch, step.prepared.get(),
              step.packed.get()});
    } catch (const UserError& error) {
      throw UserError(place_of(node) + error.what());
    }
    if (trace_) trace_->add(*node.op, node.name, step, begin);
  }
}

namespace {

class SerialExecutor final : public Executor {
 public:
  void run_plan(const Plan& plan) override {
    for (const Task& task : plan.tasks()) run_task(plan, task);
  }
  void run(int64_t count, int64_t grain, const std::function<void(int64_t, int64_t)>& body) const override {
    const NoSubnormals scope;
    for (int64_t begin = 0; begin < count; begin += grain) body(begin, std::min(begin + grain, count));
  }
  int threads() const override { return 1; }
};

}  // namespace

std::unique_ptr<Executor> make_serial_executor() { return std::make_unique<SerialExecutor>(); }

}  // namespace lariat
