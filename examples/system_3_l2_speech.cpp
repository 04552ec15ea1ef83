// L2 in speech processing: 64-32-10 with softmax on spoken digits, an L2 penalty on all variables, and lambda
// by validation: recordings that are neither trained on nor tested on choose it.
//   system_3_l2_speech FOLDER      # a folder of DIGIT_SPEAKER_INDEX.wav
#include <iostream>
#include <lariat/speech.hpp>

using namespace lariat;

int main(int argc, char** argv) try {
  if (argc < 2) throw UserError("give the folder of the recordings");
  const speech::FeatureExtractor extractor(
      {.kind = speech::FeatureKind::mfcc, .sample_frequency = 8000, .delta_order = 2});
  std::optional<data::CmvnStatistics> statistics;
  const auto load = [&](data::Split split) {
    const speech::ClipList list = speech::list_digits(argv[1], split, {.validation_indices = 5});
    data::Dataset dataset = speech::make_dataset(speech::load_clips(list, 8000), extractor);
    if (!statistics) statistics = data::compute_cmvn(dataset);
    data::apply_cmvn(*statistics, dataset);
    return dataset;
  };
  const data::Dataset train = load(data::Split::train), validation = load(data::Split::validation);

  std::optional<Sequential> best;
  double best_accuracy = 0;
  for (const double lambda : {0.0, 1e-5, 1e-4, 1e-3, 1e-2}) {
    Sequential model{StackFrames(8), Dense(64, relu), Dense(32, relu), GlobalAveragePool(), Dense(10)};
    model.penalise({.kernels = l2(lambda), .biases = l2(lambda)});
    model.compile(Adam{.learning_rate = 2e-3}, SoftmaxCrossEntropy{}, {Accuracy{}});
    model.fit(train, {.epochs = 20, .validation = validation, .schedule = [](int64_t steps) {
                        return schedule::cosine(steps);
                      }});
    const Evaluation found = model.evaluate(validation);
    std::cout << "lambda " << lambda << ": " << found.accuracy << " of the validation recordings, loss "
              << found.loss << "\n";
    if (best && found.accuracy <= best_accuracy) continue;
    best_accuracy = found.accuracy;
    best = std::move(model);
  }
  std::cout << "the best on the test: " << best->evaluate(load(data::Split::test)).accuracy << "\n";
  best->save("digits.safetensors");
} catch (const UserError& error) {
  std::cerr << error.what() << "\n";
  return 2;
}
