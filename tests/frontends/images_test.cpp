// Folders of PNG and JPEG files, and lists of recordings.
#include <fmt/format.h>
#include <turbojpeg.h>
#include <zlib.h>

#include <array>
#include <cmath>
#include <filesystem>

#include "frontends/images/pixels.hpp"
#include "frontends/recipe/run.hpp"
#include "frontends/recipe/saved_model.hpp"
#include "frontends/report/png.hpp"
#include "graph/base/error.hpp"
#include "tests/support/program.hpp"
#include "tests/support/testing.hpp"
#include "tests/support/toy_runs.hpp"

namespace lariat::images_test {

namespace fs = std::filesystem;
using data::Pixels;
using lariat::testing::message_of;
using lariat::testing::read_file;
using lariat::testing::recipe_of;
using lariat::testing::TemporaryFolder;
using lariat::testing::write_file;

namespace {

// 4 by 3 pixels of one colour, but for the first, which is black.
std::string png_of(uint8_t red, uint8_t green, uint8_t blue) {
  reports::IndexedPicture picture{
      4, 3, {{0, 0, 0, 255}, {red, green, blue, 255}}, std::vector<uint8_t>(12, 1)};
  picture.pixels[0] = 0;
  return reports::png(picture);
}

std::string big_endian(uint64_t number, int bytes) {
  std::string text;
  for (int i = bytes - 1; i >= 0; --i) text += static_cast<char>(number >> (8 * i) & 0xff);
  return text;
}

std::string chunk(const std::string& name, const std::string& data) {
  const std::string body = name + data;
  return big_endian(data.size(), 4) + body +
         big_endian(crc32(0, reinterpret_cast<const Bytef*>(body.data()), static_cast<uInt>(body.size())), 4);
}

const std::string gamma_of_one = chunk("gAMA", big_endian(100000, 4));
const std::string transparent_100 = chunk("tRNS", big_endian(100, 2));

// One row of so many pixels of PNG's colour type 0, 2, 4 or 6, with further chunks before its data.
std::string png_file(int width, int bits, int type, const std::vector<uint16_t>& values,
                     const std::string& chunks = "") {
  std::string row(1, '\0');
  for (const uint16_t value : values) row += big_endian(value, bits / 8);
  std::string packed(compressBound(row.size()), '\0');
  uLongf size = packed.size();
  REQUIRE(compress(reinterpret_cast<Bytef*>(packed.data()), &size, reinterpret_cast<const Bytef*>(row.data()),
                   row.size()) == Z_OK);
  packed.resize(size);
  const std::string header = big_endian(static_cast<uint64_t>(width), 4) + big_endian(1, 4) +
                             static_cast<char>(bits) + static_cast<char>(type) + std::string(3, '\0');
  return "\x89PNG\r\n\x1a\n" + chunk("IHDR", header) + chunks + chunk("IDAT", packed) + chunk("IEND", "");
}

std::string jpeg_of(const std::vector<uint8_t>& pixels, int width, int height, bool gray) {
  tjhandle handle = tjInitCompress();
  unsigned char* bytes = nullptr;
  unsigned long size = 0;
  REQUIRE(tjCompress2(handle, pixels.data(), width, 0, height, gray ? TJPF_GRAY : TJPF_RGB, &bytes, &size,
                      gray ? TJSAMP_GRAY : TJSAMP_444, 100, TJFLAG_ACCURATEDCT) == 0);
  std::string result(reinterpret_cast<const char*>(bytes), size);
  tjFree(bytes);
  tjDestroy(handle);
  return result;
}

// Two classes, told by how bright they are: 20 PNG and 20 JPEG files each.
std::string write_classes(const TemporaryFolder& folder) {
  const fs::path path = folder.path() / "pictures";
  for (const char* name : {"bright", "dark"}) fs::create_directories(path / name);
  for (int i = 0; i < 40; ++i)
    for (const bool bright : {false, true}) {
      const auto level = static_cast<uint8_t>((bright ? 180 : 20) + i);
      const fs::path file = path / (bright ? "bright" : "dark") / fmt::format("{}", i);
      if (i % 2 == 0)
        write_file(file.string() + ".png", png_of(level, level, level));
      else
        write_file(file.string() + ".JPG", jpeg_of(std::vector<uint8_t>(12, level), 4, 3, true));
    }
  return path.string();
}

const char* const recipe_text = R"([data]
kind = "images"
testing = 25
[[layers]]
kind = "image"
height = 3
width = 4
[[layers]]
kind = "conv2d"
filters = 2
kernel_height = 2
kernel_width = 2
[[layers]]
kind = "flatten"
[[layers]]
kind = "dense"
units = 0
[optimizer]
learning_rate = 0.05
[training]
epochs = 10
batch_size = 8
)";

}  // namespace

