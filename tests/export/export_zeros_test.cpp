// Models some of whose weights are all zero, written in C: nothing is left that C calls unused.
#include <fmt/format.h>

#include "frontends/export/c_unit.hpp"
#include "frontends/export/quantised.hpp"
#include "frontends/sequential/layers.hpp"
#include "graph/base/error.hpp"
#include "ops/ops.hpp"
#include "tests/export/c_tools.hpp"
#include "tests/support/testing.hpp"

namespace lariat::export_zeros_test {

namespace {

struct Kind {
  std::string name;
  std::vector<LayerSpec> layers;
  DataShape shape;
  bool streams = true;
};

// Every kind of layer that has weights, with what it takes to make classes of what it gives.
std::vector<Kind> kinds() {
  const auto plain = [](int64_t width) { return testing::plain_shape(width); };
  const auto frames = [](int64_t width) { return testing::sequence_shape(width); };
  return {
      {"dense", {Dense(9, relu), Dense(3)}, plain(5)},
      {"prelu", {make_layer("prelu"), Dense(3)}, plain(5)},
      {"layer_norm", {LayerNorm(), Dense(3)}, plain(9)},
      {"batch_norm", {BatchNorm(), Dense(3)}, plain(9)},
      {"embedding", {Embedding(4, 3), Flatten(), Dense(3)}, plain(2)},
      {"conv2d", {Image(4, 3), Conv2d(2, 2, 2, relu), Flatten(), Dense(3)}, plain(12)},
      {"op", {OpLayer("multiply", "", {.weights = "b = channels : 1"}), Dense(3)}, plain(4)},
      {"conv1d", {Conv1d(9, 3, relu), GlobalMaxPool(), Dense(3)}, frames(2)},
      {"causal", {Conv1d(4, 3, {}, {.padding = Padding::causal}), GlobalMaxPool(), Dense(3)}, frames(2)},
      {"grouped", {Conv1d(4, 2, {}, {.groups = 2}), LastStep(), Dense(3)}, frames(2)},
      {"spectrogram", {Conv2d(2, 2, 2), Flatten(), GlobalAveragePool(), Dense(3)}, frames(3)},
      {"lstm", {Lstm(3), Dense(3)}, frames(2)},
      {"gru", {Gru(3), Dense(3)}, frames(2)},
      {"gru_before", {Gru(3, {.reset_after = false}), Dense(3)}, frames(2)},
      {"simple_rnn", {SimpleRnn(3), Dense(3)}, frames(2)},
      {"both_ways", {Bidirectional(Lstm(2)), Dense(3)}, frames(2), false},
      {"by_themselves", {TimeDistributed({Dense(4)}), GlobalMaxPool(), Dense(3)}, frames(2)},
      {"words", {Embedding(4, 3), GlobalAveragePool(), Dense(3)}, frames(1)},
  };
}

}  // namespace

TEST_CASE("export: programs of weights that are all zero compile without warnings") {
  if (!testing::have_programs({"gcc"})) return;
  const testing::TemporaryFolder folder, programs;
  std::vector<std::string> names;
  for (const Kind& kind : kinds()) {
    std::vector<std::string> cleared{""};  // all of them
    SavedModel first = testing::random_model(folder, kind.layers, kind.shape, 0.3);
    for (const auto& [name, tensor] : first.model().store())
      if (tensor.dtype() == f32) cleared.push_back(name);
    for (size_t i = 0; i < cleared.size(); ++i) {
      SavedModel model = testing::random_model(folder, kind.layers, kind.shape, 0.3);
      for (const auto& [name, tensor] : model.model().store())
        if (tensor.dtype() == f32 && (i == 0 || name == cleared[i]))
          for (float& value : tensor.values<float>()) value = 0;
      for (const bool int8 : {false, true})
        for (const bool streaming : {false, true}) {
          if (streaming && !(kind.shape.sequences && kind.streams)) continue;
          // Each tensor in half of the ways; at night in all.
          if (!testing::is_nightly() && i > 0 && (static_cast<int>(i) + int8) % 2 == 0) continue;
          to_c::ExportOptions options{.int8 = int8, .streaming = streaming, .vectors = 2};
          if (kind.shape.sequences && !streaming) options.frames = 6;
          options.name =
              fmt::format("{}_{}{}{}", kind.name, i, int8 ? "_int8" : "", streaming ? "_stream" : "");
          CAPTURE(options.name + " without " + cleared[i]);
          const to_c::CProgram program = to_c::export_c(model, options);
          testing::write_file(programs / program.files[0].first, program.files[0].second);
          testing::write_file(programs / program.files[1].first,
                              program.files[1].second + program.files[2].second);
          names.push_back(options.name);
        }
    }
  }
  testing::build_and_run(programs, names, "gcc -O0");
  if (testing::shell("/", "command -v clang").status != 0) return;
  const testing::ProgramRun checked = testing::shell(
      programs.text(),
      "rm main.c; ls *.c | xargs -P 2 -n 32 clang -std=c99 -Wall -Wextra -Werror -pedantic -fsyntax-only");
  CHECK_MESSAGE(checked.status == 0, checked.err);
}

TEST_CASE("export: constants that no function names are left out, by whole names") {
  to_c::CUnit unit;
  const std::vector<float> ones{1}, twos{2};
  const std::string one = unit.constant(std::span<const float>(ones)),
                    two = unit.constant(std::span<const float>(twos));
  CHECK(unit.constant_bytes() == 8);
  unit.leave_out_unread("y = " + two + "[0] + " + one + "0[0];");
  CHECK(unit.constant_bytes() == 4);
  CHECK(unit.text() == "static const float " + two + "[1] = {\n  2.0F,\n};\n");
  CHECK(to_c::unread_parameters("memory->frames = frame_1;", {"memory", "frame", "frames"}) ==
        "  (void)frame;\n");
}

TEST_CASE("export: levels of zeros are zeros") {
  for (const std::vector<float>& weights :
       {std::vector<float>{0, 0, 0, 0}, std::vector<float>{0, 1, 0, -1}}) {
    const Tensor tensor = Tensor::of<float>({2, 2}, std::span<const float>(weights));
    const to_c::QuantisedMatrix levels = to_c::quantised_matrix(tensor, 1);
    CHECK(levels.levels[0] == 0);
    CHECK(levels.levels[2] == 0);
    CHECK(to_c::numbers_of(levels, {2, 2}).at(0) == 0);
  }
}

}  // namespace lariat::export_zeros_test
