#pragma once

#include <functional>
#include <limits>
#include <optional>
#include <span>

#include "graph/ir/attributes.hpp"
#include "graph/ir/parallel_for.hpp"
#include "graph/ir/value.hpp"

namespace lariat {

// The contract of an op: a record of data and functions. Passes, planner, executors, gradcheck, tests and
// documentation ask the record; none of them knows an op by name.

/// What shape inference sees.
class InferContext {
 public:
  InferContext(std::span<const TensorType> inputs, const Attributes& attributes)
      : inputs_(inputs), attributes_(attributes) {}
  size_t size() const { return inputs_.size(); }
  const TensorType& in(size_t index) const { return inputs_[index]; }
  const Shape& shape(size_t index) const { return inputs_[index].shape; }
  template <class T>
  const T& attribute(std::string_view name) const {
    return attributes_.get<T>(name);
  }
  const Attributes& attributes() const { return attributes_; }
  /// Rejects the inputs: the builder puts op, node and source line before the message.
  [[noreturn]] static void fail(const std::string& message);

 private:
  std::span<const TensorType> inputs_;
  const Attributes& attributes_;
};

/// Bytes of scratch that a kernel asks for: for all threads together, and for each that takes part.
struct Workspace {
  size_t shared = 0, per_thread = 0;
};

/// Where that scratch lies. What a thread's own holds is lost when the piece of work ends that wrote it, and
/// where that starts parallel work.
struct Scratch {
  std::byte* shared = nullptr;
  /// That of thread 0; the next thread's lies `stride` bytes behind it.
  std::byte* first = nullptr;
  size_t stride = 0;

  std::byte* own(const ParallelFor& parallel) const { return first + parallel.thread() * stride; }
};

struct OpDef;

/// What a kernel sees: views of planned buffers. Outputs are not initialised.
struct KernelContext {
  const OpDef& op;
  std::span<const TensorView> inputs;
  std::span<const TensorView> outputs;
  const Attributes& attributes;
  const ParallelFor& parallel;
  /// Of the sizes the record's `workspace` asked for.
  Scratch scratch = {};
  /// What the record's `prepare` made for these extents.
  const void* prepared = nullptr;
  /// What the record's `pack` made of constant inputs; nullptr where it has not.
  const void* packed = nullptr;

  template <class T>
  const T* in(size_t index) const {
    return inputs[index].as<T>();
  }
  template <class T>
  T* out(size_t index) const {
    return outputs[index].as<T>();
  }
};

using Kernel = void (*)(const KernelContext&);
/// The scalar function of an element-wise op over `count` consecutive elements, at least one. An operand's
/// stride is 1, or 0 where one element stands for all.
using BlockKernel = void (*)(const void* const* inputs, const int64_t* strides, void* output, int64_t count,
                             const Attributes& attributes);

template <class Function>
struct PerDType {
  Function float32 = nullptr, float64 = nullptr, int32 = nullptr;
  Function get(DType dtype) const { return dtype == f32 ? float32 : dtype == f64 ? float64 : int32; }
  explicit operator bool() const { return float32 || float64 || int32; }
};

/// What a vjp sees: the node in the graph that the backward nodes are added to.
class GradContext {
 public:
  GradContext(Graph& graph, int32_t node, std::vector<Value> adjoints, std::vector<bool> needed)
      : graph_(graph), node_(node), adjoints_(std::move(adjoints)), needed_(std::move(needed)) {}
  Value in(size_t index) const;
  Value out(size_t index) const;
  size_t input_count() const;
  /// The adjoint of output `index`; zeros where nothing depends on that output.
  Value adjoint(size_t index) const;
  bool has_adjoint(size_t index) const { return bool(adjoints_[index]); }
  /// Whether the gradient of input `index` will be used.
  bool needs(size_t index) const { return needed_[index]; }
  const Attributes& attributes() const;

