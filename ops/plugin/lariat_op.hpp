#pragma once

// Plugins in C++20: an op reads like a built-in one. Header-only; nothing of the standard library and no
// exception crosses the boundary, which is lariat_op.h beside this file. Functions for fast element-wise
// lambdas are in lariat_op_math.hpp.
//
//     #include <lariat/lariat_op.hpp>
//     using namespace lariat::op;
//
//     // y = x·σ(x):  dx = dy·(σ + y·(1 − σ))
//     Op swish() {
//       Op op = elementwise<1>("swish", "x·σ(x).", {{"x"}}, [](auto x) { return x * fast::sigmoid(x); });
//       op.gradient = [](const Gradient& g) -> Adjoints {
//         const Value s = sigmoid(g.in(0));
//         return {g.adjoint(0) * (s + g.out(0) * (1 - s))};
//       };
//       op.samples = {{"values", {{{2}, {0, 1}}}, {}, {0, 0.7310585786300049}}};
//       return op;
//     }
//
//     LARIAT_PLUGIN(.name = "swish", .version = "1.0.0", .ops = {swish()})

#include <cmath>
#include <cstdint>
#include <deque>
#include <exception>
#include <initializer_list>
#include <new>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "lariat_op.h"
#include "lariat_op_math.hpp"

namespace lariat::op {

/// What the host offers; set before anything else runs.
inline const lariat_host* host = nullptr;

/// The caller's mistake: the message says what is wrong and the next step.
struct BadInput : std::exception {
  explicit BadInput(std::string message) : message(std::move(message)) {}
  const char* what() const noexcept override { return message.c_str(); }
  std::string message;
};

namespace detail {

// A function of the host failed and has its message already.
struct HostRefuses {
  lariat_status status;
};

inline void require(lariat_status status) {
  if (status != LARIAT_OK) throw HostRefuses{status};
}

// Every callback runs in here.
template <class Body>
lariat_status guarded(Body&& body) noexcept {
  try {
    body();
    return LARIAT_OK;
  } catch (const HostRefuses& refusal) {
    return refusal.status;
  } catch (const BadInput& error) {
    host->fail(error.what());
    return LARIAT_BAD_INPUT;
  } catch (const std::bad_alloc&) {
    return LARIAT_NO_MEMORY;
  } catch (const std::exception& error) {
    host->fail(error.what());
    return LARIAT_FAULT;
  } catch (...) {
    host->fail("an exception of unknown type was thrown");
    return LARIAT_FAULT;
  }
}

}  // namespace detail

/// A boolean, integer, number, text or list of integers.
using AttributeValue = std::variant<bool, int64_t, double, std::string, std::vector<int64_t>>;
enum class Kind : int32_t { boolean, integer, real, string, integers };

struct AttributeEntry {
  std::string name;
  AttributeValue value;
};

/// A node's attributes. Asking for one that the record does not name, or as another kind, is refused.
class Attributes {
 public:
  explicit Attributes(const lariat_attributes* handle) : handle_(handle) {}
  bool boolean(const char* name) const { return read(name, LARIAT_BOOLEAN).integer != 0; }
  int64_t integer(const char* name) const { return read(name, LARIAT_INTEGER).integer; }
  double real(const char* name) const { return read(name, LARIAT_REAL).real; }
  std::string string(const char* name) const { return read(name, LARIAT_STRING).string; }
  std::vector<int64_t> integers(const char* name) const {
    const lariat_attribute value = read(name, LARIAT_INTEGERS);
    return {value.integers, value.integers + value.count};
  }

 private:
  lariat_attribute read(const char* name, lariat_kind kind) const {
    lariat_attribute value{};
    value.size = sizeof value;
    detail::require(host->attribute(handle_, name, &value));
    if (value.kind != kind) {
      host->fail((std::string("the attribute '") + name + "' is read as another kind than it is").c_str());
      throw detail::HostRefuses{LARIAT_FAULT};
    }
    return value;
  }
  const lariat_attributes* handle_;
};

namespace detail {

template <class T>
constexpr lariat_dtype dtype_of = std::is_same_v<T, double>  ? LARIAT_F64
                                  : std::is_same_v<T, float> ? LARIAT_F32
                                                             : LARIAT_I32;

inline const char* name_of(lariat_dtype dtype) {
  return dtype == LARIAT_F32 ? "f32" : dtype == LARIAT_F64 ? "f64" : "i32";
}

}  // namespace detail

/// Dense, row-major elements. Behind the end of the arrays is other memory. A tensor that is read as what it
/// is not is refused.
template <class T>
class Tensor {
 public:
  explicit Tensor(const lariat_tensor* tensor) : tensor_(tensor) {
    using Element = std::remove_const_t<T>;
    static_assert(
        std::is_same_v<Element, float> || std::is_same_v<Element, double> || std::is_same_v<Element, int32_t>,
        "elements are float, double or int32_t");
    if (tensor != nullptr && tensor->dtype != detail::dtype_of<Element>) {
      host->fail((std::string("a tensor of ") + detail::name_of(tensor->dtype) + " is taken for one of " +
                  detail::name_of(detail::dtype_of<Element>) + "; see integers() and out_as()")
                     .c_str());
      throw detail::HostRefuses{LARIAT_FAULT};
    }
  }
  explicit operator bool() const { return tensor_ != nullptr; }
  T* data() const { return static_cast<T*>(tensor_->data); }
  T& operator[](int64_t index) const { return data()[index]; }
  int64_t count() const { return tensor_->count; }
  int rank() const { return tensor_->rank; }
  /// Counted from behind where `axis` is below 0.
  int64_t extent(int axis) const { return tensor_->shape[axis < 0 ? tensor_->rank + axis : axis]; }

