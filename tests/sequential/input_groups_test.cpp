// A penalty over columns of the data, and over groups of them: what a model need not be given.
#include <cmath>

#include "frontends/recipe/recipe.hpp"
#include "frontends/sequential/sequential.hpp"
#include "graph/base/error.hpp"
#include "graph/exec/constants.hpp"
#include "ops/ops.hpp"
#include "tests/support/files.hpp"
#include "tests/support/program.hpp"
#include "tests/support/testing.hpp"

namespace lariat::input_groups_test {

using namespace lariat::testing;

namespace {

constexpr double lambda = 0.05;

// y = a - 2·b; colour is three channels, and says nothing, as c and d do not.
data::Dataset table(int rows) {
  data::Dataset dataset{.sequences = false};
  dataset.targets = {.width = 1, .names = {"y"}};
  dataset.columns = {{"a", 1}, {"c", 1}, {"colour", 3}, {"b", 1}, {"d", 1}};
  for (int i = 0; i < rows; ++i) {
    const auto at = [&](int step, int size) { return static_cast<float>(i * step % size) / size - 0.5F; };
    std::vector<float> values{at(7, 11), at(3, 13), 0, 0, 0, at(5, 17), at(11, 19)};
    values[static_cast<size_t>(2 + i % 3)] = 1;
    const float y = values[0] - 2 * values[5];
    dataset.examples.push_back({"row " + std::to_string(i), 0, 1, 7, values, {y}});
  }
  return dataset;
}

// The sum that group_inputs=1 adds for these rows of a kernel.
double norm_of(const Tensor& kernel, const std::vector<int64_t>& rows) {
  const int64_t units = kernel.extents().back();
  double squares = 0;
  for (const int64_t row : rows)
    for (int64_t unit = 0; unit < units; ++unit) {
      const double w = kernel.data<float>()[row * units + unit];
      squares += w * w;
    }
  return std::sqrt(static_cast<double>(static_cast<int64_t>(rows.size()) * units) * squares);
}

std::vector<bool> zero_rows(const Tensor& kernel) {
  std::vector<bool> zero;
  for (int64_t row = 0; row < kernel.extents()[0]; ++row) zero.push_back(norm_of(kernel, {row}) == 0);
  return zero;
}

void build(const std::vector<LayerSpec>& layers) {
  Sequential model(layers);
  model.compile(Sgd{}, MeanSquaredError{});
  model.build(shape_of(table(4)));
}
std::string refused(const std::vector<LayerSpec>& layers) {
  return message_of<UserError>([&] { build(layers); });
}

}  // namespace

TEST_CASE("input groups: the penalty is the sum over columns of the data, and over groups of them") {
  const data::Dataset rows = table(24);
  for (const bool grouped : {false, true}) {
    LayerSpec first = Dense(4, tanh, {.kernel_penalty = group_inputs(lambda)});
    if (grouped) first = first.grouped({{"d", "colour"}, {"b", "a"}});
    Sequential model{first, Dense(1)};
    model.compile(Sgd{.learning_rate = 1e-12}, MeanSquaredError{});
    const FitResult fitted = model.fit(rows, {.batch_size = 24});
    const Tensor kernel = model.layer("dense_1").weight("kernel");
    const double expected =
        grouped ? norm_of(kernel, {6, 2, 3, 4}) + norm_of(kernel, {5, 0}) + norm_of(kernel, {1})
                : norm_of(kernel, {0}) + norm_of(kernel, {1}) + norm_of(kernel, {2, 3, 4}) +
                      norm_of(kernel, {5}) + norm_of(kernel, {6});
    CHECK(fitted.epochs[0].penalty == doctest::Approx(lambda * expected).epsilon(1e-4));
  }
}

TEST_CASE("input groups: a column becomes zero as a whole, by a prox and not a subgradient") {
  const data::Dataset rows = table(209);
  Sequential model{Dense(3, tanh, {.kernel_penalty = group_inputs(0.02)}), Dense(1)};
  model.compile(Adam{.learning_rate = 0.02}, MeanSquaredError{});
  model.fit(rows, {.epochs = 30, .batch_size = 16});
  CHECK(zero_rows(model.layer("dense_1").weight("kernel")) ==
        std::vector<bool>{false, true, true, true, true, false, true});
  CHECK(contains(model.report().text(), "-> group soft threshold"));
  CHECK(model.zeros()[1].penalty == "group_inputs=0.02");
  CHECK(model.zeros()[1].penalised);
  // A group stays where one of its columns matters.
  Sequential together{
      Dense(3, tanh, {.kernel_penalty = group_inputs(0.02)}).grouped({{"a", "colour"}, {"c", "d"}}),
      Dense(1)};
  together.compile(Adam{.learning_rate = 0.02}, MeanSquaredError{});
  together.fit(rows, {.epochs = 30, .batch_size = 16});
  CHECK(zero_rows(together.layer("dense_1").weight("kernel")) ==
        std::vector<bool>{false, true, false, false, false, false, true});
  CHECK(contains(together.report().text(), "-> group soft threshold"));
}

TEST_CASE("input groups: of one output they are those of lariat solve") {
  // Σ √n_g·‖w_g‖₂ of a vector: (3, 4) together, and 12 alone.
  Graph graph;
  const Value w = graph.constant(Tensor::of<double>({3, 1}, {3, 12, 4}));
  graph.output("groups", penalty_of(w, group_inputs(2), {{0, 2}, {1}}));
  graph.output("each", penalty_of(w, group_inputs(2)));
  const std::vector<Tensor> values = evaluate_constant(graph);
  CHECK(values[0].item() == doctest::Approx(2 * (std::sqrt(2) * 5 + 12)));
  CHECK(values[1].item() == doctest::Approx(2 * 19));
  // Taps and units of a filter belong to its channel.
  Graph filters;
  const Value kernel = filters.constant(Tensor::filled(f64, {3, 4, 2}, 1));
  filters.output("groups", penalty_of(kernel, group_inputs(1), {{0, 3}, {1}, {2}}));
  CHECK(evaluate_constant(filters)[0].item() == doctest::Approx(12 + 6 + 6));
}

TEST_CASE("input groups: layers that keep channels keep their columns, and other data count theirs") {
  const LayerSpec last = Dense(1, {}, {.kernel_penalty = group_inputs(0.1)});
  for (const std::vector<LayerSpec>& before :
       std::vector<std::vector<LayerSpec>>{{},
                                           {Dropout(0.1)},
                                           {GaussianNoise(0.1)},
                                           {BatchNorm()},
                                           {Activation(relu)},
                                           {Select({0, 2, 3, 4, 5})}}) {
    std::vector<LayerSpec> layers = before;
    layers.push_back(last.grouped({{"a", "d", "b"}}));
    CHECK_NOTHROW(build(layers));
  }
  const ModelValue a = input("a"), colour = input("colour"), b = input("b");
  Model model({a, colour, b}, {last.grouped({{"colour", "a"}})(Concat()(b, colour, a))});
  model.compile(Sgd{}, MeanSquaredError{});
  model.build(shape_of(table(4)));
  data::Dataset counted = table(8);
  counted.columns.clear();
  Sequential plain{last.grouped({{"0-2", "6"}})};
  plain.compile(Sgd{.learning_rate = 1e-12}, MeanSquaredError{});
  const double penalty = plain.fit(counted, {.batch_size = 8}).epochs[0].penalty;
  const Tensor kernel = plain.layer("dense_1").weight("kernel");
  CHECK(penalty == doctest::Approx(0.1 * (norm_of(kernel, {0, 1, 2, 6}) + norm_of(kernel, {3}) +
                                          norm_of(kernel, {4}) + norm_of(kernel, {5})))
                       .epsilon(1e-4));
  const TemporaryFolder folder;
  plain.save(folder / "m");
  CHECK(Sequential::load(folder / "m").layers()[0].at("input_groups") == "0-2, 6");
}

TEST_CASE("input groups: what does not fit is one line") {
  const LayerSpec dense = Dense(1, {}, {.kernel_penalty = group_inputs(0.1)});
  CHECK(refused({dense.grouped({{"a", "color"}})}) ==
        "layer dense_1: input_groups = a, color: the data have no column 'color'. Did you mean 'colour'?");
  CHECK(refused({dense.grouped({{"a"}, {"b", "a"}})}) ==
        "layer dense_1: input_groups: the column 'a' is there twice; leave one out");
  CHECK(refused({dense.grouped({{"0-3"}})}) ==
        "layer dense_1: input_groups = 0-3: the data have no column '0-3'. Known: a, b, c, colour, d.");
  CHECK(refused({Dense(1).grouped({{"a", "b"}})}) ==
        "layer dense_1: input_groups has no effect without the penalty group_inputs; write kernel_penalty = "
        "\"group_inputs=1e-3\"");
  CHECK(refused({Dense(3), dense}) ==
        "layer dense_2: group_inputs is for a kernel that takes columns of the data, and 'kernel' does not; "
        "give "
        "it group_rows");
  CHECK(
      refused({Dense(1, {}, {.bias_penalty = group_inputs(1)})}) ==
      "layer dense_1: group_inputs is for a kernel that takes columns of the data, and 'bias' does not; give "
      "it group_rows");
}

TEST_CASE("cli: columns of a table are grouped by name in a recipe") {
  if (!have_lariat()) return;
  const TemporaryFolder folder;
  std::string text = "a,c,colour,b,d,y\n";
  for (const data::Example& row : table(209).examples)
    text += std::to_string(row.values[0]) + "," + std::to_string(row.values[1]) + "," +
            (row.values[2] == 1   ? "red"
             : row.values[3] == 1 ? "green"
                                  : "blue") +
            "," + std::to_string(row.values[5]) + "," + std::to_string(row.values[6]) + "," +
            std::to_string(row.targets[0]) + "\n";
  write_file(folder / "t.csv", text);
  const std::string recipe =
      "[data]\nkind = \"csv\"\ntarget = [\"y\"]\n[loss]\nkind = \"mean_squared_error\"\n[optimizer]\nkind = "
      "\"adam\"\nlearning_rate = 0.02\n[training]\nepochs = 30\n[[layers]]\nkind = \"dense\"\nunits = 0\n"
      "kernel_penalty = \"group_inputs=0.05\"\ninput_groups = [\"c, colour\"]\n";
  write_file(folder / "r.toml", recipe);
  const ProgramRun run =
      run_lariat({"train", folder / "r.toml", "--data", folder / "t.csv", "--out", folder / "m"});
  INFO(run.err);
  CHECK(run.status == 0);
  CHECK(contains(run.out, "group soft threshold"));
  // The group goes, of four weights of seven.
  const ProgramRun shown = run_lariat({"inspect", folder / "m"});
  CHECK(contains(shown.out, "group_inputs=0.05"));
  const ProgramRun compacted = run_lariat({"compact", folder / "m", "--out", folder / "s"});
  INFO(compacted.err);
  CHECK(compacted.status == 0);
  // Without the columns that are 0 the groups are still those of the others.
  CHECK(contains(compacted.out, "nothing reads 5 channels of the data: select_1 leaves them out"));
  CHECK(contains(run_lariat({"inspect", folder / "s"}).out, "input_groups=c, colour"));
  CHECK(run_lariat({"predict", folder / "s", folder / "t.csv"}).status == 0);
}

}  // namespace lariat::input_groups_test
