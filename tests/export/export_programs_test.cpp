// Models of every layer, written in C, built by gcc and clang with all warnings and under sanitizers: their
// answers are the host's.
#include <fmt/format.h>

#include "frontends/export/c_unit.hpp"
#include "frontends/export/concrete.hpp"
#include "frontends/sequential/layers.hpp"
#include "graph/base/error.hpp"
#include "ops/ops.hpp"
#include "tests/export/c_tools.hpp"
#include "tests/support/testing.hpp"

namespace lariat::export_programs_test {

namespace {

using to_c::ExportOptions;

struct Toy {
  std::string name;
  std::vector<LayerSpec> layers;
  DataShape shape;
  bool streams = true;
};

std::vector<Toy> toys() {
  const auto plain = [](int64_t width) { return testing::plain_shape(width); };
  const auto frames = [](int64_t width) { return testing::sequence_shape(width); };
  const LstmOptions all{.return_sequences = true};
  const Conv1dOptions causal{.padding = Padding::causal};
  return {
      {"dense", {Dense(300, relu), Dense(9, tanh), Dense(3)}, plain(40)},
      {"functions",
       {Dense(20, gelu), Dense(20, silu), Dense(20, sigmoid), Dense(20), OpLayer("elu", "alpha = 0.5"),
        Dense(20, softplus), Dense(3)},
       plain(7)},
      {"norms",
       {LayerNorm(), Dense(12), OpLayer("leaky_relu"), LayerNorm(), Dropout(0.3), Dense(3)},
       plain(11)},
      {"images",
       {Image(9, 8), Conv2d(5, 3, 3, relu), MaxPool2d(2, 2),
        Conv2d(4, 3, 2, {}, {.stride_height = 2, .padding = Padding::valid}), Flatten(), Dense(3)},
       plain(72)},
      {"averages", {Image(7, 7), AveragePool2d(3, 2), Permute({3, 1, 2}), Flatten(), Dense(3)}, plain(98)},
      {"valid_averages",
       {Image(6, 6), AveragePool2d(2, 3, {.padding = Padding::valid}), Reshape({6}), Dense(3)},
       plain(36)},
      {"symbols", {Embedding(13, 6), Flatten(), Dense(3)}, plain(5)},
      {"stacked_lstm", {StackFrames(3), Lstm(8, all), GlobalAveragePool(), Dense(3)}, frames(4)},
      {"last_state", {Lstm(7), Dense(3)}, frames(5)},
      {"gated_units", {Gru(6, {.return_sequences = true}), Gru(5), Dense(3)}, frames(4)},
      {"reset_before",
       {Gru(6, {.return_sequences = true, .reset_after = false}), GlobalAveragePool(), Dense(3)},
       frames(4)},
      {"simple_rnn",
       {SimpleRnn(6, {.return_sequences = true}), SimpleRnn(5, {.activation = RnnActivation::relu}),
        Dense(3)},
       frames(4)},
      {"gru_both_ways",
       {Bidirectional(Gru(4, {.return_sequences = true})), Bidirectional(SimpleRnn(3)), Dense(3)},
       frames(4),
       false},
      {"convolutions",
       {Conv1d(6, 5, relu), LayerNorm(), MaxPool1d(2), Conv1d(5, 3, relu, {.stride = 2}),
        Conv1d(4, 2, {}, {.padding = Padding::valid}), GlobalMaxPool(), Dense(3)},
       frames(4)},
      {"grouped_images",
       {Image(7, 6), Conv2d(6, 3, 3, relu, {.groups = 0}),
        Conv2d(4, 3, 2, {}, {.dilation_height = 2, .groups = 2}), Flatten(), Dense(3)},
       plain(126)},
      {"pooled_images", {Image(6, 6), Conv2d(4, 3, 3, relu), GlobalAveragePool(), Dense(3)}, plain(36)},
      {"grouped_frames",
       {Conv1d(8, 3, relu, {.dilation = 2, .groups = 0}),
        Conv1d(6, 3, {}, {.padding = Padding::causal, .groups = 2}), GlobalMaxPool(), Dense(3)},
       frames(4)},
      {"pools",
       {AveragePool1d(3), MaxPool1d(3, {.stride = 2, .padding = Padding::valid}),
        AveragePool1d(2, {.padding = Padding::valid}), LastStep(), Dense(3)},
       frames(4)},
      {"spectrograms",
       {Conv2d(3, 3, 3, relu), MaxPool2d(2, 2), Conv2d(2, 1, 3), AveragePool2d(2, 1), Flatten(), Lstm(5, all),
        GlobalAveragePool(), Dense(3)},
       frames(9)},
      {"both_ways", {Bidirectional(Lstm(6, all)), Bidirectional(Lstm(4)), Dense(3)}, frames(4), false},
      {"words", {Embedding(9, 4), Lstm(6), Dense(3)}, frames(1)},
      {"dropped",
       {Conv1d(6, 3), BatchNorm(), GaussianNoise(0.2), Lstm(5, {.dropout = 0.2, .recurrent_dropout = 0.3}),
        Dense(3)},
       frames(4)},
      {"selected", {Dense(9, relu), Select({0, 2, 3, 7}), Dense(3)}, plain(6)},
      {"selected_frames", {Conv1d(6, 3), Select({0, 2, 3}), Lstm(5), Dense(3)}, frames(4)},
      {"selected_data", {Select({0, 2, 3}), Lstm(5), Dense(3)}, frames(4)},
      {"frames_by_themselves",
       {TimeDistributed(
            {Dense(12, relu), Image(4, 3), Conv2d(3, 2, 2, tanh), MaxPool2d(2, 1), Flatten(), Dense(6)}),
        Gru(5), Dense(3)},
       frames(4)},
      {"averages_by_themselves",
       {TimeDistributed({Image(3, 4), Conv2d(3, 2, 2), GlobalAveragePool()}), GlobalMaxPool(), Dense(3)},
       frames(12)},
      {"causal_convolutions",
       {Conv1d(6, 3, relu, causal), Conv1d(5, 2, tanh, {.padding = Padding::causal, .dilation = 3}),
        Conv1d(4, 1), Lstm(5, all), GlobalMaxPool(), Dense(3)},
       frames(4)},
      {"residual",
       {Conv1d(4, 3, relu, causal).named("a"), Conv1d(4, 1, {}, causal).named("b"),
        Add().with("input", "a, b").named("c"), Conv1d(4, 3, tanh, causal).named("d"),
        Add().with("input", "c, d, a"), GlobalAveragePool(), Dense(3)},
       frames(4)},
      // What comes at once waits for what sees frames ahead.
      {"residual_ahead",
       {Conv1d(4, 3, relu).named("a"), Conv1d(4, 5).named("b"), Conv1d(4, 2, tanh).named("c"),
        Add().with("input", "a, c, b").named("d"), MaxPool1d(2), Conv1d(4, 3).named("e"),
        Conv1d(4, 3, tanh).named("f"), Multiply().with("input", "e, f"), GlobalAveragePool(), Dense(3)},
       frames(4)},
      {"masked", {Masking(), Lstm(5), Dense(3)}, frames(4), false},
  };
}

}  // namespace

TEST_CASE("export: the programs of all layers give the host's answers") {
  if (!testing::have_programs({"gcc", "clang"})) return;
  const testing::TemporaryFolder folder, programs;
  std::vector<std::string> names;
  for (const Toy& toy : toys()) {
    SavedModel model = testing::random_model(folder, toy.layers, toy.shape);
    const auto add = [&](const std::string& what, ExportOptions options) {
      CAPTURE(toy.name + what);
      options.name = toy.name + what;
      options.vectors = 3;
      testing::write_program(programs.text(), to_c::export_c(model, options));
      names.push_back(options.name);
    };
    const int64_t frames = toy.shape.sequences ? 21 : 0;
    add("", {.frames = frames});
    add("_int8", {.int8 = true, .frames = frames});
    add("_outputs", {.frames = frames, .predictions = false});
    if (toy.shape.sequences && toy.streams) {
      add("_stream", {.streaming = true});
      add("_stream_int8", {.int8 = true, .streaming = true});
    }
  }
  testing::build_and_run(programs, names, "gcc -O0 -fsanitize=address,undefined -fno-sanitize-recover=all");
  testing::build_and_run(programs, names, "clang -O0 -Wmissing-prototypes");
}

TEST_CASE("export: front ends in C hear what the host hears") {
  if (!testing::have_programs({"gcc"})) return;
  const testing::TemporaryFolder folder, programs;
  std::vector<std::string> names;
  const auto add = [&](const std::string& name, speech::FeatureOptions features, ExportOptions options) {
    CAPTURE(name);
    features.sample_frequency = 8000;
    FrontEnd front_end{speech::FeatureExtractor(features)};
    const int64_t width = front_end.extractor.dimensions();
    if (features.cmvn == speech::Cmvn::global) {
      front_end.statistics.emplace();
      for (int64_t i = 0; i < width; ++i) {
        front_end.statistics->mean.push_back(8 + 0.1F * static_cast<float>(i));
        front_end.statistics->inverse_std.push_back(0.3F);
      }
    }
    SavedModel model =
        testing::random_model(folder, {Lstm(6, {.return_sequences = true}), GlobalAveragePool(), Dense(3)},
                              testing::sequence_shape(width), 0.5, &front_end);
    options.name = name;
    options.vectors = 3;
    testing::write_program(programs.text(), to_c::export_c(model, options));
    names.push_back(name);
  };
  using speech::FeatureKind;
  using speech::WindowType;
  const ExportOptions whole{.frames = 60}, stream{.streaming = true};
  add("fbank", {.num_mel_bins = 20, .cmvn = speech::Cmvn::global}, stream);
  add("fbank_whole", {.num_mel_bins = 20, .cmvn = speech::Cmvn::utterance}, whole);
  add("means_only", {.num_mel_bins = 9, .cmvn = speech::Cmvn::utterance, .norm_vars = false}, whole);
  add("mfcc", {.kind = FeatureKind::mfcc, .delta_order = 2, .cmvn = speech::Cmvn::global}, stream);
  add("mfcc_energy",
      {.kind = FeatureKind::mfcc, .num_ceps = 9, .use_energy = true, .energy_floor = 1, .raw_energy = false},
      stream);
  add("mfcc_htk", {.kind = FeatureKind::mfcc, .htk_compat = true}, stream);
  add("mfcc_htk_energy",
      {.kind = FeatureKind::mfcc, .use_energy = true, .htk_compat = true, .delta_order = 1}, whole);
  add("energy_in_front", {.window_type = WindowType::hamming, .num_mel_bins = 12, .use_energy = true},
      stream);
  add("energy_behind",
      {.window_type = WindowType::blackman, .num_mel_bins = 12, .use_energy = true, .htk_compat = true},
      stream);
  add("magnitudes",
      {.preemphasis_coefficient = 0,
       .remove_dc_offset = false,
       .num_mel_bins = 12,
       .use_log_fbank = true,
       .use_power = false},
      stream);
  add("spectrogram", {.kind = FeatureKind::spectrogram, .frame_length = 8, .frame_shift = 9}, stream);
  add("any_size", {.frame_length = 25, .frame_shift = 30, .round_to_power_of_two = false, .num_mel_bins = 15},
      stream);
  testing::build_and_run(programs, names, "gcc -O0 -fsanitize=address,undefined -fno-sanitize-recover=all");
}

TEST_CASE("export: what is said of memory is so, and wrong calls are refused") {
  if (!testing::have_programs({"gcc"})) return;
  const testing::TemporaryFolder folder, programs;
  SavedModel model =
      testing::random_model(folder, {Embedding(9, 4), Lstm(6), Dense(3)}, testing::sequence_shape(1));
  const to_c::CProgram whole = to_c::export_c(model, {.name = "whole", .frames = 12}),
                       stream = to_c::export_c(model, {.name = "stream", .streaming = true});
  testing::write_program(programs.text(), whole);
  testing::write_program(programs.text(), stream);
  testing::write_file(programs / "calls.c", R"(#include <stdio.h>
#include "stream.h"
#include "whole.h"
static whole_memory w;
static stream_memory s;
int main(void) {
  float x[12] = {1, 2, 3, 8}, y[3];
  const float wrong = 9;
  const char *const names[] = WHOLE_NAMES;
  printf("%d %d %s\n", WHOLE_RAM_BYTES == sizeof w, STREAM_RAM_BYTES == sizeof s, names[2]);
  printf("%d %d %d %d\n", whole_run(&w, x, 4, y), whole_run(&w, x, 0, y), whole_run(&w, x, 13, y), whole_run(&w, x, -1, y));
  x[2] = wrong;
  printf("%d %d\n", whole_run(&w, x, 4, y), whole_run(&w, x, 2, y));
  stream_start(&s);
  printf("%d ", stream_finish(&s, y));
  printf("%d ", stream_step(&s, x));
  printf("%d ", stream_finish(&s, y));
  printf("%d\n", stream_step(&s, &wrong));
  return 0;
}
)");
  const testing::ProgramRun run =
      testing::shell(programs.text(),
                     "gcc -std=c99 -Wall -Wextra -Werror -pedantic -fsanitize=address,undefined whole.c "
                     "stream.c calls.c -lm && ./a.out");
  CHECK_MESSAGE(run.status == 0, run.err);
  CHECK(run.out == "1 1 three\n0 -1 -1 -1\n-1 0\n-1 0 0 -1\n");
  CHECK(testing::contains(whole.files[0].second,
                          fmt::format("#define WHOLE_CONSTANT_BYTES {}\n", whole.constant_bytes)));
  CHECK(whole.ram_bytes > stream.ram_bytes);
  // The read-only data are those bytes and nothing else.
  const testing::ProgramRun size =
      testing::shell(programs.text(),
                     "gcc -std=c99 -Os -fno-jump-tables -malign-data=abi -c whole.c && "
                     "size -A whole.o | awk '$1 ~ /^.rodata($|\\.)/ && $1 !~ /cst/ {n += $2} END {print n}'");
  CHECK(std::abs(std::stoll(size.out) - whole.constant_bytes) <= 64);  // alignment
}

}  // namespace lariat::export_programs_test