 private:
  const lariat_tensor* tensor_;
};

/// A row-major matrix of a product, `stride` elements from row to row in memory; one that is transposed has
/// `columns` rows there.
template <class T>
struct Matrix {
  T* data;
  int64_t rows, columns, stride;
  bool is_transposed = false;
};
template <class T>
Matrix<T> matrix(T* data, int64_t rows, int64_t columns) {
  return {data, rows, columns, columns};
}
template <class T>
Matrix<T> transposed(Matrix<T> of) {
  return {of.data, of.columns, of.rows, of.stride, !of.is_transposed};
}

namespace detail {

// The dtype that a kernel is made for: that of the first tensor of floats; an op of integers alone has none.
template <class... Lists>
lariat_dtype working_dtype(std::pair<const lariat_tensor* const*, int32_t> first, Lists... more) {
  for (int32_t i = 0; i < first.second; ++i)
    if (first.first[i] != nullptr && first.first[i]->dtype != LARIAT_I32) return first.first[i]->dtype;
  if constexpr (sizeof...(more) == 0) {
    return LARIAT_F32;
  } else {
    return working_dtype(more...);
  }
}

// Common to the calls of kernels.
template <class Call>
class KernelBase {
 public:
  explicit KernelBase(const Call* call) : call_(call) {}
  Attributes attributes() const { return Attributes(call_->attributes); }
  /// body(begin, end) over [0, count) in chunks of `grain`, perhaps on several threads.
  template <class Body>
  void parallel_for(int64_t count, int64_t grain, const Body& body) const {
    const auto chunk = [](void* data, int64_t begin, int64_t end) -> lariat_status {
      return guarded([&] { (*static_cast<const Body*>(data))(begin, end); });
    };
    require(host->parallel_for(call_->run, count, grain, chunk, const_cast<Body*>(&body)));
  }
  /// result = a·b, or more to what it holds where it `adds`: the host's own product, on its threads, or, in
  /// the body of a parallel_for, on the body's own.
  ///     k.product(matrix(x.data(), m, n), transposed(matrix(w.data(), p, n)), matrix(y.data(), m, p));
  template <class A, class B, class R>
  void product(const Matrix<A>& a, const Matrix<B>& b, const Matrix<R>& result, bool adds = false) const {
    static_assert(std::is_same_v<std::remove_const_t<A>, R> && std::is_same_v<std::remove_const_t<B>, R>,
                  "the matrices of a product are of one type");
    static_assert(std::is_floating_point_v<R>, "a product is one of floats or doubles");
    if (a.columns != b.rows || result.rows != a.rows || result.columns != b.columns || result.is_transposed)
      throw BadInput("a product's matrices do not fit each other");
    if (host->minor < 1) throw BadInput("products need a Lariat with version 1.1 of lariat_op.h");
    const lariat_product call{sizeof(lariat_product),
                              a.data,
                              b.data,
                              result.data,
                              result.rows,
                              result.columns,
                              a.columns,
                              a.stride,
                              b.stride,
                              result.stride,
                              dtype_of<R>,
                              a.is_transposed,
                              b.is_transposed,
                              adds};
    require(host->product(call_->run, &call));
  }

 protected:
  const Call* call_;
};

}  // namespace detail

/// A forward kernel for results of type T; for results of integers, T is that of the first input of floats.
template <class T>
class Kernel : public detail::KernelBase<lariat_kernel> {
 public:
  using Element = T;
  using KernelBase::KernelBase;
  Tensor<const T> in(int index) const { return Tensor<const T>(call_->inputs[index]); }
  /// An input that is i32.
  Tensor<const int32_t> integers(int index) const { return Tensor<const int32_t>(call_->inputs[index]); }
  int inputs() const { return call_->input_count; }
  Tensor<T> out(int index) const { return Tensor<T>(call_->outputs[index]); }
  /// An output of another type than T, such as int32_t.
  template <class U>
  Tensor<U> out_as(int index) const {
    return Tensor<U>(call_->outputs[index]);
  }
  template <class U>
  U* scratch() const {
    return static_cast<U*>(call_->scratch);
  }
};

/// A gradient's kernel for results of type T.
template <class T>
class Backward : public detail::KernelBase<lariat_backward> {
 public:
  using Element = T;
  using KernelBase::KernelBase;
  /// in() and out() are there where Op::gradient_inputs and gradient_outputs have a bit, else false.
  Tensor<const T> in(int index) const { return Tensor<const T>(call_->inputs[index]); }
  Tensor<const int32_t> integers(int index) const { return Tensor<const int32_t>(call_->inputs[index]); }
  Tensor<const T> out(int index) const { return Tensor<const T>(call_->outputs[index]); }
  /// An output of another type than T, such as int32_t.
  template <class U>
  Tensor<const U> out_as(int index) const {
    return Tensor<const U>(call_->outputs[index]);
  }
  int inputs() const { return call_->input_count; }
  Tensor<const T> adjoint(int index) const { return Tensor<const T>(call_->adjoints[index]); }
  /// Converts to false where nobody needs it.
  Tensor<T> gradient(int index) const { return Tensor<T>(call_->gradients[index]); }
  template <class U>
  U* scratch() const {
    return static_cast<U*>(call_->scratch);
  }
};

template <class T>
class Prox : public detail::KernelBase<lariat_prox> {
 public:
  using Element = T;
  using KernelBase::KernelBase;
  Tensor<const T> point() const { return Tensor<const T>(call_->point); }
  /// Of element `index`.
  T step(int64_t index = 0) const { return one_or_each(call_->step, index); }
  T weight(int64_t index = 0) const { return one_or_each(call_->weight, index); }
  Tensor<T> result() const { return Tensor<T>(call_->result); }

