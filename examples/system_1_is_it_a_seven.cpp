// L1 in speech recognition: is it a seven? Recordings are resampled to 8 kHz, band-passed and turned into log
// mel energies; 64-32-1 with an L1 penalty says yes or no.
//   system_1_is_it_a_seven FOLDER some.wav      # a folder of DIGIT_SPEAKER_INDEX.wav; the file is what it is
//   used on
#include <iostream>
#include <lariat/speech.hpp>

using namespace lariat;

int main(int argc, char** argv) try {
  if (argc < 3) throw UserError("give the folder of the recordings, and a recording to try");
  const speech::FeatureExtractor extractor(
      {.sample_frequency = 8000, .band_low = 100, .band_high = 3600, .num_mel_bins = 40});
  std::optional<data::CmvnStatistics> statistics;
  const auto load = [&](data::Split split) {
    speech::ClipList list = speech::list_digits(argv[1], split);
    const int seven = data::keep_one_class(list.classes, "7");
    for (auto& entry : list.entries) entry.label = entry.label == seven;
    data::Dataset dataset = speech::make_dataset(speech::load_clips(list, 8000), extractor);
    if (!statistics) statistics = data::compute_cmvn(dataset);
    data::apply_cmvn(*statistics, dataset);
    return dataset;
  };
  const data::Dataset train = load(data::Split::train), test = load(data::Split::test);

  const WeightPenalty penalty = l1(6e-4);
  Sequential model{StackFrames(8), Dense(64, relu, {.kernel_penalty = penalty}),
                   Dense(32, relu, {.kernel_penalty = penalty}), GlobalAveragePool(), Dense(1)};
  model.compile(Adam{.learning_rate = 2e-3}, SigmoidCrossEntropy{}, {Accuracy{}, F1{}});
  model.fit(train, {.epochs = 40,
                    .schedule = [](int64_t steps) { return schedule::cosine(steps); },
                    .settle_from = 0.5,
                    .after_settling = 0.05});
  for (const auto& [name, value] : model.evaluate(test).metrics) std::cout << name << " " << value << "\n";
  std::cout << "penalised weights: " << total(model.zeros(), true) << "\n";

  model.save("seven.safetensors");
  Sequential loaded = Sequential::load("seven.safetensors");
  speech::FeatureMatrix heard = extractor.extract(speech::read_audio(argv[2], 8000));
  data::apply_cmvn(*statistics, heard.values);
  data::Dataset one;
  one.examples.push_back({argv[2], 0, heard.frames, heard.dimensions, heard.values});
  const Prediction said = loaded.predict(one).front();
  std::cout << argv[2] << ": " << said.label << ", probability " << said.probability << "\n";
} catch (const UserError& error) {
  std::cerr << error.what() << "\n";
  return 2;
}
