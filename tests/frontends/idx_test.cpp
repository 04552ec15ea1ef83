#include "frontends/data/idx.hpp"

#include <zlib.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "graph/base/error.hpp"
#include "tests/support/files.hpp"
#include "tests/support/testing.hpp"

namespace lariat::idx_test {

namespace fs = std::filesystem;
using namespace lariat::data;
using lariat::UserError;
using lariat::testing::message_of;
using lariat::testing::TemporaryFolder;
using lariat::testing::write_file;

namespace {

void write_gz(const std::string& file, const std::string& bytes) {
  gzFile stream = gzopen(file.c_str(), "wb");
  REQUIRE(gzwrite(stream, bytes.data(), static_cast<unsigned>(bytes.size())) ==
          static_cast<int>(bytes.size()));
  gzclose(stream);
}

std::string idx_bytes(const std::vector<uint32_t>& extents, const std::string& elements, char type = 8) {
  std::string bytes = {0, 0, type, static_cast<char>(extents.size())};
  for (const uint32_t extent : extents) {
    for (int shift = 24; shift >= 0; shift -= 8) bytes.push_back(static_cast<char>(extent >> shift));
  }
  return bytes + elements;
}

// Five training images and two test images of 1 × 2 pixels.
void write_mnist(const TemporaryFolder& folder) {
  write_file(folder / "train-images-idx3-ubyte",
             idx_bytes({5, 1, 2}, {0, 51, 1, 1, 2, 2, 3, 3, char(255), 4}));
  write_gz(folder / "train-labels-idx1-ubyte.gz", idx_bytes({5}, {0, 1, 2, 1, 0}));
  write_gz(folder / "t10k-images-idx3-ubyte.gz", idx_bytes({2, 1, 2}, {7, 7, 8, 8}));
  write_file(folder / "t10k-labels-idx1-ubyte", idx_bytes({2}, {2, 0}));
}

std::string message(const std::string& file) {
  return message_of<UserError>([&] { read_idx(file); });
}

}  // namespace

TEST_CASE("idx: plain and gzip files read alike") {
  const TemporaryFolder folder;
  const std::string bytes = idx_bytes({2, 3}, "abcdef");
  write_file(folder / "a", bytes);
  write_gz(folder / "b.gz", bytes);
  for (const char* name : {"a", "b.gz"}) {
    const IdxArray array = read_idx(folder / (name));
    CHECK(array.extents == std::vector<int64_t>{2, 3});
    CHECK(std::string(array.bytes.begin(), array.bytes.end()) == "abcdef");
  }
}

TEST_CASE("idx: the splits of MNIST, and a validation slice from the end of the training set") {
  const TemporaryFolder folder;
  write_mnist(folder);
  const Dataset train = load_idx(folder.text(), Split::train), test = load_idx(folder.text(), Split::test);
  CHECK_FALSE(train.sequences);
  CHECK(train.classes == std::vector<std::string>{"0", "1", "2"});
  REQUIRE(train.examples.size() == 5);
  CHECK(train.examples[0].values == std::vector<float>{0, 0.2f});
  CHECK(train.examples[4].values[0] == 1);
  CHECK(train.examples[2].label == 2);
  CHECK(train.examples[2].source == folder / "train-images-idx3-ubyte" + " 2");
  CHECK(train.examples[0].frames == 1);
  CHECK(train.examples[0].dimensions == 2);
  REQUIRE(test.examples.size() == 2);
  CHECK(test.examples[0].label == 2);
  CHECK(test.classes == train.classes);
  CHECK(load_idx(folder.text(), Split::train, 2).examples.size() == 3);
  const Dataset validation = load_idx(folder.text(), Split::validation, 2);
  REQUIRE(validation.examples.size() == 2);
  CHECK(validation.examples[0].values == train.examples[3].values);
  CHECK(load_idx(folder.text(), Split::test, 2).examples.size() == 2);
}

TEST_CASE("idx: the images of a file are examples to predict") {
  const TemporaryFolder folder;
  write_mnist(folder);
  const Dataset test = load_idx(folder.text(), Split::test);
  const std::string file = folder / "t10k-images-idx3-ubyte.gz";
  const Dataset alone = unlabelled_idx(lariat::testing::read_file(file), file);
  CHECK_FALSE(alone.sequences);
  REQUIRE(alone.examples.size() == 2);
  for (size_t i = 0; i < 2; ++i) {
    CHECK(alone.examples[i].values == test.examples[i].values);
    CHECK(alone.examples[i].source == test.examples[i].source);
  }
  CHECK(message_of<UserError>([&] {
          unlabelled_idx(idx_bytes({5}, {0, 1, 2, 1, 0}), "labels");
        }) == "labels: holds an array of 1 dimensions and 5 bytes; images are [count, rows, columns]");
}

TEST_CASE("idx: every kind of bad file has its message") {
  const TemporaryFolder folder;
  const std::string file = folder / "a";
  CHECK(message(file) == file + ": there is no such file; check the path");
  const std::string no_idx =
      file + ": is no IDX file: it does not start with two zero bytes, a type and a rank";
  write_file(file, "");
  CHECK(message(file) == no_idx);
  write_file(file, "PK\x03\x04 something else");
  CHECK(message(file) == no_idx);
  write_file(file, idx_bytes({2}, "abcdefgh", 0x0d));
  CHECK(message(file) == file + ": holds elements of type 0x0d; only unsigned bytes (0x08) can be read");
  write_file(file, idx_bytes({2, 3}, "").substr(0, 9));
  CHECK(message(file) == file + ": damaged: it ends within its header; copy it again");
  write_file(file, idx_bytes({2, 3}, "abcde"));
  CHECK(message(file) == file + ": damaged: its header promises 6 bytes and 5 follow; copy it again");
  write_file(file, idx_bytes({2, 3}, "abcdefg"));
  CHECK(message(file) == file + ": damaged: its header promises 6 bytes and more follow; copy it again");
  write_file(file, idx_bytes({0xffffffff, 0xffffffff, 0xffffffff}, "abc"));
  CHECK(message(file) == file + ": damaged: its header promises more than 2^40 elements; copy it again");
  // Within the limit a false promise costs no more memory than the file holds.
  write_file(file, idx_bytes({0x7fffffff, 256}, "abc"));
  CHECK(message(file) ==
        file + ": damaged: its header promises 549755813632 bytes and 3 follow; copy it again");
}

TEST_CASE("idx: a gzip file that is cut or altered is damaged") {
  const TemporaryFolder folder;
  const std::string file = folder / "a.gz";
  std::string noise;
  for (int i = 0; i < 5000; ++i) noise.push_back(static_cast<char>(i * i * 31 >> 3));
  write_gz(file, idx_bytes({5000}, noise));
  std::ifstream stream(file, std::ios::binary);
  const std::string bytes{std::istreambuf_iterator<char>(stream), {}};
  write_file(file, bytes.substr(0, bytes.size() / 2));
  CHECK(message(file) == file + ": damaged: it ends too early; copy it again");
  std::string altered = bytes;
  altered[altered.size() - 6] ^= 1;  // in the checksum
  write_file(file, altered);
  CHECK(message(file) == file + ": damaged: incorrect data check; copy it again");
  write_file(file, bytes + bytes);
  CHECK(message(file) == file + ": damaged: its header promises 5000 bytes and more follow; copy it again");
  write_file(file, bytes + "what a tape was filled up with");
  CHECK(read_idx(file).bytes.size() == 5000);
}

TEST_CASE("idx: a folder that does not hold MNIST") {
  const TemporaryFolder folder;
  const auto load = [&](Split split = Split::train, int64_t validation = 0) {
    return message_of<UserError>([&] { load_idx(folder.text(), split, validation); });
  };
  CHECK(message_of<UserError>([&] { load_idx(folder / "none", Split::train); }) ==
        "'" + folder / "none" + "': there is no such folder; check the path");
  CHECK(load() ==
        "'" + folder.text() +
            "' holds no train-labels-idx1-ubyte (plain or .gz); it should hold the four files of MNIST");
  write_mnist(folder);
  CHECK(load(Split::train, 5) ==
        "data.validation = 5: must be an integer from 0 to 4, so that images are left to train on");
  CHECK(load(Split::validation) ==
        "data.validation = 0: must be an integer from 1 to 4, so that images are left to train on");
  const std::string images = folder / "train-images-idx3-ubyte", labels = folder / "t10k-labels-idx1-ubyte";
  write_file(labels, idx_bytes({3}, {2, 0, 1}));
  CHECK(load(Split::test) ==
        folder / "t10k-images-idx3-ubyte.gz" + ": holds 2 images where " + labels + " holds 3 labels");
  write_file(labels, idx_bytes({2}, {2, 3}));
  CHECK(load(Split::test) == labels + ": label 1 is 3, but the training labels end at 2");
  write_file(labels, idx_bytes({2, 1}, {2, 1}));
  CHECK(load(Split::test) == labels + ": holds an array of 2 dimensions and 2 bytes; labels are a list");
  write_file(images, idx_bytes({0, 1, 2}, ""));
  CHECK(load() == images + ": holds an array of 3 dimensions and 0 bytes; images are [count, rows, columns]");
  fs::remove(images);
  CHECK(load() ==
        "'" + folder.text() +
            "' holds no train-images-idx3-ubyte (plain or .gz); it should hold the four files of MNIST");
}

TEST_CASE("idx: the real MNIST") {
  const char* data = std::getenv("LARIAT_DATA");
  if (data == nullptr) return lariat::testing::skip("LARIAT_DATA names no folder with MNIST");
  const Dataset test = load_idx(std::string(data) + "/mnist", Split::test);
  REQUIRE(test.examples.size() == 10000);
  CHECK(test.examples[0].dimensions == 784);
  CHECK(test.examples[0].label == 7);
  CHECK(test.classes.size() == 10);
  CHECK(load_idx(std::string(data) + "/mnist", Split::train, 5000).examples.size() == 55000);
}

TEST_CASE("idx: both spellings of the four files, each plain or packed") {
  for (const char* ending : {"", ".gz"}) {
    const TemporaryFolder folder;
    write_mnist(folder);
    const Dataset written = load_idx(folder.text(), Split::test);
    std::vector<fs::path> files;
    for (const auto& entry : fs::directory_iterator(folder.path())) files.push_back(entry.path());
    for (const fs::path& file : files) {
      std::string name = file.filename().string();
      name = name.substr(0, name.find(".gz"));
      name.replace(name.rfind("-idx"), 1, ".");
      const IdxArray array = read_idx(file.string());
      std::vector<uint32_t> extents(array.extents.begin(), array.extents.end());
      const std::string bytes = idx_bytes(extents, std::string(array.bytes.begin(), array.bytes.end()));
      fs::remove(file);
      *ending == '\0' ? write_file(folder / name, bytes) : write_gz(folder / (name + ending), bytes);
    }
    CHECK(fs::exists(folder / ("t10k-images.idx3-ubyte" + std::string(ending))));
    const Dataset dotted = load_idx(folder.text(), Split::test);
    REQUIRE(dotted.examples.size() == written.examples.size());
    for (size_t i = 0; i < dotted.examples.size(); ++i) {
      CHECK(dotted.examples[i].values == written.examples[i].values);
      CHECK(dotted.examples[i].label == written.examples[i].label);
    }
  }
}

}  // namespace lariat::idx_test
