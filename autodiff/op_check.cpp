#include "autodiff/op_check.hpp"

#include <fmt/format.h>
#include <sys/mman.h>
#include <unistd.h>

#include <clocale>
#include <csignal>
#include <cstring>
#include <optional>
#include <thread>

#include "autodiff/gradcheck.hpp"
#include "autodiff/gradient.hpp"
#include "graph/error.hpp"
#include "graph/exec/executor.hpp"
#include "graph/exec/program.hpp"
#include "ops/ops.hpp"

namespace lariat {

namespace {

constexpr size_t guard_bytes = 256, untouchable_bytes = size_t{1} << 20;
constexpr auto canary = std::byte{0xa5};

// Memory with a megabyte on both sides that cannot be touched, and bytes whose change is seen around what is
// asked for. It is never given back: once retired, touching it ends the process.
class GuardedBuffer {
 public:
  explicit GuardedBuffer(size_t bytes) : bytes_(bytes) {
    const auto page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
    inner_ = (bytes + 2 * guard_bytes + page - 1) / page * page;
    void* mapped =
        mmap(nullptr, inner_ + 2 * untouchable_bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (mapped == MAP_FAILED) throw UserError("there is not enough memory to check this op");
    start_ = static_cast<std::byte*>(mapped) + untouchable_bytes;
    mprotect(start_, inner_, PROT_READ | PROT_WRITE);
    std::memset(start_, static_cast<int>(canary), inner_);
  }
  GuardedBuffer(GuardedBuffer&& other) noexcept
      : bytes_(other.bytes_), inner_(other.inner_), start_(std::exchange(other.start_, nullptr)) {}
  GuardedBuffer& operator=(GuardedBuffer&&) = delete;
  ~GuardedBuffer() {
    if (start_) mprotect(start_, inner_, PROT_NONE);
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
  size_t bytes_, inner_ = 0;
  std::byte* start_ = nullptr;
};

struct Reversed final : ParallelFor {
  void run(int64_t count, int64_t grain, const std::function<void(int64_t, int64_t)>& body) const override {
    for (int64_t chunk = (count + grain - 1) / grain; chunk-- > 0;)
      body(chunk * grain, std::min((chunk + 1) * grain, count));
  }
};

// One node with data for its inputs.
struct Case {
  const Node* node;
  std::vector<Tensor> inputs;
  std::string name;
};

using Results = std::vector<std::vector<std::byte>>;

// Runs the node's kernel in guarded memory that is `filled` before. What was written outside is named in
// `fault`.
Results run_guarded(const Case& c, std::byte filled, const ParallelFor& parallel,
                    std::string* fault = nullptr) {
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
  Results results;
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
    if (i < inputs.size() && fault->empty() &&
        std::memcmp(buffers[i].data(), c.inputs[i].view().data, buffers[i].size()) != 0)
      *fault = fmt::format("it writes into {}", what);
  }
  return results;
}

// The element of the first output that differs, or "".
std::string difference(const Case& c, const Results& a, const Results& b) {
  for (size_t o = 0; o < a.size(); ++o)
    for (size_t i = 0; i < a[o].size(); ++i)
      if (a[o][i] != b[o][i])
        return fmt::format("element {} of output {}", i / size_of(c.node->outputs[o].dtype), o);
  return {};
}

// The nodes of the op in its samples, and of the ops that its gradient needs beside it, each with its data.
class Cases {
 public:
  explicit Cases(const OpDef& op) {
    for (const Sample& sample : op.samples)
      for (const DType dtype : {f32, f64}) {
        std::vector<Tensor> data;
        for (size_t i = 0; i < sample.inputs.size(); ++i)
          data.push_back(sample_tensor(sample.inputs[i], dtype, 0, i));
        if (dtype == f64 &&
            std::all_of(data.begin(), data.end(), [](const Tensor& t) { return t.dtype() == i32; }))
          continue;
        add(op, sample, data, fmt::format("sample '{}' in {}", sample.name, name_of(dtype)));
      }
  }
  const std::vector<Case>& of_op() const { return of_op_; }
  const std::vector<Case>& of_gradient() const { return of_gradient_; }

