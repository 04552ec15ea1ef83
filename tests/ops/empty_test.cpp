// Every op on tensors without elements: each extent of its samples is replaced by 0, alone and together with
// those equal to it, beside small and large ones. A result or a refusal is right; anything else is not.
#include <set>

#include "autodiff/check/gradcheck.hpp"
#include "autodiff/gradient.hpp"
#include "autodiff/training/trainer.hpp"
#include "graph/base/error.hpp"
#include "graph/exec/plan.hpp"
#include "graph/ir/registry.hpp"
#include "graph/program/program.hpp"
#include "ops/ops.hpp"
#include "tests/support/testing.hpp"

namespace lariat::empty_test {

using namespace lariat::testing;

namespace {

// A sample with other extents: those of its tensors, and the shapes and counts among its attributes.
struct Variant {
  std::vector<SampleInput> inputs;
  Attributes attributes;
  bool large = false;
};

constexpr int64_t most_elements = 1 << 16;
constexpr size_t most_bytes = size_t{1} << 26;

// Extents that are `from` become `to`: of input `only`, or of all of them and in attributes.
void replace(Variant& variant, int64_t from, int64_t to, int only = -1) {
  for (size_t i = 0; i < variant.inputs.size(); ++i)
    if (only < 0 || static_cast<size_t>(only) == i)
      for (int64_t& extent : variant.inputs[i].extents)
        if (extent == from) extent = to;
  if (only >= 0) return;
  Attributes changed = variant.attributes;
  for (const auto& [name, value] : variant.attributes)
    if (const auto* shape = std::get_if<Shape>(&value)) {
      Shape other = *shape;
      for (Dim& dim : other)
        if (dim == Dim(from)) dim = Dim(to);
      changed.set(name, other);
    }
  variant.attributes = changed;
}

// The values of a sample are kept as far as they go: indices and lengths stay what they are for.
void fit_values(SampleInput& input) {
  const auto count = static_cast<size_t>(element_count(input.extents));
  if (input.values.empty() || input.values.size() == count) return;
  const std::vector<double> values = input.values;
  input.values.resize(count);
  for (size_t i = 0; i < count; ++i) input.values[i] = values[i % values.size()];
}

std::vector<Variant> variants(const Sample& sample) {
  std::set<int64_t> extents;
  for (const SampleInput& input : sample.inputs) extents.insert(input.extents.begin(), input.extents.end());
  std::vector<Variant> result;
  for (const int64_t zeroed : extents)
    for (const int64_t factor : {1, 64})
      for (int only = -1; only < static_cast<int>(sample.inputs.size()); ++only) {
        Variant variant{sample.inputs, sample.attributes, factor > 1};
        for (const int64_t extent : extents)
          if (factor > 1 && extent != zeroed && extent > 1) replace(variant, extent, -extent);
        replace(variant, zeroed, 0, only);
        for (const int64_t extent : extents) replace(variant, -extent, factor * extent);
        bool small = true;
        for (SampleInput& input : variant.inputs) {
          small = small && element_count(input.extents) <= most_elements;
          if (small) fit_values(input);
        }
        if (small) result.push_back(std::move(variant));
      }
  return result;
}

// Runs the op, and its gradient by all inputs that have one; true where it took the shapes.
bool run(const OpDef& op, const Variant& variant, DType dtype, Executor& executor) {
  Graph graph;
  std::vector<Value> inputs, floats;
  Feeds feeds;
  for (size_t i = 0; i < variant.inputs.size(); ++i) {
    const Tensor tensor = sample_tensor(variant.inputs[i], dtype, 1, i);
    inputs.push_back(graph.input("x" + std::to_string(i), to_shape(tensor.extents()), tensor.dtype()));
    if (is_float(tensor.dtype())) floats.push_back(inputs.back());
    feeds.emplace(inputs.back().name(), tensor);
  }
  try {
    const Value first = graph.add(op, inputs, variant.attributes);
    Value loss;
    const size_t outputs = graph.node(first.node()).outputs.size();
    for (size_t o = 0; o < outputs; ++o) {
      const Value output = output_of(first, static_cast<int32_t>(o));
      graph.output("y" + std::to_string(o), output);
      if (o >= op.traits.saved_outputs || !is_float(output.dtype()) || output.dtype() != dtype) continue;
      const Value part = sum(output);
      loss = loss ? loss + part : part;
    }
    if (loss && op.vjp && !floats.empty()) {
      const std::vector<Value> gradients = gradient(loss, floats);
      for (size_t i = 0; i < gradients.size(); ++i) {
        CHECK(gradients[i].shape() == floats[i].shape());
        graph.output("d" + std::to_string(i), gradients[i]);
      }
    }
    Program program(graph);
    if (program.plan(feeds).total_bytes() > most_bytes) return false;
    Store store;
    const std::vector<Tensor> results = program.run(feeds, store, executor);
    for (size_t i = 0; i < results.size(); ++i)
      CHECK(results[i].type() == graph.type(graph.outputs()[i].value));
    // What is written does not depend on what was in memory before.
    const std::vector<Tensor> again = Program(graph).run(feeds, store, executor);
    for (size_t i = 0; i < results.size(); ++i) CHECK(same_bits(results[i], again[i]));
  } catch (const UserError&) {
    return false;
  } catch (const JobError&) {
    return false;
  }
  return true;
}

}  // namespace

TEST_CASE("every op takes tensors without elements, or refuses them") {
  const auto serial = make_serial_executor(), parallel = make_tbb_executor(2);
  int64_t taken = 0, refused = 0;
  for (const OpDef* op : registry().all()) {
    if (op->traits.source != SourceKind::none || op->name == "fused" || op->plugin) continue;
    CAPTURE(op->name);
    for (const Sample& sample : op->samples) {
      CAPTURE(sample.name);
      for (const Variant& variant : variants(sample))
        for (const DType dtype : {f32, f64}) {
          if (variant.large && dtype == f64) continue;
          std::string shapes;
          for (const SampleInput& input : variant.inputs) shapes += text(input.extents);
          CAPTURE(shapes);
          if (!variant.large) ++(run(*op, variant, dtype, *serial) ? taken : refused);
          ++(run(*op, variant, dtype, *parallel) ? taken : refused);
        }
    }
  }
  CHECK(taken > 4000);
  CHECK(refused > 100);
}

TEST_CASE("layers of every kind take a batch of no rows, and no time") {
  // A model's step on such data ends with a JobError where its loss is a mean over nothing, and moves
  // nothing.
  const auto check = [](const char* name, const Shape& shape, const Extents& fed,
                        const std::function<Value(Graph&, Value)>& model) {
    CAPTURE(name);
    Graph g;
    const Value x = g.input("x", shape), y = model(g, x);
    Trainer trainer(mean(square(y)), Adam{}, {.threads = 2});
    const uint64_t before = trainer.store().hash();
    const Feeds feeds{{"x", Tensor(f32, fed)}};
    const Tensor result = trainer.evaluate({y}, feeds)[0];
    CHECK(result.count() == 0);
    CHECK(message_of<JobError>([&] { trainer.step(feeds); }).find("of no elements") != std::string::npos);
    CHECK(trainer.store().hash() == before);
    CHECK(trainer.steps() == 0);
  };
  check("dense 784 to 512", {dim::batch, 784}, {0, 784}, [](Graph& g, Value x) {
    return matmul(x, g.parameter("w", {784, 512}));
  });
  check("dense 8 to 8", {dim::batch, 8}, {0, 8}, [](Graph& g, Value x) {
    return matmul(x, g.parameter("w", {8, 8}));
  });
  check("conv1d", {dim::batch, 100, 40}, {0, 100, 40}, [](Graph& g, Value x) {
    return conv1d(x, g.parameter("w", {5, 40, 64}));
  });
  check("conv1d of one step", {dim::batch, 100, 256}, {0, 100, 256}, [](Graph& g, Value x) {
    return conv1d(x, g.parameter("w", {1, 256, 512}));
  });
  check("conv2d", {dim::batch, 28, 28, 8}, {0, 28, 28, 8}, [](Graph& g, Value x) {
    return conv2d(x, g.parameter("w", {3, 3, 8, 64}));
  });
  const auto recurrent = [](Graph& g, Value x) {
    return lstm(x, g.parameter("w", {128, 1024}), g.parameter("r", {256, 1024}), g.parameter("b", {1024}));
  };
  check("lstm", {dim::batch, 50, 128}, {0, 50, 128}, recurrent);
  check("lstm, no time", {4, dim::time, 128}, {4, 0, 128}, recurrent);
  check("softmax", {dim::batch, 1000}, {0, 1000},
        [](Graph& g, Value x) { return softmax(x + g.parameter("b", {1000})); });
  check("embedding", {dim::batch, 4}, {0, 4}, [](Graph& g, Value x) {
    return gather_rows(g.parameter("t", {50000, 64}), cast(x, i32));
  });
  Graph g;
  const Value x = g.input("x", {2, dim::time, 40});
  Trainer trainer(mean(square(conv1d(x, g.parameter("w", {5, 40, 64})))), Adam{}, {.threads = 2});
  CHECK(message_of<UserError>([&] {
          trainer.step(Feeds{{"x", Tensor(f32, {2, 0, 40})}});
        }).ends_with("the window spans 5 time steps, but there are 4 with padding"));
}

}  // namespace lariat::empty_test