TEST_CASE("images: PNG and JPEG files become bytes, of one channel or three") {
  const std::string png = png_of(200, 100, 50);
  const Pixels colour = data::decode_image(png, "a.png", 3), gray = data::decode_image(png, "a.png", 1);
  CHECK(colour.height == 3);
  CHECK(colour.width == 4);
  CHECK(std::vector<uint8_t>(colour.bytes.begin(), colour.bytes.begin() + 6) ==
        std::vector<uint8_t>{0, 0, 0, 200, 100, 50});
  CHECK(gray.bytes.size() == 12);
  CHECK(gray.bytes[0] == 0);
  // 0.299·200 + 0.587·100 + 0.114·50
  CHECK(gray.bytes[5] == 124);
  CHECK(data::describe_image(png, "a").channels == 3);
  const std::string jpeg = jpeg_of(std::vector<uint8_t>(12, 77), 4, 3, true);
  CHECK(data::describe_image(jpeg, "a").channels == 1);
  CHECK(data::decode_image(jpeg, "a.jpg", 1).bytes == std::vector<uint8_t>(12, 77));
  CHECK(data::decode_image(jpeg, "a.jpg", 3).bytes == std::vector<uint8_t>(36, 77));
  CHECK(data::is_image_file("a/b.PNG"));
  CHECK_FALSE(data::is_image_file("a/b.gif"));
}

TEST_CASE("images: a PNG file's values are taken as they are, whatever its bits, gamma and alpha") {
  // 16 bits become 8 by rounding, in gray and in colours, with alpha and without.
  const std::vector<uint16_t> values = {0, 85 * 257, 128, 129, 200 * 257 - 128, 65535};
  const std::vector<uint8_t> rounded = {0, 85, 0, 1, 200, 255};
  CHECK(data::decode_image(png_file(6, 16, 0, values), "a", 1).bytes == rounded);
  CHECK(data::decode_image(png_file(2, 16, 2, values), "a", 3).bytes == rounded);
  CHECK(data::decode_image(png_file(6, 16, 0, values, gamma_of_one), "a", 1).bytes == rounded);
  CHECK(data::decode_image(png_file(3, 8, 0, {10, 128, 250}, gamma_of_one), "a", 1).bytes ==
        std::vector<uint8_t>{10, 128, 250});
  // What is transparent is the colour that it has, in each way to say it.
  const std::vector<uint8_t> gray = {100, 200}, colours = {100, 100, 100, 200, 200, 200};
  CHECK(data::decode_image(png_file(2, 8, 4, {100, 0, 200, 128}), "a", 1).bytes == gray);
  CHECK(data::decode_image(png_file(2, 8, 6, {100, 100, 100, 0, 200, 200, 200, 128}), "a", 1).bytes == gray);
  CHECK(data::decode_image(png_file(2, 8, 4, {100, 0, 200, 128}), "a", 3).bytes == colours);
  CHECK(data::decode_image(png_file(2, 8, 6, {100, 100, 100, 0, 200, 200, 200, 128}), "a", 3).bytes ==
        colours);
  CHECK(data::decode_image(png_file(2, 8, 0, {100, 200}, transparent_100), "a", 1).bytes == gray);
  CHECK(data::decode_image(png_file(2, 16, 4, {25700, 0, 51400, 65535}), "a", 1).bytes == gray);
  CHECK(data::describe_image(png_file(2, 8, 4, {100, 0, 200, 128}), "a").channels == 1);
  CHECK(data::describe_image(png_file(1, 8, 6, {1, 2, 3, 4}), "a").channels == 3);
}

