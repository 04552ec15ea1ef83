// Weight decay as L1 for an LSTM: two layers of 256 units with states that go on from piece to piece,
// spectrograms of 128 bins, and which of 64 notes sounds at each frame.
//   system_2_lstm [LAMBDA]        # 0.01 leaves nothing of the weights: Lariat says so, and what would
#include <iostream>
#include <lariat/sequential.hpp>
#include <random>

using namespace lariat;

constexpr int64_t rows = 16, frames = 20, bins = 128, notes = 64;

// Melodies with overtones in noise, cut into pieces: rows of one piece go on in the same rows of the next.
data::Dataset melodies(int64_t pieces, unsigned seed) {
  std::mt19937 random(seed);
  const auto uniform = [&] { return static_cast<float>(random() % 1000) / 1000; };
  Tensor x(f32, {pieces * rows, frames, bins}), y(f32, {pieces * rows, frames, notes});
  std::vector<int64_t> note(rows, notes / 2);
  for (int64_t at = 0; at < pieces * rows * frames; ++at) {
    int64_t& sounding = note[static_cast<size_t>(at / frames % rows)];
    if (uniform() < 0.2F) sounding = static_cast<int64_t>(random() % notes);
    y.data<float>()[at * notes + sounding] = 1;
    for (int64_t bin = 0; bin < bins; ++bin)
      x.data<float>()[at * bins + bin] = 0.4F * uniform() + ((bin + 1) % (sounding + 1) == 0 ? 1 : 0);
  }
  return data::dataset_of_arrays(x, y, true);
}

int main(int argc, char** argv) try {
  const double lambda = argc > 1 ? std::stod(argv[1]) : 0.01;
  const data::Dataset train = melodies(24, 1), test = melodies(6, 2);
  const LstmOptions lstm{.return_sequences = true,
                         .stateful = rows,
                         .kernel_penalty = l1(lambda),
                         .recurrent_penalty = l1(lambda)};
  Sequential model{Lstm(256, lstm), Lstm(256, lstm), Dense(64, {}, {.kernel_penalty = l1(lambda)})};
  model.compile(Adam{.learning_rate = 3e-3}, SoftmaxCrossEntropy{}, {Accuracy{}});
  model.fit(train, {.epochs = 10, .batch_size = rows});

  std::cout << "accuracy on other melodies: " << model.evaluate(test).accuracy << "\n";
  for (const TensorZeros& tensor : model.zeros())
    if (tensor.penalised) std::cout << tensor.name << ": " << tensor.sparsity << "\n";

  // A melody of its own, from states that are passed in, to the states behind it.
  const data::Dataset melody = melodies(1, 3);
  const auto before = model.states();
  model.predict(melody, {.reset_states = false});
  const auto after = model.states();
  for (const auto& [name, state] : after) std::cout << name << " " << text(state.extents()) << "\n";
  model.set_states(before);
} catch (const UserError& error) {
  std::cerr << error.what() << "\n";
  return 2;
}