 private:
  static T one_or_each(const lariat_tensor* tensor, int64_t index) {
    return static_cast<const T*>(tensor->data)[tensor->count == 1 ? 0 : index];
  }
};

template <class T>
class Residual : public detail::KernelBase<lariat_residual> {
 public:
  using Element = T;
  using KernelBase::KernelBase;
  Tensor<const T> x() const { return Tensor<const T>(call_->x); }
  Tensor<const T> gradient() const { return Tensor<const T>(call_->gradient); }
  T weight(int64_t index = 0) const {
    return static_cast<const T*>(call_->weight->data)[call_->weight->count == 1 ? 0 : index];
  }
  Tensor<T> result() const { return Tensor<T>(call_->result); }
};

/// A size from 0, or a symbol such as the batch, which stands for a size that is not known yet. It can be
/// copied, compared and calculated with; a symbol divides by a known size above 0 only, rounded down.
class Dim {
 public:
  Dim() = default;
  template <class T, class = std::enable_if_t<std::is_integral_v<T>>>
  Dim(T value) : value_(static_cast<lariat_dim>(value)) {}
  operator lariat_dim() const { return value_; }
  bool known() const { return value_ >= 0; }

 private:
  lariat_dim value_ = 0;
};

namespace detail {

template <class A, class B>
using IfDims = std::enable_if_t<(std::is_same_v<A, Dim> ||
                                 std::is_same_v<B, Dim>)&&std::is_convertible_v<A, lariat_dim> &&
                                    std::is_convertible_v<B, lariat_dim>,
                                Dim>;

inline Dim calculated(char operation, lariat_dim a, lariat_dim b) {
  lariat_dim result = 0;
  require(host->dim(operation, a, b, &result));
  return result;
}

}  // namespace detail

template <class A, class B>
detail::IfDims<A, B> operator+(const A& a, const B& b) {
  return detail::calculated('+', a, b);
}
template <class A, class B>
detail::IfDims<A, B> operator-(const A& a, const B& b) {
  return detail::calculated('-', a, b);
}
template <class A, class B>
detail::IfDims<A, B> operator*(const A& a, const B& b) {
  return detail::calculated('*', a, b);
}
template <class A, class B>
detail::IfDims<A, B> operator/(const A& a, const B& b) {
  return detail::calculated('/', a, b);
}

/// What is known of a tensor before it has data.
struct Type {
  lariat_dtype dtype = LARIAT_F32;
  std::vector<Dim> shape;
};

namespace detail {

inline lariat_type to_c(const Type& type) {
  if (type.shape.size() > LARIAT_MAX_RANK) throw BadInput("the result has too many dimensions");
  lariat_type result{};
  result.size = sizeof result;
  result.dtype = type.dtype;
  result.rank = static_cast<int32_t>(type.shape.size());
  for (size_t i = 0; i < type.shape.size(); ++i) result.dims[i] = type.shape[i];
  return result;
}
inline Type from_c(const lariat_type& type) { return {type.dtype, {type.dims, type.dims + type.rank}}; }

}  // namespace detail

/// a's dtype with the shape that a and b broadcast to by numpy's rule. Refuses shapes that do not.
inline Type broadcast(const Type& a, const Type& b) {
  const lariat_type left = detail::to_c(a), right = detail::to_c(b);
  lariat_type result{};
  result.size = sizeof result;
  detail::require(host->broadcast(&left, &right, &result));
  return detail::from_c(result);
}

class Infer {
 public:
  explicit Infer(const lariat_infer* call) : call_(call) {}
  int inputs() const { return call_->input_count; }
  Type in(int index) const { return detail::from_c(*call_->inputs[index]); }
  Attributes attributes() const { return Attributes(call_->attributes); }
  void out(int index, const Type& type) const {
    const lariat_type filled = detail::to_c(type);
    lariat_type* result = call_->outputs[index];
    result->dtype = filled.dtype;
    result->rank = filled.rank;
    for (int32_t i = 0; i < filled.rank; ++i) result->dims[i] = filled.dims[i];
  }
  /// Refuses the inputs; the host puts op, node and source line before the message.
  [[noreturn]] static void fail(const std::string& message) { throw BadInput(message); }
  void need_float(int index) const {
    if (in(index).dtype == LARIAT_I32) fail("takes f32 or f64; got i32. Use cast to convert it");
  }