TEST_CASE("images: gray of the same colours is the same from PNG and from JPEG") {
  for (const auto& [red, green, blue] : {std::array<uint8_t, 3>{200, 100, 50}, {255, 0, 0}, {0, 0, 255}}) {
    std::vector<uint8_t> jpeg;
    for (int i = 0; i < 64; ++i) jpeg.insert(jpeg.end(), {red, green, blue});
    const std::string coded = jpeg_of(jpeg, 8, 8, false);
    const std::vector<uint8_t> seen = data::decode_image(coded, "a", 3).bytes;
    const auto again = png_file(1, 8, 2, {seen[0], seen[1], seen[2]});
    CHECK(data::decode_image(coded, "a", 1).bytes[0] == data::decode_image(again, "a", 1).bytes[0]);
    CHECK(std::abs(data::decode_image(coded, "a", 1).bytes[0] -
                   (0.299 * red + 0.587 * green + 0.114 * blue)) <= 1.5);
  }
}

TEST_CASE("images: another size is means of areas") {
  const Pixels picture{2, 4, 1, {0, 100, 10, 20, 200, 100, 30, 40}};
  CHECK(data::resized(picture, 1, 2).bytes == std::vector<uint8_t>{100, 25});
  // Thirds: each new column covers 4/3 of the old ones.
  CHECK(data::resized({1, 4, 1, {0, 80, 40, 80}}, 1, 3).bytes == std::vector<uint8_t>{20, 60, 70});
  CHECK(data::resized({1, 1, 3, {1, 2, 3}}, 2, 1).bytes == std::vector<uint8_t>{1, 2, 3, 1, 2, 3});
}

TEST_CASE("images: what is none is named") {
  CHECK(message_of<UserError>([] { data::decode_image("", "a.png", 1); }) ==
        "a.png: is empty; give PNG or JPEG files");
  CHECK(message_of<UserError>([] { data::decode_image("GIF89a", "a.png", 1); }) ==
        "a.png: is no PNG and no JPEG file; give PNG or JPEG files");
  const std::string png = png_of(9, 9, 9);
  CHECK(message_of<UserError>([&] {
          data::decode_image(png.substr(0, 70), "a.png", 1);
        }).starts_with("a.png: damaged: "));
  const std::string jpeg = jpeg_of(std::vector<uint8_t>(1200, 77), 40, 30, true);
  CHECK(message_of<UserError>([&] {
          data::decode_image(jpeg.substr(0, 30), "a.jpg", 1);
        }).starts_with("a.jpg: damaged: "));
  std::string huge = png;
  huge[16] = 0x7f;
  CHECK(message_of<UserError>([&] { data::describe_image(huge, "a.png"); }).starts_with("a.png: "));
}

TEST_CASE("images: folders are trained on, in memory or streamed, and files are predicted") {
  const TemporaryFolder folder;
  const std::string path = write_classes(folder), out = folder / "m";
  write_file(path + "/dark/broken.png", png_of(1, 1, 1).substr(0, 60));
  Recipe recipe = recipe_of(recipe_text);
  const RunResult memory = TrainingRun(recipe, {.data = path, .out = out}).run();
  CHECK(memory.classes == std::vector<std::string>{"bright", "dark"});
  CHECK(memory.test->accuracy == 1);
  REQUIRE(memory.skipped.size() == 1);
  CHECK(memory.skipped[0].starts_with(path + "/dark/broken.png: damaged: "));
  fs::remove(path + "/dark/broken.png");
  for (const char* streamed : {"false", "true"}) {
    recipe.set("data.stream", streamed);
    CHECK(TrainingRun(recipe, {.data = path}).run().state_hash == memory.state_hash);
  }
  SavedModel saved = SavedModel::load(out);
  CHECK(saved.recipe().get("data.height") == "3");
  CHECK(saved.recipe().get("data.colour") == "rgb");
  // Of another size and colour: brought to what the model takes.
  write_file(folder / "new.png", png_of(220, 220, 220));
  CHECK(saved.predict(saved.read_rows(folder / "new.png")).front().label == "bright");
  CHECK(message_of<UserError>([&] { saved.read_rows(folder / "none.png"); }) ==
        folder / "none.png" + ": there is no such file; check the path");
  // A folder of them, in folders too, by their names.
  fs::create_directories(folder.path() / "mixed" / "more");
  write_file(folder / "mixed/a.png", png_of(10, 10, 10));
  write_file(folder / "mixed/more/b.png", png_of(220, 220, 220));
  write_file(folder / "mixed/c.txt", "no image");
  const data::Dataset mixed = saved.read_rows(folder / "mixed");
  REQUIRE(mixed.examples.size() == 2);
  CHECK(mixed.examples[1].source == folder / "mixed/more/b.png");
  CHECK(saved.predict(mixed)[0].label == "dark");
  CHECK(saved.predict(mixed)[1].label == "bright");
  if (lariat::testing::have_lariat()) {
    const auto said = lariat::testing::run_lariat({"predict", out, folder / "mixed"});
    CHECK(said.out.starts_with("row,file,prediction,bright,dark\n0," + folder / "mixed/a.png" + ",dark,"));
  }
  fs::create_directories(folder.path() / "none");
  CHECK(message_of<UserError>([&] { saved.read_rows(folder / "none"); }) ==
        "'" + folder / "none" + "' holds no images (PNG or JPEG); give a folder of them, or one");
}

