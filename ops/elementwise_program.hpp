#pragma once

#include "graph/op_def.hpp"

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

  /// Needs a workspace of workspace_bytes() for its number of sums.
  void run(const KernelContext& k) const;
  static size_t workspace_bytes(const Extents& space, size_t sums);

 private:
  struct Run {
    int64_t extent, stride;
  };
  struct Input {
    enum class Layout { dense, scalar, broadcast } layout = Layout::dense;
    std::vector<Run> runs;  // innermost first
  };

  void assign_slots();
  void run_range(const KernelContext& k, int64_t begin, int64_t end) const;
  void run_blocks(const KernelContext& k, int64_t begin, int64_t end) const;
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
  const OpDef* from_plugin_ = nullptr;  // the first op whose code is not ours
};

}  // namespace lariat
