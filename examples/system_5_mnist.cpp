// L1 in practice: 784-512-512-10 on MNIST with an L1 penalty on both hidden layers, five epochs of Adam.
//   system_5_mnist FOLDER [LAMBDA]        # 0.01 leaves nothing of the weights: Lariat says so, and what
//   would
#include <iostream>
#include <lariat/sequential.hpp>

using namespace lariat;

int main(int argc, char** argv) try {
  if (argc < 2) throw UserError("give the folder of MNIST's four files, and perhaps lambda");
  const double lambda = argc > 2 ? std::stod(argv[2]) : 1e-4;
  const data::Dataset train = data::load_idx(argv[1], data::Split::train);
  const data::Dataset test = data::load_idx(argv[1], data::Split::test);

  Sequential model{Dense(512, relu, {.kernel_penalty = l1(lambda)}),
                   Dense(512, relu, {.kernel_penalty = l1(lambda)}), Dense(10)};
  model.compile(Adam{.learning_rate = 2e-3}, SoftmaxCrossEntropy{},
                {Accuracy{}, Precision{}, Recall{}, F1{}});
  model.fit(train, {.epochs = 5,
                    .batch_size = 128,
                    .schedule = [](int64_t steps) { return schedule::cosine(steps); },
                    .settle_from = 0.4,
                    .after_settling = 0.02});

  for (const auto& [name, value] : model.evaluate(test).metrics) std::cout << name << " " << value << "\n";
  for (const TensorZeros& tensor : model.zeros()) std::cout << tensor.name << ": " << tensor.sparsity << "\n";
  std::cout << "penalised weights: " << total(model.zeros(), true) << "\n";

  model.save("mnist.safetensors");
  Sequential loaded = Sequential::load("mnist.safetensors");
  const Prediction first = loaded.predict(test).front();
  std::cout << "the first test image: " << first.label << ", probability " << first.probability << "\n";
} catch (const UserError& error) {
  std::cerr << error.what() << "\n";
  return 2;
}