TEST_CASE("images: a folder for each split, and a size that is asked for") {
  const TemporaryFolder folder;
  const std::string path = write_classes(folder);
  const fs::path whole = folder.path() / "whole";
  fs::create_directories(whole);
  fs::rename(path, whole / "train");
  fs::copy(whole / "train", whole / "test", fs::copy_options::recursive);
  Recipe recipe = recipe_of(recipe_text);
  recipe.set({{"data.height", "6"},
              {"data.width", "4"},
              {"data.colour", "rgb"},
              {"layers.0.height", "6"},
              {"training.epochs", "1"}});
  const RunResult result = TrainingRun(recipe, {.data = whole.string()}).run();
  CHECK(result.train_examples == 80);
  CHECK(result.test->examples == 80);
  recipe.set("layers.0.height", "5");
  CHECK(message_of<UserError>([&] { TrainingRun(recipe, {.data = whole.string()}); }) ==
        "layer image_1: 72 values are no image of 5 by 4 pixels");
  const TemporaryFolder empty;
  fs::create_directories(empty.path() / "a");
  CHECK(message_of<UserError>([&] { TrainingRun(recipe_of(recipe_text), {.data = empty.text()}); }) ==
        "'" + empty.text() + "': its folders hold no images (PNG or JPEG)");
}

TEST_CASE("lists: recordings that a table names are trained on") {
  const TemporaryFolder folder;
  const std::string sounds = lariat::testing::write_digits(folder, 6);
  std::string text = "file,label\n";
  for (int digit = 0; digit < 3; ++digit)
    for (const char* speaker : {"ann", "bob"})
      for (int i = 0; i < 6; ++i)
        text += fmt::format("digits/{0}_{1}_{2}.wav,{3}\n", digit, speaker, i, digit == 1 ? "one" : "other");
  const std::string list = folder / "sounds.csv";
  write_file(list, text);
  Recipe recipe = recipe_of(lariat::testing::speech_recipe);
  recipe.set({{"data.kind", "list"}, {"data.testing", "20"}, {"training.epochs", "1"}});
  const RunResult result = TrainingRun(recipe, {.data = list}).run();
  CHECK(result.classes == std::vector<std::string>{"one", "other"});
  CHECK(result.train_examples + static_cast<size_t>(result.test->examples) == 36);
  recipe.set("data.label", "digit");
  CHECK(message_of<UserError>([&] { TrainingRun(recipe, {.data = list}); }) ==
        list + ": has no column 'digit' ([data] label). Known: file, label.");
  recipe.set("data.label", "label");
  write_file(list, "file,label\nx.wav,\n");
  CHECK(message_of<UserError>([&] { TrainingRun(recipe, {.data = list}); }) ==
        list + ": line 2: has no 'label'; give each recording one");
}

}  // namespace lariat::images_test
