#pragma once

#include <functional>

#include "frontends/export/c_unit.hpp"
#include "frontends/export/quantised.hpp"
#include "graph/ir/op_def.hpp"
#include "ops/kernels/window.hpp"

namespace lariat::to_c {

/// A value while C is written: where it is, and what is known of it.
struct CValue {
  /// An expression that points to its first element; "" for a constant, and for an output that nobody reads.
  std::string pointer;
  DType dtype = f32;
  Extents extents;
  /// Where it is a constant.
  const Tensor* constant = nullptr;

  int64_t count() const { return element_count(extents); }
};

struct CNode {
  const Node& node;
  std::vector<CValue> inputs, outputs;
  /// Of the floats that the op asked for.
  std::string scratch;

  template <class T>
  const T& attribute(std::string_view name) const {
    return node.attributes.get<T>(name);
  }
};

/// Writes the statements of a function.
class CBlock {
 public:
  CBlock(CUnit& unit, const Quantisation& quantisation) : unit(unit), quantisation(quantisation) {}

  CUnit& unit;
  const Quantisation& quantisation;

  /// One statement, or the beginning or end of a block, indented by the blocks that are open.
  void line(std::string_view text);
  /// The end of a block that line("… {") began.
  void close();
  /// for (i = 0; i < count; ++i) {, with the variable declared; none for a count of 1, where i is 0. Returns
  /// the variable's name; end() closes what it opened.
  std::string loop(int64_t count);
  void end();

  /// A pointer to the elements; a constant becomes an array of the file.
  std::string pointer(const CValue& value);
  /// Element `index` of a value as an expression.
  std::string element(const CValue& value, const std::string& index);
  /// y = value, and y = 0.
  void copy(const std::string& y, const CValue& value, const std::string& offset, int64_t count);
  void clear(const std::string& y, int64_t count);
  /// y[channel] += Σ over the rest of w's elements of w·x, of a constant matrix whose channels lie along
  /// `axis`; the rest is in the tensor's order. Stored in the form that takes the fewest bytes.
  void product(const CValue& w, int64_t axis, const std::string& x, const std::string& y);
  /// The function ends with status -1 where `condition` holds.
  void refuse_if(const std::string& condition);
  bool refuses() const { return refuses_; }

  const std::string& text() const { return text_; }

 private:
  std::string text_;
  std::vector<bool> open_;  // whether each loop has braces
  int depth_ = 1, loops_ = 0;
  bool refuses_ = false;
};

/// What an op asks of a sequence's frames, of which a stream has one after the other.
struct TimeUse {
  enum Kind {
    whole,       ///< all of them at once
    frame,       ///< each by itself
    window,      ///< those of a window, which is moved on
    recurrence,  ///< each, and what was kept of those before
    sum,         ///< all of them, one after the other
    largest,
    last,  ///< the last one
    mask,  ///< 1 for each that there is
    cut    ///< none of the last few
  } kind = whole;
  Window over = {};
};

/// How one op is written in C.
struct COp {
  std::string op;
  /// Writes the statements that compute node.outputs. Empty for an element-wise op.
  void (*emit)(CBlock& block, const CNode& node) = nullptr;
  /// Floats of scratch.
  int64_t (*scratch)(const CNode& node) = nullptr;
  /// One element of an element-wise op by its arguments $0, $1, …, which may be read more than once, and
  /// attributes such as $slope. @name is a helper. `element_i32` where integers need another expression.
  std::string element = {}, element_i32 = {};
  /// Inputs that hold weights when they are constant, and the axis of their channels.
  struct Weights {
    size_t input;
    int64_t axis;
  };
  std::vector<Weights> (*weights)(const Node& node) = nullptr;
  /// Whether its first input must be of floats.
  bool of_floats = false;
  /// What the op asks of frames when `streams` are the inputs that are sequences. Element-wise ops take each
  /// by itself.
  TimeUse (*time)(const Node& node, const Graph& graph, const std::vector<bool>& streams) = nullptr;
  /// Frames usually lie along axis 1, behind the batch, but a layer may make rows of them, or columns. Along
  /// which axis of the result they lie where they lie along `axis` of the inputs that are sequences and each
  /// is taken by itself; -1: not so.
  int64_t (*axis_behind)(const Node& node, const Graph& graph, const std::vector<bool>& streams,
                         int64_t axis) = nullptr;
};

/// nullptr for an op that cannot go to C.
const COp* find_c_op(const std::string& name);
/// All that can, by name.
const std::map<std::string, COp>& all_c_ops();

/// One list for each family, in ops/.
namespace c_ops {
std::vector<COp> elementwise();
std::vector<COp> product();
std::vector<COp> window();
std::vector<COp> recurrent();
std::vector<COp> shape();
std::vector<COp> reduction();
std::vector<COp> sequence();
}  // namespace c_ops

/// Writes `node`, an element-wise op or a fused body of some, as one loop over memory.
void emit_elementwise(CBlock& block, const CNode& node);

/// For axis_behind: `axis`, unless it is one that the op works along, its attribute `axis` or the last.
int64_t beside_axis(const Node& node, const Graph& graph, const std::vector<bool>& streams, int64_t axis);
int64_t beside_last(const Node& node, const Graph& graph, const std::vector<bool>& streams, int64_t axis);

/// TimeUse::frame where an op that works along `axis` leaves batch and time alone.
TimeUse along(const Node& node, const Graph& graph, int64_t axis);

}  // namespace lariat::to_c
