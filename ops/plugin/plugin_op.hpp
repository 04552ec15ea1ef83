#pragma once

#include <mutex>

#include "graph/ir/op_def.hpp"
#include "ops/plugin/lariat_op.h"
#include "ops/plugin/loader.hpp"

// What the C interface looks like from within: the records' functions, which call a plugin's.

namespace lariat {

/// Members that the plugin's header did not have are zero.
struct PluginOp {
  std::shared_ptr<const Plugin> plugin;
  lariat_op functions = {};
  std::optional<lariat_penalty> penalty = std::nullopt;
  /// Held during calls of what is not thread-safe.
  mutable std::mutex mutex = {};

  bool is_thread_safe() const { return (functions.flags & LARIAT_THREAD_SAFE) != 0; }
  /// Whether output `index` is a result, through which gradients pass.
  bool is_result(size_t index) const {
    return functions.first_saved_output == 0 || index < static_cast<size_t>(functions.first_saved_output);
  }
};

namespace plugin {

/// The host's side of lariat_host.
const lariat_host& host();

/// The record of an op, and of those that it needs beside it: its gradient, prox and residual. Throws
/// UserError "op 'name' …" where the description contradicts itself.
std::vector<OpDef> records_of(const lariat_op& op, const std::shared_ptr<const Plugin>& plugin);

// Functions of records, by the op in the attributes or in the kernel's context.
std::vector<TensorType> infer(const InferContext& c);
void run_forward(const KernelContext& k);
void run_backward(const KernelContext& k);
void run_prox(const KernelContext& k);
void run_residual(const KernelContext& k);
PerDType<BlockKernel> blocks(const lariat_op& op);
Workspace scratch_of_forward(const KernelContext& k);
Workspace scratch_of_backward(const KernelContext& k);
Adjoints gradient_by_nodes(const GradContext& g);
Adjoints gradient_by_kernel(const GradContext& g);
std::vector<TensorType> infer_gradient(const InferContext& c);
Value build_prox(ProxPoint at, Value weight, const Attributes& attributes);
Value build_residual(Value x, Value gradient, Value weight, const Attributes& attributes);

/// The attributes that a gradient's node has beside those of the op: what it computes, and the types of the
/// op's inputs.
std::string shape_attribute(size_t input);
inline constexpr const char *needed_attribute = "gradients_of", *dtypes_attribute = "input_dtypes";

/// The plugin's op whose node the attributes belong to.
const OpDef& op_of(const Attributes& attributes);

// Between C and C++.
inline const lariat_attributes* to_c(const Attributes& attributes) {
  return reinterpret_cast<const lariat_attributes*>(&attributes);
}
void to_c(const TensorType& type, lariat_type& result);
TensorType from_c(const lariat_type& type);
Attribute from_c(const lariat_attribute& value);
lariat_value to_c(Value value);
/// Throws UserError for what is no value of the graph; 0 is the empty Value.
Value from_c(Graph& graph, lariat_value value);

}  // namespace plugin

}  // namespace lariat
