// Kernels of records that call a plugin's.
#include <array>

#include "graph/base/error.hpp"
#include "ops/plugin/guard.hpp"

namespace lariat::plugin {

namespace {

struct CTensor {
  lariat_tensor tensor;
  std::array<int64_t, LARIAT_MAX_RANK> strides;
};

void describe(const TensorView& view, CTensor& result) {
  if (view.extents.size() > LARIAT_MAX_RANK)
    throw UserError("has a tensor of more dimensions than ops of plugins take");
  int64_t count = 1;
  for (size_t d = view.extents.size(); d-- > 0;) {
    result.strides[d] = count;
    count *= view.extents[d];
  }
  result.tensor = {sizeof(lariat_tensor),
                   view.data,
                   static_cast<lariat_dtype>(view.dtype),
                   static_cast<int32_t>(view.extents.size()),
                   count,
                   view.extents.data(),
                   result.strides.data()};
}

// Views as C sees them. Calls are many and tensors few: no memory is asked for where there are up to eight.
class Tensors {
 public:
  explicit Tensors(std::span<const TensorView> views) : Tensors(views.size()) {
    for (const TensorView& view : views) add(&view);
  }
  explicit Tensors(size_t capacity) {
    if (capacity <= few) return;
    more_.resize(capacity);
    more_pointers_.resize(capacity);
    tensors_ = more_.data();
    pointers_ = more_pointers_.data();
  }
  Tensors(const Tensors&) = delete;
  Tensors& operator=(const Tensors&) = delete;

  /// nullptr: no tensor at this place. The extents must outlive the call.
  void add(const TensorView* view) {
    pointers_[count_] = view == nullptr ? nullptr : &tensors_[count_].tensor;
    if (view != nullptr) describe(*view, tensors_[count_]);
    ++count_;
  }
  const lariat_tensor* const* data() const { return pointers_; }
  int32_t size() const { return count_; }

 private:
  static constexpr size_t few = 8;
  CTensor own_[few];
  const lariat_tensor* own_pointers_[few];
  std::vector<CTensor> more_;
  std::vector<const lariat_tensor*> more_pointers_;
  CTensor* tensors_ = own_;
  const lariat_tensor** pointers_ = own_pointers_;
  int32_t count_ = 0;
};

// A call of a kernel, whose parallel_for may have failed whatever it returns.
template <class Function>
void call_kernel(const KernelContext& k, const char* what, const lariat_run& run, const Function& function) {
  const PluginOp& op = *k.op.plugin;
  std::unique_lock lock(op.mutex, std::defer_lock);
  if (!op.is_thread_safe()) lock.lock();
  take_message();
  const Failure failure = attempt(function);
  if (run.failure) {
    host().fail(run.message.c_str());
    refuse(run.failure, "body of a parallel_for", op);
  }
  if (failure) refuse(failure, what, op);
}

// Called for every few kilobytes.
template <DType dtype>
void block(const void* const* inputs, const int64_t* strides, void* output, int64_t count,
           const Attributes& attributes) {
  const PluginOp& op = *attributes.op()->plugin;
  std::unique_lock lock(op.mutex, std::defer_lock);
  if (!op.is_thread_safe()) [[unlikely]]
    lock.lock();
  const Failure failure = attempt([&] {
    return op.functions.elementwise[static_cast<size_t>(dtype)](op.functions.user, inputs, strides, output,
                                                                count, to_c(attributes));
  });
  if (failure) [[unlikely]]
    refuse(failure, elementwise_function, op);
}

lariat_kernel kernel_call(const PluginOp& op, const Tensors& inputs, const Tensors& outputs,
                          const Attributes& attributes) {
  return {sizeof(lariat_kernel), op.functions.user, to_c(attributes), inputs.data(), outputs.data(),
          inputs.size(),         outputs.size(),    nullptr,          nullptr};
}

// What `backward` sees, from the inputs and outputs of the gradient's node: the op's inputs and outputs that
// it reads, then the adjoints of results.
class BackwardCall {
 public:
  BackwardCall(const PluginOp& op, std::span<const TensorView> given, std::span<const TensorView> made,
               const Attributes& attributes)
      : inputs_(static_cast<size_t>(op.functions.input_count)),
        outputs_(static_cast<size_t>(op.functions.output_count)),
        adjoints_(outputs_capacity(op)),
        gradients_(static_cast<size_t>(op.functions.input_count)) {
    const lariat_op& f = op.functions;
    const auto& needed = attributes.get<std::vector<int64_t>>(needed_attribute);
    size_t next = 0, result = 0;
    for (int32_t i = 0; i < f.input_count; ++i)
      inputs_.add(f.gradient_inputs >> i & 1 ? &given[next++] : nullptr);
    for (int32_t o = 0; o < f.output_count; ++o)
      outputs_.add(f.gradient_outputs >> o & 1 ? &given[next++] : nullptr);
    for (int32_t o = 0; o < f.output_count; ++o)
      adjoints_.add(op.is_result(static_cast<size_t>(o)) ? &given[next++] : nullptr);
    for (int32_t i = 0; i < f.input_count; ++i)
      gradients_.add(std::find(needed.begin(), needed.end(), i) == needed.end() ? nullptr : &made[result++]);
    call = {sizeof(lariat_backward),
            f.user,
            to_c(attributes),
            inputs_.data(),
            outputs_.data(),
            adjoints_.data(),
            gradients_.data(),
            f.input_count,
            f.output_count,
            nullptr,
            nullptr};
  }
  lariat_backward call;

