#include <cmath>

#include "frontends/recipe/recipe.hpp"
#include "frontends/sequential/sequential.hpp"
#include "graph/base/error.hpp"
#include "ops/ops.hpp"
#include "tests/support/files.hpp"
#include "tests/support/testing.hpp"
#include "tests/support/toy_data.hpp"
#include "tests/support/toy_runs.hpp"

namespace lariat::time_distributed_test {

using lariat::testing::message_of;
using lariat::testing::sequences;
using lariat::testing::TemporaryFolder;

TEST_CASE("time_distributed: a dense layer on each frame is what dense is on sequences") {
  const data::Dataset dataset = sequences(24, 3, 4, 2, 7, 1);
  Sequential plain{Dense(5, lariat::tanh), GlobalAveragePool(), Dense(0)},
      wrapped{TimeDistributed({Dense(5, lariat::tanh)}), GlobalAveragePool(), Dense(0)};
  for (Sequential* model : {&plain, &wrapped}) {
    model->compile(Adam{});
    model->build(shape_of(dataset), 3);
  }
  for (const char* what : {"kernel", "bias"})
    wrapped.store().set(std::string("time_distributed_1/dense_1/") + what,
                        plain.store().get(std::string("dense_1/") + what).clone());
  for (const char* what : {"kernel", "bias"})
    wrapped.store().set(std::string("dense_1/") + what,
                        plain.store().get(std::string("dense_2/") + what).clone());
  const auto a = plain.predict(dataset), b = wrapped.predict(dataset);
  for (size_t i = 0; i < a.size(); ++i)
    for (size_t j = 0; j < a[i].values.size(); ++j)
      CHECK(a[i].values[j] == doctest::Approx(b[i].values[j]).epsilon(1e-5));
}

TEST_CASE("time_distributed: images of frames, penalised, saved and loaded, the same bits on any threads") {
  const data::Dataset dataset = sequences(40, 3, 12, 2, 9, 1);
  const TemporaryFolder folder;
  std::vector<uint64_t> hashes;
  for (const int threads : {1, 3}) {
    Sequential model{TimeDistributed({Image(3, 4), Conv2d(4, 2, 2, relu), Flatten(), Dropout(0.1)},
                                     {.kernel_penalty = l1(3e-2)}),
                     Lstm(6), Dense(0)};
    model.compile(Adam{.learning_rate = 1e-2});
    model.fit(dataset, {.epochs = 8, .batch_size = 8, .threads = threads});
    hashes.push_back(model.parameter_hash());
    CHECK(sparsity(model.store().get("time_distributed_1/conv2d_1/kernel")).zeros > 0);
    model.save(folder / "m");
    CHECK(Sequential::load(folder / "m").evaluate(dataset).loss == model.evaluate(dataset).loss);
  }
  CHECK(hashes[0] == hashes[1]);
}

TEST_CASE("time_distributed: a recipe lists its layers, and [penalty] reaches them") {
  const Recipe recipe = testing::recipe_of(
      "[data]\nkind = 'digits'\n[penalty]\nkernels = 'l1=1e-3'\n[[layers]]\nkind = "
      "'time_distributed'\nlayers = ['dense "
      "units=8 activation=relu', 'dense units=4']\n[[layers]]\nkind = 'last_step'\n[[layers]]\nkind = "
      "'dense'\nunits "
      "= 0\n");
  CHECK(recipe.layers()[0].at("layers") == "dense units=8 activation=relu\ndense units=4");
  CHECK(recipe.layers()[0].at("kernel_penalty") == "l1=0.001");
  CHECK(Recipe::from_json(recipe.to_json()).layers()[0] == recipe.layers()[0]);
}

TEST_CASE("time_distributed: what does not fit is named") {
  const data::Dataset dataset = sequences(4, 2, 4, 2, 3, 1);
  const auto refused = [&](const std::vector<LayerSpec>& layers) {
    return message_of<UserError>([&] {
      Sequential model(layers);
      model.compile(Adam{});
      model.build(shape_of(dataset));
    });
  };
  CHECK(refused({TimeDistributed({Image(2, 2)}), LastStep(), Dense(0)}) ==
        "layer time_distributed_1: its layers make [2, 2, 1] of each frame, but it must be one vector; end "
        "them with "
        "flatten or global_average_pool");
  CHECK(refused({TimeDistributed({BatchNorm()}), LastStep(), Dense(0)}) ==
        "layer time_distributed_1: batch_norm would count frames behind the ends of sequences; put it before "
        "or "
        "behind");
  CHECK(
      refused({LastStep(), TimeDistributed({Dense(2)}), Dense(0)}) ==
      "layer time_distributed_1: takes sequences [batch, time, …]; got [batch, 4], which its layers take by "
      "themselves");
  CHECK(refused({TimeDistributed({Lstm(2)}), LastStep(), Dense(0)})
            .starts_with("layer time_distributed_1/lstm_1: takes sequences [batch, time, channels]; got "));
  CHECK(message_of<UserError>([] {
          TimeDistributed({});
        }).starts_with("time_distributed: layers = '': must be layers"));
}

}  // namespace lariat::time_distributed_test
