// The cases in libtorch's C++ API, written as its users write them.

#include "benchmarks/data.hpp"
#include "benchmarks/workers/libtorch_nets.hpp"
#include "benchmarks/workers/worker.hpp"

namespace lariat::benchmarks {

namespace {

torch::Tensor targets_of(const Case& c) {
  if (c.model == Model::logistic) return torch::tensor(a9a(c.batch, c.inputs).y);
  const std::vector<int32_t> values = labels("labels", c.batch, classes_of(c));
  return torch::tensor(std::vector<int64_t>(values.begin(), values.end()));
}

std::unique_ptr<torch::optim::Optimizer> make_optimizer(const Case& c,
                                                        std::vector<torch::Tensor> parameters) {
  std::erase_if(parameters, [](const torch::Tensor& p) { return !p.requires_grad(); });
  if (c.update == Update::adam)
    return std::make_unique<torch::optim::Adam>(parameters, torch::optim::AdamOptions(learning_rate));
  return std::make_unique<torch::optim::SGD>(parameters, torch::optim::SGDOptions(learning_rate));
}

class ModelWorkload final : public Workload {
 public:
  explicit ModelWorkload(const Request& request)
      : case_(request.what), net_(make_net(case_)), x_(input_of(case_)), targets_(targets_of(case_)) {
    if (request.setting == "channels last") {
      x_ = x_.contiguous(torch::MemoryFormat::ChannelsLast);
      for (torch::Tensor& parameter : net_->parameters())
        if (parameter.dim() == 4) parameter.set_data(parameter.contiguous(torch::MemoryFormat::ChannelsLast));
    }
    optimizer_ = make_optimizer(case_, net_->parameters());
    if (!case_.training) net_->eval();
  }

  double run() override {
    if (!case_.training) {
      const torch::InferenceMode inference;
      return net_->forward(x_).sum().item<double>();
    }
    optimizer_->zero_grad();
    const torch::Tensor logits = net_->forward(x_);
    torch::Tensor loss = case_.model == Model::logistic
                             ? torch::binary_cross_entropy_with_logits(logits, targets_)
                             : torch::nn::functional::cross_entropy(logits, targets_);
    if (case_.l1 > 0)
      for (const torch::Tensor& parameter : net_->parameters())
        if (parameter.dim() > 1) loss = loss + case_.l1 * parameter.abs().sum();
    loss.backward();
    optimizer_->step();
    return loss.item<double>();
  }

 private:
  const Case case_;
  std::shared_ptr<Net> net_;
  torch::Tensor x_, targets_;
  std::unique_ptr<torch::optim::Optimizer> optimizer_;
};

class AdamWorkload final : public Workload {
 public:
  explicit AdamWorkload(const Case& c)
      : parameter_(filled("parameter", {c.units})),
        optimizer_({parameter_}, torch::optim::AdamOptions(learning_rate)) {
    parameter_.mutable_grad() = filled("gradient", {c.units});
  }
  double run() override {
    optimizer_.step();
    return parameter_[0].item<double>();
  }
  double check() override {
    run();
    return covering_sum({parameter_.data_ptr<float>(), static_cast<size_t>(parameter_.numel())});
  }

 private:
  torch::Tensor parameter_;
  torch::optim::Adam optimizer_;
};

std::unique_ptr<Workload> make(const Request& request) {
  at::set_num_threads(request.threads);
  at::globalContext().setUserEnabledMkldnn(!request.setting.ends_with("without oneDNN"));
  if (request.what.model == Model::adam_update) return std::make_unique<AdamWorkload>(request.what);
  return std::make_unique<ModelWorkload>(request);
}

}  // namespace

}  // namespace lariat::benchmarks

int main(int count, char** arguments) {
  return lariat::benchmarks::serve(count, arguments, TORCH_VERSION, lariat::benchmarks::make);
}
