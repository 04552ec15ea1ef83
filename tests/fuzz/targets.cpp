// What reads files and texts that anybody may have written, a few lines each.
#include <turbojpeg.h>
#include <zlib.h>

#include "frontends/data/idx.hpp"
#include "frontends/data/libsvm.hpp"
#include "frontends/data/npy.hpp"
#include "frontends/data/numbers.hpp"
#include "frontends/data/zip.hpp"
#include "frontends/images/pixels.hpp"
#include "frontends/linear/saved_linear.hpp"
#include "frontends/recipe/checkpoint.hpp"
#include "frontends/recipe/run.hpp"
#include "frontends/recipe/saved_model.hpp"
#include "frontends/report/png.hpp"
#include "frontends/search/journal.hpp"
#include "frontends/sequential/model_file.hpp"
#include "frontends/tables/columns.hpp"
#include "graph/base/error.hpp"
#include "graph/base/random.hpp"
#include "graph/io/tensor_coding.hpp"
#include "graph/ir/graph.hpp"
#include "graph/ir/parse.hpp"
#include "graph/ir/print.hpp"
#include "ops/ops.hpp"
#include "ops/plugin/object_file.hpp"
#include "tests/fuzz/fuzz.hpp"
#include "tests/support/files.hpp"
#include "tests/support/toy_runs.hpp"

