// Models of branches, as their files give them.
#include "frontends/compact/compact_model.hpp"
#include "frontends/compact/figures.hpp"
#include "frontends/sequential/layers.hpp"
#include "frontends/sequential/model_file.hpp"
#include "frontends/sequential/model_value.hpp"
#include "ops/ops.hpp"
#include "tests/frontends/compact_stacks.hpp"
#include "tests/support/files.hpp"

namespace lariat::compact_branches_test {

using namespace compact_stacks;
using lariat::testing::TemporaryFolder;

namespace {

const DataShape two_classes{.sequences = false, .dimensions = 3, .classes = {"a", "b"}};

// A model as its file gives it, with weights of about 0.5.
Stack saved(Model model, const std::string& file) {
  model.build(two_classes, 1);
  model.save(file);
  return stack_with(stack_of(Store::load(file), file));
}

// What is written in place of the file is the same model.
void check_written(const Stack& stack, const std::string& file) {
  Store small = with_stack(Store::load(file), stack, file);
  seal(small, model_format);
  CHECK(difference(outputs_of(stack), outputs_of(stack_of(small, file))) == 0);
}

}  // namespace

TEST_CASE("compact: units go through concat, and where all that take them let them go") {
  const TemporaryFolder folder;
  const std::string file = folder / "m";
  const ModelValue x = input(), shared = Dense(5, relu).named("shared")(x),
                   a = Dense(4, relu).named("a")(shared), b = Dense(3, tanh).named("b")(Dropout(0.5)(shared));
  Stack stack = saved(Model({x}, {Dense(2).named("y")(Concat()(a, b))}), file);
  zero_row(stack, "y/kernel", 1);      // unit 1 of a
  zero_row(stack, "y/kernel", 4 + 2);  // unit 2 of b
  zero_column(stack, "b/kernel", 0);   // always tanh of its bias
  for (const char* kernel : {"a/kernel", "b/kernel"}) zero_row(stack, kernel, 3);
  zero_row(stack, "a/kernel", 2);  // b still reads it
  const CompactReport report = checked(stack, rounding);
  CHECK(report.unread == 3);
  CHECK(report.folded == 1);
  CHECK(report.kept.empty());
  CHECK(stack.weights.get("shared/kernel").extents() == Extents{3, 4});
  CHECK(stack.weights.get("a/kernel").extents() == Extents{4, 3});
  CHECK(stack.weights.get("b/kernel").extents() == Extents{4, 1});
  CHECK(stack.weights.get("y/kernel").extents() == Extents{4, 2});
  check_written(stack, file);
  const auto executor = make_serial_executor();
  const std::vector<StackCost> costs = costs_of({&stack}, Tensor(f32, {3}), *executor);
  REQUIRE(costs[0].layers.size() == stack.layers.size());
  for (const LayerCost& layer : costs[0].layers) CHECK(layer.seconds > 0);
}

TEST_CASE("compact: channels that are added to others stay, and the report says why") {
  const TemporaryFolder folder;
  const ModelValue x = input(), hidden = Dense(4, relu)(x), inner = Dense(3, relu)(hidden);
  Stack stack = saved(Model({x}, {Dense(2)(Add()(hidden, Dense(4)(inner)))}), folder / "m");
  zero_row(stack, "dense_4/kernel", 1);
  zero_column(stack, "dense_1/kernel", 2);
  zero_row(stack, "dense_3/kernel", 0);
  const CompactReport report = checked(stack);
  CHECK(report.unread == 1);  // of the units within the branch
  const std::string why = "it adds channels of several layers, which go together or not at all";
  CHECK(report.kept == std::vector<std::string>{"1 useless channel of add_1: " + why,
                                                "1 useless channel of dense_1: add_1 reads them: " + why});
}

TEST_CASE("compact: every one of several outputs stays, and keeps what it reads") {
  const TemporaryFolder folder;
  const std::string file = folder / "m";
  const ModelValue x = input(), hidden = Dense(5, relu).named("hidden")(x);
  Model model({x}, {Dense(2).named("a")(hidden), Dense(0).named("b")(Dense(4, tanh).named("inner")(hidden))});
  model.compile(Adam{}, {{"a"}, {"b"}});
  Stack stack = saved(std::move(model), file);
  CHECK(stack.widths == std::vector<int64_t>{2, 2});
  zero_row(stack, "a/kernel", 1);  // inner still reads it
  zero_row(stack, "a/kernel", 3);
  zero_row(stack, "inner/kernel", 3);
  zero_row(stack, "b/kernel", 0);
  zero_column(stack, "a/kernel", 1);  // outputs are never taken out
  set(stack, "a/bias", 0, [](int64_t, int64_t) { return true; });
  const CompactReport report = checked(stack, rounding);
  CHECK(report.unread == 2);
  CHECK(stack.weights.get("hidden/kernel").extents() == Extents{3, 4});
  CHECK(stack.weights.get("a/kernel").extents() == Extents{4, 2});
  CHECK(stack.weights.get("b/kernel").extents() == Extents{3, 2});
  check_written(stack, file);
}

TEST_CASE("compact: weights that are used in several places stay, and the rest goes") {
  const TemporaryFolder folder;
  const std::string file = folder / "m";
  const ModelValue x = input(), hidden = Dense(4, relu).named("hidden")(x);
  const LayerSpec twice = Dense(4).named("twice");
  Stack stack = saved(
      Model({x},
            {Dense(2).named("y")(Dense(6, relu).named("inner")(twice(Activation(relu)(twice(hidden)))))}),
      file);
  zero_row(stack, "twice/kernel", 1);  // so unit 1 of hidden and of itself are read by nothing
  zero_row(stack, "inner/kernel", 1);
  zero_row(stack, "y/kernel", 2);
  const CompactReport report = checked(stack, rounding);
  CHECK(report.unread == 1);
  CHECK(stack.weights.get("y/kernel").extents() == Extents{5, 2});
  CHECK(stack.weights.get("twice/kernel").extents() == Extents{4, 4});
  const std::string why = "its weights are used in several places";
  CHECK(std::count(report.kept.begin(), report.kept.end(),
                   "1 useless channel of hidden: twice reads them: " + why) == 1);
  CHECK(std::count(report.kept.begin(), report.kept.end(), "1 useless channel of twice: " + why) == 1);
  check_written(stack, file);
}

TEST_CASE("compact: units of layers whose states go on stay, and the rest goes") {
  const TemporaryFolder folder;
  const std::string file = folder / "m";
  const ModelValue x = input(), start = Dense(4, relu).named("start")(GlobalMaxPool()(x));
  const ModelValue encoded = Gru(4).named("encoder")(x);
  const ModelValue decoded = Gru(4).named("decoder")(x, {Add()(encoded.state("hidden"), start)});
  Model model({x}, {Dense(0).named("y")(Dense(5, relu).named("inner")(decoded))});
  model.build({.sequences = true, .dimensions = 3, .classes = {"a", "b"}}, 1);
  model.save(file);
  Stack stack = stack_with(stack_of(Store::load(file), file));
  // Nothing moves unit 2 of the encoder, and nothing reads unit 1 of the decoder or 0 of inner.
  for (const char* weight : {"encoder/kernel", "encoder/recurrent_kernel", "encoder/bias"})
    zero_column(stack, weight, 8 + 2);
  zero_column(stack, "encoder/candidate_bias", 2);
  zero_row(stack, "decoder/recurrent_kernel", 1);
  zero_row(stack, "inner/kernel", 1);
  zero_row(stack, "y/kernel", 0);
  const CompactReport report = checked(stack, rounding);
  CHECK(report.unread == 1);
  CHECK(stack.weights.get("y/kernel").extents() == Extents{4, 2});
  CHECK(std::count(report.kept.begin(), report.kept.end(),
                   "1 useless channel of encoder: the states that it ends with are taken") == 1);
  CHECK(std::count(report.kept.begin(), report.kept.end(),
                   "1 useless channel of decoder: its states begin with what others give") == 1);
  const auto executor = make_serial_executor();
  CHECK(costs_of({&stack}, Tensor(f32, {9, 3}), *executor)[0].layers.size() == stack.layers.size());
}

TEST_CASE("compact: names alone make no other model") {
  const TemporaryFolder folder;
  const ModelValue x = input();
  Model named({x}, {Dense(2).named("last")(Dense(4, relu).named("first")(x))});
  Stack stack = saved(std::move(named), folder / "m");
  CHECK(stack.layers.size() == 2);
  CHECK(stack.output_names.empty());
  zero_row(stack, "last/kernel", 1);
  CHECK(compact(stack).unread == 1);
}

}  // namespace lariat::compact_branches_test