 private:
  void add(const OpDef& op, const Sample& sample, const std::vector<Tensor>& data, const std::string& name) {
    graphs_.push_back(std::make_unique<Graph>());
    Graph& graph = *graphs_.back();
    std::vector<Value> inputs, floats;
    Feeds feeds;
    for (size_t i = 0; i < data.size(); ++i) {
      inputs.push_back(graph.input(fmt::format("x{}", i), to_shape(data[i].extents()), data[i].dtype()));
      feeds.emplace(inputs.back().name(), data[i]);
      if (is_float(data[i].dtype())) floats.push_back(inputs.back());
    }
    const Value first = graph.add(op, inputs, sample.attributes, {}, {});
    const int32_t end = graph.size();
    nodes_.push_back(std::make_unique<Node>(graph.node(first.node())));
    if (!op.kernel.get(nodes_.back()->outputs[0].dtype)) return;
    of_op_.push_back({nodes_.back().get(), data, name});
    if (!op.vjp || op.traits.stops_gradient || floats.empty() || !is_float(first.dtype())) return;
    try {
      gradient(sum(first), floats);
    } catch (const UserError&) {
      return;  // gradcheck will say why
    }
    // Only a plugin brings ops for its gradient alone; others have samples of their own.
    for (int32_t id = end; id < graph.size(); ++id) {
      const Node& node = graph.node(id);
      if (node.op->plugin != op.plugin || !op.plugin || node.op == &op) continue;
      for (size_t i = 0; i < node.inputs.size(); ++i)
        graph.output(fmt::format("{}.{}", id, i), graph.value(node.inputs[i]));
      nodes_.push_back(std::make_unique<Node>(node));
      Program program(graph);
      Store store;
      const std::vector<Tensor> values = program.run(feeds, store, *make_serial_executor());
      of_gradient_.push_back({nodes_.back().get(),
                              {values.end() - static_cast<int64_t>(node.inputs.size()), values.end()},
                              name + ", gradient"});
      return;
    }
  }

