// Element-wise programs against a naive loop.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <random>

#include "graph/ir/registry.hpp"
#include "ops/kernels/elementwise_program.hpp"
#include "ops/kernels/gemm.hpp"
#include "tests/support/testing.hpp"

namespace lariat::elementwise_program_test {

namespace {

class Random {
 public:
  explicit Random(uint64_t seed) : engine_(seed) {}
  int64_t below(int64_t n) { return static_cast<int64_t>(engine_() % static_cast<uint64_t>(n)); }

 private:
  std::mt19937_64 engine_;
};

// Runs chunks in order or in reverse, of the size asked for or of one's own.
class Chunks final : public ParallelFor {
 public:
  explicit Chunks(int64_t own_grain = 0, bool reverse = false) : own_grain_(own_grain), reverse_(reverse) {}
  void run(int64_t count, int64_t grain, const std::function<void(int64_t, int64_t)>& body) const override {
    const int64_t step = own_grain_ > 0 ? own_grain_ : grain, chunks = (count + step - 1) / step;
    for (int64_t i = 0; i < chunks; ++i) {
      const int64_t chunk = reverse_ ? chunks - 1 - i : i;
      body(chunk * step, std::min(count, (chunk + 1) * step));
    }
  }

 private:
  int64_t own_grain_;
  bool reverse_;
};

Extents random_extents(Random& random) {
  Extents result(random.below(6));
  const int64_t kind = random.below(20);
  for (int64_t& extent : result) extent = kind == 0 ? random.below(3) : 1 + random.below(5);
  // Some that span several blocks and chunks.
  if (kind == 1 && !result.empty()) result[random.below(static_cast<int64_t>(result.size()))] *= 300;
  return result;
}

// A shape that broadcasts to `full`.
Extents narrowed(const Extents& full, Random& random) {
  Extents result = full;
  if (random.below(3) == 0) return result;
  for (int64_t& extent : result)
    if (random.below(3) == 0) extent = 1;
  while (!result.empty() && random.below(4) == 0) result.erase(result.begin());
  return result;
}

// The element of `view` that element `index` of the broadcast shape `full` reads.
int64_t source_index(const Extents& extents, const Extents& full, int64_t index) {
  int64_t result = 0, stride = 1;
  for (size_t i = 0; i < full.size(); ++i) {
    const int64_t extent = full[full.size() - 1 - i], at = index % extent;
    index /= extent;
    if (i >= extents.size()) continue;
    const int64_t own = extents[extents.size() - 1 - i];
    result += (own == 1 ? 0 : at) * stride;
    stride *= own;
  }
  return result;
}

// int32_t wraps around, which C++ has for unsigned numbers only.
template <class T>
T naive(int64_t op, T a, T b) {
  using Wrapping = std::conditional_t<std::is_same_v<T, int32_t>, uint32_t, T>;
  const Wrapping x = static_cast<Wrapping>(a), y = static_cast<Wrapping>(b);
  switch (op) {
    case 0:
      return static_cast<T>(x + y);
    case 1:
      return static_cast<T>(x - y);
    case 2:
      return static_cast<T>(x * y);
    default:
      return a != a || a > b ? a : b;
  }
}
const std::vector<std::string> program_ops{"add", "subtract", "multiply", "maximum"};

template <class T>
Tensor random_tensor(const Extents& extents, Random& random) {
  Tensor result(dtype_of<T>, extents);
  // Few distinct values, so that maximum meets equal ones.
  for (T& value : result.template values<T>())
    value = static_cast<T>(random.below(7) - 3) + static_cast<T>(random.below(2)) / 2;
  return result;
}

// A random program of 1 to 8 instructions, run on random shapes with outputs laid over inputs, against a
// loop.
template <class T>
int64_t check_program(Random& random, const ParallelFor& parallel) {
  const Extents full = random_extents(random);
  const int64_t count = element_count(full);
  const int input_count = 1 + static_cast<int>(random.below(4)),
            length = 1 + static_cast<int>(random.below(8));
  std::vector<Tensor> inputs;
  for (int i = 0; i < input_count; ++i)
    inputs.push_back(i > 0 && random.below(5) == 0 ? inputs.back()
                                                   : random_tensor<T>(narrowed(full, random), random));

  std::vector<int64_t> ops;
  std::vector<ElementwiseProgram::Instruction> program;
  const Attributes none;
  for (int p = 0; p < length; ++p) {
    ops.push_back(random.below(4));
    const int registers = input_count + p;
    program.push_back(
        {registry().get(program_ops[ops.back()]).block.get(dtype_of<T>),
         &none,
         {static_cast<int>(random.below(registers)), static_cast<int>(random.below(registers))}});
  }
  std::vector<int> results{input_count + length - 1};
  for (int p = 0; p + 1 < length; ++p)
    if (random.below(3) == 0) results.push_back(input_count + p);
  std::shuffle(results.begin(), results.end(), std::mt19937_64(random.below(1000)));

  std::vector<std::vector<T>> expected(results.size(), std::vector<T>(count));
  std::vector<T> registers(input_count + length);
  for (int64_t e = 0; e < count; ++e) {
    for (int i = 0; i < input_count; ++i)
      registers[i] = inputs[i].template data<T>()[source_index(inputs[i].extents(), full, e)];
    for (int p = 0; p < length; ++p)
      registers[input_count + p] =
          naive(ops[p], registers[program[p].arguments[0]], registers[program[p].arguments[1]]);
    for (size_t o = 0; o < results.size(); ++o) expected[o][e] = registers[results[o]];
  }

  // Each output lies over an input of its size that no other output took, or in memory of its own full of
  // rubbish.
  std::vector<Tensor> outputs;
  std::vector<const void*> taken;
  for (size_t o = 0; o < results.size(); ++o) {
    outputs.push_back(Tensor::filled(dtype_of<T>, full, 77));
    for (const Tensor& input : inputs) {
      const void* data = input.view().data;
      if (input.count() != count || random.below(2) == 0 ||
          std::find(taken.begin(), taken.end(), data) != taken.end())
        continue;
      outputs.back() = input;
      taken.push_back(data);
      break;
    }
  }
  std::vector<TensorView> input_views, output_views, shapes_only;
  for (const Tensor& input : inputs) input_views.push_back(input.view());
  for (const Tensor& output : outputs) output_views.push_back(output.view());
  shapes_only = input_views;
  for (TensorView& view : shapes_only) view.data = nullptr;
  const ElementwiseProgram compiled(full, dtype_of<T>, shapes_only, program, results);
  const OwnScratch scratch(compiled.workspace(), 1);
  compiled.run({registry().get("add"), input_views, output_views, none, parallel, scratch});

  bool equal = true;
  for (size_t o = 0; o < results.size(); ++o)
    equal &= std::equal(expected[o].begin(), expected[o].end(), outputs[o].template data<T>(),
                        [](T a, T b) { return a == b || (a != a && b != b); });
  CAPTURE(text(full));
  CHECK(equal);
  return count * static_cast<int64_t>(results.size());
}

// Runs one op through its record's prepare and kernel, as an executor does.
Tensor run_record(const OpDef& op, const std::vector<Tensor>& inputs, const Extents& full,
                  const ParallelFor& parallel) {
  std::vector<TensorView> views, shapes_only;
  for (const Tensor& input : inputs) views.push_back(input.view());
  shapes_only = views;
  for (TensorView& view : shapes_only) view.data = nullptr;
  const Tensor output(inputs[0].dtype(), full);
  const std::vector<TensorView> results{output.view()};
  const Attributes attributes;
  const std::shared_ptr<const void> prepared = op.prepare({op, shapes_only, results, attributes, parallel});
  KernelContext context{op, views, results, attributes, parallel};
  context.prepared = prepared.get();
  const OwnScratch scratch(op.workspace(context), 1);
  context.scratch = scratch;
  op.kernel.get(output.dtype())(context);
  return output;
}

}  // namespace

TEST_CASE("element-wise programs equal a naive loop: shapes, aliasing, several outputs, chunks") {
  Random random(11);
  const Chunks in_order, reversed(0, true), small(1000), uneven(37, true);
  int64_t elements = 0;
  int programs = 0;
  for (const ParallelFor* parallel :
       std::initializer_list<const ParallelFor*>{&in_order, &reversed, &small, &uneven}) {
    for (int i = 0; i < 400; ++i, programs += 3) {
      elements += check_program<float>(random, *parallel);
      elements += check_program<double>(random, *parallel);
      elements += check_program<int32_t>(random, *parallel);
    }
  }
  CHECK(programs == 4800);
  CHECK(elements > 1000000);
}

TEST_CASE("records broadcast like a naive loop, and chunks do not change bits") {
  Random random(3);
  const Chunks in_order, reversed(0, true), uneven(37, true);
  const OpDef &divide = registry().get("divide"), &tanh = registry().get("tanh");
  int64_t elements = 0;
  for (int i = 0; i < 300; ++i) {
    const Extents full = random_extents(random);
    std::vector<Tensor> inputs{random_tensor<float>(full, random),
                               random_tensor<float>(narrowed(full, random), random)};
    if (random.below(2)) std::swap(inputs[0], inputs[1]);
    const Tensor got = run_record(divide, inputs, full, in_order);
    int64_t wrong = 0;
    for (int64_t e = 0; e < got.count(); ++e) {
      const float a = inputs[0].data<float>()[source_index(inputs[0].extents(), full, e)];
      const float b = inputs[1].data<float>()[source_index(inputs[1].extents(), full, e)];
      const float wanted = a / b, found = got.data<float>()[e];
      wrong += !(wanted == found || (std::isnan(wanted) && std::isnan(found)));
    }
    CAPTURE(text(full));
    CHECK(wrong == 0);
    CHECK(same_bits(got, run_record(divide, inputs, full, uneven)));
    elements += got.count();
  }
  CHECK(elements > 20000);

  Tensor large(f32, {100001});
  for (float& value : large.values<float>()) value = static_cast<float>(random.below(80000) - 40000) / 10000;
  const Tensor once = run_record(tanh, {large}, large.extents(), in_order);
  CHECK(same_bits(once, run_record(tanh, {large}, large.extents(), reversed)));
  CHECK(same_bits(once, run_record(tanh, {large}, large.extents(), uneven)));
}

}  // namespace lariat::elementwise_program_test
