#pragma once

#include "graph/graph.hpp"
#include "graph/op_def.hpp"

namespace lariat {

/// The common part of an element-wise record: inference by broadcasting, what it rejects, and the kernel that
/// runs `block` over cache-sized pieces. The caller adds vjp, samples and whatever else is the op's own.
OpDef elementwise_op(std::string name, std::string doc, std::vector<InputSpec> inputs,
                     PerDType<BlockKernel> block);

/// Inputs of one dtype, broadcast together; the result has that dtype and the common shape.
std::vector<TensorType> infer_elementwise(const InferContext& c);
/// The same where the dtype must be f32 or f64.
std::vector<TensorType> infer_elementwise_float(const InferContext& c);

/// An element-wise computation over one index space: each instruction runs a block kernel on cache-sized
/// pieces of its operands. A single op is a program of one instruction; a fused node has many.
class ElementwiseProgram {
 public:
  struct Instruction {
    BlockKernel block;
    const Attributes* attributes;
    /// Registers: first the inputs, then one per instruction.
    std::vector<int> arguments;
  };

  /// `results` names the register that each output takes. All outputs have the extents `space`.
  ElementwiseProgram(Extents space, DType dtype, std::span<const TensorView> inputs,
                     std::vector<Instruction> program, std::vector<int> results);

  void run(const KernelContext& k) const;

 private:
  struct Run {
    int64_t extent, stride;
  };
  struct Input {
    enum class Layout { dense, scalar, broadcast } layout = Layout::dense;
    std::vector<Run> runs;  // innermost first
  };

  void run_range(const KernelContext& k, int64_t begin, int64_t end) const;
  const std::byte* fetch(const Input& input, const std::byte* data, std::byte* scratch, int64_t begin,
                         int64_t count) const;

  int64_t count_;
  size_t element_size_;
  int64_t block_;
  std::vector<Input> inputs_;
  std::vector<Instruction> program_;
  std::vector<int> results_;
  std::vector<int> slot_;       // scratch slot of each register, -1 for none
  std::vector<int> output_of_;  // output written by each instruction, -1 for none
  std::vector<int> last_read_;  // last instruction that reads each input
  int slots_ = 0;
};

}  // namespace lariat