 private:
  const lariat_infer* call_;
};

/// A value of the graph that a gradient is built in, or a number, which takes the dtype of what it is
/// combined with.
class Value {
 public:
  Value() = default;
  Value(double number) : number_(number), is_number_(true) {}
  Value(int number) : Value(static_cast<double>(number)) {}
  Value(lariat_graph* graph, lariat_value value) : graph_(graph), value_(value) {}
  explicit operator bool() const { return value_ != 0; }
  lariat_graph* graph() const { return graph_; }
  lariat_value handle() const { return value_; }
  bool is_number() const { return is_number_; }
  double number() const { return number_; }

 private:
  lariat_graph* graph_ = nullptr;
  lariat_value value_ = 0;
  double number_ = 0;
  bool is_number_ = false;
};

namespace detail {

inline lariat_attribute to_c(const AttributeEntry& entry) {
  lariat_attribute result{};
  result.size = sizeof result;
  result.name = entry.name.c_str();
  result.kind = static_cast<lariat_kind>(entry.value.index());
  if (const auto* boolean = std::get_if<bool>(&entry.value)) result.integer = *boolean;
  if (const auto* integer = std::get_if<int64_t>(&entry.value)) result.integer = *integer;
  if (const auto* real = std::get_if<double>(&entry.value)) result.real = *real;
  if (const auto* string = std::get_if<std::string>(&entry.value)) result.string = string->c_str();
  if (const auto* integers = std::get_if<std::vector<int64_t>>(&entry.value)) {
    result.integers = integers->data();
    result.count = static_cast<int32_t>(integers->size());
  }
  return result;
}

}  // namespace detail

/// Adds a node of any op that the host knows (`lariat ops list`).
inline Value build(const char* op, std::initializer_list<Value> operands,
                   const std::vector<AttributeEntry>& attributes = {}) {
  const Value* like = nullptr;
  for (const Value& operand : operands)
    if (operand) like = &operand;
  if (like == nullptr) throw BadInput(std::string("the op ") + op + " is built of numbers alone");
  std::vector<lariat_value> handles;
  for (const Value& operand : operands) {
    handles.push_back(operand.handle());
    if (operand.is_number())
      detail::require(host->constant(like->graph(), operand.number(), like->handle(), &handles.back()));
  }
  std::vector<lariat_attribute> given;
  for (const AttributeEntry& entry : attributes) given.push_back(detail::to_c(entry));
  lariat_value result = 0;
  detail::require(host->build(like->graph(), op, handles.data(), static_cast<int32_t>(handles.size()),
                              given.data(), static_cast<int32_t>(given.size()), &result));
  return {like->graph(), result};
}

/// Another output of the node that `value` belongs to.
inline Value output_of(const Value& value, int index) {
  lariat_value result = 0;
  detail::require(host->output_of(value.graph(), value.handle(), index, &result));
  return {value.graph(), result};
}

/// Dtype and shape of a value of the graph.
inline Type type_of(const Value& value) {
  if (!value) throw BadInput("the type of a number or of no value is asked for");
  lariat_type type{};
  type.size = sizeof type;
  detail::require(host->type_of(value.graph(), value.handle(), &type));
  return detail::from_c(type);
}

inline Value operator+(const Value& a, const Value& b) { return build("add", {a, b}); }
inline Value operator-(const Value& a, const Value& b) { return build("subtract", {a, b}); }
inline Value operator*(const Value& a, const Value& b) { return build("multiply", {a, b}); }
inline Value operator/(const Value& a, const Value& b) { return build("divide", {a, b}); }
inline Value operator-(const Value& a) { return build("negate", {a}); }
inline Value abs(const Value& x) { return build("abs", {x}); }
inline Value exp(const Value& x) { return build("exp", {x}); }
inline Value log(const Value& x) { return build("log", {x}); }
inline Value matmul(const Value& a, const Value& b) { return build("matmul", {a, b}); }
inline Value maximum(const Value& a, const Value& b) { return build("maximum", {a, b}); }
inline Value minimum(const Value& a, const Value& b) { return build("minimum", {a, b}); }
inline Value sigmoid(const Value& x) { return build("sigmoid", {x}); }
inline Value sign(const Value& x) { return build("sign", {x}); }
inline Value softplus(const Value& x) { return build("softplus", {x}); }
inline Value sqrt(const Value& x) { return build("sqrt", {x}); }
inline Value square(const Value& x) { return build("square", {x}); }
inline Value tanh(const Value& x) { return build("tanh", {x}); }

/// One for each input; an empty Value says zero.
using Adjoints = std::vector<Value>;

/// The node whose gradient is built.
class Gradient {
 public:
  explicit Gradient(const lariat_gradient* call) : call_(call) {}
  Value in(int index) const { return {call_->graph, call_->inputs[index]}; }
  Value out(int index) const { return {call_->graph, call_->outputs[index]}; }
  Value adjoint(int index) const { return {call_->graph, call_->adjoints[index]}; }
  bool needs(int index) const { return call_->needed[index] != 0; }
  int inputs() const { return call_->input_count; }
  Attributes attributes() const { return Attributes(call_->attributes); }