 private:
  Graph& graph_;
  int32_t node_;
  std::vector<Value> adjoints_;
  std::vector<bool> needed_;
};

/// One adjoint per input; an empty Value says zero.
using Adjoints = std::vector<Value>;

struct InputSpec {
  std::string name;
  std::string doc;
};
using OutputSpec = InputSpec;

struct AttributeSpec {
  std::string name;
  AttributeKind kind;
  std::string doc;
  /// Nothing: the attribute must be given.
  std::optional<Attribute> otherwise = std::nullopt;
  /// Inclusive range of a number, or of each one of a list.
  double minimum = -1e300, maximum = 1e300;
};

/// Where a node without inputs takes its value from: a feed, the store, or its own attribute.
enum class SourceKind { none, input, parameter, state, constant };

/// What passes may rely on.
struct Traits {
  /// Reads or writes nothing but its arguments' elements at the same place (after broadcasting).
  bool elementwise = false;
  bool commutative = false;
  SourceKind source = SourceKind::none;
  /// Output 0 is input 0 with another shape: the plan lets them share memory.
  bool alias = false;
  /// Each output element is one input element (or 0): reshape, transpose, slice, concat, broadcast_to.
  bool selection = false;
  /// The result depends on the inputs' shapes and dtypes only, not on their elements.
  bool shape_only = false;
  /// Outputs from this one on are saved for the backward pass: no gradient passes through them.
  size_t saved_outputs = SIZE_MAX;
  /// Outputs from this one on have no memory where nobody reads them: the kernel then sees no data of theirs.
  size_t optional_outputs = SIZE_MAX;
  /// Gradients do not pass.
  bool stops_gradient = false;
  /// The op adds or subtracts its inputs: a fixed input shifts the result.
  bool additive = false;
  /// Whether the op is linear in input i (but for a shift) while the others are fixed; empty means in none.
  std::vector<bool> linear = {};
  /// At inference, output 0 is this input (-1: no such rule): its mean over random states or, where the op is
  /// an alias, what stands for its first input then.
  int inference_input = -1;
  /// Sums products of elements of its first and its last linear input, of which each meets several of the
  /// other.
  bool product = false;
  /// Outputs that may be written over an input which nobody else reads later. Element-wise ops may overwrite
  /// any.
  struct InPlace {
    size_t output, input;
  };
  std::vector<InPlace> in_place = {};
  /// The vjp's own nodes can be differentiated again.
  bool second_order = true;
  /// The kernel throws where a run must not go on: no update reaches the store before it has passed.
  bool guard = false;
  /// What an element-wise op may give for finite numbers, but for overflow.
  enum class OfFinite { finite, or_infinite, or_nan };
  OfFinite of_finite = OfFinite::or_nan;
  /// The kernel of an element-wise op may throw for what an element is: passes show it only elements that the
  /// graph as written computes.
  bool refuses_elements = false;

