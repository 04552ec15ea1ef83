#pragma once

#include <functional>
#include <memory>

#include "graph/ir/graph.hpp"
#include "graph/ir/sample.hpp"

namespace lariat {

// What the checks of an op run: its samples' nodes with data, in memory that shows what is done to it.

/// One node with data for its inputs.
struct OpCase {
  const Node* node;
  std::vector<Tensor> inputs;
  std::string name;
  const Sample* sample;
};

/// The nodes of the op in its samples, in each dtype that it takes, and those of the ops that its gradient
/// brings. Throws Error where a node cannot be built.
class OpCases {
 public:
  explicit OpCases(const OpDef& op);
  const std::vector<OpCase>& of_op() const { return of_op_; }
  const std::vector<OpCase>& of_gradient() const { return of_gradient_; }
  /// What keeps the samples from showing the op in a dtype that it takes; "": nothing does.
  const std::string& gap() const { return gap_; }

 private:
  void add(const OpDef& op, const Sample& sample, const std::vector<Tensor>& data, const std::string& name);
  void add_gradient(const OpCase& of);

  std::vector<std::unique_ptr<Graph>> graphs_;
  std::vector<std::unique_ptr<Node>> nodes_;
  std::vector<OpCase> of_op_, of_gradient_;
  std::string gap_;
};

/// The bytes of each output.
using OpResults = std::vector<std::vector<std::byte>>;

/// Runs the node's kernel in guarded memory that is `filled` before: what was written outside, and into
/// inputs, is named in `fault`. With `in_place` that output lies over that input. Empty for ops without a
/// kernel.
OpResults run_guarded(const OpCase& c, std::byte filled, const ParallelFor& parallel,
                      std::string* fault = nullptr,
                      const std::optional<Traits::InPlace>& in_place = std::nullopt);

/// "element 3 of output 0", the first that differs, or "".
std::string difference(const OpCase& c, const OpResults& a, const OpResults& b);

/// Runs the op's kernel, past every pass, on one thread. For an op that only renames memory: its input's.
std::vector<Tensor> run_op_kernel(const OpDef& op, const Attributes& attributes,
                                  const std::vector<Tensor>& inputs);

/// The first fault that `check` names, or the message of what it throws, behind the case's name; "" for none.
std::string first_fault(const std::vector<OpCase>& cases,
                        const std::function<std::string(const OpCase&)>& check);

}  // namespace lariat