 private:
  const lariat_gradient* call_;
};

namespace detail {

// One C function for each dtype, made of a function object without a state that takes either.
template <class CCall, template <class> class Call>
class PerDType {
 public:
  PerDType() = default;
  template <class F>
  PerDType(F) : run_{run<Call<float>, F>, run<Call<double>, F>} {
    static_assert(std::is_empty_v<F>, "a kernel captures nothing: it is called from many threads");
  }
  explicit operator bool() const { return run_[0] != nullptr; }
  void operator()(const CCall* call, lariat_dtype dtype) const { run_[dtype == LARIAT_F64](call); }

 private:
  template <class Typed, class F>
  static void run(const CCall* call) {
    F{}(Typed(call));
  }
  void (*run_[2])(const CCall*) = {};
};

}  // namespace detail

using ForwardFunction = detail::PerDType<lariat_kernel, Kernel>;
using BackwardFunction = detail::PerDType<lariat_backward, Backward>;
using ProxFunction = detail::PerDType<lariat_prox, Prox>;
using ResidualFunction = detail::PerDType<lariat_residual, Residual>;

struct Argument {
  std::string name;
  std::string doc = {};
};

struct AttributeSpec {
  std::string name;
  Kind kind;
  std::string doc;
  /// Nothing: it must be given.
  std::optional<AttributeValue> otherwise = std::nullopt;
  /// Inclusive range of a number, or of each one of a list.
  std::optional<std::pair<double, double>> range = std::nullopt;
};

/// Values where given, else uniform in [low, high], at least `gap` away from every kink.
struct SampleInput {
  std::vector<int64_t> shape;
  std::vector<double> values = {};
  double low = -1, high = 1;
  double gap = 0;
  std::vector<double> kinks = {0.0};
  lariat_dtype dtype = LARIAT_F32;
};

/// A use of the op; `expected` are the values of output 0 from a source outside this code.
struct Sample {
  std::string name;
  std::vector<SampleInput> inputs;
  std::vector<AttributeEntry> attributes = {};
  std::vector<double> expected = {};
};

/// A use that must be refused, and the end of the message.
struct Reject {
  std::vector<SampleInput> inputs;
  std::vector<AttributeEntry> attributes = {};
  std::string message;
};

enum class Combination : int32_t { alone, first, last };

/// Makes the op a penalty of its only input.
struct Penalty {
  /// With x for the parameter, and the name of the prox: both for the report.
  std::string formula, operator_name;
  bool nonsmooth = true, convex = true;
  /// The prox is exact only where all steps are the same.
  bool scalar_metric = false;
  Combination combination = Combination::alone;
  /// result = argmin_w Σ weight f(w) + Σ (w − point)²/(2 step).
  ProxFunction prox = {};
  /// result = the element of gradient + ∂(Σ weight f)(x) of least norm.
  ResidualFunction residual = {};
};

struct Op {
  std::string name;
  /// One line.
  std::string doc;
  std::vector<Argument> inputs;
  std::vector<Argument> outputs = {{"result"}};
  std::vector<AttributeSpec> attributes = {};
  std::string domain = {};
  uint32_t version = 1;
  /// Outputs from this one on are saved for the gradient; 0: none.
  int first_saved_output = 0;
  bool commutative = false, in_place = false, thread_safe = true, deterministic = true;
  /// Bit i: linear in input i while the others are fixed.
  uint64_t linear_inputs = 0;
  /// None: inputs of one float dtype, broadcast together.
  void (*infer)(const Infer&) = nullptr;
  /// `[](const auto& k) { using T = typename std::decay_t<decltype(k)>::Element; … }`, for f32 and f64.
  ForwardFunction forward = {};
  /// Bytes.
  uint64_t (*scratch)(const lariat_kernel&) = nullptr;
  /// Builds nodes, which can be differentiated again…
  Adjoints (*gradient)(const Gradient&) = nullptr;
  /// …or computes the gradients from the inputs and outputs that the bits say.
  BackwardFunction backward = {};
  uint64_t gradient_inputs = ~uint64_t{0}, gradient_outputs = 0;
  uint64_t (*backward_scratch)(const lariat_backward&) = nullptr;
  std::optional<Penalty> penalty = std::nullopt;
  std::string kinks = {};
  std::vector<Sample> samples = {};
  std::vector<Reject> rejects = {};
  /// What elementwise() makes.
  lariat_elementwise block[3] = {};
};

struct Plugin {
  std::string name, version;
  std::string doc = {};
  std::vector<Op> ops;
};

namespace detail {

#if defined(__clang__)
// Not every function can be one of vectors.
#pragma clang diagnostic push
#pragma clang diagnostic ignored "-Wpass-failed"
#define LARIAT_INDEPENDENT _Pragma("clang loop vectorize(assume_safety)")
#else
#define LARIAT_INDEPENDENT _Pragma("GCC ivdep")
#endif

// Where every input has the stride 1, the loop becomes one of vectors.
template <class T, class F, size_t... I>
inline void loop(const F& function, const void* const* inputs, const int64_t* strides, void* output,
                 int64_t count, std::index_sequence<I...>) {
  T* out = static_cast<T*>(output);
  const T* in[] = {static_cast<const T*>(inputs[I])...};
  if (((strides[I] == 1) && ...)) {
    LARIAT_INDEPENDENT
    for (int64_t i = 0; i < count; ++i) out[i] = function(in[I][i]...);
  } else {
    const int64_t step[] = {strides[I]...};
    for (int64_t i = 0; i < count; ++i) out[i] = function(in[I][i * step[I]]...);
  }
}

// The same loop for the vectors of several processors, one of which is chosen when it runs: a plugin need not
// be compiled for the machine that it runs on. Everything that it calls goes into it.
#if defined(__x86_64__) && !defined(__AVX512F__) && defined(__GNUC__)
#define LARIAT_FOR_PROCESSORS
#if defined(__clang__)
#define LARIAT_512_BITS "avx512f,avx512dq,avx512vl,avx512bw,avx2,fma"
#else
#define LARIAT_512_BITS "avx512f,avx512dq,avx512vl,avx512bw,avx2,fma,prefer-vector-width=512"
#endif
template <class T, class F, size_t... I>
__attribute__((target("avx2,fma"), flatten)) void loop_avx2(const F& function, const void* const* inputs,
                                                            const int64_t* strides, void* output,
                                                            int64_t count, std::index_sequence<I...> places) {
  loop<T>(function, inputs, strides, output, count, places);
}
template <class T, class F, size_t... I>
__attribute__((target(LARIAT_512_BITS), flatten)) void loop_avx512(const F& function,
                                                                   const void* const* inputs,
                                                                   const int64_t* strides, void* output,
                                                                   int64_t count,
                                                                   std::index_sequence<I...> places) {
  loop<T>(function, inputs, strides, output, count, places);
}
#endif

template <class T, class F, class Places>
void best_loop(const F& function, const void* const* inputs, const int64_t* strides, void* output,
               int64_t count, Places places) {
#ifdef LARIAT_FOR_PROCESSORS
  static const int width = !__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma") ? 128
                           : __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
                                   __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512bw")
                               ? 512
                               : 256;
  if (width == 512) return loop_avx512<T>(function, inputs, strides, output, count, places);
  if (width == 256) return loop_avx2<T>(function, inputs, strides, output, count, places);
#endif
  loop<T>(function, inputs, strides, output, count, places);
}

template <class T, size_t inputs, class F>
lariat_status block(void*, const void* const* in, const int64_t* strides, void* out, int64_t count,
                    const lariat_attributes*) {
  return guarded([&] { best_loop<T>(F{}, in, strides, out, count, std::make_index_sequence<inputs>()); });
}

template <class T, size_t inputs, class Make>
lariat_status block_with(void*, const void* const* in, const int64_t* strides, void* out, int64_t count,
                         const lariat_attributes* attributes) {
  return guarded([&] {
    best_loop<T>(Make{}(Attributes(attributes)), in, strides, out, count, std::make_index_sequence<inputs>());
  });
}

#if defined(__clang__)
#pragma clang diagnostic pop
#endif
#undef LARIAT_INDEPENDENT
#undef LARIAT_FOR_PROCESSORS
#undef LARIAT_512_BITS

template <class T, size_t>
using Repeat = T;
template <class F, class T, size_t... I>
constexpr bool takes(std::index_sequence<I...>) {
  return std::is_invocable_r_v<T, F, Repeat<T, I>...>;
}

template <size_t inputs, size_t given, class F>
constexpr void check_elementwise() {
  static_assert(inputs == given, "elementwise<N> is given another number of arguments than N");
  static_assert(takes<F, float>(std::make_index_sequence<inputs>()) &&
                    takes<F, double>(std::make_index_sequence<inputs>()),
                "the function of elementwise<N> takes N floats or N doubles and gives one");
}

}  // namespace detail

/// An op whose elements follow from the inputs' elements at the same place, broadcast together: `function`
/// takes `inputs` numbers of one type, float or double, and gives one. Passes fuse it with others.
template <size_t inputs, size_t given, class F>
Op elementwise(std::string name, std::string doc, const Argument (&arguments)[given], F) {
  static_assert(std::is_empty_v<F>, "the function captures nothing; use elementwise_with for attributes");
  detail::check_elementwise<inputs, given, F>();
  Op op{std::move(name), std::move(doc), {arguments, arguments + given}};
  op.block[LARIAT_F32] = detail::block<float, inputs, F>;
  op.block[LARIAT_F64] = detail::block<double, inputs, F>;
  return op;
}

/// The same for a function that attributes decide: `make` is given them and returns it.
///     [](const Attributes& a) { return [b = a.real("beta")](auto x) { return x *
///     static_cast<decltype(x)>(b); }; }
template <size_t inputs, size_t given, class Make>
Op elementwise_with(std::string name, std::string doc, const Argument (&arguments)[given], Make) {
  static_assert(std::is_empty_v<Make>, "the function captures nothing: its attributes are its argument");
  detail::check_elementwise<inputs, given, std::invoke_result_t<Make, Attributes>>();
  Op op{std::move(name), std::move(doc), {arguments, arguments + given}};
  op.block[LARIAT_F32] = detail::block_with<float, inputs, Make>;
  op.block[LARIAT_F64] = detail::block_with<double, inputs, Make>;
  return op;
}

namespace detail {

inline const Op& op_of(void* user) { return *static_cast<const Op*>(user); }

// The description in C, which points into the ops; both stay for ever.
class Description {
 public:
  explicit Description(Plugin plugin) : plugin_(std::move(plugin)) {
    for (const Op& op : plugin_.ops) ops_.push_back(describe(op));
    description_.size = sizeof description_;
    description_.magic = LARIAT_OP_MAGIC;
    description_.major = LARIAT_OP_MAJOR;
    description_.minor = LARIAT_OP_MINOR;
    description_.name = plugin_.name.c_str();
    description_.version = plugin_.version.c_str();
    description_.doc = plugin_.doc.c_str();
    description_.ops = ops_.data();
    description_.op_count = static_cast<int32_t>(ops_.size());
  }
  const lariat_plugin* get() const { return &description_; }

