// Data that are read while they are trained on: the same bits as in memory.
#include <fmt/format.h>
#include <zlib.h>

#include <atomic>
#include <cstdlib>
#include <limits>

#include "frontends/data/batches.hpp"
#include "frontends/data/source.hpp"
#include "frontends/data/transform.hpp"
#include "frontends/recipe/run.hpp"
#include "frontends/recipe/saved_model.hpp"
#include "graph/base/error.hpp"
#include "tests/support/testing.hpp"
#include "tests/support/toy_runs.hpp"

namespace lariat::streaming_test {

namespace fs = std::filesystem;
using namespace lariat::data;
using lariat::testing::image_recipe;
using lariat::testing::message_of;
using lariat::testing::read_file;
using lariat::testing::recipe_of;
using lariat::testing::speech_recipe;
using lariat::testing::TemporaryFolder;
using lariat::testing::write_digits;
using lariat::testing::write_file;
using lariat::testing::write_images;

namespace {

// Example i has 1 + i % 5 frames of 3 values, 100·i + 0, 1, …
class Counting : public Source {
 public:
  void read(int64_t number, std::span<float> values) const override {
    CHECK(values.size() == static_cast<size_t>(3 * (1 + number % 5)));
    for (size_t i = 0; i < values.size(); ++i)
      values[i] = static_cast<float>(100 * number) + static_cast<float>(i);
    if (number == broken) values[0] = std::numeric_limits<float>::infinity();
  }
  int64_t broken = -1;
};

Dataset counted(const std::shared_ptr<const Counting>& source, int count) {
  Dataset dataset;
  for (int i = 0; i < count; ++i) {
    Example example{fmt::format("file {}", i), i % 3, 1 + i % 5, 3, {}};
    example.stored = source;
    example.number = i;
    dataset.examples.push_back(example);
  }
  return dataset;
}

void check_equal(const Batches& a, const Batches& b) {
  REQUIRE(a.size() == b.size());
  for (size_t i = 0; i < a.size(); ++i) {
    const Batch x = a[i], y = b[i];
    CHECK(x.indices == y.indices);
    CHECK(x.features.extents() == y.features.extents());
    CHECK(std::equal(x.features.data<float>(), x.features.data<float>() + x.features.count(),
                     y.features.data<float>()));
    CHECK(x.lengths.data<int32_t>()[0] == y.lengths.data<int32_t>()[0]);
  }
}

Recipe changed(const char* text, const std::vector<std::pair<std::string, std::string>>& settings) {
  Recipe recipe = recipe_of(text);
  recipe.set(settings);
  return recipe;
}

// Trains by the recipe with the data in memory and streamed, and compares all that comes of it.
RunResult check_same(Recipe recipe, const std::string& data) {
  const RunResult memory = TrainingRun(recipe, {.data = data}).run();
  recipe.set("data.stream", "true");
  RunResult streamed;
  for (const int threads : {1, 3}) {
    streamed = TrainingRun(recipe, {.data = data, .threads = threads}).run();
    CHECK(streamed.training_state_hash == memory.training_state_hash);
    CHECK(streamed.train_examples == memory.train_examples);
    CHECK(streamed.skipped == memory.skipped);
    CHECK(streamed.notices == memory.notices);
    REQUIRE(streamed.test);
    CHECK(streamed.test->loss == memory.test->loss);
    CHECK(streamed.certificate->prox_residual() == memory.certificate->prox_residual());
  }
  return streamed;
}

void pack(const std::string& file) {
  const std::string bytes = read_file(file);
  gzFile packed = gzopen((file + ".gz").c_str(), "wb");
  REQUIRE(gzwrite(packed, bytes.data(), static_cast<unsigned>(bytes.size())) ==
          static_cast<int>(bytes.size()));
  gzclose(packed);
  fs::remove(file);
}

}  // namespace

TEST_CASE("streaming: batches are those of the same values in memory, in any order") {
  const auto source = std::make_shared<Counting>();
  const Dataset streamed = counted(source, 57);
  CHECK(is_streamed(streamed));
  const Dataset memory = map(streamed, [](Example&) {});
  CHECK_FALSE(is_streamed(memory));
  CHECK(memory.examples[6].values == std::vector<float>{600, 601, 602, 603, 604, 605});
  for (const int window : {0, 1, 10, 57, 100})
    for (const bool bucket : {false, true}) {
      const BatchOptions options{
          .batch_size = 8, .window = window, .seed = 3, .bucket = bucket, .bucket_batches = 2};
      check_equal(Batches(streamed, options, 1), Batches(memory, options, 1));
    }
  const Batches batches(streamed, {.batch_size = 8, .seed = 3});
  // In another order than the one that is read ahead, and in parts.
  const Batches same(memory, {.batch_size = 8, .seed = 3});
  for (const size_t i : {5, 2, 2, 7, 0}) CHECK(batches[i].features.at(4) == same[i].features.at(4));
  CHECK(batches.part(3, 2, 5).indices == same.part(3, 2, 5).indices);
  CHECK(batches.part(3, 2, 5).features.at(0) == same.part(3, 2, 5).features.at(0));
}

TEST_CASE(
    "streaming: of a batch that is used in parts, the same parts of the next ones are read, and no others") {
  class Noted : public Source {
   public:
    void read(int64_t number, std::span<float> values) const override {
      std::fill(values.begin(), values.end(), static_cast<float>(number));
      ++read_of.at(static_cast<size_t>(number));
    }
    mutable std::vector<std::atomic<int>> read_of = std::vector<std::atomic<int>>(100);
  };
  const auto source = std::make_shared<Noted>();
  Dataset dataset;
  for (int i = 0; i < 100; ++i) {
    Example example{fmt::format("file {}", i), 0, 1, 3, {}};
    example.stored = source;
    example.number = i;
    dataset.examples.push_back(example);
  }
  {
    const Batches batches(dataset, {.batch_size = 16, .shuffle = false, .bucket = false});
    // As the second of two ranks with four micro-shards: 8 to 12 and 12 to 16, in the last batch 2 and 3
    // of 4.
    for (size_t batch = 0; batch < batches.size(); ++batch) {
      const size_t quarter = batches.examples(batch) / 4;
      for (const size_t shard : {2, 3}) {
        const Batch part = batches.part(batch, shard * quarter, (shard + 1) * quarter);
        CHECK(part.indices.front() == static_cast<int>(16 * batch + shard * quarter));
        CHECK(part.features.at(0) == static_cast<double>(16 * batch + shard * quarter));
      }
    }
  }
  for (size_t i = 0; i < 100; ++i) {
    CAPTURE(i);
    CHECK(source->read_of[i] == ((i < 96 ? i % 16 >= 8 : i >= 98) ? 1 : 0));
  }
}

TEST_CASE("streaming: a window keeps examples near where they lie") {
  const auto source = std::make_shared<Counting>();
  const Dataset dataset = counted(source, 200);
  const Batches batches(dataset, {.batch_size = 10, .window = 20, .seed = 1, .bucket = false});
  for (size_t b = 0; b < batches.size(); ++b)
    // Every example is drawn from those whose turn has come and the next 20.
    for (const int index : batches[b].indices) CHECK(index < static_cast<int>(10 * (b + 1) + 20));
  CHECK(message_of<UserError>([&] { Batches(dataset, {.window = -1}); }) ==
        "window = -1: must be an integer from 0");
}

TEST_CASE("streaming: what cannot be used is named when it is read") {
  const auto source = std::make_shared<Counting>();
  source->broken = 7;
  const Dataset dataset = counted(source, 20);
  const auto read = [&] {
    return message_of<UserError>([&] {
      const Batches batches(dataset, {.batch_size = 4, .shuffle = false, .bucket = false});
      for (size_t b = 0; b < batches.size(); ++b) batches[b];
    });
  };
  CHECK(read() == "file 7: holds NaN or infinity; leave it out, or compute it again");
}

TEST_CASE("streaming: statistics are those of the same values in memory, and are applied as they are read") {
  Dataset streamed = counted(std::make_shared<Counting>(), 23);
  Dataset memory = map(streamed, [](Example&) {});
  const CmvnStatistics statistics = compute_cmvn(streamed);
  CHECK(statistics.mean == compute_cmvn(memory).mean);
  CHECK(statistics.inverse_std == compute_cmvn(memory).inverse_std);
  apply_cmvn(statistics, streamed);
  apply_cmvn(statistics, memory);
  CHECK(loaded(streamed.examples[9]).values == memory.examples[9].values);
}

TEST_CASE("streaming: files of images train to the bits of the same in memory, packed or not") {
  const TemporaryFolder folder;
  const std::string data = write_images(folder);
  const Recipe recipe = changed(image_recipe, {{"training.epochs", "3"}, {"data.validation", "20"}});
  const RunResult plain = check_same(recipe, data);
  pack(data + "/train-images-idx3-ubyte");
  pack(data + "/t10k-images-idx3-ubyte");
  CHECK(check_same(recipe, data).training_state_hash == plain.training_state_hash);
  CHECK(check_same(changed(image_recipe, {{"training.epochs", "2"}, {"data.window", "30"}}), data)
            .training_state_hash != plain.training_state_hash);
  const std::string file = data + "/train-images-idx3-ubyte.gz";
  write_file(file, read_file(file).substr(0, 600));
  CHECK(message_of<UserError>([&] {
          TrainingRun(changed(image_recipe, {{"data.stream", "true"}}), {.data = data});
        }) == file + ": damaged: it ends too early; copy it again");
}

TEST_CASE("streaming: recordings train to the bits of the same in memory, changed in each epoch or not") {
  const TemporaryFolder folder;
  const std::string data = write_digits(folder, 8);
  write_file(data + "/3_ann_5.wav", "no sound");
  const RunResult plain = check_same(changed(speech_recipe, {{"training.epochs", "2"}}), data);
  CHECK(plain.skipped.size() == 1);
  const RunResult augmented = check_same(
      changed(speech_recipe,
              {{"training.epochs", "2"}, {"augment.speed_min", "0.9"}, {"augment.time_masks", "1"}}),
      data);
  CHECK(augmented.training_state_hash != plain.training_state_hash);
}

TEST_CASE("streaming: a run that is stopped goes on to the same bits, streamed or not") {
  const TemporaryFolder folder;
  const std::string data = write_digits(folder, 8), out = folder / "m";
  const Recipe recipe = changed(speech_recipe, {{"training.epochs", "2"},
                                                {"data.stream", "true"},
                                                {"augment.gain_min", "-3"},
                                                {"training.checkpoint_steps", "2"}});
  const std::string whole = TrainingRun(recipe, {.data = data}).run().training_state_hash;
  std::atomic<bool> stop = false;
  int steps = 0;
  RunOptions options{.data = data, .out = out};
  options.stop = &stop;
  options.on_step = [&](const StepReport&) { stop = ++steps == 5; };
  CHECK(TrainingRun(recipe, options).run().stopped);
  for (const char* streamed : {"true", "false"}) {
    Recipe again = recipe;
    again.set("data.stream", streamed);
    TrainingRun run(again, {.data = data});
    run.resume(checkpoint_of(out));
    CHECK(run.run().training_state_hash == whole);
  }
}

TEST_CASE("streaming: a saved model is measured on data that are streamed") {
  const TemporaryFolder folder;
  const std::string data = write_digits(folder, 7), out = folder / "m";
  const RunResult result =
      TrainingRun(changed(speech_recipe, {{"training.epochs", "1"}, {"data.stream", "true"}}),
                  {.data = data, .out = out})
          .run();
  SavedModel saved = SavedModel::load(out);
  CHECK(saved.evaluate(saved.load_data(data)).loss == result.test->loss);
}

TEST_CASE("streaming: tables train to the bits of the same in memory") {
  const TemporaryFolder folder;
  const std::string file = folder / "a.csv";
  std::string text = "x,place,y\n";
  for (int row = 0; row < 9000; ++row)
    text += fmt::format("{},{},{}\n", row % 97 == 0 ? "" : std::to_string((row * 37) % 101),
                        row % 3 == 0 ? "here" : "there", row == 4321 ? "" : std::to_string(row % 7));
  write_file(file, text);
  const char* recipe = R"([data]
kind = "csv"
target = ["y"]
validation = 10
[loss]
kind = "mean_squared_error"
[[layers]]
kind = "dense"
units = 0
[training]
epochs = 1
batch_size = 256
)";
  CHECK(check_same(recipe_of(recipe), file).skipped ==
        std::vector<std::string>{file + ": line 4323: has no 'y'"});
}

TEST_CASE("streaming: temporary files need a folder that can be written") {
  const char* before = std::getenv("TMPDIR");
  const std::string kept = before == nullptr ? "" : before;
  setenv("TMPDIR", "/nowhere/at/all", 1);
  CHECK(message_of<UserError>([] { RandomFile::temporary(); }) ==
        "'/nowhere/at/all': a temporary file for the data cannot be written (No such file or directory); set "
        "TMPDIR to a "
        "folder with more room");
  before == nullptr ? unsetenv("TMPDIR") : setenv("TMPDIR", kept.c_str(), 1);
  CHECK(message_of<UserError>([] { RandomFile("/dev/null"); }) ==
        "/dev/null: is no regular file, and cannot be streamed; copy it to one");
  CHECK(message_of<UserError>([] { RandomFile("/dev"); }) == "/dev: is a folder; name a file");
  const auto file = RandomFile::temporary();
  CHECK(file->append("abc", 3) == 0);
  CHECK(file->append("de", 2) == 3);
  char read[3] = {};
  file->read(2, read, 3);
  CHECK(std::string(read, 3) == "cde");
}

}  // namespace lariat::streaming_test
