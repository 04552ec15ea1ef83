// What numpy writes: every type of numbers in both byte orders, archives, and sparse matrices of scipy.
#include <algorithm>
#include <bit>
#include <cmath>
#include <filesystem>

#include "frontends/data/arrays.hpp"
#include "frontends/data/npy.hpp"
#include "frontends/data/zip.hpp"
#include "frontends/recipe/run.hpp"
#include "frontends/recipe/saved_model.hpp"
#include "graph/base/error.hpp"
#include "tests/support/files.hpp"
#include "tests/support/npy.hpp"
#include "tests/support/testing.hpp"

namespace lariat::numpy_test {

using lariat::testing::message_of;
using lariat::testing::npy;
using lariat::testing::npy_of;
using lariat::testing::TemporaryFolder;
using lariat::testing::write_file;
using lariat::testing::zip;

namespace {

std::vector<double> elements(const std::string& bytes) {
  const Tensor tensor = data::parse_npy(bytes, "a");
  return {tensor.data<double>(), tensor.data<double>() + tensor.count()};
}

}  // namespace

TEST_CASE("numpy: numbers of every kind and size, in both byte orders") {
  const std::vector<double> three{0, 1, 100};
  for (const std::string order : {"<", ">"}) {
    CHECK(elements(npy_of<double>(order + "f8", "(3,)", {0, 1, 100})) == three);
    CHECK(elements(npy_of<float>(order + "f4", "(3,)", {0, 1, 100})) == three);
    CHECK(elements(npy_of<int64_t>(order + "i8", "(3,)", {0, 1, 100})) == three);
    CHECK(elements(npy_of<int32_t>(order + "i4", "(3,)", {0, 1, 100})) == three);
    CHECK(elements(npy_of<int16_t>(order + "i2", "(3,)", {0, 1, 100})) == three);
    CHECK(elements(npy_of<int32_t>(order + "i4", "(1,)", {-2000000000})) == std::vector<double>{-2e9});
    CHECK(elements(npy_of<uint64_t>(order + "u8", "(1,)", {uint64_t{1} << 63})) ==
          std::vector<double>{0x1p63});
    CHECK(elements(npy_of<uint32_t>(order + "u4", "(1,)", {4000000000})) == std::vector<double>{4e9});
    CHECK(elements(npy_of<uint16_t>(order + "u2", "(1,)", {60000})) == std::vector<double>{60000});
    // 1, -2, the largest, the smallest, the smallest normal one, infinity, NaN.
    const auto halves = elements(
        npy_of<uint16_t>(order + "f2", "(7,)", {0x3c00, 0xc000, 0x7bff, 0x0001, 0x0400, 0xfc00, 0x7e00}));
    CHECK(std::vector(halves.begin(), halves.end() - 1) ==
          std::vector<double>{1, -2, 65504, 0x1p-24, 0x1p-14, -HUGE_VAL});
    CHECK(std::isnan(halves.back()));
  }
  CHECK(elements(npy_of<int8_t>("|i1", "(1,)", {-7})) == std::vector<double>{-7});
  CHECK(elements(npy_of<uint8_t>("|u1", "(1,)", {200})) == std::vector<double>{200});
  CHECK(elements(npy_of<uint8_t>("|b1", "(2,)", {0, 1})) == std::vector<double>{0, 1});
  CHECK(elements(npy("<f4", "(0, 3)", "")).empty());
  CHECK(elements(npy("<f8", "(1L,)", std::string(8, '\0'), "False", 2)) == std::vector<double>{0});
}

TEST_CASE("numpy: arrays by columns, of any rank") {
  CHECK(elements(npy_of<float>("<f4", "(2, 3)", {1, 4, 2, 5, 3, 6}, "True")) ==
        std::vector<double>{1, 2, 3, 4, 5, 6});
  // x[i, j, k] = 100 i + 10 j + k, i first.
  std::vector<float> by_columns;
  std::vector<double> by_rows;
  for (int k = 0; k < 4; ++k)
    for (int j = 0; j < 3; ++j)
      for (int i = 0; i < 2; ++i) by_columns.push_back(static_cast<float>(100 * i + 10 * j + k));
  for (int i = 0; i < 2; ++i)
    for (int j = 0; j < 3; ++j)
      for (int k = 0; k < 4; ++k) by_rows.push_back(100 * i + 10 * j + k);
  CHECK(elements(npy_of<float>(">f4", "(2, 3, 4)", by_columns, "True")) == by_rows);
  CHECK(elements(npy("<f4", "(2, 0, 4)", "", "True")).empty());
}

TEST_CASE("numpy: types that are no numbers, and headers that lie") {
  const auto refusal = [](const std::string& bytes) {
    return message_of<UserError>([&] { data::parse_npy(bytes, "a"); });
  };
  for (const std::string type : {"<c8", "|S3", "<U4", "|O", "<f16", "|V2", "=f8", "|f8", "<M8"})
    CHECK(refusal(npy(type, "(1,)", std::string(16, '\0'))).find("which are no numbers that can be read") !=
          std::string::npos);
  CHECK(refusal(npy("<f8", "(1,)", "", "False", 4))
            .starts_with("a: has format version 4, but 1 to 3 are known"));
  CHECK(refusal(npy("<f8", "(4294967296, 4294967296)", "")).starts_with("a: the size "));
  CHECK(refusal(npy("<f8", "(-1,)", "")).starts_with("a: "));
  CHECK(refusal(npy("<f8", "(3,)", std::string(16, '\0'))) ==
        "a: its header promises 3 elements of 8 bytes, and 16 bytes follow; save it again with numpy.save");
}

TEST_CASE("numpy: archives of savez and savez_compressed, with labels in them or beside them") {
  const TemporaryFolder folder;
  const std::string x = npy_of<double>("<f8", "(2, 3)", {1, 2, 3, 4, 5, 6}),
                    y = npy_of<int64_t>("<i8", "(2,)", {-1, 1});
  const std::string file = folder / "a.npz";
  for (const bool deflated : {false, true}) {
    for (const auto& [matrix, labels] :
         {std::pair("X", "y"), std::pair("data", "target"), std::pair("arr_0", "arr_1")}) {
      write_file(file, zip({{std::string(matrix) + ".npy", x},
                            {std::string(labels) + ".npy", y},
                            {"names.npy", npy("<U4", "(1,)", std::string(16, '\0'))}},
                           deflated));
      const data::LabelledRows rows = data::read_npy(file, "");
      CHECK(rows.values == std::vector<double>{1, 2, 3, 4, 5, 6});
      CHECK(rows.labels == std::vector<double>{-1, 1});
      CHECK(rows.place(1) == file + ": row 1");
    }
    write_file(file, zip({{"arr_0.npy", x}}, deflated));
    write_file(folder / "y.npy", y);
    CHECK(data::read_npy(file, folder / "y.npy").labels == std::vector<double>{-1, 1});
    CHECK(message_of<UserError>([&] { data::read_npy(file, ""); }) ==
          file + ": holds no array 'y' and none of 1 dimension that could be the labels; it holds arr_0");
    write_file(file, zip({{"a.npy", x}, {"b.npy", x}, {"y.npy", y}}, deflated));
    CHECK(message_of<UserError>([&] { data::read_npy(file, ""); }) ==
          file +
              ": holds no array 'X' and several of 2 dimensions that could be the matrix; it holds a, b, y");
  }
  write_file(folder / "x.npy", x);
  CHECK(message_of<UserError>([&] { data::read_npy(folder / "x.npy", ""); }) ==
        (folder / "x.npy") + ": a matrix has no labels; name their file with --labels FILE.npy");
  // Everything that is cut off is noticed, and so is a byte that changed.
  const std::string whole = zip({{"X.npy", x}, {"y.npy", y}}, true);
  for (size_t size = 4; size < whole.size(); ++size) {
    write_file(file, whole.substr(0, size));
    CHECK(message_of<UserError>([&] { data::read_npy(file, ""); }).starts_with(file));
  }
  int refused = 0;
  for (size_t i = 0; i < whole.size(); ++i) {
    std::string damaged = whole;
    damaged[i] = static_cast<char>(damaged[i] ^ 0x10);
    try {
      const size_t members = data::read_zip(damaged, "a").size();
      CHECK(members <= 2);
    } catch (const UserError&) {
      ++refused;
    }
  }
  CHECK(refused > 100);
}

TEST_CASE("numpy: a recipe trains on arrays, and its model takes others") {
  const TemporaryFolder folder;
  // The label is the larger of two columns; the test lacks the last class.
  const auto write = [&](const char* name, int classes) {
    std::vector<float> x;
    std::vector<int64_t> y;
    for (int i = 0; i < 60; ++i) {
      y.push_back(i % classes);
      for (int j = 0; j < 3; ++j)
        x.push_back((j == i % classes ? 2.0F : 0.0F) + 0.1F * static_cast<float>(i * 7 % 5));
    }
    write_file(folder / name, zip({{"X.npy", npy_of<float>("<f4", "(60, 3)", x)},
                                   {"y.npy", npy_of<int64_t>("<i8", "(60,)", y)}},
                                  true));
  };
  write("train.npz", 3);
  write("test.npz", 2);
  const Recipe recipe = Recipe::parse(
      "[data]\nkind = 'numpy'\n[[layers]]\nkind = 'dense'\nunits = 0\n[optimizer]\nkind = 'adam'\n"
      "learning_rate = 0.05\n[training]\nepochs = 20\n",
      "r");
  const RunResult result = TrainingRun(recipe, {.data = folder.text(), .out = folder / "m"}).run();
  CHECK(result.test->accuracy == 1);
  CHECK(result.classes.size() == 3);
  SavedModel model = SavedModel::load(folder / "m");
  CHECK(model.evaluate(model.load_data(folder.text())).loss == result.test->loss);
  write_file(folder / "x.npy", npy_of<float>("<f4", "(1, 3)", {0, 0, 2}));
  CHECK(model.predict(model.read_rows(folder / "x.npy"))[0].label == "2");
  const auto refused = [](const auto& action) { return message_of<UserError>(action); };
  write_file(folder / "x.csv", "a,b,c\n1,2,3\n");
  CHECK(refused([&] { model.read_rows(folder / "x.csv"); }) ==
        "'" + (folder / "m") +
            "' was not trained on a table of columns; give it an array that numpy.save wrote");
  write_file(folder / "test.npz", zip({{"X.npy", npy_of<float>("<f4", "(1, 3)", {0, 0, 2})}}, false));
  CHECK(refused([&] { model.load_data(folder.text()); }) ==
        (folder / "test.npz") +
            ": holds no array 'y', but X; save it with numpy.savez(file, X=…, y=…), or y_NAME=… for each of "
            "several "
            "outputs");
}

TEST_CASE(
    "numpy: the recipe of system 2 in small: a class per frame, states that go on from batch to batch") {
  const TemporaryFolder folder;
  // Three batches of four rows of five frames; the class is the channel that is 1.
  std::vector<float> x, y;
  for (int frame = 0; frame < 12 * 5; ++frame)
    for (int channel = 0; channel < 4; ++channel) {
      y.push_back(channel == frame * 7 % 4 ? 1.0F : 0.0F);
      x.push_back(y.back() + 0.1F * static_cast<float>(frame * channel % 5));
    }
  for (const char* name : {"train.npz", "test.npz"})
    write_file(folder / name, zip({{"X.npy", npy_of<float>("<f4", "(12, 5, 4)", x)},
                                   {"y.npy", npy_of<float>("<f4", "(12, 5, 4)", y)}},
                                  true));
  std::string text = testing::read_file(LARIAT_SOURCE_ROOT "/examples/system_2_lstm.toml");
  const auto change = [&](const std::string& from, const std::string& to) {
    REQUIRE(text.find(from) != text.npos);
    for (size_t at = text.find(from); at != text.npos; at = text.find(from, at + to.size()))
      text.replace(at, from.size(), to);
  };
  change("units = 256", "units = 6");
  change("units = 64", "units = 4");
  change("stateful = 16", "stateful = 4");
  change("l1=0.01", "l1=1e-4");
  CHECK(message_of<UserError>([&] {
          TrainingRun(Recipe::parse(text, "r"), {.data = folder.text(), .out = folder / "m"}).run();
        }) == "layer lstm_1 is stateful over batches of 4 rows, but batch_size = 16; give both one number");
  change("batch_size = 16", "batch_size = 4");
  change("epochs = 10", "epochs = 60");
  change("learning_rate = 0.003", "learning_rate = 0.02");
  const RunResult result =
      TrainingRun(Recipe::parse(text, "r"), {.data = folder.text(), .out = folder / "m"}).run();
  CHECK(result.test->accuracy > 0.9);
  SavedModel model = SavedModel::load(folder / "m");
  CHECK(model.evaluate(model.load_data(folder.text())).loss == result.test->loss);
}

TEST_CASE("numpy: arrays are streamed by rows, and give what they give in memory") {
  const TemporaryFolder folder;
  const std::string file = folder / "a.npz";
  std::vector<float> wide, narrow, y;
  for (int i = 0; i < 7 * 4 * 3; ++i) wide.push_back(0.25F * static_cast<float>(i));
  for (int i = 0; i < 7 * 4; ++i) narrow.push_back(static_cast<float>(-i));
  for (int i = 0; i < 7; ++i) y.push_back(static_cast<float>(i % 2));
  const auto check_same = [&](bool classes, const std::string& place = "") {
    const std::string from = place.empty() ? file : place;
    const data::Dataset memory = data::read_arrays(from, classes),
                        streamed = data::read_arrays(from, classes, {}, true);
    REQUIRE(streamed.examples.size() == memory.examples.size());
    CHECK(streamed.sequences == memory.sequences);
    CHECK(streamed.columns == memory.columns);
    CHECK(streamed.targets == memory.targets);
    CHECK(streamed.classes == memory.classes);
    for (size_t i = 0; i < memory.examples.size(); ++i) {
      CHECK(streamed.examples[i].values.empty());
      const data::Example read = data::loaded(streamed.examples[i]);
      CHECK(read.values == memory.examples[i].values);
      CHECK(read.frames == memory.examples[i].frames);
      CHECK(read.label == memory.examples[i].label);
      CHECK(read.targets == memory.examples[i].targets);
    }
  };
  const std::string targets = npy_of<float>("<f4", "(7,)", y);
  write_file(file, zip({{"X.npy", npy_of<float>("<f4", "(7, 12)", wide)}, {"y.npy", targets}}, false));
  check_same(true);
  check_same(false);
  write_file(file, zip({{"a.npy", npy_of<float>("<f4", "(7, 4, 3)", wide)},
                        {"b.npy", npy_of<float>("<f4", "(7, 4, 1)", narrow)},
                        {"y.npy", targets}},
                       false));
  check_same(false);
  // A bit that is another than it was written is seen, wherever it lies.
  const std::string whole =
      zip({{"X.npy", npy_of<float>("<f4", "(7, 12)", wide)}, {"y.npy", targets}}, false);
  for (const size_t back : {4, 40, 100}) {
    std::string flipped = whole;
    flipped[flipped.find("\x93NUMPY") + 128 + back] ^= 4;
    write_file(file, flipped);
    for (const bool streamed : {false, true})
      CHECK(message_of<UserError>([&] { data::read_arrays(file, true, {}, streamed); }) ==
            file + ": is no whole zip archive; save it again with numpy.savez, or copy it again");
  }
  write_file(file, zip({{"X.npy", npy_of<float>("<f4", "(7, 12)", wide)}, {"y.npy", targets}}, true));
  CHECK(message_of<UserError>([&] { data::read_arrays(file, false, {}, true); }) ==
        file + " (X): is compressed, and cannot be streamed; save it with numpy.savez");
  std::string by_columns = npy_of<float>("<f4", "(7, 12)", wide);
  by_columns.replace(by_columns.find("False"), 5, "True ");
  write_file(file, zip({{"X.npy", by_columns}, {"y.npy", targets}}, false));
  CHECK(message_of<UserError>([&] { data::read_arrays(file, false, {}, true); }) ==
        file +
            " (X): lies by columns, and cannot be streamed by rows; save numpy.ascontiguousarray(…) of it");
  // A folder of arrays is one set of rows.
  const std::string plain = folder / "plain";
  std::filesystem::create_directories(plain);
  write_file(plain + "/X.npy", npy_of<float>("<f4", "(7, 4, 3)", wide));
  CHECK(message_of<UserError>([&] { data::read_arrays(plain, false); }) ==
        plain + ": holds no array 'y', but X; save X.npy and y.npy there by numpy.save");
  write_file(plain + "/y.npy", targets);
  check_same(true, plain);
  check_same(false, plain);
  CHECK(data::read_arrays(plain, false).examples[3].targets == std::vector<float>{1});
  const Recipe recipe = Recipe::parse(
      "[data]\nkind = 'numpy'\ntesting = 0\n[loss]\nkind = 'mean_squared_error'\n[[layers]]\nkind = 'gru'\n"
      "units = 2\n[[layers]]\nkind = 'dense'\nunits = 0\n[training]\nepochs = 1\n",
      "r");
  CHECK(TrainingRun(recipe, {.data = plain}).run().train_examples == 7);
  write_file(plain + "/X.npy", by_columns);
  CHECK(message_of<UserError>([&] { data::read_arrays(plain, false, {}, true); }) ==
        plain +
            "/X.npy: lies by columns, and cannot be streamed by rows; save numpy.ascontiguousarray(…) of it");
}

TEST_CASE("numpy: arrays of other names are columns, and targets of their own") {
  const TemporaryFolder folder;
  const std::string file = folder / "several.npz";
  const auto left = npy_of<float>("<f4", "(2, 2)", {1, 2, 3, 4}),
             right = npy_of<float>("<f4", "(2, 1)", {5, 6});
  const auto digit = npy_of<float>("<f4", "(2,)", {2, 0}),
             place = npy_of<float>("<f4", "(2, 2)", {7, 8, 9, 10});
  write_file(
      file,
      zip({{"left.npy", left}, {"right.npy", right}, {"y_digit.npy", digit}, {"y_place.npy", place}}, false));
  const data::Dataset dataset = data::read_arrays(file, false, {"digit"});
  CHECK(dataset.columns == std::vector<data::Column>{{"left", 2}, {"right", 1}});
  CHECK(dataset.examples[1].values == std::vector<float>{3, 4, 6});
  CHECK(dataset.targets.names == std::vector<std::string>{"digit", "place_0", "place_1"});
  CHECK(dataset.targets.classes[0] == std::vector<std::string>{"0", "1", "2"});
  CHECK(dataset.targets.classes[1].empty());
  CHECK(dataset.examples[0].targets == std::vector<float>{2, 7, 8});
  write_file(
      file,
      zip({{"left.npy", left}, {"right.npy", npy_of<float>("<f4", "(1, 1)", {5})}, {"y_digit.npy", digit}},
          false));
  CHECK(message_of<UserError>([&] { data::read_arrays(file, false); }) ==
        file +
            ": 'right' is [1, 1], but 'left' is [2, 2]; all must have as many rows, and be sequences of as "
            "many "
            "frames or none");
  // Beside sequences, what is a vector for each row holds for all its frames.
  const auto heard = npy_of<float>("<f4", "(2, 3, 1)", {1, 2, 3, 4, 5, 6});
  write_file(file, zip({{"first.npy", left}, {"heard.npy", heard}, {"y_digit.npy", digit}}, false));
  for (const bool streamed : {false, true}) {
    const data::Dataset both = data::read_arrays(file, false, {}, streamed);
    CHECK(both.columns == std::vector<data::Column>{{"first", 2}, {"heard", 1}});
    CHECK(data::loaded(both.examples[1]).values == std::vector<float>{3, 4, 4, 3, 4, 5, 3, 4, 6});
  }
  write_file(
      file,
      zip({{"first.npy", npy_of<float>("<f4", "(2,)", {2, 0})}, {"heard.npy", heard}, {"y_digit.npy", digit}},
          false));
  CHECK(testing::contains(message_of<UserError>([&] { data::read_arrays(file, false); }),
                          "'first' is [2], but 'heard' is [2, 3, 1]; all must have as many rows"));
  write_file(file, zip({{"left.npy", left}, {"y_place.npy", place}}, false));
  CHECK(message_of<UserError>([&] { data::read_arrays(file, false, {"place"}); }) ==
        file + ": y_place is [2, 2], but classes are one number a row");
}

TEST_CASE(
    "numpy: lengths end sequences, in memory and streamed, and archives are predicted without targets") {
  const TemporaryFolder folder;
  const std::string file = folder / "s.npz";
  const std::string x = npy_of<float>("<f4", "(2, 3, 1)", {1, 2, 3, 4, 5, 6}),
                    y = npy_of<int64_t>("<i8", "(2, 3)", {0, 1, 1, 1, 0, 0});
  const auto lengths = [](const std::vector<int64_t>& of) {
    return npy_of<int64_t>("<i8", "(" + std::to_string(of.size()) + ",)", of);
  };
  write_file(file, zip({{"X.npy", x}, {"y.npy", y}, {"lengths.npy", lengths({2, 3})}}, false));
  for (const bool streamed : {false, true}) {
    const data::Dataset dataset = data::read_arrays(file, true, {}, streamed);
    CHECK(data::loaded(dataset.examples[0]).values == std::vector<float>{1, 2});
    CHECK(data::loaded(dataset.examples[1]).values == std::vector<float>{4, 5, 6});
    CHECK(dataset.examples[0].targets == std::vector<float>{0, 1});
    CHECK(dataset.examples[1].targets == std::vector<float>{1, 0, 0});
  }
  write_file(file, zip({{"X.npy", x}, {"lengths.npy", lengths({2, 3})}}, false));
  CHECK(data::unlabelled_arrays(testing::read_file(file), "s").examples[0].values ==
        std::vector<float>{1, 2});
  CHECK(data::unlabelled_arrays(x, "x").examples[0].values == std::vector<float>{1, 2, 3});
  const auto refused = [&](const std::string& more, const std::string& array) {
    write_file(file, zip({{"X.npy", x}, {"y.npy", y}, {more + ".npy", array}}, false));
    return message_of<UserError>([&] { data::read_arrays(file, true); });
  };
  CHECK(refused("lengths", lengths({0, 3})) ==
        file + ": the length of row 0 is 0; lengths are whole numbers from 1 to 3");
  CHECK(refused("lengths", lengths({2, 4})) ==
        file + ": the length of row 1 is 4; lengths are whole numbers from 1 to 3");
  CHECK(refused("lengths", lengths({2})) ==
        file + ": lengths are [1], but there are 2 rows; there must be one for each");
  CHECK(
      refused("len", lengths({2, 3})) ==
      file +
          ": holds X, and beside it 'len', which is none of y, y_NAME, weights and lengths; leave one of the "
          "two out");
  write_file(file, zip({{"X.npy", npy_of<float>("<f4", "(2, 1)", {1, 2})},
                        {"y.npy", lengths({0, 1})},
                        {"lengths.npy", lengths({1, 1})}},
                       false));
  CHECK(message_of<UserError>([&] { data::read_arrays(file, true); }) ==
        file + ": lengths have no effect on rows without a time axis; leave them out");
}

TEST_CASE("numpy: a sparse matrix of scipy.sparse.save_npz") {
  const TemporaryFolder folder;
  const std::string file = folder / "s.npz";
  const auto write = [&](const std::vector<int32_t>& starts, const std::vector<int32_t>& columns,
                         const std::string& format = "csr") {
    write_file(
        file, zip({{"indices.npy", npy_of<int32_t>("<i4", "(3,)", columns)},
                   {"indptr.npy", npy_of<int32_t>("<i4", "(" + std::to_string(starts.size()) + ",)", starts)},
                   {"format.npy", npy("|S3", "()", format)},
                   {"shape.npy", npy_of<int64_t>("<i8", "(2,)", {2, 5})},
                   {"data.npy", npy_of<double>("<f8", "(3,)", {1, 2, 3})}},
                  true));
    write_file(folder / "y.npy", npy_of<double>("<f8", "(2,)", {-1, 1}));
    return data::read_npy(file, folder / "y.npy");
  };
  const data::LabelledRows rows = write({0, 2, 3}, {4, 0, 1});
  CHECK(rows.sparse());
  CHECK(rows.columns == 5);
  CHECK(rows.entry_columns == std::vector<int32_t>{0, 4, 1});
  CHECK(rows.values == std::vector<double>{2, 1, 3});
  CHECK(rows.row_starts == std::vector<int32_t>{0, 2, 3});
  for (const auto& [starts, columns] :
       std::vector<std::pair<std::vector<int32_t>, std::vector<int32_t>>>{{{0, 2, 3}, {0, 5, 1}},
                                                                          {{0, 2, 3}, {0, -1, 1}},
                                                                          {{0, 4, 3}, {0, 1, 1}},
                                                                          {{1, 2, 3}, {0, 1, 1}},
                                                                          {{0, 3}, {0, 1, 2}},
                                                                          {{0, 2, 3}, {1, 1, 1}},
                                                                          {{0, 2, 2}, {0, 1, 2}}})
    CHECK(message_of<UserError>([&, &s = starts, &c = columns] {
            write(s, c);
          }).starts_with(file + ": contradicts"));
  CHECK(message_of<UserError>([&] {
          write({0, 2, 3}, {0, 1, 2}, "csc");
        }) == file + ": is a sparse matrix, but no CSR matrix; save matrix.tocsr()");
}

}  // namespace lariat::numpy_test