  bool is_linear(size_t input) const {
    return linear.empty() ? false : linear[std::min(input, linear.size() - 1)];
  }
};

/// Makes an op a sum over its input's elements: where its result is one element, it can end an element-wise
/// loop, whose last values then need not reach memory.
struct Summation {
  /// Σ f(x) over `count` consecutive elements, in double and in an order that `count` alone decides.
  using Block = double (*)(const void* input, int64_t count);
  PerDType<Block> block;
  /// The result, from the total over all elements and their number.
  double (*finish)(double total, double count) = nullptr;
};

/// Estimated work of one run.
struct Cost {
  double flops = 0;
  double bytes = 0;
};

/// A convex φ on one number: quadratic·x² + Σ kinks within [low, high], +∞ elsewhere.
struct ScalarPenalty {
  /// slope_below·(x - at) for x < at, slope_above·(x - at) for x > at; slope_below <= slope_above.
  struct Kink {
    double at = 0, slope_below = -1, slope_above = 1;
  };
  double quadratic = 0;
  std::vector<Kink> kinks = {};
  double low = -std::numeric_limits<double>::infinity(), high = std::numeric_limits<double>::infinity();
};

/// Which other terms on the same elements a penalty's prox can be combined with, exactly; squares go with
/// all.
enum class Combination {
  /// Before kinks and bounds that are the same for all elements (Yu 2013, prop. 4).
  first,
  /// After kinks at 0; with others of its kind where their elements are disjoint or nested.
  last,
  /// With nothing else.
  alone
};

/// Makes an op the penalty Σ aᵢ φ(x)ᵢ, x being its first input, φ(x) its output 0 and a that output's
/// adjoint.
struct Penalty {
  /// The penalty in the report's words, with x for the parameter and names of attributes in braces: "|x|",
  /// "log(1 + |x|/{epsilon})".
  std::string formula;
  /// The proximal operator's name in the report: "soft threshold".
  std::string operator_name;
  /// Whether φ has a kink, or leaps: only then is a prox needed for exact zeros.
  bool nonsmooth = true;
  /// The op is common in models too, where nothing need be said of it.
  bool everyday = false;
  /// φ, for an element-wise op or its sum that is convex and piecewise quadratic: everything else follows.
  ScalarPenalty (*scalar)(const Attributes&) = nullptr;

  // For all others:
  Combination combination = Combination::last;
  bool convex = true;
  /// The prox is exact only where all steps of one parameter are the same.
  bool scalar_metric = false;
  /// argmin_w Σ weightᵢ φ(w)ᵢ + Σ (wᵢ - vᵢ)²/(2 stepᵢ), v and step broadcast together. The weight broadcasts
  /// to output 0; with a scalar metric the step is a scalar.
  Value (*prox)(ProxPoint at, Value weight, const Attributes&) = nullptr;
  /// The prox of the sum with a convex piecewise linear function of each element of x, where that is known in
  /// any diagonal metric. `kinks` are bounds low and high, then place, slope below and slope above of each
  /// kink: scalars or of x's shape.
  Value (*prox_beside_kinks)(ProxPoint at, Value weight, const std::vector<Value>& kinks,
                             const Attributes&) = nullptr;
  /// The element of gradient + ∂(Σ weightᵢ φ)(x) of least norm, of x's shape: its norm is the distance of
  /// -gradient to the subdifferential (of a non-convex φ, to its limiting one).
  Value (*residual)(Value x, Value gradient, Value weight, const Attributes&) = nullptr;
};

/// What is known of a node's inputs where its record is asked whether it bends.
class BendContext {
 public:
  explicit BendContext(const Attributes& attributes) : attributes(attributes) {}
  virtual ~BendContext() = default;
  /// Whether the input changes with what is trained.
  virtual bool moves(size_t input) const = 0;
  /// Whether all of its elements are above 0 wherever that is.
  virtual bool is_positive(size_t input) const = 0;
  /// The number that all elements of a constant input are.
  virtual std::optional<double> number(size_t input) const = 0;

