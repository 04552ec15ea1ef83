#include <cstring>

#include "graph/exec/constants.hpp"
#include "graph/exec/plan.hpp"
#include "graph/program/program.hpp"

namespace lariat {

BoundProgram::BoundProgram(std::unique_ptr<Plan> plan, Executor& executor,
                           const std::vector<void*>& source_data, std::vector<Tensor> sources)
    : plan_(std::move(plan)),
      executor_(executor),
      sources_(std::move(sources)),
      arena_(allocate_bytes(plan_->arena_bytes(executor.threads()))) {
  plan_->bind(arena_.get(), source_data);
  for (size_t i = 0; i < plan_->graph().outputs().size(); ++i) {
    const TensorView& view = plan_->result(i);
    if (plan_->result_location(i).kind == Location::Kind::arena) {
      results_.push_back(Tensor::on(view.dtype, view.extents, view.data, arena_));
    } else {
      results_.push_back(copy_of(view));
      copies_.emplace_back(results_.back().view().data, view);
    }
  }
}

BoundProgram::~BoundProgram() = default;

void BoundProgram::run() {
  executor_.run_plan(*plan_);
  for (const auto& [result, source] : copies_) std::memcpy(result, source.data, source.bytes());
}

}  // namespace lariat