 private:
  template <class T>
  static T sized() {
    T result{};
    result.size = sizeof result;
    return result;
  }

  // An array that stays where it is.
  template <class T, class From, class Convert>
  const T* keep(std::deque<std::vector<T>>& arrays, const std::vector<From>& from, const Convert& convert) {
    std::vector<T> array;
    for (const From& element : from) array.push_back(convert(element));
    return arrays.emplace_back(std::move(array)).data();
  }
  template <class T>
  static int32_t count(const std::vector<T>& list) {
    return static_cast<int32_t>(list.size());
  }

  const lariat_argument_spec* arguments(const std::vector<Argument>& list) {
    return keep(arguments_, list, [](const Argument& argument) {
      auto result = sized<lariat_argument_spec>();
      result.name = argument.name.c_str();
      result.doc = argument.doc.c_str();
      return result;
    });
  }
  const lariat_attribute* given(const std::vector<AttributeEntry>& list) {
    return keep(attributes_, list, [](const AttributeEntry& entry) { return to_c(entry); });
  }
  const lariat_sample_input* inputs(const std::vector<SampleInput>& list) {
    return keep(sample_inputs_, list, [](const SampleInput& input) {
      int64_t elements = 1;
      for (const int64_t extent : input.shape) elements *= extent;
      if (!input.values.empty() && static_cast<int64_t>(input.values.size()) != elements)
        throw BadInput("a sample gives another number of values than its input's shape holds");
      auto result = sized<lariat_sample_input>();
      result.shape = input.shape.data();
      result.rank = count(input.shape);
      if (!input.values.empty()) result.values = input.values.data();
      result.kinks = input.kinks.data();
      result.kink_count = count(input.kinks);
      result.low = input.low;
      result.high = input.high;
      result.gap = input.gap;
      result.dtype = input.dtype;
      return result;
    });
  }

