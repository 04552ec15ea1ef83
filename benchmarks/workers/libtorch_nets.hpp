#pragma once

#include <torch/torch.h>

#include <memory>
#include <string>

#include "benchmarks/cases.hpp"

namespace lariat::benchmarks {

/// A tensor of numbers() of that name.
torch::Tensor filled(const std::string& name, at::IntArrayRef shape, double scale = 1);

struct Net : torch::nn::Module {
  virtual torch::Tensor forward(torch::Tensor x) = 0;
};

/// The net of a case with its first parameters.
std::shared_ptr<Net> make_net(const Case& c);

/// What the net reads, laid out as torch prefers.
torch::Tensor input_of(const Case& c);

}  // namespace lariat::benchmarks