namespace lariat::testing {

namespace {

using Seeds = std::vector<std::string>;

// A small model and the checkpoint of its training.
const Seeds& trained_files() {
  static const Seeds files = [] {
    const TemporaryFolder folder;
    const std::string out = folder / "m";
    Recipe recipe = recipe_of(speech_recipe);
    recipe.set({{"training.epochs", "1"}, {"features.num_mel_bins", "4"}, {"layers.1.units", "1"}});
    TrainingRun(recipe, {.data = write_digits(folder, 6), .out = out}).run();
    return Seeds{read_file(out), read_file(checkpoint_of(out))};
  }();
  return files;
}

// The same tensors and notes with the hash that they should have: what is behind it is to be reached.
std::string sealed(const std::string& input, const char* format) {
  Store store = Store::load(file_with(input));
  seal(store, format);
  const TemporaryFolder folder;
  store.save(folder / "s");
  return read_file(folder / "s");
}

std::string picture() {
  return reports::png({4, 3, {{0, 0, 0, 255}, {9, 99, 199, 255}}, {0, 1, 0, 1, 1, 1, 0, 0, 1, 0, 1, 0}});
}

std::string photograph() {
  const std::unique_ptr<void, int (*)(tjhandle)> handle(tjInitCompress(), tjDestroy);
  unsigned char* bytes = nullptr;
  unsigned long size = 0;
  const std::vector<unsigned char> pixels(16 * 16 * 3, 100);
  tjCompress2(handle.get(), pixels.data(), 16, 0, 16, TJPF_RGB, &bytes, &size, TJSAMP_420, 80, 0);
  std::string result(reinterpret_cast<const char*>(bytes), size);
  tjFree(bytes);
  return result;
}

// A store of which a tensor is coded.
std::string coded_file() {
  Store store;
  store.set("bias", Tensor::filled(f32, {3}, 0.1));
  store.set("kernel", Tensor(f32, {16, 16}));
  store.get("kernel").data<float>()[17] = 0.5f;
  const TemporaryFolder folder;
  store.save(folder / "s", Packing::coded);
  return read_file(folder / "s");
}

// A coded tensor of random numbers at some places, from its form on.
std::string coded_tensor(NumberForm form) {
  Tensor tensor(f32, {12, 9});
  for (int64_t i = 0; i < tensor.count(); i += 5)
    tensor.data<float>()[i] = to_unit(random_bits(3, 0, static_cast<uint64_t>(i))[0]);
  return coded(rounded(tensor, form)).value().substr(sizeof(uint32_t));
}

// Behind the checksum that it should have.
std::string checked(const std::string& input) {
  const auto sum = static_cast<uint32_t>(crc32(
      crc32(0, nullptr, 0), reinterpret_cast<const Bytef*>(input.data()), static_cast<uInt>(input.size())));
  return std::string(reinterpret_cast<const char*>(&sum), sizeof sum) + input;
}

std::string wave() {
  const TemporaryFolder folder;
  speech::write_wav(folder / "a.wav", noisy_tone(1, 1, 300));
  return read_file(folder / "a.wav");
}

std::string npy() {
  return std::string("\x93NUMPY\x01\0\x46\0", 10) +
         "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }           \n" + std::string(24, '\1');
}

std::string linear_model() {
  const TemporaryFolder folder;
  Store weights;
  weights.set("w", Tensor(f64, {3, 2}));
  LinearProblem problem{.loss = "multinomial", .penalty = parse_penalty("l1"), .classes = {1, 2}};
  SavedLinear(problem, weights).save(folder / "w");
  return read_file(folder / "w");
}

std::string journal() {
  const TemporaryFolder folder;
  const std::vector<search::Range> ranges{
      search::parse_range("layers.0.activation=relu,tanh", recipe_of(image_recipe)),
      search::parse_range("training.epochs=1..3", recipe_of(image_recipe))};
  search::Journal made(folder / "j", "lariat search", true);
  made.note("score", "accuracy");
  made.note(made.add_trial(ranges, {"tanh", "2"}), "zeros", 0.5);
  made.report(0, 2, 0.75);
  made.finish(0, search::TrialState::complete, 0.75);
  made.save();
  return read_file(folder / "j");
}

std::string graph_text() {
  Graph graph;
  const Value x = graph.input("x", {dim::batch, 4}), w = graph.parameter("w", {4, 3});
  graph.output("loss", mean(softplus(matmul(x, w))) + 0.1 * sum(abs(w)));
  return to_text(graph);
}

}  // namespace

const std::vector<FuzzTarget>& fuzz_targets() {
  static const std::vector<FuzzTarget> targets = {
      {"safetensors", [](const std::string& input) { Store::load(file_with(input)); },
       [] {
         Seeds seeds = trained_files();
         seeds.push_back(coded_file());
         return seeds;
       }},
      {"coded tensor", [](const std::string& input) { decoded(checked(input), "w"); },
       [] {
         return Seeds{coded_tensor(NumberForm::float32), coded_tensor(NumberForm::float16),
                      coded_tensor(NumberForm::int8)};
       }},
      {"model", [](const std::string& input) { SavedModel::load(file_with(sealed(input, model_format))); },
       [] { return Seeds{trained_files()[0]}; }},
      {"checkpoint",
       [](const std::string& input) { Checkpoint::load(file_with(sealed(input, checkpoint_format))); },
       [] { return Seeds{trained_files()[1]}; }},
      {"recipe",
       [](const std::string& input) { Recipe::from_json(Recipe::parse(input, "recipe").to_json()); },
       [] {
         return Seeds{speech_recipe, image_recipe};
       }},
      {"graph",
       [](const std::string& input) {
         Graph graph;
         parse_graph(input, graph);
       },
       [] { return Seeds{graph_text()}; }},
      {"npy", [](const std::string& input) { data::parse_npy(input, "a.npy"); }, [] { return Seeds{npy()}; }},
      {"npz", [](const std::string& input) { data::read_zip(input, "a.npz"); },
       [] {
         // The one member 'a', stored.
         return Seeds{std::string(
             "PK\3\4\x14\0\0\0\0\0\0\0\0\0\xb7\xef\xdc\x83\1\0\0\0\1\0\0\0\1\0\0\0aaPK\1\2\x14\0\x14\0\0"
             "\0\0\0\0\0\0\0\xb7\xef\xdc\x83\1\0\0\0\1\0\0\0\1\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0aPK\5\6\0\0\0"
             "\0\1\0\1\0\x2f\0\0\0\x20\0\0\0\0\0",
             101)};
       }},
      {"csv",
       [](const std::string& input) {
         const data::TextTable table = data::parse_csv(input, "a.csv");
         data::dataset_of(table, data::columns_of(table, {.targets = {table.names.front()}}));
       },
       [] { return Seeds{"a,b,c\n1,x,\"2\"\n3,,NA\n"}; }},
      {"libsvm", [](const std::string& input) { data::read_libsvm(file_with(input)); },
       [] { return Seeds{"1 1:0.5 3:2e-1\n-1 2:1 # a comment\n\n0 10:7\n"}; }},
      {"linear model",
       [](const std::string& input) {
         const std::string file = file_with(sealed(input, linear_format));
         SavedLinear::of(Store::load(file), file);
       },
       [] { return Seeds{linear_model()}; }},
      {"numbers", [](const std::string& input) { data::read_numbers(file_with(input)); },
       [] { return Seeds{"1\n-2.5\n\n1e3\n"}; }},
      {"journal", [](const std::string& input) { search::Journal::load(file_with(input), "lariat search"); },
       [] { return Seeds{journal()}; }},
      {"ranges", [](const std::string& input) { search::parse_range(input, recipe_of(image_recipe)).grid(); },
       [] {
         return Seeds{"layers.*.kernel_penalty=l1=1e-5..1e-2:log:4", "layers.0.activation=relu,tanh"};
       }},
      {"idx", [](const std::string& input) { data::read_idx(file_with(input)); },
       [] { return Seeds{std::string("\0\0\x08\x02\0\0\0\2\0\0\0\3abcdef", 18)}; }},
      {"image",
       [](const std::string& input) {
         // Large ones are for memory, not for time.
         if (const data::Pixels size = data::describe_image(input, "a"); size.height * size.width < 100000)
           data::decode_image(input, "a", 1);
       },
       [] {
         return Seeds{picture(), photograph()};
       }},
      {"audio", [](const std::string& input) { speech::decode_audio(input, "a.wav"); },
       [] { return Seeds{wave()}; }},
      {"plugin", [](const std::string& input) { plugin::cut_off(file_with(input)); },
       [] {
         const std::string whole = read_file(LARIAT_BUILD_ROOT "/tests/hostile.so");
         return Seeds{whole.substr(0, 600), whole.substr(0, 5000)};
       }},
  };
  return targets;
}

}  // namespace lariat::testing
