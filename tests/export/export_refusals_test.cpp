// What cannot go to C, or not frame by frame, and is said in one line.
#include <fmt/format.h>

#include <cmath>
#include <limits>

#include "frontends/export/c_graph.hpp"
#include "frontends/export/c_unit.hpp"
#include "frontends/export/export_files.hpp"
#include "frontends/export/quantised.hpp"
#include "frontends/sequential/layers.hpp"
#include "frontends/sequential/model_value.hpp"
#include "graph/base/error.hpp"
#include "graph/ir/op_def.hpp"
#include "ops/ops.hpp"
#include "tests/export/c_tools.hpp"
#include "tests/support/testing.hpp"

namespace lariat::export_refusals_test {

namespace {

using testing::contains;
using testing::message_of;
using to_c::ExportOptions;

std::string refusal(SavedModel& model, const ExportOptions& options) {
  return message_of<UserError>([&] { to_c::export_c(model, options); });
}

}  // namespace

TEST_CASE("export: ops without a form in C are refused by name") {
  const testing::TemporaryFolder folder;
  SavedModel model = testing::random_model(
      folder, {Dense(4), OpLayer("soft_threshold", "", {.weights = "t = 1 : 0.5"}), Dense(3)},
      testing::plain_shape(5));
  const std::string message = refusal(model, {.name = "n"});
  CHECK_MESSAGE(contains(message, "[soft_threshold] 'op_1'"), message);
  CHECK_MESSAGE(
      contains(message, "has no form in C; take layers of other ops (docs/export_to_c.md lists them)"),
      message);
}

TEST_CASE("export: a model of several outputs") {
  const testing::TemporaryFolder folder;
  const ModelValue x = input();
  Model two({x}, {Dense(1).named("sum")(x), Dense(2).named("larger")(x)});
  DataShape shape{.sequences = false, .dimensions = 3};
  shape.targets = {.width = 3, .names = {"sum", "left", "right"}};
  two.compile(Adam{}, std::vector<ModelOutput>{
                          {.layer = "sum", .loss = MeanSquaredError{}, .targets = {"sum"}},
                          {.layer = "larger", .loss = MeanSquaredError{}, .targets = {"left", "right"}}});
  two.build(shape, 1);
  two.save(folder / "two");
  SavedModel model = SavedModel::load(folder / "two");
  CHECK(refusal(model, {.name = "n"}) ==
        "the model has the outputs sum, larger, but a program in C gives one; train a model of one");
}

TEST_CASE("export: recurrent layers that C does not run") {
  const testing::TemporaryFolder folder;
  SavedModel stateful =
      testing::random_model(folder, {Lstm(4, {.stateful = 1}), Dense(3)}, testing::sequence_shape(4));
  CHECK(refusal(stateful, {.name = "n", .frames = 9}) ==
        "layer lstm_1 is stateful, but a program in C takes each example by itself; train the model without "
        "stateful");
  for (const bool masked : {false, true}) {
    Graph graph;
    const Value x = graph.input("x", {1, 5, 12}), kernel = graph.constant(Tensor::filled(f32, {3, 12}, 0.5));
    graph.output("y", masked ? lstm_sequence(x, kernel, 0, 0, 0, {}, graph.input("mask", {1, 3}))
                             : lstm_sequence(x, kernel, 0, 0, 0, graph.input("lengths", {1}, i32)));
    to_c::CUnit unit;
    const to_c::Quantisation none;
    to_c::CBlock block(unit, none);
    const std::string message = message_of<UserError>([&] {
      to_c::emit_graph(block, graph, {{"x", "x"}, {"mask", "mask"}, {"lengths", "lengths"}}, {"y"});
    });
    CHECK_MESSAGE(contains(message, "[lstm_sequence]"), message);
    CHECK_MESSAGE(contains(message, masked ? "has no form in C with a recurrent_mask; leave it out"
                                           : "has no form in C with lengths; leave them out"),
                  message);
  }
}

TEST_CASE("export: sequences need a length or a stream") {
  const testing::TemporaryFolder folder;
  SavedModel sequences = testing::random_model(
      folder, {Conv1d(4, 5, {}, {.padding = Padding::valid}), GlobalMaxPool(), Dense(3)},
      testing::sequence_shape(4));
  CHECK(refusal(sequences, {.name = "n"}) ==
        "the model takes sequences of any length, but C has no memory for all of them; give the most with "
        "--frames N, "
        "or take --streaming");
  CHECK(refusal(sequences, {.name = "n", .frames = 4}) == "--frames 4: the model needs 5 frames or more");
  CHECK(refusal(sequences, {.name = "n", .frames = 9, .streaming = true}) ==
        "--frames and --streaming: a stream has any number of frames; give one of the two");
  SavedModel plain = testing::random_model(folder, {Dense(3)}, testing::plain_shape(4));
  CHECK(refusal(plain, {.name = "n", .frames = 4}) ==
        "--frames 4: the model takes examples without frames; leave it out");
  CHECK(refusal(plain, {.name = "n", .streaming = true}) ==
        "--streaming: the model takes examples without frames, so there is nothing to stream; leave it out");
}

TEST_CASE("export: what a stream cannot keep") {
  const testing::TemporaryFolder folder;
  SavedModel both =
      testing::random_model(folder, {Bidirectional(Lstm(4)), Dense(3)}, testing::sequence_shape(4));
  const std::string message = refusal(both, {.name = "n", .streaming = true});
  CHECK_MESSAGE(contains(message, "[reverse_sequence]"), message);
  CHECK_MESSAGE(contains(message,
                         "needs all frames of the sequence at once, so the model cannot run frame by frame; "
                         "export it with --frames N instead of --streaming"),
                message);
}

TEST_CASE("export: features that C does not compute") {
  const testing::TemporaryFolder folder;
  const auto refused = [&](speech::FeatureOptions features, const ExportOptions& options) {
    features.sample_frequency = 8000;
    FrontEnd front_end{speech::FeatureExtractor(features)};
    SavedModel model =
        testing::random_model(folder, {Lstm(4), Dense(3)},
                              testing::sequence_shape(front_end.extractor.dimensions()), 0.5, &front_end);
    return refusal(model, options);
  };
  const ExportOptions stream{.name = "n", .streaming = true};
  CHECK(refused({.band_low = 100}, stream) ==
        "features.band_low = 100: must be 0 in C; train with features that are");
  CHECK(refused({.band_high = 3000}, stream) ==
        "features.band_high = 3000: must be 0 in C; train with features that are");
  CHECK(refused({.dither = 1}, stream) ==
        "features.dither = 1: must be 0 in C; train with features that are");
  CHECK(refused({.snip_edges = false}, stream) ==
        "features.snip_edges = false: must be true in C; train with features that are");
  CHECK(refused({.trim_silence = true}, stream) ==
        "features.trim_silence = true: must be false in C; train with features that are");
  CHECK(refused({.kind = speech::FeatureKind::melspectrogram}, stream) ==
        "features.kind = melspectrogram: must be one of fbank, mfcc, spectrogram in C; train with features "
        "that are");
  CHECK(refused({.cmvn = speech::Cmvn::voiced}, {.name = "n", .frames = 50}) ==
        "features.cmvn = voiced: must be none, utterance or global in C; train with features that are");
  CHECK(refused({.cmvn = speech::Cmvn::utterance}, stream) ==
        "features.cmvn = utterance: needs the whole recording, which a stream never has; export it with "
        "--frames N "
        "instead of --streaming, or train with cmvn = global");
}

TEST_CASE("export: weights that are not finite have no levels") {
  const testing::TemporaryFolder folder;
  for (const char* name : {"dense_1/kernel", "dense_1/bias"})
    for (const float bad :
         {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
      SavedModel model = testing::random_model(folder, {Dense(9), Dense(3)}, testing::plain_shape(4));
      model.model().store().get(name).data<float>()[2] = bad;
      const std::string message = refusal(model, {.name = "n", .int8 = true});
      CHECK_MESSAGE(
          contains(message,
                   fmt::format("element 2 of its weights f32[{}] is {}, which 8 bits do not hold; train the "
                               "model again, or export it with --weights f32",
                               contains(name, "bias") ? "9" : "4, 9", bad)),
          message);
    }
}

TEST_CASE("export: levels are within half a step of the weights, and each channel has its own") {
  const Tensor weights = Tensor::of<float>({2, 3}, {1, 1e-3F, 0, -0.5F, 2e-3F, 0});
  const to_c::QuantisedMatrix levels = to_c::quantised_matrix(weights, 1);
  const Tensor numbers = to_c::numbers_of(levels, {2, 3});
  for (int64_t i = 0; i < 6; ++i) {
    const float scale = levels.scale(i % 3);
    CHECK(std::abs(numbers.at(i) - weights.at(i)) <= 0.5001 * static_cast<double>(scale));
    // Not more than an eighth above what the largest needs.
    if (i % 3 < 2) CHECK(scale <= (i % 3 == 0 ? 1.0F : 2e-3F) / 127 * 1.126F);
  }
  CHECK(numbers.at(2) == 0);
  // Channels that differ by more than scales can say share the smallest one.
  const Tensor far = Tensor::of<float>({1, 2}, {1e20F, 1e-20F});
  CHECK(to_c::numbers_of(to_c::quantised_matrix(far, 1), {1, 2}).at(1) == doctest::Approx(0).epsilon(1e-6));
  const to_c::QuantisedVector vector = to_c::quantised_vector(Tensor::of<float>({3}, {0.5F, -1, 1e-3F}));
  CHECK(vector.levels == std::vector<int16_t>{16384, -32767, 33});
}

TEST_CASE("export: names, numbers and texts as C takes them") {
  CHECK(to_c::identifier("mnist-2.0") == "mnist_2_0");
  CHECK(to_c::identifier("2nd") == "m2nd");
  CHECK(to_c::identifier("_x") == "m_x");
  CHECK(to_c::identifier("") == "m");
  CHECK(to_c::literal(0.1F) == "0.1F");
  CHECK(to_c::literal(3.0F) == "3.0F");
  CHECK(to_c::literal(1e-30F) == "1e-30F");
  CHECK(to_c::literal(-INFINITY) == "(-INFINITY)");
  CHECK(to_c::string_literal("a\"\\?\n") == "\"a\\042\\134\\077\\012\"");
}

TEST_CASE("export: the header says how features are made of columns") {
  const testing::TemporaryFolder folder;
  data::Columns columns;
  columns.features = {{.name = "area */", .mean = 3, .centre = 3, .scale = 0.5},
                      {.name = "town", .values = {"Rome", "Oslo"}, .is_category = true}};
  columns.targets = {"class"};
  columns.classes = {"one", "two", "three"};
  Sequential model{Dense(3)};
  model.build(testing::plain_shape(3));
  model.save(folder / "m.safetensors", {{"columns", data::to_json(columns)}});
  SavedModel saved = SavedModel::load(folder / "m.safetensors");
  const std::string header = to_c::export_c(saved, {.name = "n"}).files[0].second;
  CHECK_MESSAGE(contains(header,
                         "/* The features of a row, in their order; x is the number in the column.\n"
                         "   0  area *: (x - 3.0F) * 0.5F; 0.0F where it is missing\n"
                         "   1  town: 1 where it is \"Rome\", else 0\n"
                         "   2  town: 1 where it is \"Oslo\", else 0\n*/\n"),
                header);
}

TEST_CASE("export: the header says where the data's arrays are") {
  const testing::TemporaryFolder folder;
  const auto header_of = [&](DataShape shape, const ExportOptions& options) {
    shape.columns = {{"left", 5}, {"ids", 1}, {"an image", 4}, {"an_image", 2}};
    Sequential model = shape.sequences ? Sequential{Lstm(2), Dense(3)} : Sequential{Dense(3)};
    model.build(shape);
    model.save(folder / "m.safetensors");
    SavedModel saved = SavedModel::load(folder / "m.safetensors");
    return to_c::export_c(saved, options).files[0].second;
  };
  const std::string header = header_of(testing::plain_shape(12), {.name = "n"});
  CHECK_MESSAGE(contains(header,
                         "/* The numbers of an input, by the data's arrays:\n"
                         "   0 to 4      left\n"
                         "   5           ids\n"
                         "   6 to 9      an image\n"
                         "   10 to 11    an_image\n*/\n"
                         "#define N_LEFT_FIRST 0\n#define N_LEFT_COUNT 5\n"
                         "#define N_IDS_FIRST 5\n#define N_IDS_COUNT 1\n"
                         "#define N_AN_IMAGE_FIRST 6\n#define N_AN_IMAGE_COUNT 4\n"
                         "#define N_AN_IMAGE__FIRST 10\n#define N_AN_IMAGE__COUNT 2\n"),
                header);
  CHECK(contains(header_of(testing::sequence_shape(12), {.name = "n", .streaming = true}),
                 "/* The numbers of a frame, by the data's arrays:\n"));
}

TEST_CASE("export: files go to a new folder, an empty one or that of an export before") {
  const testing::TemporaryFolder folder;
  const std::vector<std::pair<std::string, std::string>> files{{"a.c", "one"}, {"a.h", "two"}};
  to_c::write_files(folder / "new/", files);
  CHECK(testing::read_file(folder / "new/a.c") == "one");
  CHECK(folder.entries() == 1);
  to_c::write_files(folder / "new", {{"a.c", "three"}, {"a.h", "four"}});
  CHECK(testing::read_file(folder / "new/a.h") == "four");
  const auto refused = [&](const std::string& name) {
    return message_of<UserError>([&] { to_c::write_files(folder / name, files); });
  };
  testing::write_file(folder / "new/other", "");
  CHECK(refused("new") ==
        fmt::format("'{}' holds other files, such as 'other'; choose an empty folder or another name",
                    folder / "new"));
  CHECK(testing::read_file(folder / "new/a.h") == "four");
  CHECK(refused("new/other") == fmt::format("'{}' is no folder; choose another name", folder / "new/other"));
  CHECK(refused("none/deep") == fmt::format("'{}' cannot be made: there is no folder '{}'; make it first",
                                            folder / "none/deep", folder / "none"));
  CHECK(folder.entries() == 1);
}

}  // namespace lariat::export_refusals_test