  lariat_op describe(const Op& op) {
    auto result = sized<lariat_op>();
    result.name = op.name.c_str();
    result.domain = op.domain.c_str();
    result.doc = op.doc.c_str();
    result.kinks = op.kinks.c_str();
    result.version = op.version;
    result.flags = (op.commutative ? LARIAT_COMMUTATIVE : 0) | (op.in_place ? LARIAT_IN_PLACE : 0) |
                   (op.thread_safe ? LARIAT_THREAD_SAFE : 0) | (op.deterministic ? LARIAT_DETERMINISTIC : 0);
    result.user = const_cast<Op*>(&op);
    result.inputs = arguments(op.inputs);
    result.input_count = count(op.inputs);
    result.outputs = arguments(op.outputs);
    result.output_count = count(op.outputs);
    result.attributes = keep(specs_, op.attributes, [this](const AttributeSpec& spec) {
      auto c = sized<lariat_attribute_spec>();
      c.name = spec.name.c_str();
      c.doc = spec.doc.c_str();
      c.kind = static_cast<lariat_kind>(spec.kind);
      if (spec.range) {
        c.is_bounded = 1;
        c.minimum = spec.range->first;
        c.maximum = spec.range->second;
      }
      if (spec.otherwise) {
        entries_.push_back({spec.name, *spec.otherwise});
        c.otherwise = keep(attributes_, std::vector<const AttributeEntry*>{&entries_.back()},
                           [](const AttributeEntry* entry) { return to_c(*entry); });
      }
      return c;
    });
    result.attribute_count = count(op.attributes);
    result.first_saved_output = op.first_saved_output;
    result.linear_inputs = op.linear_inputs;
    for (int dtype = 0; dtype < 3; ++dtype) result.elementwise[dtype] = op.block[dtype];
    if (op.infer)
      result.infer = [](const lariat_infer* call) {
        return guarded([&] { op_of(call->user).infer(Infer(call)); });
      };
    if (op.forward) {
      result.dtypes = 1u << LARIAT_F32 | 1u << LARIAT_F64 | 1u << LARIAT_I32;
      result.forward = [](const lariat_kernel* call) {
        return guarded([&] {
          op_of(call->user)
              .forward(call, working_dtype(std::pair{call->outputs, 1},
                                           std::pair{call->inputs, call->input_count}));
        });
      };
    }
    if (op.scratch)
      result.scratch_bytes = [](const lariat_kernel* call, uint64_t* bytes) {
        return guarded([&] { *bytes = op_of(call->user).scratch(*call); });
      };
    if (op.gradient)
      result.gradient = [](const lariat_gradient* call) {
        return guarded([&] {
          const Adjoints adjoints = op_of(call->user).gradient(Gradient(call));
          if (adjoints.size() != static_cast<size_t>(call->input_count))
            throw BadInput("the gradient returns another number of adjoints than the op has inputs");
          for (size_t i = 0; i < adjoints.size(); ++i) {
            if (adjoints[i].is_number() && adjoints[i].number() != 0)
              throw BadInput("a gradient is a number; multiply it by the adjoint");
            call->gradients[i] = adjoints[i].handle();
          }
        });
      };
    if (op.backward) {
      result.gradient_inputs = op.gradient_inputs;
      result.gradient_outputs = op.gradient_outputs;
      result.backward = [](const lariat_backward* call) {
        return guarded([&] {
          op_of(call->user)
              .backward(call, working_dtype(std::pair{call->adjoints, call->output_count},
                                            std::pair{call->gradients, call->input_count}));
        });
      };
    }
    if (op.backward_scratch)
      result.backward_scratch_bytes = [](const lariat_backward* call, uint64_t* bytes) {
        return guarded([&] { *bytes = op_of(call->user).backward_scratch(*call); });
      };
    if (op.penalty) result.penalty = describe(*op.penalty);
    result.samples = keep(samples_, op.samples, [this](const Sample& sample) {
      auto c = sized<lariat_sample>();
      c.name = sample.name.c_str();
      c.inputs = inputs(sample.inputs);
      c.input_count = count(sample.inputs);
      c.attributes = given(sample.attributes);
      c.attribute_count = count(sample.attributes);
      if (!sample.expected.empty()) c.expected = sample.expected.data();
      c.expected_count = static_cast<int64_t>(sample.expected.size());
      return c;
    });
    result.sample_count = count(op.samples);
    result.rejects = keep(rejects_, op.rejects, [this](const Reject& reject) {
      auto c = sized<lariat_reject>();
      c.inputs = inputs(reject.inputs);
      c.input_count = count(reject.inputs);
      c.attributes = given(reject.attributes);
      c.attribute_count = count(reject.attributes);
      c.message = reject.message.c_str();
      return c;
    });
    result.reject_count = count(op.rejects);
    return result;
  }

