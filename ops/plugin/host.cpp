// What a plugin may call. Nothing is thrown into it: every function returns a status.
#include <deque>
#include <unordered_map>

#include "graph/base/version.hpp"
#include "graph/ir/graph.hpp"
#include "graph/ir/registry.hpp"
#include "ops/elementwise/elementwise.hpp"
#include "ops/instruction_sets/kernel_set.hpp"
#include "ops/plugin/guard.hpp"
#include "ops/plugin/structs.hpp"

namespace lariat::plugin {

namespace {

thread_local std::string message;
// Whether this thread runs the body of a parallel_for, from which other work is not started.
thread_local bool inside_body = false;

void fail(const char* text) { message = text_of(text); }

lariat_status failed(const std::string& text) {
  message = text;
  return LARIAT_BAD_INPUT;
}

// Runs `body`, whose exceptions become a status and a message.
template <class Body>
lariat_status guarded(const Body& body) {
  try {
    body();
    return LARIAT_OK;
  } catch (const std::bad_alloc&) {
    return LARIAT_NO_MEMORY;
  } catch (const std::exception& error) {
    return failed(error.what());
  }
}

// Symbolic dimensions get numbers far below 0 and far from each other, in the order they are met: neither -1
// nor what is calculated with a symbol as if it were a size is another one. There are only as many as graphs
// have.
class Symbols {
 public:
  lariat_dim number_of(const Dim& dim) {
    if (dim.known()) return dim.size();
    const std::lock_guard lock(mutex_);
    const auto [known, fresh] =
        numbers_.try_emplace(dim.text(), first_ - distance_ * static_cast<int64_t>(dims_.size()));
    if (fresh) dims_.push_back(dim);
    return known->second;
  }
  Dim dim_of(lariat_dim number) {
    if (number >= 0) return Dim(number);
    const std::lock_guard lock(mutex_);
    const int64_t index = number > first_ ? -1 : (first_ - number) / distance_;
    if (index < 0 || index >= static_cast<int64_t>(dims_.size()) || (first_ - number) % distance_ != 0)
      throw UserError(fmt::format("{} is no size and no symbol that the host gave", number));
    return dims_[static_cast<size_t>(index)];
  }

