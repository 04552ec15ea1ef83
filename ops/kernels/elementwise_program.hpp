#pragma once

#include "graph/ir/op_def.hpp"

namespace lariat {

/// An element-wise computation over one index space, with sums over all of it: each instruction runs a block
/// kernel on cache-sized pieces of its operands. A single op is a program of one instruction; a fused node
/// has many.
class ElementwiseProgram {
 public:
  struct Instruction {
    /// What is computed element by element; nullptr: a sum.
    BlockKernel block = nullptr;
    const Attributes* attributes = nullptr;
    /// Registers: first the inputs, then one per instruction. A sum's own is read by no instruction.
    std::vector<int> arguments = {};
    const Summation* summation = nullptr;
  };

  /// `results` names the register that each output takes. Outputs have the extents `space`; sums have one
  /// element.
  ElementwiseProgram(Extents space, DType dtype, std::span<const TensorView> inputs,
                     std::vector<Instruction> program, std::vector<int> results);

  void run(const KernelContext& k) const;
  /// The scratch of one run.
  Workspace workspace() const;

 private:
  struct Run {
    int64_t extent, stride;
  };
  struct Input {
    enum class Layout { dense, scalar, broadcast } layout = Layout::dense;
    std::vector<Run> runs;  // innermost first
  };

  // Scratch: what each register points to and is strided by, the arguments of an instruction, the inputs'
  // blocks that come next, sums, which results wait, and the slots. All but the sums is the thread's own.
  struct Own {
    const void** registers;
    int64_t* strides;
    const void** arguments;
    int64_t* argument_strides;
    const std::byte** coming;
    double* sums;
    char* waits;
    std::byte* slots;
  };
  Own own(const KernelContext& k) const;
  void assign_slots();
  void find_waiting(const KernelContext& k, const Own& own) const;
  void run_range(const KernelContext& k, int64_t begin, int64_t end) const;
  void finish_sums(const KernelContext& k) const;
  const std::byte* fetch(const Input& input, const std::byte* data, std::byte* scratch, int64_t begin,
                         int64_t count) const;

  int64_t count_;
  DType dtype_;
  size_t element_size_;
  int64_t block_;
  std::vector<Input> inputs_;
  std::vector<Instruction> program_;
  std::vector<int> output_of_;  // output written by each instruction, -1 for none
  std::vector<int> sum_of_;     // number of the sum that each instruction is, -1 for none
  std::vector<int> last_use_;   // last instruction that reads each register
  std::vector<int> slot_;       // scratch slot of each register, -1 for none
  std::vector<int64_t> lines_;  // first cache line that each instruction asks for, of a block
  int slots_ = 0, sums_ = 0;
  size_t most_arguments_ = 0;
  int64_t slot_bytes_;
};

/// For records whose `prepare` makes such a program.
void run_elementwise_program(const KernelContext& k);
Workspace elementwise_workspace(const KernelContext& shapes_only);

}  // namespace lariat