 private:
  static size_t outputs_capacity(const PluginOp& op) {
    return static_cast<size_t>(op.functions.output_count);
  }
  Tensors inputs_, outputs_, adjoints_, gradients_;
};

}  // namespace

PerDType<BlockKernel> blocks(const lariat_op& op) {
  return {op.elementwise[LARIAT_F32] ? block<f32> : nullptr,
          op.elementwise[LARIAT_F64] ? block<f64> : nullptr,
          op.elementwise[LARIAT_I32] ? block<i32> : nullptr};
}

void run_forward(const KernelContext& k) {
  const PluginOp& op = *k.op.plugin;
  const Tensors inputs(k.inputs), outputs(k.outputs);
  const lariat_run run{k.parallel, op};
  lariat_kernel call = kernel_call(op, inputs, outputs, k.attributes);
  call.scratch = k.scratch.shared;
  call.run = &run;
  call_kernel(k, "forward function", run, [&] { return op.functions.forward(&call); });
}

void run_backward(const KernelContext& k) {
  const PluginOp& op = *k.op.plugin;
  BackwardCall backward(op, k.inputs, k.outputs, k.attributes);
  const lariat_run run{k.parallel, op};
  backward.call.scratch = k.scratch.shared;
  backward.call.run = &run;
  call_kernel(k, "backward function", run, [&] { return op.functions.backward(&backward.call); });
}

void run_prox(const KernelContext& k) {
  const PluginOp& op = *k.op.plugin;
  const Tensors inputs(k.inputs), outputs(k.outputs);
  const lariat_run run{k.parallel, op};
  const lariat_prox call{sizeof(lariat_prox), op.functions.user, to_c(k.attributes), inputs.data()[0],
                         inputs.data()[1],    inputs.data()[2],  outputs.data()[0],  &run};
  call_kernel(k, "prox", run, [&] { return op.penalty->prox(&call); });
}

void run_residual(const KernelContext& k) {
  const PluginOp& op = *k.op.plugin;
  const Tensors inputs(k.inputs), outputs(k.outputs);
  const lariat_run run{k.parallel, op};
  const lariat_residual call{sizeof(lariat_residual), op.functions.user, to_c(k.attributes), inputs.data()[0],
                             inputs.data()[1],        inputs.data()[2],  outputs.data()[0],  &run};
  call_kernel(k, "residual", run, [&] { return op.penalty->residual(&call); });
}

Workspace scratch_of_forward(const KernelContext& k) {
  const PluginOp& op = *k.op.plugin;
  const Tensors in(k.inputs), out(k.outputs);
  const lariat_kernel call = kernel_call(op, in, out, k.attributes);
  uint64_t bytes = 0;
  plugin::call(op, "scratch_bytes", [&] { return op.functions.scratch_bytes(&call, &bytes); });
  return {bytes, 0};
}

Workspace scratch_of_backward(const KernelContext& k) {
  const PluginOp& op = *k.op.plugin;
  const BackwardCall backward(op, k.inputs, k.outputs, k.attributes);
  uint64_t bytes = 0;
  call(op, "backward_scratch_bytes",
       [&] { return op.functions.backward_scratch_bytes(&backward.call, &bytes); });
  return {bytes, 0};
}

}  // namespace lariat::plugin