  std::vector<std::unique_ptr<Graph>> graphs_;
  std::vector<std::unique_ptr<Node>> nodes_;
  std::vector<Case> of_op_, of_gradient_;
};

// A fault of the first case that has one.
template <class Check>
std::string first_fault(const std::vector<Case>& cases, const Check& check) {
  for (const Case& c : cases) {
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

const auto nan_bytes = std::byte{0xff}, other_bytes = std::byte{0x7b};

std::string check_shapes(const Case& c) {
  const OpDef& op = *c.node->op;
  std::vector<TensorType> known, symbolic;
  const int64_t batch = c.inputs.empty() || c.inputs[0].extents().empty() ? 0 : c.inputs[0].extents()[0];
  for (const Tensor& input : c.inputs) {
    known.push_back(input.type());
    symbolic.push_back(input.type());
    if (batch > 1 && !input.extents().empty() && input.extents()[0] == batch)
      symbolic.back().shape[0] = dim::batch;
  }
  const InferContext context(known, c.node->attributes);
  const std::vector<TensorType> first = op.infer(context);
  if (first != op.infer(context)) return "inference gives another type when it is asked again";
  std::vector<TensorType> by_symbol;
  try {
    by_symbol = op.infer(InferContext(symbolic, c.node->attributes));
  } catch (const UserError&) {
    return {};  // it needs the size
  }
  for (size_t o = 0; o < first.size(); ++o) {
    const TensorType sized{by_symbol[o].dtype, to_shape(evaluate(by_symbol[o].shape, {{"batch", batch}}))};
    if (sized != first[o])
      return fmt::format(
          "inference gives {} for a batch of any size, which is {} for {}, but {} for that size",
          text(by_symbol[o]), text(sized), batch, text(first[o]));
  }
  return {};
}

std::string check_values(const Case& c) {
  const auto serial = make_serial_executor();
  std::string fault;
  const Results first = run_guarded(c, nan_bytes, *serial, &fault);
  if (!fault.empty()) return fault;
  // The memory of the first run is out of reach now.
  const Results again = run_guarded(c, nan_bytes, *serial, &fault);
  if (difference(c, first, again).empty())
    if (const std::string where = difference(c, first, run_guarded(c, other_bytes, *serial)); !where.empty())
      return fmt::format("{} is what its memory held before: not written, or read", where);
  return fault;
}

std::string check_repeats(const Case& c) {
  const auto serial = make_serial_executor(), threads = make_tbb_executor(4);
  const Results first = run_guarded(c, nan_bytes, *serial);
  const auto compare = [&](const ParallelFor& parallel, const char* how) -> std::string {
    const std::string where = difference(c, first, run_guarded(c, nan_bytes, parallel));
    return where.empty() ? "" : fmt::format("{} has other bits {}", where, how);
  };
  for (int i = 0; i < 3; ++i)
    if (const std::string fault = compare(*serial, "when it is run again"); !fault.empty()) return fault;
  if (const std::string fault = compare(Reversed(), "when chunks run in another order"); !fault.empty())
    return fault;
  return compare(*threads, "on several threads");
}

// Every thread meets the cases in another order, so that calls at one time have different data.
std::string check_concurrent(const std::vector<Case>& cases) {
  constexpr size_t rounds = 20;
  const auto serial = make_serial_executor();
  std::vector<Results> expected;
  for (const Case& c : cases) expected.push_back(run_guarded(c, nan_bytes, *serial));
  std::vector<std::string> faults(4);
  {
    std::vector<std::jthread> threads;
    for (size_t t = 0; t < faults.size(); ++t)
      threads.emplace_back([&, t] {
        for (size_t i = 0; i < rounds * cases.size() && faults[t].empty(); ++i) {
          const size_t chosen = (i + t) % cases.size();
          const Case& c = cases[chosen];
          try {
            const std::string where = difference(c, expected[chosen], run_guarded(c, nan_bytes, *serial));
            if (!where.empty())
              faults[t] = fmt::format("{}: {} has other bits when four calls run at a time", c.name, where);
          } catch (const Error& error) {
            faults[t] = fmt::format("{}: {}", c.name, error.what());
          }
        }
      });
  }
  const auto fault =
      std::find_if(faults.begin(), faults.end(), [](const auto& text) { return !text.empty(); });
  return fault == faults.end() ? std::string() : *fault;
}

std::string text_of_locale() { return std::setlocale(LC_ALL, nullptr); }

struct ProcessState {
  std::string locale = text_of_locale();
  std::array<void (*)(int), NSIG> handlers = {};
  ProcessState() {
    for (int signal = 1; signal < NSIG; ++signal) {
      struct sigaction action = {};
      if (sigaction(signal, nullptr, &action) == 0) handlers[static_cast<size_t>(signal)] = action.sa_handler;
    }
  }
  std::string difference(const ProcessState& later) const {
    if (later.locale != locale)
      return fmt::format("it changed the locale from {} to {}", locale, later.locale);
    for (size_t signal = 1; signal < NSIG; ++signal)
      if (handlers[signal] != later.handlers[signal])
        return fmt::format("it changed the handler of signal {}", signal);
    return {};
  }
};

std::string check_rejects(const OpDef& op) {
  for (const Reject& reject : op.rejects) {
    Graph graph;
    std::vector<Value> inputs;
    for (size_t i = 0; i < reject.inputs.size(); ++i)
      inputs.push_back(graph.input(fmt::format("x{}", i), reject.inputs[i].shape, reject.inputs[i].dtype));
    try {
      graph.add(op, inputs, reject.attributes, {}, {});
    } catch (const UserError& error) {
      if (std::string(error.what()).ends_with(": " + reject.message)) continue;
      return fmt::format("'{}' was expected, but it says: {}", reject.message, error.what());
    }
    return fmt::format("'{}' was expected, but nothing is refused", reject.message);
  }
  return {};
}

}  // namespace

std::vector<OpFinding> check_op(const OpDef& op, const std::function<void(const std::string&)>& begins,
                                const std::function<void(const OpFinding&)>& ends) {
  std::vector<OpFinding> findings;
  const ProcessState before;
  const auto check = [&](const std::string& name, const auto& run) {
    if (begins) begins(name);
    std::string fault;
    try {
      fault = run();
    } catch (const Error& error) {
      fault = error.what();
    }
    findings.push_back({name, fault});
    if (ends) ends(findings.back());
  };
  std::optional<Cases> cases;
  check("shapes", [&] {
    cases.emplace(op);
    return first_fault(cases->of_op(), check_shapes);
  });
  if (!cases) return findings;
  const auto of_both = [&](const auto& run) {
    const std::string fault = first_fault(cases->of_op(), run);
    return fault.empty() ? first_fault(cases->of_gradient(), run) : fault;
  };
  check("values", [&] { return of_both(check_values); });
  check("repeats", [&] { return of_both(check_repeats); });
  check("concurrent", [&] {
    const std::string fault = check_concurrent(cases->of_op());
    return fault.empty() ? check_concurrent(cases->of_gradient()) : fault;
  });
  check("gradcheck", [&] {
    const GradcheckResult result = gradcheck(op);
    return result.passed ? std::string()
           : result.detail.empty()
               ? fmt::format("only {} of {} comparisons ran", result.checks, result.expected_checks)
               : result.detail;
  });
  check("rejects", [&] { return check_rejects(op); });
  check("process", [&] { return before.difference(ProcessState()); });
  return findings;
}

}  // namespace lariat
