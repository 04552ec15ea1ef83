// Trains one model by several processes: mpirun -n 4 train_on_ranks. With any number of them, or started
// without mpirun, it prints the same hash of the state.
#include <cmath>
#include <iostream>
#include <lariat/ranks.hpp>

using namespace lariat;

namespace {

// Every rank has the same data, of which it computes its share.
data::Dataset points() {
  data::Dataset dataset;
  dataset.classes = {"inside", "outside"};
  dataset.sequences = false;
  for (int i = 0; i < 512; ++i) {
    const float x = std::sin(0.7F * static_cast<float>(i)), y = std::cos(1.3F * static_cast<float>(i));
    dataset.examples.push_back({"point", x * x + y * y < 1 ? 0 : 1, 1, 2, {x, y}});
  }
  return dataset;
}

}  // namespace

int main() {
  std::shared_ptr<Ranks> ranks;
  try {
    ranks = mpi_ranks();  // nullptr where MPI has not started this process
    const data::Dataset train = points();
    Sequential model{Dense(32, tanh, {.kernel_penalty = l1(1e-4)}), Dropout(0.1), Dense(2)};
    model.compile(Adam{.learning_rate = 0.01}, SoftmaxCrossEntropy{});
    const FitResult result =
        model.fit(train, {.epochs = 5, .batch_size = 64, .micro_shards = 8, .ranks = ranks, .threads = 1});
    if (!ranks || ranks->rank() == 0)
      std::cout << "loss " << result.epochs.back().loss << ", state " << std::hex << model.parameter_hash()
                << "\n";
    if (ranks) ranks->finish();
  } catch (const Error& error) {
    const auto say = [](const std::string& line) { std::cerr << line << "\n"; };
    if (ranks) ranks->leave(error.what(), say);
    say(error.what());
    return 2;
  }
}
