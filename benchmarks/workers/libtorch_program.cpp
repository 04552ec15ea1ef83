// The least that a program does with libtorch: the forward pass of one dense layer.

#include <torch/torch.h>

#include <iostream>

int main() {
  const torch::InferenceMode inference;
  torch::nn::Linear dense(4, 2);
  const torch::Tensor result = dense(torch::ones({1, 4}));
  std::cout << "ok " << result[0][0].item<float>() << std::endl;
  std::cin.get();  // whoever started the program looks at its memory meanwhile
}
