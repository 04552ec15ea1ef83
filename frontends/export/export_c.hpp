#pragma once

#include <map>

#include "frontends/recipe/saved_model.hpp"

namespace lariat::to_c {

/// What goes into C, and how.
struct ExportOptions {
  /// What every function's name begins with.
  std::string name = {};
  /// Weights as 8-bit levels with a scale for each channel, biases as 16-bit ones; else as they are.
  bool int8 = false;
  /// Most frames of a sequence that the program takes at once.
  int64_t frames = 0;
  /// Frame by frame instead.
  bool streaming = false;
  /// Predictions, as `lariat predict` gives them; else the outputs of the last layer.
  bool predictions = true;
  /// Examples that the self-test gets where none are given, and the seed they are drawn from.
  int vectors = 4;
  uint64_t seed = 0;
};

/// What the self-test runs: an example as the model takes it, or a recording.
struct TestInput {
  std::vector<float> features;
  std::vector<int16_t> samples;
  int64_t frames = 1;
};

/// A model written in C.
struct CProgram {
  /// Each file's name and text: name.h, name.c, name_test.c.
  std::vector<std::pair<std::string, std::string>> files;
  std::string name;
  /// Bytes of constants, weights among them; of the memory struct; of one example's input and result.
  int64_t constant_bytes = 0, ram_bytes = 0, input_bytes = 0, result_bytes = 0;
  int64_t frames = 0;
  int vectors = 0;
};

/// A model as C computes it, on the host: with levels for weights where asked.
class HostModel {
 public:
  HostModel(SavedModel& model, const ExportOptions& options);
  ~HostModel();

  /// The result of one example [frames, width], row-major.
  std::vector<float> run(const std::vector<float>& features, int64_t frames);
  std::vector<float> run(const speech::Audio& audio);

 private:
  friend CProgram export_c(SavedModel&, const ExportOptions&, std::vector<TestInput>);
  struct Parts;
  std::unique_ptr<Parts> self_;
};

/// Writes `model` in C99, with a self-test on `inputs`, or on examples drawn at random where there are none.
/// Throws UserError naming the op that has no form in C, the key of its features, or the option that is
/// missing.
CProgram export_c(SavedModel& model, const ExportOptions& options, std::vector<TestInput> inputs = {});

}  // namespace lariat::to_c
