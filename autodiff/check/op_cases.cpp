#include "autodiff/check/op_cases.hpp"

#include <fmt/format.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <deque>
#include <mutex>
#include <span>

#include "autodiff/gradient.hpp"
#include "graph/base/error.hpp"
#include "graph/exec/executor.hpp"
#include "graph/program/program.hpp"
#include "ops/kernels/gemm.hpp"
#include "ops/ops.hpp"

namespace lariat {

namespace {

constexpr size_t guard_bytes = 256, untouchable_bytes = size_t{1} << 20;
constexpr auto canary = std::byte{0xa5};

// Memory with a megabyte on both sides that cannot be touched, and bytes whose change is seen around what is
// asked for. Touching it once it is retired ends the process; so that the kernel's table of mappings holds,
// the oldest are given back.
class GuardedBuffer {
 public:
  explicit GuardedBuffer(size_t bytes) : bytes_(bytes) {
    const auto page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
    inner_ = (bytes + 2 * guard_bytes + page - 1) / page * page;
    void* mapped =
        mmap(nullptr, inner_ + 2 * untouchable_bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (mapped == MAP_FAILED) throw std::bad_alloc();  // no fault of the op
    start_ = static_cast<std::byte*>(mapped) + untouchable_bytes;
    if (mprotect(start_, inner_, PROT_READ | PROT_WRITE) != 0) {
      munmap(mapped, inner_ + 2 * untouchable_bytes);
      throw std::bad_alloc();
    }
    std::memset(start_, static_cast<int>(canary), inner_);
  }
  GuardedBuffer(GuardedBuffer&& other) noexcept
      : bytes_(other.bytes_), inner_(other.inner_), start_(std::exchange(other.start_, nullptr)) {}
  GuardedBuffer& operator=(GuardedBuffer&&) = delete;
  ~GuardedBuffer() {
    if (start_ == nullptr) return;
    mprotect(start_, inner_, PROT_NONE);
    const std::lock_guard lock(retired().mutex);
    std::deque<std::span<std::byte>>& list = retired().list;
    list.emplace_back(start_ - untouchable_bytes, inner_ + 2 * untouchable_bytes);
    if (list.size() <= most_retired) return;
    munmap(list.front().data(), list.front().size());
    list.pop_front();
  }
  std::byte* data() const { return start_ + guard_bytes; }
  size_t size() const { return bytes_; }
  bool is_intact() const {
    const auto whole = [](const std::byte* begin, const std::byte* end) {
      return std::all_of(begin, end, [](std::byte b) { return b == canary; });
    };
    return whole(start_, data()) && whole(data() + bytes_, start_ + inner_);
  }

 private:
  static constexpr size_t most_retired = 5000;
  struct Retired {
    std::mutex mutex;
    std::deque<std::span<std::byte>> list;
  };
  static Retired& retired() {
    static Retired instance;
    return instance;
  }
  size_t bytes_, inner_ = 0;
  std::byte* start_ = nullptr;
};

bool is_whole(const std::vector<double>& values) {
  return std::all_of(values.begin(), values.end(),
                     [](double v) { return v == std::floor(v) && std::abs(v) < 1e9; });
}

bool is_integer(const Sample& sample) {
  return !sample.inputs.empty() && std::all_of(sample.inputs.begin(), sample.inputs.end(),
                                               [](const SampleInput& input) { return input.dtype == i32; });
}

// Whether the values of the sample are the same numbers as integers.
bool is_of_integers(const Sample& sample) {
  return is_whole(sample.expected) &&
         std::all_of(sample.inputs.begin(), sample.inputs.end(),
                     [](const SampleInput& input) { return is_whole(input.values); });
}

std::vector<Tensor> data_of(const Sample& sample, DType dtype) {
  std::vector<Tensor> data;
  for (size_t i = 0; i < sample.inputs.size(); ++i) {
    SampleInput input = sample.inputs[i];
    if (dtype == i32) input.dtype = i32;
    data.push_back(sample_tensor(input, dtype, 0, i));
  }
  return data;
}

}  // namespace

OpCases::OpCases(const OpDef& op) {
  for (const Sample& sample : op.samples)
    for (const DType dtype : is_integer(sample) ? std::vector{i32} : std::vector{f32, f64})
      add(op, sample, data_of(sample, dtype), fmt::format("sample '{}' in {}", sample.name, name_of(dtype)));
  std::vector<DType> shown;
  for (const OpCase& c : of_op_) shown.push_back(c.node->outputs[0].dtype);
  const std::vector<OpCase> vouched = of_op_;
  for (const OpCase& c : vouched) {
    // Takes the op this sample in another dtype?
    const auto takes = [&](DType dtype) -> std::optional<DType> {
      std::vector<Tensor> inputs;
      for (const Tensor& input : c.inputs) inputs.push_back(input.cast(dtype));
      try {
        const std::vector<Tensor> outputs = run_op_kernel(op, c.node->attributes, inputs);
        return outputs[0].dtype();
      } catch (const UserError&) {
        return std::nullopt;
      }
    };
    if (is_integer(*c.sample)) {
      for (const DType dtype : {f32, f64})
        if (const auto result = takes(dtype);
            result && std::find(shown.begin(), shown.end(), *result) == shown.end() && gap_.empty())
          gap_ = fmt::format("nothing was run in {}, which it takes; add a sample of that dtype",
                             name_of(dtype));
    } else if (c.node->outputs[0].dtype == f32 && is_of_integers(*c.sample) && takes(i32)) {
      add(op, *c.sample, data_of(*c.sample, i32), fmt::format("sample '{}' in i32", c.sample->name));
    }
  }
}

void OpCases::add(const OpDef& op, const Sample& sample, const std::vector<Tensor>& data,
                  const std::string& name) {
  graphs_.push_back(std::make_unique<Graph>());
  Graph& graph = *graphs_.back();
  std::vector<Value> inputs;
  for (size_t i = 0; i < data.size(); ++i)
    inputs.push_back(graph.input(fmt::format("x{}", i), to_shape(data[i].extents()), data[i].dtype()));
  const Value first = graph.add(op, inputs, sample.attributes, {}, {});
  nodes_.push_back(std::make_unique<Node>(graph.node(first.node())));
  if (!op.kernel.get(first.dtype()) && !op.traits.alias)
    throw UserError(fmt::format("{}: inference gives {}, for which it has no kernel", name,
                                text(nodes_.back()->outputs[0])));
  of_op_.push_back({nodes_.back().get(), data, name, &sample});
  if (op.plugin && op.vjp && is_float(first.dtype())) add_gradient(of_op_.back());
}

// Only a plugin brings ops for its gradient alone; others have samples of their own.
void OpCases::add_gradient(const OpCase& of) {
  Graph& graph = *graphs_.back();
  const OpDef& op = *of.node->op;
  std::vector<Value> floats;
  Feeds feeds;
  for (size_t i = 0; i < of.inputs.size(); ++i) {
    const Value input = graph.find_source(fmt::format("x{}", i));
    feeds.emplace(input.name(), of.inputs[i]);
    if (is_float(input.dtype())) floats.push_back(input);
  }
  if (floats.empty()) return;
  const int32_t end = graph.size();
  try {
    gradient(sum(graph.value({end - 1, 0})), floats);
  } catch (const UserError&) {
    return;  // gradcheck will say why
  }
  for (int32_t id = end; id < graph.size(); ++id) {
    const Node& node = graph.node(id);
    if (node.op->plugin != op.plugin || node.op == &op) continue;
    for (size_t i = 0; i < node.inputs.size(); ++i)
      graph.output(fmt::format("{}.{}", id, i), graph.value(node.inputs[i]));
    nodes_.push_back(std::make_unique<Node>(node));
    Program program(graph);
    Store store;
    const std::vector<Tensor> values = program.run(feeds, store, *make_serial_executor());
    of_gradient_.push_back({nodes_.back().get(),
                            {values.end() - static_cast<int64_t>(node.inputs.size()), values.end()},
                            of.name + ", gradient",
                            of.sample});
    return;
  }
}

OpResults run_guarded(const OpCase& c, std::byte filled, const ParallelFor& parallel, std::string* fault,
                      const std::optional<Traits::InPlace>& in_place) {
  const OpDef& op = *c.node->op;
  std::vector<GuardedBuffer> buffers;
  std::vector<TensorView> inputs, outputs;
  for (const Tensor& input : c.inputs) {
    buffers.emplace_back(input.bytes());
    std::memcpy(buffers.back().data(), input.view().data, input.bytes());
    inputs.push_back({buffers.back().data(), input.dtype(), input.extents()});
  }
  for (const TensorType& type : c.node->outputs) {
    outputs.push_back({nullptr, type.dtype, evaluate(type.shape, {})});
    buffers.emplace_back(outputs.back().bytes());
    std::memset(buffers.back().data(), static_cast<int>(filled), buffers.back().size());
    outputs.back().data = buffers.back().data();
  }
  if (in_place) outputs[in_place->output].data = inputs[in_place->input].data;
  const Kernel kernel = op.kernel.get(outputs[0].dtype);
  if (op.traits.alias || !kernel) return {};
  KernelContext context{op, inputs, outputs, c.node->attributes, parallel};
  const std::shared_ptr<const void> prepared = op.prepare ? op.prepare(context) : nullptr;
  context.prepared = prepared.get();
  if (op.workspace) {
    const Workspace workspace = op.workspace(context);
    buffers.emplace_back(workspace.shared);
    context.scratch.shared = buffers.back().data();
    buffers.emplace_back(workspace.per_thread * static_cast<size_t>(parallel.threads()));
    context.scratch.first = buffers.back().data();
    context.scratch.stride = workspace.per_thread;
  }
  kernel(context);
  OpResults results;
  for (const TensorView& output : outputs) {
    const auto* data = static_cast<const std::byte*>(output.data);
    results.emplace_back(data, data + output.bytes());
  }
  if (fault == nullptr) return results;
  for (size_t i = 0; i < buffers.size(); ++i) {
    const std::string what = i < inputs.size() ? fmt::format("input {}", i)
                             : i < inputs.size() + outputs.size()
                                 ? fmt::format("output {}", i - inputs.size())
                                 : std::string("its scratch");
    if (!buffers[i].is_intact() && fault->empty()) *fault = fmt::format("it writes outside of {}", what);
    const bool may_write = i >= inputs.size() || (in_place && in_place->input == i);
    if (!may_write && fault->empty() &&
        std::memcmp(buffers[i].data(), c.inputs[i].view().data, buffers[i].size()) != 0)
      *fault = fmt::format("it writes into {}", what);
  }
  return results;
}

std::string difference(const OpCase& c, const OpResults& a, const OpResults& b) {
  for (size_t o = 0; o < a.size(); ++o)
    for (size_t i = 0; i < a[o].size(); ++i)
      if (a[o][i] != b[o][i])
        return fmt::format("element {} of output {}", i / size_of(c.node->outputs[o].dtype), o);
  return {};
}

std::vector<Tensor> run_op_kernel(const OpDef& op, const Attributes& attributes,
                                  const std::vector<Tensor>& inputs) {
  std::vector<TensorType> types;
  for (const Tensor& input : inputs) types.push_back(input.type());
  std::vector<Tensor> outputs;
  std::vector<TensorView> in, out;
  for (const Tensor& input : inputs) in.push_back(input.view());
  for (const TensorType& type : op.infer(InferContext(types, attributes))) {
    outputs.emplace_back(type.dtype, evaluate(type.shape, {}));
    out.push_back(outputs.back().view());
  }
  if (op.traits.alias) {
    std::memcpy(out[0].data, in[0].data, out[0].bytes());
    return outputs;
  }
  const Kernel kernel = op.kernel.get(out[0].dtype);
  if (!kernel) throw UserError(fmt::format("it has no kernel for {}", text(outputs[0].type())));
  const auto serial = make_serial_executor();
  KernelContext context{op, in, out, attributes, *serial};
  const std::shared_ptr<const void> prepared = op.prepare ? op.prepare(context) : nullptr;
  context.prepared = prepared.get();
  const OwnScratch scratch(op.workspace ? op.workspace(context) : Workspace{}, 1);
  context.scratch = scratch;
  kernel(context);
  return outputs;
}

std::string first_fault(const std::vector<OpCase>& cases,
                        const std::function<std::string(const OpCase&)>& check) {
  for (const OpCase& c : cases) {
    std::string fault;
    try {
      fault = check(c);
    } catch (const Error& error) {
      fault = error.what();
    }
    if (!fault.empty()) return fmt::format("{}: {}", c.name, fault);
  }
  return {};
}

}  // namespace lariat
