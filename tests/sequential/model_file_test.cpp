#include "frontends/sequential/model_file.hpp"

#include <fmt/format.h>

#include <cmath>
#include <filesystem>
#include <limits>

#include "frontends/sequential/sequential.hpp"
#include "graph/base/error.hpp"
#include "ops/ops.hpp"
#include "tests/support/files.hpp"
#include "tests/support/testing.hpp"

namespace lariat::model_file_test {

using lariat::testing::contains;
using lariat::testing::message_of;
using lariat::testing::read_file;
using lariat::testing::TemporaryFolder;
using lariat::testing::write_file;

namespace {

// 20-30-4, with zeros in nine tenths of the kernels' places.
Sequential sparse_model() {
  Sequential model{Dense(30, relu), Dense(0)};
  model.build({.sequences = false, .dimensions = 20, .classes = {"a", "b", "c", "d"}}, 3);
  for (const auto& [name, tensor] : model.store())
    if (tensor.extents().size() == 2)
      for (int64_t i = 0; i < tensor.count(); ++i)
        if (i % 10 != 0) tensor.data<float>()[i] = 0;
  return model;
}

}  // namespace

TEST_CASE("model file: sparse tensors are coded, and the model is the same") {
  const TemporaryFolder folder;
  const std::string file = folder / "m", plain = folder / "p";
  Sequential model = sparse_model();
  model.save(file);
  StoredTensors stored;
  Store store = Store::load(file, &stored);
  CHECK(stored.at("dense_1/kernel").form == "coded f32");
  CHECK(stored.at("dense_1/kernel").bytes < 20 * 30 * 4 / 4);
  // Biases of zeros too.
  CHECK(stored.at("dense_1/bias").form == "coded f16");
  CHECK(Sequential::load(file).parameter_hash() == model.parameter_hash());
  // Sealed again as plain tensors it has the same hash.
  const std::string hash = store.metadata().at("hash");
  save_model(store, plain, Packing::plain);
  CHECK(Store::load(plain).metadata().at("hash") == hash);
  CHECK(std::filesystem::file_size(plain) > std::filesystem::file_size(file) + 2000);
  CHECK(Sequential::load(plain).parameter_hash() == model.parameter_hash());
}

TEST_CASE("model file: a bit that flips anywhere, or a cut at any byte, of a coded model is found") {
  const TemporaryFolder folder;
  const std::string file = folder / "m", damaged = folder / "d";
  for (const NumberForm form : {NumberForm::float32, NumberForm::int8}) {
    Sequential model = sparse_model();
    model.round_weights(form);
    model.save(file);
    const std::string whole = read_file(file);
    CHECK(contains(whole, "U8"));
    const bool nightly = lariat::testing::is_nightly();
    int64_t missed = 0;
    const auto try_bytes = [&](const std::string& bytes) {
      write_file(damaged, bytes);
      try {
        Sequential::load(damaged);
        ++missed;
      } catch (const UserError& error) {
        REQUIRE(contains(error.what(), damaged));
      }
    };
    for (size_t bit = 0; bit < 8 * whole.size(); bit += nightly ? 1 : 9) {
      std::string bytes = whole;
      bytes[bit / 8] = static_cast<char>(bytes[bit / 8] ^ (1 << bit % 8));
      try_bytes(bytes);
    }
    for (size_t size = 0; size < whole.size(); ++size) try_bytes(whole.substr(0, size));
    CHECK(missed == 0);
  }
}

TEST_CASE("model file: weights are rounded as a whole, or not at all, and saved as they are") {
  const TemporaryFolder folder;
  const std::string file = folder / "m";
  for (const NumberForm form : {NumberForm::float16, NumberForm::int8}) {
    Sequential model = sparse_model();
    model.store().get("dense_1/bias").data<float>()[3] = 0.1f;
    const Store before = model.store();
    model.round_weights(form);
    const Store& after = model.store();
    CHECK(after.get("dense_1/bias").at(3) == to_float16(0.1f));
    const float first = before.get("dense_1/kernel").data<float>()[0];
    if (form == NumberForm::float16) CHECK(after.get("dense_1/kernel").at(0) == to_float16(first));
    for (const auto& [name, tensor] : before)
      for (int64_t i = 0; i < tensor.count(); ++i) {
        CHECK((tensor.at(i) == 0) <= (after.get(name).at(i) == 0));
        CHECK(std::fabs(tensor.at(i) - after.get(name).at(i)) <= 0.5 / 119);
      }
    model.save(file);
    StoredTensors stored;
    Store::load(file, &stored);
    CHECK(stored.at("dense_1/kernel").form == fmt::format("coded {}", name_of(form)));
    CHECK(stored.at("dense_1/bias").form == "coded f16");
    Sequential loaded = Sequential::load(file);
    CHECK(loaded.parameter_hash() == model.parameter_hash());
    // Rounding what is rounded changes nothing.
    loaded.round_weights(form);
    CHECK(loaded.parameter_hash() == model.parameter_hash());
  }
  Sequential model = sparse_model();
  const uint64_t hash = model.parameter_hash();
  model.store().get("dense_2/bias").data<float>()[1] = 65520;
  CHECK(message_of<UserError>([&] { model.round_weights(NumberForm::int8); }) ==
        "'the model': tensor 'dense_2/bias' holds numbers beyond 65504, the largest of float16; keep the "
        "weights "
        "as f32");
  model.store().get("dense_2/bias").data<float>()[1] = 0;
  CHECK(model.parameter_hash() == hash);
  model.store().get("dense_2/kernel").data<float>()[7] = std::numeric_limits<float>::quiet_NaN();
  CHECK(message_of<UserError>([&] { model.round_weights(NumberForm::int8); }) ==
        "'the model': tensor 'dense_2/kernel' holds NaN or infinity, which have no place among int8; train "
        "the model "
        "again");
}

}  // namespace lariat::model_file_test
