#include "graph/io/tensor_coding.hpp"

#include <bit>
#include <cmath>
#include <cstring>
#include <limits>

#include "graph/base/error.hpp"
#include "graph/base/random.hpp"
#include "graph/io/entropy_coder.hpp"
#include "graph/io/store.hpp"
#include "tests/support/files.hpp"
#include "tests/support/testing.hpp"

namespace lariat::tensor_coding_test {

using lariat::testing::contains;
using lariat::testing::message_of;
using lariat::testing::read_file;
using lariat::testing::TemporaryFolder;
using lariat::testing::write_file;

namespace {

// Numbers of about 0.1 at a share of the places.
Tensor sparse(Extents extents, double share, uint64_t seed = 1) {
  Tensor tensor(f32, std::move(extents));
  uint64_t at = 0;
  for (float& value : tensor.values<float>()) {
    const auto bits = random_bits(seed, 0, at++);
    if (to_unit(bits[0]) < share) value = (to_unit(bits[1]) - 0.5f) * 0.2f;
  }
  return tensor;
}

void check_round_trip(const Tensor& tensor, NumberForm expected) {
  const std::optional<std::string> bytes = coded(tensor);
  REQUIRE(bytes);
  CHECK(bytes->size() <= tensor.bytes() / 4 * 3);
  NumberForm form{};
  CHECK(same_bits(decoded(*bytes, "w", &form), tensor));
  CHECK(form == expected);
}

}  // namespace

TEST_CASE("entropy coder: what goes in comes out, whatever the chances are") {
  EntropyEncoder encoder;
  BitChance rare, even;
  for (uint32_t i = 0; i < 20000; ++i) {
    encoder.code(i % 977 == 0, rare);
    encoder.code((random_bits(1, 2, i)[0] & 1) != 0, even);
    if (i % 100 == 0) encoder.code_raw(i, 20);
  }
  const std::string bytes = encoder.finish();
  // 20,000 even bits and 4,000 raw ones take 3,000 bytes, the 21 rare ones some thirty.
  CHECK(bytes.size() > 2990);
  CHECK(bytes.size() < 3080);
  EntropyDecoder decoder(bytes);
  rare = even = BitChance();
  bool same = true;
  for (uint32_t i = 0; i < 20000; ++i) {
    same &= decoder.code(false, rare) == (i % 977 == 0);
    same &= decoder.code(false, even) == ((random_bits(1, 2, i)[0] & 1) != 0);
    if (i % 100 == 0) same &= decoder.code_raw(0, 20) == i;
  }
  CHECK(same);
}

TEST_CASE("coded tensors: every bit comes back") {
  check_round_trip(sparse({50, 40}, 0.1), NumberForm::float32);
  check_round_trip(sparse({3, 5, 7, 9}, 0.5), NumberForm::float32);
  check_round_trip(sparse({500}, 0.02), NumberForm::float32);
  check_round_trip(Tensor(f32, {30, 30}), NumberForm::int8);
  // -0, subnormals, infinities and NaN are numbers like others.
  Tensor odd = sparse({40, 40}, 0.05);
  float* values = odd.data<float>();
  values[1] = -0.0f;
  values[2] = std::numeric_limits<float>::denorm_min();
  values[3] = -std::numeric_limits<float>::infinity();
  values[4] = std::bit_cast<float>(0xffc12345u);
  values[5] = std::numeric_limits<float>::max();
  check_round_trip(odd, NumberForm::float32);
  check_round_trip(rounded(sparse({30, 20}, 1), NumberForm::float16), NumberForm::float16);
  check_round_trip(rounded(sparse({30, 20}, 0.3), NumberForm::int8), NumberForm::int8);
  // What would not be shorter, and what is no float.
  CHECK_FALSE(coded(sparse({30, 20}, 1)));
  CHECK_FALSE(coded(sparse({2, 2}, 0.1)));
  CHECK_FALSE(coded(Tensor(f32, {0, 3})));
  CHECK_FALSE(coded(Tensor(f64, {100})));
  CHECK_FALSE(coded(Tensor(i32, {100})));
}

TEST_CASE("coded tensors: the bytes are near the entropy") {
  // 500 × 400 with 2% at random: 0.1414 bits a place and about 27 a number: 200,000·0.1414/8 = 3,536 and
  // 4,000·27/8 = 13,500.
  const std::optional<std::string> random = coded(sparse({500, 400}, 0.02));
  REQUIRE(random);
  CHECK(random->size() < 17100);
  // The same numbers in a tenth of the rows: their places take less.
  Tensor rows(f32, {500, 400});
  for (int64_t row = 0; row < 500; row += 10)
    std::memcpy(rows.data<float>() + row * 400, sparse({400}, 0.2, static_cast<uint64_t>(row)).data<float>(),
                1600);
  CHECK(coded(rows)->size() < random->size() - 1000);
}

TEST_CASE("float16: nearest, ties to even, as the standard has it") {
  const float infinity = std::numeric_limits<float>::infinity();
  CHECK(to_float16(1) == 1);
  CHECK(to_float16(1 + 0x1p-11f) == 1);                        // a tie
  CHECK(to_float16(1 + 0x1p-11f + 0x1p-20f) == 1 + 0x1p-10f);  // above it
  CHECK(to_float16(1 + 3 * 0x1p-11f) == 1 + 2 * 0x1p-10f);     // a tie to even, upwards
  CHECK(to_float16(-0.1f) == -0.0999755859375f);
  CHECK(to_float16(65504) == 65504);
  CHECK(to_float16(65519) == 65504);
  CHECK(to_float16(65520) == infinity);
  CHECK(to_float16(-1e30f) == -infinity);
  CHECK(to_float16(0x1p-24f) == 0x1p-24f);
  CHECK(to_float16(0x1.8p-24f) == 0x1p-23f);  // a tie of subnormals
  CHECK(to_float16(0x1p-25f) == 0);
  CHECK(std::signbit(to_float16(-0x1p-26f)));
  CHECK(std::isnan(to_float16(std::nanf(""))));
}

TEST_CASE("int8: a scale for each channel, an error of at most half of it, and nothing more when repeated") {
  const Tensor kernel = sparse({60, 8}, 0.7);
  kernel.data<float>()[0] = 40;  // of the first channel alone
  const Tensor near = rounded(kernel, NumberForm::int8);
  for (int64_t i = 0; i < kernel.count(); ++i) {
    // 40/127 in five bits, rounded up, is 21/64; 0.1/127 is at most 0.000824.
    const double allowed = i % 8 == 0 ? 0.5 * 21 / 64 : 0.5 * 0.000824;
    CHECK(std::fabs(kernel.at(i) - near.at(i)) <= allowed);
    if (kernel.at(i) == 0) CHECK(std::bit_cast<uint32_t>(near.data<float>()[i]) == 0);
  }
  CHECK(near.at(0) == 122 * 0.328125);
  CHECK(same_bits(rounded(near, NumberForm::int8), near));
  const auto scales = int8_scales(near);
  REQUIRE(scales);
  CHECK(scales->at(0) == 0.328125f);
  CHECK_FALSE(int8_scales(kernel));
  // Nothing is left of what is too small for a scale, and a channel of zeros has none.
  CHECK(rounded(Tensor::of<float>({1, 2}, {1e-38f, 0}), NumberForm::int8).at(0) == 0);
  CHECK(message_of<UserError>([] { number_form_named("int4"); }) ==
        "int4: must be f32, f16 or int8. Did you mean 'int8'?");
}

TEST_CASE("coded tensors: bytes that are none are refused, and claims are bounded") {
  const std::string good = coded(sparse({40, 40}, 0.1)).value();
  const auto refusal = [](const std::string& bytes) {
    return message_of<UserError>([&] { decoded(bytes, "w"); });
  };
  for (size_t bit = 0; bit < 8 * good.size(); ++bit) {
    std::string bytes = good;
    bytes[bit / 8] = static_cast<char>(bytes[bit / 8] ^ (1 << bit % 8));
    REQUIRE(refusal(bytes) == "tensor 'w' is damaged: its checksum is another one; save the model again");
  }
  for (size_t size = 0; size < good.size(); ++size) REQUIRE_FALSE(refusal(good.substr(0, size)).empty());
  CHECK(refusal("") == "tensor 'w' is coded in 0 bytes, too few; save the model again");
  // With the right checksum: CRC-32 of the bytes behind it.
  const auto sealed = [](std::string rest) {
    uint32_t sum = 0xffffffff;
    for (const char byte : rest) {
      sum ^= static_cast<uint8_t>(byte);
      for (int bit = 0; bit < 8; ++bit) sum = sum >> 1 ^ ((sum & 1) != 0 ? 0xedb88320 : 0);
    }
    sum = ~sum;
    return std::string(reinterpret_cast<const char*>(&sum), 4) + rest;
  };
  CHECK(sealed(good.substr(4)) == good);
  CHECK(refusal(sealed(std::string("\3\0", 2))) ==
        "tensor 'w' is in form 3, but there are 0 to 2; save the model again");
  CHECK(refusal(sealed(std::string("\0\2", 2))) ==
        "tensor 'w' is coded in 6 bytes, too few for 2 dimensions; save the model again");
  CHECK(refusal(sealed(std::string("\0\xff", 2))) ==
        "tensor 'w' is coded in 6 bytes, too few for 255 dimensions; save the model again");
  for (const int64_t extent :
       {int64_t{0}, int64_t{-1}, int64_t{1} << 40, std::numeric_limits<int64_t>::max()})
    CHECK(refusal(sealed(std::string("\0\1", 2) + std::string(reinterpret_cast<const char*>(&extent), 8))) ==
          "tensor 'w' claims more than 1024 times the 14 bytes that it is coded in; save the model again");
  // Anything behind that is some tensor.
  for (char form = 0; form < 3; ++form) {
    const int64_t extent = 3000;
    std::string bytes = std::string(1, form) + '\1' + std::string(reinterpret_cast<const char*>(&extent), 8);
    for (uint32_t i = 0; i < 100; ++i) bytes.push_back(static_cast<char>(random_bits(7, 0, i)[0]));
    CHECK(decoded(sealed(bytes), "w").count() == 3000);
  }
}

TEST_CASE("store: coded tensors in a file that any reader of safetensors opens") {
  const TemporaryFolder folder;
  const std::string file = folder / "m.safetensors";
  Store store;
  store.set("kernel", sparse({40, 40}, 0.1));
  store.set("bias", sparse({40}, 1));
  store.set("step", Tensor::scalar(7, i32));
  store.metadata()["k"] = "v";
  store.save(file, Packing::coded);
  StoredTensors stored;
  const Store loaded = Store::load(file, &stored);
  CHECK(loaded.hash() == store.hash());
  CHECK(loaded.metadata() == store.metadata());
  CHECK(stored.at("kernel").form == "coded f32");
  CHECK(stored.at("kernel").bytes == coded(store.get("kernel"))->size());
  CHECK(stored.at("bias").form == "f32");
  CHECK(stored.at("step").form == "i32");
  CHECK(stored.at("step").bytes == 4);
  const std::string bytes = read_file(file);
  CHECK(contains(bytes, R"("__metadata__":{"coded_tensors":"lariat 1, see docs/model_file.md","k":"v"})"));
  CHECK(contains(bytes, R"("kernel":{"dtype":"U8","shape":[)"));
  // Without the note bytes are another program's.
  const auto refusal_of = [&](const std::string& from, const std::string& to) {
    std::string changed = bytes;
    changed.replace(changed.find(from), from.size(), to);
    write_file(file, changed);
    return message_of<UserError>([&] { Store::load(file); });
  };
  CHECK(contains(refusal_of("coded_tensors", "coded_pensors"),
                 "tensor 'kernel' is U8; Lariat reads F32, F64 and I32: convert it first"));
  CHECK(contains(
      refusal_of("lariat 1", "lariat 2"),
      "its tensors are coded as 'lariat 2, see docs/model_file.md', this program reads 'lariat 1, see "
      "docs/model_file.md'; use the Lariat that wrote it"));
  // A plain file has no note, and nobody else can use it.
  store.save(file);
  CHECK_FALSE(contains(read_file(file), "coded_tensors"));
  store.metadata()["coded_tensors"] = "mine";
  CHECK(message_of<UserError>([&] { store.save(file); }) ==
        "cannot save '" + file + "': the note 'coded_tensors' is the format's own; choose another name");
}

}  // namespace lariat::tensor_coding_test