  const Attributes& attributes;
};
/// Kinks and leaps of a function or of its slope; a pole, where it is infinite.
enum class Bend { none, kink, pole };

/// Nodes of one op that follow each other step by step and share their weights, as a pass has found them.
struct RecurrentChain {
  /// What each step takes; the states before the first; the weights in the op's order of inputs.
  std::vector<Value> steps, initial, shared;
  const Attributes& attributes;
  std::string name;
  std::source_location where;
};

/// Makes an op one step of a recurrence: a chain of it runs as one node over the whole sequence.
struct Recurrence {
  /// The input that is another one at each step.
  size_t step_input = 0;
  /// Output i is the next value of the state that input state_inputs[i] takes. Further outputs are for the
  /// backward pass; all other inputs are weights.
  std::vector<size_t> state_inputs;
  /// Each state at all steps, side by side.
  std::vector<Value> (*sequence)(const RecurrentChain&) = nullptr;
  /// Some steps of what `sequence` made.
  std::vector<Value> (*steps_of)(Value sequence, std::span<const int64_t> wanted) = nullptr;
};

/// A tensor of a sample: values where given, else seeded uniform in [low, high], at least `gap` away from
/// every kink.
struct SampleInput {
  Extents extents;
  std::vector<double> values = {};
  double low = -1, high = 1;
  double gap = 0;
  std::vector<double> kinks = {0.0};
  DType dtype = f32;
};

/// A use of the op that its author vouches for: forward test, gradcheck, benchmark and documentation use it.
struct Sample {
  std::string name;
  std::vector<SampleInput> inputs;
  Attributes attributes = {};
  /// The values of output 0 from a source outside this code; empty: only gradients are checked.
  std::vector<double> expected = {};
};

/// A use that must be refused, and the end of the message it must give.
struct Reject {
  std::vector<TensorType> inputs;
  Attributes attributes = {};
  std::string message;
};

/// What a plugin says of one of its ops.
struct PluginOp;

struct OpDef {
  std::string name;
  /// One line.
  std::string doc;
  std::vector<InputSpec> inputs;
  /// The last input may be given any number of times, at least once.
  bool variadic = false;
  std::vector<OutputSpec> outputs = {{"result", ""}};
  /// The number of outputs follows from the attributes.
  bool variadic_outputs = false;
  std::vector<AttributeSpec> attributes = {};
  Traits traits = {};
  std::vector<TensorType> (*infer)(const InferContext&) = nullptr;
  /// By the dtype of output 0.
  PerDType<Kernel> kernel = {};
  /// For element-wise ops; the kernel is then made from it.
  PerDType<BlockKernel> block = {};
  /// Work that depends on extents and attributes only, done once per plan; the views have no data then.
  std::shared_ptr<const void> (*prepare)(const KernelContext&) = nullptr;
  /// Lays constant inputs out as the kernel reads them, once for all plans of a program; the other views have
  /// no data. Where it is not worth it for these extents it gives nothing, and is asked again for others.
  /// What it makes depends on the constants alone, and gives the kernel the same bits as the inputs
  /// themselves.
  std::shared_ptr<const void> (*pack)(const KernelContext&) = nullptr;
  /// The scratch of one run; the views have no data, but what `prepare` and `pack` made is there. It is part
  /// of the plan, so kernels allocate nothing themselves.
  Workspace (*workspace)(const KernelContext&) = nullptr;
  Adjoints (*vjp)(const GradContext&) = nullptr;
  Cost (*cost)(std::span<const TensorView> inputs, std::span<const TensorView> outputs,
               const Attributes& attributes) = nullptr;
  std::optional<Penalty> penalty = std::nullopt;
  std::optional<Recurrence> recurrence = std::nullopt;
  std::optional<Summation> summation = std::nullopt;
  /// The op that adds one more, last input to the result as it is made: of the result's shape, or of its last
  /// dimension's.
  std::string with_addend = {};
  /// The scalar function in extended precision: the oracle of the tests' table of extremes.
  long double (*reference)(std::span<const long double> arguments) = nullptr;
  /// What the op does at points where it has no derivative.
  std::string kinks = {};
  /// Whether a node bends in the inputs that move; without it, wherever `kinks` says something.
  Bend (*bend)(const BendContext&) = nullptr;
  std::vector<Sample> samples = {};
  std::vector<Reject> rejects = {};
  /// The op whose gradient this one is, where nothing else uses it: it is run through that op.
  std::string gradient_of = {};
  /// Where the op comes from; nullptr for a built-in one.
  std::shared_ptr<const PluginOp> plugin = nullptr;

  ~OpDef();
};

}  // namespace lariat

// Compiled once, in op_def.cpp: every record fills these lists.
extern template class std::vector<lariat::InputSpec>;
extern template class std::vector<lariat::AttributeSpec>;
extern template class std::vector<lariat::SampleInput>;
extern template class std::vector<lariat::Sample>;
extern template class std::vector<lariat::Reject>;
