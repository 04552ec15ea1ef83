#include "ops/elementwise.hpp"

#include <algorithm>
#include <cstring>

#include "graph/error.hpp"

namespace lariat {

namespace {

// The registers of a long program fit into the first-level cache.
constexpr int64_t block_bytes = 3072;
constexpr int64_t grain = 32768;
constexpr size_t max_runs = 32;

std::shared_ptr<const void> prepare(const KernelContext& k) {
  ElementwiseProgram::Instruction only{k.op.block.get(k.outputs[0].dtype), &k.attributes, {}};
  for (size_t i = 0; i < k.inputs.size(); ++i) only.arguments.push_back(static_cast<int>(i));
  return std::make_shared<ElementwiseProgram>(k.outputs[0].extents, k.outputs[0].dtype, k.inputs,
                                              std::vector{only},
                                              std::vector{static_cast<int>(k.inputs.size())});
}

void run(const KernelContext& k) { static_cast<const ElementwiseProgram*>(k.prepared)->run(k); }

// What the shared inference refuses, for the tests of every op that has it.
std::vector<Reject> common_rejects(size_t inputs, bool takes_integers) {
  std::vector<Reject> rejects;
  if (inputs > 1) {
    Reject shapes{
        std::vector<TensorType>(inputs, {f32, {}}),
        {},
        "shapes [2, 3] and [4] do not broadcast; dimensions must be equal or 1, counted from the last"};
    shapes.inputs.front().shape = {2, 3};
    shapes.inputs.back().shape = {4};
    Reject dtypes{std::vector<TensorType>(inputs, {f32, {2}}),
                  {},
                  "takes inputs of one dtype; got f32[2] and f64[2]. Use cast to convert one"};
    dtypes.inputs.back().dtype = f64;
    rejects = {shapes, dtypes};
  }
  const Reject integers{std::vector<TensorType>(inputs, {i32, {2}}),
                        {},
                        "takes f32 or f64; got i32[2]. Use cast to convert it"};
  if (!takes_integers) rejects.push_back(integers);
  return rejects;
}

}  // namespace

std::vector<TensorType> infer_elementwise(const InferContext& c) {
  TensorType result = c.in(0);
  for (size_t i = 1; i < c.size(); ++i) {
    if (c.in(i).dtype != result.dtype)
      c.fail("takes inputs of one dtype; got " + text(result) + " and " + text(c.in(i)) +
             ". Use cast to convert one");
    const auto shape = broadcast(result.shape, c.shape(i));
    if (!shape)
      c.fail("shapes " + text(result.shape) + " and " + text(c.shape(i)) +
             " do not broadcast; dimensions must be equal or 1, counted from the last");
    result.shape = *shape;
  }
  return {result};
}

std::vector<TensorType> infer_elementwise_float(const InferContext& c) {
  if (!is_float(c.in(0).dtype)) c.fail("takes f32 or f64; got " + text(c.in(0)) + ". Use cast to convert it");
  return infer_elementwise(c);
}

OpDef elementwise_op(std::string name, std::string doc, std::vector<InputSpec> inputs,
                     PerDType<BlockKernel> block) {
  OpDef def{.name = std::move(name), .doc = std::move(doc), .inputs = std::move(inputs)};
  def.traits.elementwise = true;
  def.infer = block.int32 ? infer_elementwise : infer_elementwise_float;
  def.block = block;
  def.kernel = {block.float32 ? run : nullptr, block.float64 ? run : nullptr, block.int32 ? run : nullptr};
  def.prepare = prepare;
  def.rejects = common_rejects(def.inputs.size(), block.int32 != nullptr);
  return def;
}

ElementwiseProgram::ElementwiseProgram(Extents space, DType dtype, std::span<const TensorView> inputs,
                                       std::vector<Instruction> program, std::vector<int> results)
    : count_(element_count(space)),
      element_size_(size_of(dtype)),
      block_(block_bytes / static_cast<int64_t>(size_of(dtype))),
      program_(std::move(program)),
      results_(std::move(results)) {
  for (const TensorView& view : inputs) {
    Input input;
    if (view.extents == space) {
      input.layout = Input::Layout::dense;
    } else if (view.count() == 1) {
      input.layout = Input::Layout::scalar;
    } else {
      input.layout = Input::Layout::broadcast;
      // Strides over the output's dimensions, innermost first, with neighbours merged where one run covers
      // both.
      int64_t stride = 1;
      for (size_t i = 0; i < space.size(); ++i) {
        const int64_t extent = space[space.size() - 1 - i];
        const int64_t own = i < view.extents.size() ? view.extents[view.extents.size() - 1 - i] : 1;
        const int64_t step = own == 1 ? 0 : stride;
        if (extent != 1) {
          Run* last = input.runs.empty() ? nullptr : &input.runs.back();
          if (last && step == last->stride * last->extent) {
            last->extent *= extent;
          } else {
            input.runs.push_back({extent, step});
          }
        }
        stride *= own;
      }
      require(input.runs.size() <= max_runs, "a shape has too many dimensions to broadcast");
    }
    inputs_.push_back(std::move(input));
  }

  const int input_count = static_cast<int>(inputs_.size());
  const int registers = input_count + static_cast<int>(program_.size());
  std::vector<int> last_use(registers, -1);
  for (size_t i = 0; i < program_.size(); ++i)
    for (int argument : program_[i].arguments) last_use[argument] = static_cast<int>(i);
  last_read_.assign(last_use.begin(), last_use.begin() + input_count);

  output_of_.assign(program_.size(), -1);
  for (size_t o = 0; o < results_.size(); ++o) {
    require(results_[o] >= input_count, "an element-wise program passes an input through");
    require(output_of_[results_[o] - input_count] == -1, "an element-wise program gives one result twice");
    output_of_[results_[o] - input_count] = static_cast<int>(o);
  }

  // Scratch slots, reused once the register in them has been read for the last time. A result that goes to an
  // output keeps a slot of its own: it is needed where the output overwrites an input that is read later.
  slot_.assign(registers, -1);
  std::vector<int> free_slots;
  const auto take = [&] {
    if (free_slots.empty()) return slots_++;
    const int slot = free_slots.back();
    free_slots.pop_back();
    return slot;
  };
  for (int i = 0; i < input_count; ++i)
    if (inputs_[i].layout == Input::Layout::broadcast) slot_[i] = take();
  for (int r = input_count; r < registers; ++r) {
    slot_[r] = take();
    for (int argument : program_[r - input_count].arguments)
      if (argument >= input_count && last_use[argument] == r - input_count &&
          output_of_[argument - input_count] < 0 &&
          std::find(free_slots.begin(), free_slots.end(), slot_[argument]) == free_slots.end())
        free_slots.push_back(slot_[argument]);
  }
}

const std::byte* ElementwiseProgram::fetch(const Input& input, const std::byte* data, std::byte* scratch,
                                           int64_t begin, int64_t count) const {
  const size_t size = element_size_;
  int64_t index[max_runs], offset = 0, rest = begin;
  const size_t depth = input.runs.size();
  for (size_t d = 0; d < depth; ++d) {
    index[d] = rest % input.runs[d].extent;
    rest /= input.runs[d].extent;
    offset += index[d] * input.runs[d].stride;
  }
  const Run& inner = input.runs[0];
  if (inner.stride == 1 && index[0] + count <= inner.extent) return data + offset * size;
  for (int64_t done = 0; done < count;) {
    const int64_t length = std::min(count - done, inner.extent - index[0]);
    std::byte* to = scratch + done * size;
    const std::byte* from = data + offset * size;
    if (inner.stride == 1) {
      std::memcpy(to, from, length * size);
    } else if (size == 4) {
      std::fill_n(reinterpret_cast<uint32_t*>(to), length, *reinterpret_cast<const uint32_t*>(from));
    } else {
      std::fill_n(reinterpret_cast<uint64_t*>(to), length, *reinterpret_cast<const uint64_t*>(from));
    }
    done += length;
    offset -= index[0] * inner.stride;
    index[0] = 0;
    for (size_t d = 1; d < depth; ++d) {
      offset += input.runs[d].stride;
      if (++index[d] < input.runs[d].extent) break;
      offset -= input.runs[d].extent * input.runs[d].stride;
      index[d] = 0;
    }
  }
  return scratch;
}

void ElementwiseProgram::run(const KernelContext& k) const {
  if (count_ <= grain) {
    run_range(k, 0, count_);
  } else {
    k.parallel.run(count_, grain, [&](int64_t begin, int64_t end) { run_range(k, begin, end); });
  }
}

void ElementwiseProgram::run_range(const KernelContext& k, int64_t begin, int64_t end) const {
  // Kept between calls, so that a step allocates nothing; nothing inside this function starts other tasks.
  thread_local std::vector<std::byte> scratch_memory;
  thread_local std::vector<const void*> registers, arguments;
  thread_local std::vector<int64_t> strides, argument_strides;
  const size_t slot_bytes = block_bytes;
  scratch_memory.resize(std::max(scratch_memory.size(), slots_ * slot_bytes + 64));
  std::byte* scratch = scratch_memory.data();
  scratch += 64 - reinterpret_cast<uintptr_t>(scratch) % 64;
  const size_t inputs = inputs_.size();
  registers.resize(std::max(registers.size(), inputs + program_.size()));
  strides.assign(registers.size(), 1);

  // An output that overwrites an input still to be read within the block waits in its slot.
  const auto waits = [&](size_t instruction, int output) {
    for (size_t i = 0; i < inputs; ++i)
      if (k.inputs[i].data == k.outputs[output].data && last_read_[i] > static_cast<int>(instruction))
        return true;
    return false;
  };

  for (size_t i = 0; i < inputs; ++i) {
    if (inputs_[i].layout != Input::Layout::scalar) continue;
    registers[i] = k.inputs[i].data;
    strides[i] = 0;
  }
  for (int64_t at = begin; at < end; at += block_) {
    const int64_t length = std::min(block_, end - at);
    for (size_t i = 0; i < inputs; ++i) {
      const auto* data = static_cast<const std::byte*>(k.inputs[i].data);
      if (inputs_[i].layout == Input::Layout::dense) registers[i] = data + at * element_size_;
      if (inputs_[i].layout == Input::Layout::broadcast)
        registers[i] = fetch(inputs_[i], data, scratch + slot_[i] * slot_bytes, at, length);
    }
    for (size_t p = 0; p < program_.size(); ++p) {
      const Instruction& instruction = program_[p];
      arguments.clear();
      argument_strides.clear();
      for (int argument : instruction.arguments) {
        arguments.push_back(registers[argument]);
        argument_strides.push_back(strides[argument]);
      }
      const int output = output_of_[p];
      std::byte* result = output >= 0 && !waits(p, output)
                              ? static_cast<std::byte*>(k.outputs[output].data) + at * element_size_
                              : scratch + slot_[inputs + p] * slot_bytes;
      instruction.block(arguments.data(), argument_strides.data(), result, length, *instruction.attributes);
      registers[inputs + p] = result;
    }
    for (size_t p = 0; p < program_.size(); ++p)
      if (const int output = output_of_[p]; output >= 0 && waits(p, output))
        std::memcpy(static_cast<std::byte*>(k.outputs[output].data) + at * element_size_,
                    registers[inputs + p], length * element_size_);
  }
}

}  // namespace lariat
