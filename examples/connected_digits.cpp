// Connected digits: strings of 1 to 5 spoken digits by the loss of connectionist temporal classification,
// with an L1 penalty that makes most weights zero; then what is said in files.
//   connected_digits FOLDER [FILE.wav …]      # a folder of DIGIT_SPEAKER_INDEX.wav
#include <iostream>
#include <lariat/speech.hpp>

using namespace lariat;

int main(int argc, char** argv) try {
  if (argc < 2) throw UserError("give the folder of the recordings");
  const speech::FeatureExtractor extractor({.sample_frequency = 8000, .num_mel_bins = 40});
  std::optional<data::CmvnStatistics> statistics;
  const auto load = [&](data::Split split) {
    speech::ClipList list = speech::list_digits(argv[1], split);
    list.targets.width = 1;
    list.targets.symbols = true;
    for (auto& entry : list.entries) entry.symbols = {entry.label + 1};  // 0 is the blank
    data::Dataset dataset =
        speech::make_dataset(speech::load_clips(speech::joined(list, 5), 8000), extractor);
    if (!statistics) statistics = data::compute_cmvn(dataset);
    data::apply_cmvn(*statistics, dataset);
    return dataset;
  };

  Sequential model{Conv1d(64, 5, relu, {.stride = 2, .kernel_penalty = l1(5e-4)}), LayerNorm(),
                   Bidirectional(Lstm(64, {.return_sequences = true, .kernel_penalty = l1(5e-4)})), Dense(0)};
  model.compile(Adam{.learning_rate = 2e-3}, Ctc{}, {SymbolErrorRate{}, SequenceAccuracy{}});
  model.fit(load(data::Split::train), {.epochs = 8, .clip_norm = 5});

  const Evaluation found = model.evaluate(load(data::Split::test), {.beam = 8});
  for (const auto& [name, value] : found.metrics) std::cout << name << " " << value << "\n";
  std::cout << "exact zeros " << 100 * total(model.zeros(), true).fraction() << "%\n";
  model.save("connected_digits.safetensors");

  for (int i = 2; i < argc; ++i) {
    const speech::FeatureMatrix heard = extractor.extract(speech::read_audio(argv[i], 8000));
    data::Dataset one{.examples = {{argv[i], 0, heard.frames, heard.dimensions, heard.values}}};
    data::apply_cmvn(*statistics, one);
    std::cout << argv[i] << "  " << model.predict(one, {.beam = 8}).front().label << "\n";
  }
} catch (const UserError& error) {
  std::cerr << error.what() << "\n";
  return 2;
}
