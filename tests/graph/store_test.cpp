#include "graph/io/store.hpp"

#include <sys/stat.h>

#include <bit>
#include <cmath>
#include <cstring>
#include <thread>

#include "graph/base/error.hpp"
#include "tests/support/files.hpp"
#include "tests/support/testing.hpp"
#include "tests/support/work.hpp"

namespace lariat::store_test {

using lariat::testing::message_of;
using lariat::testing::read_file;
using lariat::testing::TemporaryFolder;
using lariat::testing::write_file;

namespace {

struct StoreFolder : TemporaryFolder {
  const std::string file = *this / "m.safetensors";

  void write(const std::string& bytes) const { write_file(file, bytes); }
  std::string read() const { return read_file(file); }
  /// The message of loading a file of these bytes, without the "cannot load '…': " it must begin with.
  std::string refusal(const std::string& bytes) const {
    write(bytes);
    const std::string message = message_of<UserError>([&] { Store::load(file); });
    const std::string start = "cannot load '" + file + "': ";
    REQUIRE(message.starts_with(start));
    return message.substr(start.size());
  }
};

// A file of this header and so many bytes of data.
std::string file_of(const std::string& header, size_t data_bytes) {
  const uint64_t length = header.size();
  std::string bytes(8, '\0');
  std::memcpy(bytes.data(), &length, 8);
  return bytes + header + std::string(data_bytes, '\0');
}

Store small_store() {
  Store store;
  store.set("b", Tensor::of<float>({2}, {1.5f, -2}));
  store.set("a", Tensor::of<double>({}, {0.1}));
  store.set("step", Tensor::of<int32_t>({1, 1}, {-7}));
  store.set("empty", Tensor(f32, {0, 3}));
  store.metadata()["recipe"] = "line one\nline \"two\" \xc3\xa9";
  return store;
}

}  // namespace

TEST_CASE("store: tensors by name") {
  Store store;
  CHECK(store.empty());
  CHECK(message_of<UserError>([&] { (void)store.get("W"); }) == "the store has no tensor 'W'; it is empty");
  store.set("dense/kernel", Tensor::scalar(1));
  store.set("dense/bias", Tensor::scalar(2));
  store.set("dense/bias", Tensor::scalar(3));
  CHECK(store.size() == 2);
  CHECK(store.begin()->first == "dense/bias");
  CHECK(store.get("dense/bias").item() == 3);
  CHECK(store.find("dense/kernel")->item() == 1);
  CHECK(store.find("dense") == nullptr);
  CHECK(message_of<UserError>([&] { (void)store.get("dense/kernal"); }) ==
        "the store has no tensor 'dense/kernal'. Did you mean 'dense/kernel'?");
  CHECK(message_of<UserError>([&] { (void)store.get("W"); }) ==
        "the store has no tensor 'W'. Known: dense/bias, dense/kernel.");
  for (int i = 0; i < 20; ++i) store.set("parameter" + std::to_string(i), Tensor());
  CHECK(message_of<UserError>([&] { (void)store.get("W"); }) == "the store has no tensor 'W' among its 22");
  CHECK(message_of<UserError>([&] { store.set("__metadata__", Tensor()); }) ==
        "a tensor cannot be named '__metadata__'; choose another name");
}

TEST_CASE("store: the hash sees names, types and bits, and nothing else") {
  const auto hash = [](const std::string& name, const Tensor& tensor) {
    Store store;
    store.set(name, tensor);
    return store.hash();
  };
  const uint64_t base = hash("W", Tensor::of<float>({2}, {0, 1}));
  CHECK(base == hash("W", Tensor::of<float>({2}, {0, 1})));
  CHECK(base != hash("V", Tensor::of<float>({2}, {0, 1})));
  CHECK(base != hash("W", Tensor::of<float>({2, 1}, {0, 1})));
  CHECK(base != hash("W", Tensor::of<float>({2}, {-0.0f, 1})));
  CHECK(base != hash("W", Tensor::of<int32_t>({2}, {0, std::bit_cast<int32_t>(1.0f)})));
  CHECK(base != Store().hash());
  Store noted = small_store(), plain = small_store();
  noted.metadata()["more"] = "x";
  CHECK(noted.hash() == plain.hash());
}

TEST_CASE("store: a file holds every bit, and loads as the same store") {
  const StoreFolder folder;
  const Store store = small_store();
  store.save(folder.file);
  const Store loaded = Store::load(folder.file);
  CHECK(loaded.hash() == store.hash());
  CHECK(loaded.metadata() == store.metadata());
  REQUIRE(loaded.size() == store.size());
  for (const auto& [name, tensor] : store) CHECK(same_bits(loaded.get(name), tensor));
  const std::string first = folder.read();
  loaded.save(folder.file);
  CHECK(folder.read() == first);
}

TEST_CASE("store: the file is what safetensors prescribes, byte by byte") {
  const StoreFolder folder;
  Store store;
  store.set("b", Tensor::of<float>({2}, {1, 2}));
  store.set("a", Tensor::of<int32_t>({}, {3}));
  store.metadata()["k"] = "v";
  store.save(folder.file);
  const std::string header =
      R"({"__metadata__":{"k":"v"},"a":{"dtype":"I32","shape":[],"data_offsets":[0,4]},)"
      R"("b":{"dtype":"F32","shape":[2],"data_offsets":[4,12]}})";
  std::string padded = header;
  while (padded.size() % 8 != 0) padded += ' ';
  REQUIRE(padded.size() != header.size());
  CHECK(folder.read() == file_of(padded, 0) + std::string("\3\0\0\0\0\0\x80\x3f\0\0\0\x40", 12));
  Store().save(folder.file);
  CHECK(folder.read() == file_of("{}      ", 0));
  CHECK(Store::load(folder.file).empty());
}

TEST_CASE("store: files of other writers load") {
  const StoreFolder folder;
  // Tensors in another order, no padding, other white space.
  folder.write(
      file_of("{ \"z\" : {\"shape\":[1], \"dtype\":\"F32\", \"data_offsets\":[0, 4]},\n"
              "\"a\":{\"dtype\":\"F64\",\"shape\":[1,1],\"data_offsets\":[4,12]}, \"__metadata__\":{}}",
              12));
  const Store store = Store::load(folder.file);
  CHECK(store.get("z").type() == TensorType{f32, {1}});
  CHECK(store.get("a").type() == TensorType{f64, {1, 1}});
}

TEST_CASE("store: a file that cannot be opened") {
  const StoreFolder folder;
  CHECK(message_of<UserError>([&] { Store::load(folder.file); }) ==
        "cannot load '" + folder.file + "': there is no such file");
  CHECK(message_of<UserError>([&] { Store::load(folder.text()); }) ==
        "cannot load '" + folder.text() + "': it is a folder; name a file in it");
  CHECK(message_of<UserError>([] { Store::load("/dev/null"); }) ==
        "cannot load '/dev/null': it is empty; save the model again");
  folder.write("x");
  CHECK(message_of<UserError>([&] { Store::load(folder.file + "/m"); }) ==
        "cannot load '" + folder.file + "/m': there is no such file");
}

TEST_CASE("store: foreign, empty and damaged files each get their own message") {
  const StoreFolder folder;
  const auto with_header = [&](const std::string& header, size_t bytes = 0) {
    return folder.refusal(file_of(header, bytes));
  };
  const std::string again = "; save the model again";
  CHECK(folder.refusal("") == "it is empty" + again);
  CHECK(folder.refusal("PK\3\4 this is a zip file") ==
        "it is not a safetensors file (it begins with the bytes 50 4b 03 04); name a file that Lariat saved");
  CHECK(folder.refusal("abc") == "it is truncated: a header takes more than 8 bytes, the file has 3" + again);
  CHECK(folder.refusal(std::string("\x10\0\0\0\0\0\0\0{}", 10)) ==
        "it is truncated: the header takes 16 bytes, the file has 2 after its first 8" + again);
  CHECK(folder.refusal(std::string("\0\0\0\0\1\0\0\0{}", 10)) ==
        "its header claims 4294967296 bytes, the format allows 100000000" + again);
  CHECK(folder.refusal("\xff\xff\xff\xff\xff\xff\xff\xff{}") ==
        "its header claims 18446744073709551615 bytes, the format allows 100000000" + again);
  CHECK(folder.refusal(std::string("\0\0\0\0\0\0\0\0{}", 10)) == "its header claims 0 bytes" + again);
  CHECK(with_header("{\"a\":}") == "its header is not valid JSON at byte 6" + again);
  CHECK(with_header(std::string("{}  \0 {", 7)) == "its header is not valid JSON at byte 5" + again);
  CHECK(with_header("{}}") == "its header is not valid JSON at byte 3" + again);
  CHECK(with_header("{\"a\xff\":1}") == "its header is not valid JSON at byte 4" + again);
  CHECK(with_header("{\"a\":{\"shape\":" + std::string(100000, '[')) ==
        "its header is nested too deeply" + again);
  CHECK(with_header("{\"a\":1}") == "tensor 'a' is described by 1, not by an object" + again);
}

TEST_CASE("store: headers that contradict themselves or the data") {
  const StoreFolder folder;
  const auto entry = [](const std::string& name, const std::string& dtype, const std::string& shape,
                        const std::string& offsets) {
    return "\"" + name + R"(":{"dtype":")" + dtype + R"(","shape":)" + shape + R"(,"data_offsets":)" +
           offsets + "}";
  };
  const auto refusal = [&](const std::string& entries, size_t bytes) {
    return folder.refusal(file_of("{" + entries + "}", bytes));
  };
  const std::string again = "; save the model again", a = entry("a", "F32", "[2]", "[0,8]");
  // The helper's own entry is sound, so each refusal below has one cause.
  folder.write(file_of("{" + a + "}", 8));
  CHECK(Store::load(folder.file).size() == 1);

  CHECK(refusal(entry("a", "F32", "[1024]", "[0,4096]"), 1200) ==
        "it is truncated: the header names 4096 bytes of data, the file has 1200" + again);
  CHECK(refusal(a, 11) == "3 bytes follow the 8 bytes of data that the header names" + again);
  CHECK(refusal("", 1) == "1 bytes follow the 0 bytes of data that the header names" + again);
  CHECK(refusal(entry("a", "BF16", "[2]", "[0,4]"), 4) ==
        "tensor 'a' is BF16; Lariat reads F32, F64 and I32: convert it first");
  CHECK(refusal(entry("a", "F32", "[2]", "[0,4]"), 4) ==
        "tensor 'a' of type f32[2] takes 8 bytes, its data_offsets [0, 4] hold 4" + again);
  CHECK(refusal(entry("a", "F32", "[2]", "[8,0]"), 8) ==
        "tensor 'a' has data_offsets [8,0], not [begin, end]" + again);
  CHECK(refusal(entry("a", "F32", "[2]", "[0]"), 8) ==
        "tensor 'a' has data_offsets [0], not [begin, end]" + again);
  CHECK(refusal(entry("a", "F32", "[2]", "[-8,0]"), 8) ==
        "tensor 'a' has 'data_offsets' [-8,0], not whole numbers" + again);
  CHECK(refusal(entry("a", "F32", "[2.5]", "[0,8]"), 8) ==
        "tensor 'a' has 'shape' [2.5], not whole numbers" + again);
  CHECK(refusal(entry("a", "F32", "[9223372036854775808]", "[0,8]"), 8) ==
        "tensor 'a' has 'shape' [9223372036854775808], not whole numbers" + again);
  CHECK(refusal(entry("a", "F32", "2", "[0,8]"), 8) == "tensor 'a' has no list 'shape'" + again);
  CHECK(refusal(entry("a", "F32", "[4294967296,4294967296]", "[0,0]"), 0) ==
        "tensor 'a' has shape [4294967296, 4294967296]: the size 4294967296 * 4294967296 exceeds what 64 "
        "bits can "
        "count; use smaller dimensions" +
            again);
  CHECK(refusal(entry("a", "F64", "[4611686018427387904]", "[0,0]"), 0) ==
        "tensor 'a' has shape [4611686018427387904]: the size exceeds what 64 bits can count" + again);
  CHECK(refusal(R"("a":{"shape":[],"data_offsets":[0,4]})", 4) == "tensor 'a' has no 'dtype'" + again);
  CHECK(refusal(R"("a":{"dtype":"F32","shape":[]})", 4) == "tensor 'a' has no list 'data_offsets'" + again);
  CHECK(refusal(a + "," + entry("b", "F32", "[1]", "[4,8]"), 8) ==
        "tensor 'b' begins at byte 4 of the data, within the tensor before it, which ends at 8" + again);
  CHECK(refusal(a + "," + entry("b", "F32", "[1]", "[12,16]"), 16) ==
        "bytes 8 to 12 of the data, before tensor 'b', belong to no tensor" + again);
  CHECK(refusal(a + "," + entry("a", "F32", "[1]", "[8,12]"), 12) == "its header names 'a' twice" + again);
  CHECK(refusal(R"("a":{"dtype":"F32","dtype":"I32","shape":[],"data_offsets":[0,4]})", 4) ==
        "its header names 'dtype' twice" + again);
  CHECK(refusal(R"("__metadata__":1)", 0) == "'__metadata__' is not a map of strings" + again);
  CHECK(refusal(R"("__metadata__":{"k":1})", 0) ==
        "'__metadata__' is not a map of strings: 'k' is 1" + again);
}

TEST_CASE("store: a file cut short anywhere is refused") {
  const StoreFolder folder;
  small_store().save(folder.file);
  const std::string whole = folder.read();
  for (size_t size = 0; size < whole.size(); ++size)
    CHECK(folder.refusal(whole.substr(0, size)).find("; ") != std::string::npos);
}

TEST_CASE("store: a damaged byte is refused or read, nothing else") {
  const StoreFolder folder;
  small_store().save(folder.file);
  const std::string whole = folder.read();
  int refused = 0;
  for (size_t i = 0; i < whole.size(); ++i)
    for (const char flip : {'\1', '\x10', '\x80', '\xff'}) {
      std::string damaged = whole;
      damaged[i] = static_cast<char>(damaged[i] ^ flip);
      folder.write(damaged);
      try {
        Store::load(folder.file);
      } catch (const UserError&) {
        ++refused;
      }
    }
  CHECK(refused > 500);
}

TEST_CASE("store: what cannot be saved leaves the old file") {
  const StoreFolder folder;
  small_store().save(folder.file);
  const std::string before = folder.read();
  Store broken;
  broken.set("a\xff", Tensor());
  CHECK(message_of<UserError>([&] { broken.save(folder.file); }) ==
        "cannot save '" + folder.file + "': a name or note in it is not valid UTF-8: \"a\xef\xbf\xbd\"");
  CHECK(folder.read() == before);
  CHECK(folder.entries() == 1);
}

TEST_CASE("store: a header's numbers, depth, counts and lengths are bounded, and so are messages") {
  const StoreFolder folder;
  const auto refusal = [&](const std::string& header) {
    const std::string message = folder.refusal(file_of(header, 0));
    CHECK(message.size() < 500);
    return message;
  };
  const std::string again = "; save the model again";
  // No double holds these.
  CHECK(refusal(R"({"a":1e999})") == "its header has '1e999', which is no number, before byte 10" + again);
  CHECK(refusal(R"({"a":{"shape":[-1e400]}})") ==
        "its header has '-1e400', which is no number, before byte 21" + again);
  CHECK(refusal(R"({"a":{"dtype":"F32","shape":[18446744073709551616],"data_offsets":[0,0]}})") ==
        "tensor 'a' has 'shape' [18446744073709551616], not whole numbers" + again);
  CHECK(refusal("{\"a\":" + std::string(5000, '9') + "}").starts_with("its header has '9999"));
  const std::string name(100000, 'n');
  CHECK(refusal("{\"" + name + "\":1}").find("nnn…' is described by 1") != std::string::npos);
  CHECK(refusal("{\"" + name + "\":1,\"" + name + "\":1}").find("nnn…' is described") != std::string::npos);
  std::string ones = "0";
  for (int i = 0; i < 100000; ++i) ones += ",1";
  CHECK(refusal(R"({"a":{"dtype":"F32","data_offsets":[0,0],"shape":[)" + ones + "]}}") ==
        "tensor 'a' has more than 64 dimensions" + again);
  CHECK(refusal(R"({"a":{"dtype":"F32","shape":[0],"data_offsets":[)" + ones + "]}}")
            .find("1,1,1…, not [begin, end]") != std::string::npos);
  CHECK(refusal(R"({"a":{"dtype":")" + name + R"(","shape":[0],"data_offsets":[0,0]}})")
            .find("n…; Lariat reads") != std::string::npos);
  CHECK(refusal(R"({"__metadata__":{"k":[]}})") ==
        "'__metadata__' is not a map of strings: 'k' is a list" + again);
  CHECK(refusal(R"({"__metadata__":{"k":"a","k":"b"}})") == "its header names 'k' twice" + again);
  CHECK(refusal(R"({"a":[]})") == "tensor 'a' is described by a list, not by an object" + again);
  CHECK(refusal(R"({"a":{"dtype":{"x":[[]]}}})") == "its header is nested too deeply" + again);
  CHECK(refusal("{\"a\":\"" + name + "\"}").find("n…, not by an object") != std::string::npos);
}

TEST_CASE("store: the work of loading is linear in the tensors") {
  const StoreFolder folder;
  const auto work = [&](int tensors) {
    std::string header = "{";
    for (int i = 0; i < tensors; ++i)
      header += (i > 0 ? ",\"t" : "\"t") + std::to_string(i) +
                R"(":{"dtype":"F32","shape":[0],"data_offsets":[0,0]})";
    folder.write(file_of(header + "}", 0));
    const auto before = testing::work_so_far();
    CHECK(Store::load(folder.file).size() == static_cast<size_t>(tensors));
    return testing::work_so_far() - before;
  };
  work(1000);
  testing::check_linear("loading", work(25000), work(100000));
}

TEST_CASE("store: a pipe is read as a file is") {
  const StoreFolder folder;
  small_store().save(folder.file);
  const std::string whole = folder.read(), pipe = folder / "pipe";
  REQUIRE(mkfifo(pipe.c_str(), 0600) == 0);
  std::thread writer([&] { write_file(pipe, whole); });
  const Store loaded = Store::load(pipe);
  writer.join();
  CHECK(loaded.hash() == small_store().hash());
}

}  // namespace lariat::store_test