  const lariat_penalty* describe(const Penalty& penalty) {
    auto result = sized<lariat_penalty>();
    result.formula = penalty.formula.c_str();
    result.operator_name = penalty.operator_name.c_str();
    result.flags = (penalty.nonsmooth ? 0 : LARIAT_PENALTY_SMOOTH) |
                   (penalty.convex ? 0 : LARIAT_PENALTY_NONCONVEX) |
                   (penalty.scalar_metric ? LARIAT_PENALTY_SCALAR_METRIC : 0);
    result.combination = static_cast<int32_t>(penalty.combination);
    if (penalty.prox)
      result.prox = [](const lariat_prox* call) {
        return guarded([&] { op_of(call->user).penalty->prox(call, call->result->dtype); });
      };
    if (penalty.residual)
      result.residual = [](const lariat_residual* call) {
        return guarded([&] { op_of(call->user).penalty->residual(call, call->result->dtype); });
      };
    return &penalties_.emplace_back(result);
  }

  Plugin plugin_;
  std::vector<lariat_op> ops_;
  lariat_plugin description_{};
  std::deque<AttributeEntry> entries_;
  std::deque<lariat_penalty> penalties_;
  std::deque<std::vector<lariat_argument_spec>> arguments_;
  std::deque<std::vector<lariat_attribute>> attributes_;
  std::deque<std::vector<lariat_attribute_spec>> specs_;
  std::deque<std::vector<lariat_sample_input>> sample_inputs_;
  std::deque<std::vector<lariat_sample>> samples_;
  std::deque<std::vector<lariat_reject>> rejects_;
};

template <class Make>
const lariat_plugin* enter(const lariat_host* given, const Make& make) {
  host = given;
  const lariat_plugin* result = nullptr;
  guarded([&] {
    if (host->magic != LARIAT_OP_MAGIC || host->major != LARIAT_OP_MAJOR)
      throw BadInput("it was compiled against another version of lariat_op.h");
    // Never freed: the host keeps pointers to it.
    static const Description* kept = nullptr;
    kept = new Description(make());
    result = kept->get();
  });
  return result;
}

}  // namespace detail

}  // namespace lariat::op

/// Defines the plugin: LARIAT_PLUGIN(.name = "acme", .version = "1.0.0", .ops = {swish(), scale()})
#define LARIAT_PLUGIN(...)                                                                       \
  extern "C" LARIAT_EXPORT const lariat_plugin* lariat_plugin_entry(const lariat_host* given) {  \
    return ::lariat::op::detail::enter(given, [] { return ::lariat::op::Plugin{__VA_ARGS__}; }); \
  }