 private:
  static constexpr int64_t first_ = -(int64_t{1} << 60), distance_ = 1'000'003;
  std::mutex mutex_;
  std::unordered_map<std::string, lariat_dim> numbers_;
  std::deque<Dim> dims_;
};

Symbols& symbols() {
  static Symbols instance;
  return instance;
}

lariat_value number_of(Value value) { return (int64_t{value.node()} << 16 | value.output()) + 1; }

Value value_of(lariat_graph* handle, lariat_value number) {
  auto& graph = *reinterpret_cast<Graph*>(handle);
  const int64_t node = (number - 1) >> 16, output = (number - 1) & 0xffff;
  if (number < 1 || node >= graph.size() ||
      output >= static_cast<int64_t>(graph.node(static_cast<int32_t>(node)).outputs.size()))
    throw UserError(fmt::format("{} is no value of the graph", number));
  return {&graph, static_cast<int32_t>(node), static_cast<int32_t>(output)};
}

lariat_status attribute(const lariat_attributes* attributes, const char* name, lariat_attribute* value) {
  if (attributes == nullptr || name == nullptr || value == nullptr || value->size < first::attribute)
    return failed("host->attribute needs attributes, a name and a value whose size is set");
  const Attribute* found = reinterpret_cast<const Attributes*>(attributes)->find(name);
  if (found == nullptr) return failed(fmt::format("the op has no attribute '{}'", name));
  if (const auto* boolean = std::get_if<bool>(found)) {
    value->kind = LARIAT_BOOLEAN;
    value->integer = *boolean;
  } else if (const auto* integer = std::get_if<int64_t>(found)) {
    value->kind = LARIAT_INTEGER;
    value->integer = *integer;
  } else if (const auto* real = std::get_if<double>(found)) {
    value->kind = LARIAT_REAL;
    value->real = *real;
  } else if (const auto* string = std::get_if<std::string>(found)) {
    value->kind = LARIAT_STRING;
    value->string = string->c_str();
  } else if (const auto* integers = std::get_if<std::vector<int64_t>>(found)) {
    value->kind = LARIAT_INTEGERS;
    value->integers = integers->data();
    value->count = static_cast<int32_t>(integers->size());
  } else {
    return failed(fmt::format("the attribute '{}' is of a kind that plugins have not", name));
  }
  return LARIAT_OK;
}

lariat_status parallel_for(const lariat_run* run, int64_t count, int64_t grain, lariat_range body,
                           void* data) {
  if (run == nullptr || body == nullptr || count < 0 || grain < 1) {
    fail("host->parallel_for needs the kernel's run, a count from 0, a grain from 1 and a body");
    return LARIAT_FAULT;
  }
  if (count == 0) return LARIAT_OK;
  std::mutex mutex;
  Failure first;
  std::string first_message;
  int64_t first_begin = count;
  const auto chunk = [&](int64_t begin, int64_t end) {
    const bool outside = std::exchange(inside_body, true);
    const Failure failure = attempt([&] { return body(data, begin, end); });
    inside_body = outside;
    if (!failure) return;
    const std::lock_guard lock(mutex);
    if (begin >= first_begin) return;
    first = failure;
    first_begin = begin;
    first_message = take_message();
  };
  if (run->op.is_thread_safe()) {
    run->parallel.run(count, grain, chunk);
  } else {
    for (int64_t begin = 0; begin < count; begin += grain) chunk(begin, std::min(begin + grain, count));
  }
  if (!first) return LARIAT_OK;
  run->failure = first;
  run->message = message = first_message;
  return first.status == LARIAT_OK ? LARIAT_FAULT : first.status;
}

template <class T>
void multiply(const lariat_run& run, const lariat_product& p) {
  const auto* a = static_cast<const T*>(p.a);
  const auto* b = static_cast<const T*>(p.b);
  auto* result = static_cast<T*>(p.result);
  const Addend<T> addend = p.adds ? Addend<T>{result, p.result_stride} : Addend<T>{};
  const Product call{p.transpose_a != 0, p.transpose_b != 0, p.rows, p.columns, p.inner,
                     p.a_stride,         p.b_stride};
  const KernelSet::Products<T>& products = kernel_set().products<T>();
  if (inside_body || !run.op.is_thread_safe()) {
    const OwnScratch scratch({0, products.tile_bytes(call, false)}, 1);
    products.tile(call, a, b, addend, result, p.result_stride, static_cast<Scratch>(scratch).first, nullptr);
  } else {
    const OwnScratch scratch(products.workspace(call, false), run.parallel.threads());
    products.gemm(run.parallel, call, a, b, addend, result, p.result_stride, scratch, nullptr);
  }
}

lariat_status product(const lariat_run* run, const lariat_product* call) {
  const lariat_status status = guarded([&] {
    if (run == nullptr) throw UserError("host->product needs the kernel's run");
    const auto p = read_struct<lariat_product>(call, first::product, "the call of host->product");
    if (p.dtype != LARIAT_F32 && p.dtype != LARIAT_F64)
      throw UserError("host->product multiplies f32 or f64");
    const int64_t a_columns = p.transpose_a ? p.rows : p.inner,
                  b_columns = p.transpose_b ? p.inner : p.columns;
    if (p.rows < 0 || p.columns < 0 || p.inner < 0 || p.a_stride < a_columns || p.b_stride < b_columns ||
        p.result_stride < p.columns)
      throw UserError(fmt::format("host->product got a product [{}, {}]·[{}, {}] with strides {}, {} and {}",
                                  p.rows, p.inner, p.inner, p.columns, p.a_stride, p.b_stride,
                                  p.result_stride));
    if (p.rows == 0 || p.columns == 0) return;
    if (p.result == nullptr || (p.inner > 0 && (p.a == nullptr || p.b == nullptr)))
      throw UserError("host->product got NULL for a matrix that has elements");
    p.dtype == LARIAT_F32 ? multiply<float>(*run, p) : multiply<double>(*run, p);
  });
  return status == LARIAT_BAD_INPUT ? LARIAT_FAULT : status;
}

lariat_status dim(char operation, lariat_dim a, lariat_dim b, lariat_dim* result) {
  return guarded([&] {
    if (result == nullptr) throw UserError("host->dim needs a place for its result");
    const Dim left = symbols().dim_of(a), right = symbols().dim_of(b);
    switch (operation) {
      case '+':
        *result = symbols().number_of(left + right);
        break;
      case '-':
        *result = symbols().number_of(left - right);
        break;
      case '*':
        *result = symbols().number_of(left * right);
        break;
      case '/':
        if (b < 1) throw UserError("host->dim divides by a known size above 0 only");
        *result = symbols().number_of(floor_divide(left, b));
        break;
      default:
        throw UserError("host->dim knows the operations + - * and /");
    }
  });
}

lariat_status broadcast_types(const lariat_type* a, const lariat_type* b, lariat_type* result) {
  return guarded([&] {
    if (a == nullptr || b == nullptr || result == nullptr)
      throw UserError("host->broadcast needs two types and a place for its result");
    const std::vector<TensorType> types{from_c(*a), from_c(*b)};
    to_c(infer_elementwise(InferContext(types, {}))[0], *result);
  });
}

lariat_status build_node(lariat_graph* graph, const char* op, const lariat_value* inputs, int32_t input_count,
                         const lariat_attribute* attributes, int32_t attribute_count, lariat_value* result) {
  return guarded([&] {
    if (graph == nullptr || op == nullptr || result == nullptr || (inputs == nullptr && input_count > 0))
      throw UserError("host->build needs a graph, the name of an op, its inputs and a place for its result");
    std::vector<Value> values;
    for (int32_t i = 0; i < input_count; ++i) values.push_back(value_of(graph, inputs[i]));
    Attributes given;
    for_each(attributes, attribute_count, first::attribute, "attributes",
             [&](const lariat_attribute& entry, int64_t) { given.set(text_of(entry.name), from_c(entry)); });
    *result = number_of(
        reinterpret_cast<Graph*>(graph)->add(registry().get(op), values, given, {}, std::source_location()));
  });
}

lariat_status constant(lariat_graph* graph, double number, lariat_value like, lariat_value* result) {
  return guarded([&] {
    if (graph == nullptr || result == nullptr)
      throw UserError("host->constant needs a graph and a place for its result");
    *result = number_of(reinterpret_cast<Graph*>(graph)->constant(number, value_of(graph, like).dtype(), {}));
  });
}

lariat_status output_of_node(lariat_graph* graph, lariat_value value, int32_t index, lariat_value* result) {
  return guarded([&] {
    if (graph == nullptr || result == nullptr)
      throw UserError("host->output_of needs a graph and a place for its result");
    const Value known = value_of(graph, value);
    *result = number_of({&known.graph(), known.node(), index});
    value_of(graph, *result);
  });
}

lariat_status type_of(lariat_graph* graph, lariat_value value, lariat_type* type) {
  return guarded([&] {
    if (graph == nullptr || type == nullptr || type->size < first::type)
      throw UserError("host->type_of needs a graph and a type whose size is set");
    to_c(value_of(graph, value).type(), *type);
  });
}

}  // namespace

const lariat_host& host() {
  static const lariat_host instance{sizeof(lariat_host),
                                    LARIAT_OP_MAGIC,
                                    LARIAT_OP_MAJOR,
                                    LARIAT_OP_MINOR,
                                    0,
                                    version,
                                    fail,
                                    attribute,
                                    parallel_for,
                                    dim,
                                    broadcast_types,
                                    build_node,
                                    constant,
                                    output_of_node,
                                    type_of,
                                    product};
  return instance;
}

std::string take_message() { return std::exchange(message, std::string()); }

void refuse(const Failure& failure, const char* what, const PluginOp& op) {
  const std::string own = take_message(), place = fmt::format("its plugin '{}'", op.plugin->file);
  if (failure.threw)
    throw UserError(fmt::format(
        "{} let an exception out of its {}; none may cross the C boundary, catch it there", place, what));
  if (failure.status == LARIAT_NO_MEMORY) throw std::bad_alloc();
  if (failure.status == LARIAT_BAD_INPUT && !own.empty()) throw UserError(own);
  if (failure.status != LARIAT_OK && own.empty())
    throw UserError(
        fmt::format("{} returned status {} from its {} without a message", place, failure.status, what));
  if (failure.status != LARIAT_OK) throw UserError(fmt::format("{} failed in its {}: {}", place, what, own));
  throw UserError(fmt::format(
      "{} left another floating-point mode behind its {}; it was put back, and the result is refused", place,
      what));
}

void to_c(const TensorType& type, lariat_type& result) {
  if (type.shape.size() > LARIAT_MAX_RANK)
    throw UserError(fmt::format("{} has more than {} dimensions, which ops of plugins do not take",
                                text(type), LARIAT_MAX_RANK));
  result.dtype = static_cast<lariat_dtype>(type.dtype);
  result.rank = static_cast<int32_t>(type.shape.size());
  for (size_t i = 0; i < type.shape.size(); ++i) result.dims[i] = symbols().number_of(type.shape[i]);
}

TensorType from_c(const lariat_type& type) {
  if (type.dtype < LARIAT_F32 || type.dtype > LARIAT_I32)
    throw UserError(fmt::format("{} is no dtype; f32, f64 and i32 are 0, 1 and 2", type.dtype));
  if (type.rank < 0 || type.rank > LARIAT_MAX_RANK)
    throw UserError(fmt::format("{} is no rank; it must be 0 to {}", type.rank, LARIAT_MAX_RANK));
  TensorType result{static_cast<DType>(type.dtype), {}};
  for (int32_t i = 0; i < type.rank; ++i) result.shape.push_back(symbols().dim_of(type.dims[i]));
  return result;
}

Attribute from_c(const lariat_attribute& value) {
  switch (value.kind) {
    case LARIAT_BOOLEAN:
      return value.integer != 0;
    case LARIAT_INTEGER:
      return value.integer;
    case LARIAT_REAL:
      return value.real;
    case LARIAT_STRING:
      return text_of(value.string);
    case LARIAT_INTEGERS:
      if (value.count < 0 || (value.count > 0 && value.integers == nullptr))
        throw UserError(
            fmt::format("the attribute '{}' has {} integers at NULL", text_of(value.name), value.count));
      return std::vector<int64_t>(value.integers, value.integers + value.count);
    default:
      throw UserError(
          fmt::format("the attribute '{}' is of kind {}; kinds are 0 to 4", text_of(value.name), value.kind));
  }
}

// The values of a gradient's node, in C's terms.
lariat_value to_c(Value value) { return value ? number_of(value) : 0; }
Value from_c(Graph& graph, lariat_value value) {
  return value == 0 ? Value() : value_of(reinterpret_cast<lariat_graph*>(&graph), value);
}

}  // namespace lariat::plugin
