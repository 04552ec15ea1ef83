// Models with a result for every frame, and what keeps a model from running frame by frame.
#include <fmt/format.h>

#include "frontends/sequential/layers.hpp"
#include "graph/base/error.hpp"
#include "ops/ops.hpp"
#include "tests/export/c_tools.hpp"
#include "tests/support/testing.hpp"

namespace lariat::export_streams_test {

namespace {

using testing::contains;

constexpr const char* checked_gcc = "gcc -O0 -fsanitize=address,undefined -fno-sanitize-recover=all";

DataShape by_frame(int64_t width) {
  DataShape shape = testing::sequence_shape(width);
  shape.targets = {.width = 1, .by_frame = true, .names = {}};
  return shape;
}

struct Refused {
  std::vector<LayerSpec> layers;
  DataShape shape;
  /// The op, or the layer, and why.
  std::string named, why;
};

}  // namespace

TEST_CASE("export: a result for every frame, whole and in step") {
  if (!testing::have_programs({"gcc"})) return;
  const testing::TemporaryFolder folder, programs;
  const Conv1dOptions causal{.padding = Padding::causal};
  const std::vector<std::pair<std::string, std::vector<LayerSpec>>> models{
      {"recurrent", {Lstm(6, {.return_sequences = true}), Dense(3)}},
      {"window", {Conv1d(5, 3, relu, causal), Dense(3)}},
      {"windows",
       {Conv1d(5, 3, relu, causal), LayerNorm(),
        Conv1d(4, 2, tanh, {.padding = Padding::causal, .dilation = 4}), Gru(4, {.return_sequences = true}),
        Conv1d(4, 2, {}, causal), Dense(3)}},
      {"one_frame", {Conv1d(5, 1, relu, causal), Dense(3)}},
      {"one_frame_same", {Conv1d(5, 1, relu), MaxPool1d(1), Dense(3)}},
      {"one_frame_valid", {Conv1d(5, 1, relu, {.padding = Padding::valid}), Dense(3)}},
      {"across", {Conv2d(2, 1, 3, relu), Flatten(), Dense(3)}},
      {"grouped", {Conv1d(4, 3, {}, {.padding = Padding::causal, .groups = 0}), Dense(3)}},
      {"residual",
       {Conv1d(4, 2, relu, causal).named("a"), Conv1d(4, 3, tanh, causal).named("b"),
        Add().with("input", "a, b"), Dense(3)}},
      {"shared_window",
       {Dense(4, tanh).named("x"), Conv1d(4, 3, relu, causal).named("a").with("input", "x"),
        Conv1d(4, 3, tanh, causal).named("b").with("input", "x"),
        Conv1d(4, 2, tanh, causal).named("c").with("input", "x"), Add().with("input", "a, b, c, x"),
        Dense(3)}},
      {"by_themselves", {TimeDistributed({Dense(6, relu), Dense(5)}), Dense(3)}},
      {"selected", {Select({0, 3}), Conv1d(4, 2, relu, causal), Dense(3)}},
  };
  std::vector<std::string> names;
  for (const auto& [name, layers] : models) {
    SavedModel model = testing::random_model(folder, layers, by_frame(4), 0.3);
    const auto add = [&](const std::string& what, to_c::ExportOptions options) {
      options.name = name + what;
      CAPTURE(options.name);
      testing::write_program(programs.text(), to_c::export_c(model, options));
      names.push_back(options.name);
    };
    add("_whole", {.frames = 12});
    add("_step", {.streaming = true});
    add("_step_int8", {.int8 = true, .streaming = true});
  }
  testing::build_and_run(programs, names, checked_gcc);
}

TEST_CASE("export: a window that ends at each frame keeps its frames, and needs them once more to look at") {
  const testing::TemporaryFolder folder;
  SavedModel model = testing::random_model(
      folder, {Conv1d(5, 4, relu, {.padding = Padding::causal}), Dense(3)}, by_frame(6), 0.3);
  const to_c::CProgram program = to_c::export_c(model, {.name = "n", .streaming = true});
  CHECK_MESSAGE(contains(program.files[0].second, "float kept[24];"), program.files[0].second);
  CHECK(program.ram_bytes <= 4 * (24 + 24 + 6));
}

TEST_CASE("export: the message names what keeps a model from running frame by frame") {
  const testing::TemporaryFolder folder;
  const DataShape classes = testing::sequence_shape(4);
  const LstmOptions all{.return_sequences = true};
  const std::vector<Refused> all_refused{
      {{Conv1d(5, 3), Dense(3)},
       by_frame(4),
       "[conv1d] 'conv1d_1'",
       "sees 1 frame ahead, but a result is given for each frame as it comes"},
      {{Conv1d(5, 3, {}, {.padding = Padding::causal}), Conv1d(5, 6), Dense(3)},
       by_frame(4),
       "[conv1d] 'conv1d_2'",
       "sees 3 frames ahead, but a result is given for each frame as it comes"},
      {{Bidirectional(Lstm(4, all)), Dense(3)},
       by_frame(4),
       "[reverse_sequence] 'bidirectional_lstm_1'",
       "needs all frames of the sequence at once"},
      {{Bidirectional(Lstm(4)), Dense(3)},
       classes,
       "[reverse_sequence] 'bidirectional_lstm_1'",
       "needs all frames of the sequence at once"},
      {{Lstm(4, all).named("a"),
        Lstm(4, all).named("b").with("input", "features").with("initial_state", "a.hidden, a.cell"),
        GlobalMaxPool(), Dense(3)},
       classes,
       "[lstm_sequence] 'b'",
       "begins with a state that is computed"},
      {{Masking(), Lstm(5), Dense(3)},
       classes,
       "[reverse_sequence] 'masking_1'",
       "needs all frames of the sequence at once"},
      {{Conv1d(4, 3, {}, {.stride = 2}).named("a"),
        Conv1d(4, 5, {}, {.stride = 2}).named("b").with("input", "features"),
        Add().named("both").with("input", "a, b"), GlobalMaxPool(), Dense(3)},
       classes,
       "[conv1d] 'a'",
       "makes one frame of 2, but [add] 'both'"},
      {{Conv1d(4, 3).named("a"), Conv1d(4, 5).named("b").with("input", "features"),
        Add().named("both").with("input", "a, b"), GlobalMaxPool(), Dense(3)},
       classes,
       "[conv1d] 'a'",
       "sees 1 frame ahead, but [add] 'both'"},
  };
  for (const Refused& refused : all_refused) {
    SavedModel model = testing::random_model(folder, refused.layers, refused.shape, 0.3);
    const std::string message =
        testing::message_of<UserError>([&] { to_c::export_c(model, {.name = "n", .streaming = true}); });
    CHECK_MESSAGE(message.starts_with(refused.named), message);
    CHECK_MESSAGE(contains(message, refused.why), message);
    CHECK_MESSAGE(message.ends_with(", so the model cannot run frame by frame; export it with --frames N "
                                    "instead of --streaming"),
                  message);
    CHECK(message.find('\n') == message.npos);
  }
}

}  // namespace lariat::export_streams_test
