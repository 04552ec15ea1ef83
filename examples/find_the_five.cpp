// Which of 100 measurements matter? A small network with an L1 penalty on its first layer finds the five that
// do: the weights of all others become exactly zero.
#include <cmath>
#include <iostream>
#include <lariat/lariat.hpp>
#include <random>

using namespace lariat;

constexpr int64_t examples = 4096, measurements = 100, units = 16;

// y = whether x0 - 2 x1 + x2 - x3 + x4 is positive; the other 95 measurements are noise.
std::pair<Tensor, Tensor> make_data(unsigned seed) {
  std::mt19937 random(seed);
  Tensor x(f32, {examples, measurements}), y(f32, {examples, 1});
  for (int64_t row = 0; row < examples; ++row) {
    float* m = x.data<float>() + row * measurements;
    for (int64_t i = 0; i < measurements; ++i) m[i] = static_cast<float>(random() % 2001) / 1000.0f - 1.0f;
    y.data<float>()[row] = m[0] - 2 * m[1] + m[2] - m[3] + m[4] > 0 ? 1.0f : 0.0f;
  }
  return {x, y};
}

int main() {
  Graph g;
  const Value x = g.input("x", {dim::batch, measurements});
  const Value y = g.input("y", {dim::batch, 1});
  const Value W1 = g.parameter("W1", {measurements, units});
  const Value b1 = g.parameter("b1", {units}, init::zeros());
  const Value W2 = g.parameter("W2", {units, 1});
  const Value logits = matmul(tanh(matmul(x, W1) + b1), W2);
  const Value loss = mean(sigmoid_cross_entropy(logits, y)) + 8e-3 * sum(abs(W1)) + 1e-2 * sum(square(W2));
  const Value accuracy = mean(equal(greater(logits, 0), y));

  Trainer trainer(loss, Adam{.learning_rate = 1e-2});
  std::cout << trainer.report();
  const auto [train_x, train_y] = make_data(1);
  for (int step = 1; step <= 1500; ++step) {
    const StepResult result = trainer.step({{x, train_x}, {y, train_y}});
    if (step % 500 == 0)
      std::cout << "step " << step << ": smooth loss " << result.smooth << ", penalty " << result.penalty
                << "\n";
  }

  const auto [test_x, test_y] = make_data(2);
  std::cout << "accuracy on unseen data: "
            << trainer.evaluate({accuracy}, {{"x", test_x}, {"y", test_y}})[0].item() << "\n"
            << "W1: " << sparsity(trainer.value(W1)) << "\nmeasurements still in use:";
  for (int64_t i = 0; i < measurements; ++i)
    for (int64_t j = 0; j < units; ++j)
      if (trainer.value(W1).at(i * units + j) != 0) {
        std::cout << " " << i;
        break;
      }
  std::cout << "\n";
}
