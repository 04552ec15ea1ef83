#include "ops/kernels/elementwise_program.hpp"

#include <algorithm>
#include <cstring>
#include <functional>

#include "graph/base/error.hpp"

namespace lariat {

namespace {

// The registers of a long program fit into the first-level cache.
constexpr int64_t block_bytes = 3072;
constexpr int64_t grain = 32768;
constexpr size_t max_runs = 32;
constexpr int64_t line_bytes = 64;

// What is this small was most likely written just before, and lies in a near cache.
constexpr int64_t near_bytes = 128 * 1024;

int64_t round_up(int64_t value, int64_t multiple) { return (value + multiple - 1) / multiple * multiple; }

}  // namespace

ElementwiseProgram::ElementwiseProgram(Extents space, DType dtype, std::span<const TensorView> inputs,
                                       std::vector<Instruction> program, std::vector<int> results)
    : count_(element_count(space)),
      dtype_(dtype),
      element_size_(size_of(dtype)),
      block_(block_bytes / static_cast<int64_t>(size_of(dtype))),
      program_(std::move(program)),
      slot_bytes_(
          std::min(block_bytes, round_up(count_ * static_cast<int64_t>(size_of(dtype)), line_bytes))) {
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
    for (int argument : program_[i].arguments) last_use_[argument] = static_cast<int>(i);
    most_arguments_ = std::max(most_arguments_, program_[i].arguments.size());
  }
  output_of_.assign(program_.size(), -1);
  for (size_t o = 0; o < results.size(); ++o) {
    require(results[o] >= input_count, "an element-wise program passes an input through");
    require(output_of_[results[o] - input_count] == -1, "an element-wise program gives one result twice");
    output_of_[results[o] - input_count] = static_cast<int>(o);
  }
  const auto parts = static_cast<int64_t>(program_.size());
  for (int64_t p = 0; p <= parts; ++p) lines_.push_back(block_bytes / line_bytes * p / parts);
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
    const std::vector<int>& arguments = program_[r - input_count].arguments;
    for (auto argument = arguments.begin(); argument != arguments.end(); ++argument)
      if (*argument >= input_count && last_use_[*argument] == r - input_count &&
          output_of_[*argument - input_count] < 0 &&
          std::find(arguments.begin(), argument, *argument) == argument)
        free_slots.push_back(slot_[*argument]);
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

// What one chunk leaves for the others is shared: its partial sums. A single chunk's are its thread's own.
Workspace ElementwiseProgram::workspace() const {
  const auto chunks = static_cast<size_t>((count_ + grain - 1) / grain), sums = static_cast<size_t>(sums_);
  const size_t words = 2 * last_use_.size() + 2 * most_arguments_ + inputs_.size() + (chunks > 1 ? 0 : sums);
  return {chunks > 1 ? chunks * sums * sizeof(double) : 0,
          words * sizeof(void*) + program_.size() + static_cast<size_t>(slots_ * slot_bytes_ + line_bytes)};
}

ElementwiseProgram::Own ElementwiseProgram::own(const KernelContext& k) const {
  static_assert(sizeof(void*) == sizeof(int64_t) && sizeof(void*) == sizeof(double));
  std::byte* next = k.scratch.own(k.parallel);
  const auto take = [&](size_t bytes) {
    std::byte* taken = next;
    next += bytes;
    return taken;
  };
  const auto words = [&](size_t count) { return take(count * sizeof(void*)); };
  const size_t registers = last_use_.size();
  Own own{};
  own.registers = reinterpret_cast<const void**>(words(registers));
  own.strides = reinterpret_cast<int64_t*>(words(registers));
  own.arguments = reinterpret_cast<const void**>(words(most_arguments_));
  own.argument_strides = reinterpret_cast<int64_t*>(words(most_arguments_));
  own.coming = reinterpret_cast<const std::byte**>(words(inputs_.size()));
  own.sums = count_ > grain ? reinterpret_cast<double*>(k.scratch.shared)
                            : reinterpret_cast<double*>(words(static_cast<size_t>(sums_)));
  own.waits = reinterpret_cast<char*>(take(program_.size()));
  own.slots = next + (line_bytes - reinterpret_cast<uintptr_t>(next) % line_bytes) % line_bytes;
  return own;
}

// An output that overwrites an input still to be read within the block waits in its slot.
void ElementwiseProgram::find_waiting(const KernelContext& k, const Own& own) const {
  struct Read {
    const void* data;
    int64_t last;
  };
  // By address, where registers and their strides will be.
  auto* reads = reinterpret_cast<Read*>(own.registers);
  auto* end = reads + inputs_.size();
  for (size_t i = 0; i < inputs_.size(); ++i) reads[i] = {k.inputs[i].data, last_use_[i]};
  std::sort(reads, end, [](const Read& a, const Read& b) {
    return a.data != b.data ? std::less<>()(a.data, b.data) : a.last > b.last;
  });
  for (size_t p = 0; p < program_.size(); ++p) {
    own.waits[p] = false;
    if (output_of_[p] < 0 || !program_[p].block) continue;
    const void* data = k.outputs[output_of_[p]].data;
    const Read* read = std::lower_bound(
        reads, end, data, [](const Read& r, const void* at) { return std::less<>()(r.data, at); });
    own.waits[p] = read != end && read->data == data && read->last > static_cast<int64_t>(p);
  }
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
  const double* partials = own(k).sums;
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

void ElementwiseProgram::run_range(const KernelContext& k, int64_t begin, int64_t end) const {
  const size_t inputs = inputs_.size();
  const Own o = own(k);
  find_waiting(k, o);
  std::fill_n(o.strides, last_use_.size(), int64_t{1});
  for (size_t i = 0; i < inputs; ++i) {
    o.registers[i] = k.inputs[i].data;
    if (inputs_[i].layout == Input::Layout::scalar) o.strides[i] = 0;
  }
  const bool asks_ahead = count_ * static_cast<int64_t>(element_size_) > near_bytes;
  double* partials = o.sums + begin / grain * sums_;
  std::fill_n(partials, sums_, 0.0);

  for (int64_t at = begin; at < end; at += block_) {
    const int64_t length = std::min(block_, end - at);
    const int64_t offset = at * static_cast<int64_t>(element_size_);
    size_t coming = 0;
    for (size_t i = 0; i < inputs; ++i) {
      const auto* data = static_cast<const std::byte*>(k.inputs[i].data);
      if (inputs_[i].layout == Input::Layout::dense) {
        o.registers[i] = data + offset;
        if (asks_ahead) o.coming[coming++] = data + offset + block_bytes;
      } else if (inputs_[i].layout == Input::Layout::broadcast) {
        o.registers[i] = fetch(inputs_[i], data, o.slots + slot_[i] * slot_bytes_, at, length);
      }
    }
    for (size_t p = 0; p < program_.size(); ++p) {
      const Instruction& instruction = program_[p];
      // The next block comes while this one is computed: some lines with each instruction, for only so many
      // can be on their way.
      for (size_t i = 0; i < coming && lines_[p] < lines_[p + 1]; ++i)
        for (int64_t line = lines_[p]; line < lines_[p + 1]; ++line)
          __builtin_prefetch(o.coming[i] + line * line_bytes, 0, 2);
      if (!instruction.block) {
        partials[sum_of_[p]] +=
            instruction.summation->block.get(dtype_)(o.registers[instruction.arguments[0]], length);
        continue;
      }
      for (size_t i = 0; i < instruction.arguments.size(); ++i) {
        o.arguments[i] = o.registers[instruction.arguments[i]];
        o.argument_strides[i] = o.strides[instruction.arguments[i]];
      }
      const int output = output_of_[p];
      std::byte* result = output >= 0 && !o.waits[p]
                              ? static_cast<std::byte*>(k.outputs[output].data) + offset
                              : o.slots + slot_[inputs + p] * slot_bytes_;
      instruction.block(o.arguments, o.argument_strides, result, length, *instruction.attributes);
      o.registers[inputs + p] = result;
    }
    for (size_t p = 0; p < program_.size(); ++p)
      if (o.waits[p])
        std::memcpy(static_cast<std::byte*>(k.outputs[output_of_[p]].data) + offset, o.registers[inputs + p],
                    length * element_size_);
  }
}

void run_elementwise_program(const KernelContext& k) {
  static_cast<const ElementwiseProgram*>(k.prepared)->run(k);
}

Workspace elementwise_workspace(const KernelContext& shapes_only) {
  return static_cast<const ElementwiseProgram*>(shapes_only.prepared)->workspace();
}

}  // namespace lariat
