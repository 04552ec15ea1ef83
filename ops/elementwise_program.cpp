#include "ops/elementwise_program.hpp"

#include <algorithm>
#include <cstring>

#include "graph/error.hpp"
#include "ops/plugin/guard.hpp"

namespace lariat {

namespace {

// The registers of a long program fit into the first-level cache.
constexpr int64_t block_bytes = 3072;
constexpr int64_t grain = 32768;
constexpr size_t max_runs = 32;
constexpr int64_t cache_line = 64;

}  // namespace

ElementwiseProgram::ElementwiseProgram(Extents space, DType dtype, std::span<const TensorView> inputs,
                                       std::vector<Instruction> program, std::vector<int> results)
    : count_(element_count(space)),
      dtype_(dtype),
      element_size_(size_of(dtype)),
      block_(block_bytes / static_cast<int64_t>(size_of(dtype))),
      program_(std::move(program)) {
  for (const TensorView& view : inputs) {
    Input input;
    if (view.extents == space) {
      input.layout = Input::Layout::dense;
    } else if (view.count() == 1) {
      input.layout = Input::Layout::scalar;
    } else {
      input.layout = Input::Layout::broadcast;
      // Strides over the space's dimensions, innermost first, with neighbours merged where one run covers
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
  last_use_.assign(inputs_.size() + program_.size(), -1);
  for (size_t i = 0; i < program_.size(); ++i) {
    sum_of_.push_back(program_[i].block ? -1 : sums_++);
    const OpDef* op = program_[i].attributes ? program_[i].attributes->op() : nullptr;
    if (op && op->plugin && !from_plugin_) from_plugin_ = op;
    for (int argument : program_[i].arguments) last_use_[argument] = static_cast<int>(i);
  }
  output_of_.assign(program_.size(), -1);
  for (size_t o = 0; o < results.size(); ++o) {
    require(results[o] >= input_count, "an element-wise program passes an input through");
    require(output_of_[results[o] - input_count] == -1, "an element-wise program gives one result twice");
    output_of_[results[o] - input_count] = static_cast<int>(o);
  }
  const auto parts = static_cast<int64_t>(program_.size());
  for (int64_t p = 0; p <= parts; ++p) lines_.push_back(block_bytes / cache_line * p / parts);
  assign_slots();
}

// Slots are reused once the register in them has been read for the last time. A result that goes to an output
// keeps a slot of its own: it is needed where the output overwrites an input that is read later.
void ElementwiseProgram::assign_slots() {
  const int input_count = static_cast<int>(inputs_.size());
  const int registers = input_count + static_cast<int>(program_.size());
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
    if (program_[r - input_count].block) slot_[r] = take();
    for (int argument : program_[r - input_count].arguments)
      if (argument >= input_count && last_use_[argument] == r - input_count &&
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

size_t ElementwiseProgram::workspace_bytes(const Extents& space, size_t sums) {
  return static_cast<size_t>((element_count(space) + grain - 1) / grain) * sums * sizeof(double);
}

void ElementwiseProgram::run(const KernelContext& k) const {
  if (count_ > 0 && count_ <= grain) {
    run_range(k, 0, count_);
  } else {
    k.parallel.run(count_, grain, [&](int64_t begin, int64_t end) { run_range(k, begin, end); });
  }
  if (sums_ > 0) finish_sums(k);
}

// Total of a sum: those of the chunks, in order, whoever computed them.
void ElementwiseProgram::finish_sums(const KernelContext& k) const {
  const auto* partials = reinterpret_cast<const double*>(k.workspace);
  const int64_t chunks = (count_ + grain - 1) / grain;
  for (size_t p = 0; p < program_.size(); ++p) {
    if (sum_of_[p] < 0) continue;
    double total = 0;
    for (int64_t chunk = 0; chunk < chunks; ++chunk) total += partials[chunk * sums_ + sum_of_[p]];
    const double result = program_[p].summation->finish(total, static_cast<double>(count_));
    const TensorView& output = k.outputs[output_of_[p]];
    if (dtype_ == f32) {
      *output.as<float>() = static_cast<float>(result);
    } else {
      *output.as<double>() = result;
    }
  }
}

// A plugin that leaves another rounding mode behind would do so for everyone.
void ElementwiseProgram::run_range(const KernelContext& k, int64_t begin, int64_t end) const {
  if (!from_plugin_) return run_blocks(k, begin, end);
  const plugin::Failure failure = plugin::attempt_with_modes([&] { run_blocks(k, begin, end); });
  if (failure) plugin::refuse(failure, plugin::elementwise_function, *from_plugin_->plugin);
}

void ElementwiseProgram::run_blocks(const KernelContext& k, int64_t begin, int64_t end) const {
  // Kept between calls, so that a step allocates nothing; nothing inside this function starts other tasks.
  thread_local std::vector<std::byte> scratch_memory;
  thread_local std::vector<const void*> registers, arguments;
  thread_local std::vector<int64_t> strides, argument_strides;
  thread_local std::vector<char> waits;
  thread_local std::vector<const std::byte*> coming;
  const size_t inputs = inputs_.size();
  scratch_memory.resize(std::max<size_t>(scratch_memory.size(), slots_ * block_bytes + cache_line));
  std::byte* scratch = scratch_memory.data();
  scratch += cache_line - reinterpret_cast<uintptr_t>(scratch) % cache_line;
  registers.resize(std::max(registers.size(), inputs + program_.size()));
  arguments.resize(registers.size());
  argument_strides.resize(registers.size());
  strides.assign(registers.size(), 1);
  for (size_t i = 0; i < inputs; ++i) {
    registers[i] = k.inputs[i].data;
    if (inputs_[i].layout == Input::Layout::scalar) strides[i] = 0;
  }
  // An output that overwrites an input still to be read within the block waits in its slot.
  waits.assign(program_.size(), false);
  for (size_t p = 0; p < program_.size(); ++p)
    for (size_t i = 0; i < inputs && output_of_[p] >= 0 && program_[p].block; ++i)
      waits[p] |= k.inputs[i].data == k.outputs[output_of_[p]].data && last_use_[i] > static_cast<int>(p);
  double* partials = reinterpret_cast<double*>(k.workspace) + begin / grain * sums_;
  std::fill_n(partials, sums_, 0.0);

  for (int64_t at = begin; at < end; at += block_) {
    const int64_t length = std::min(block_, end - at);
    const int64_t offset = at * static_cast<int64_t>(element_size_);
    coming.clear();
    for (size_t i = 0; i < inputs; ++i) {
      const auto* data = static_cast<const std::byte*>(k.inputs[i].data);
      if (inputs_[i].layout == Input::Layout::dense) {
        registers[i] = data + offset;
        coming.push_back(data + offset + block_bytes);
      } else if (inputs_[i].layout == Input::Layout::broadcast) {
        registers[i] = fetch(inputs_[i], data, scratch + slot_[i] * block_bytes, at, length);
      }
    }
    for (size_t p = 0; p < program_.size(); ++p) {
      const Instruction& instruction = program_[p];
      // The next block comes while this one is computed: some lines with each instruction, for only so many
      // can be on their way.
      for (const std::byte* next : coming)
        for (int64_t line = lines_[p]; line < lines_[p + 1]; ++line)
          __builtin_prefetch(next + line * cache_line, 0, 2);
      if (!instruction.block) {
        partials[sum_of_[p]] +=
            instruction.summation->block.get(dtype_)(registers[instruction.arguments[0]], length);
        continue;
      }
      for (size_t i = 0; i < instruction.arguments.size(); ++i) {
        arguments[i] = registers[instruction.arguments[i]];
        argument_strides[i] = strides[instruction.arguments[i]];
      }
      const int output = output_of_[p];
      std::byte* result = output >= 0 && !waits[p] ? static_cast<std::byte*>(k.outputs[output].data) + offset
                                                   : scratch + slot_[inputs + p] * block_bytes;
      instruction.block(arguments.data(), argument_strides.data(), result, length, *instruction.attributes);
      registers[inputs + p] = result;
    }
    for (size_t p = 0; p < program_.size(); ++p)
      if (waits[p])
        std::memcpy(static_cast<std::byte*>(k.outputs[output_of_[p]].data) + offset, registers[inputs + p],
                    length * element_size_);
  }
}

}  // namespace lariat
