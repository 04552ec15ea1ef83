// A plugin that does one thing wrong: the one that the environment variable HOSTILE names. It is written
// against the C interface alone, as nothing that checks it would let it pass.
#include <fenv.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <unwind.h>
#include <xmmintrin.h>

#include <atomic>
#include <clocale>
#include <stdexcept>

#include "ops/plugin/lariat_op.h"

namespace {

const lariat_host* host;

bool is(const char* fault) {
  const char* chosen = getenv("HOSTILE");
  return chosen != nullptr && strcmp(chosen, fault) == 0;
}

template <class T>
T sized() {
  T result{};
  result.size = sizeof result;
  return result;
}

_Unwind_Exception foreign;

[[noreturn]] void throw_foreign() {
  foreign = {};
  memcpy(&foreign.exception_class, "ELSEWHER", 8);
  foreign.exception_cleanup = [](_Unwind_Reason_Code, _Unwind_Exception*) {};
  _Unwind_RaiseException(&foreign);
  abort();
}

// Everything that goes wrong in a body or a kernel by itself.
lariat_status misbehave(const char* where) {
  const auto at = [&](const char* what) {
    char name[64] = {};
    strncat(name, what, 30);
    strncat(name, where, 30);
    return is(name);
  };
  if (at("standard_exception")) throw std::runtime_error("no");
  if (at("integer_exception")) throw 42;
  if (at("foreign_exception")) throw_foreign();
  if (at("status")) return 7;
  if (at("no_memory")) return LARIAT_NO_MEMORY;
  if (at("message")) {
    host->fail("the plugin says no");
    return LARIAT_FAULT;
  }
  if (at("rounding")) fesetround(FE_UPWARD);
  if (at("flush_to_zero")) _mm_setcsr(_mm_getcsr() ^ 0x8040);
  return LARIAT_OK;
}

template <class T>
struct Work {
  const T* from;
  T* to;
  std::atomic<int64_t> counter{0};
};

template <class T>
lariat_status copy_range(void* data, int64_t begin, int64_t end) {
  auto& work = *static_cast<Work<T>*>(data);
  for (int64_t i = begin; i < end; ++i)
    work.to[i] = is("chunk_order") ? static_cast<T>(work.counter++) : 2 * work.from[i];
  return misbehave("_in_body");
}

double shared_buffer[16];
void* kept;

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Winfinite-recursion"
__attribute__((noinline)) int64_t overflow(volatile char* above) {
  volatile char frame[4096];
  frame[0] = above[0];
  return overflow(frame) + frame[0];
}
#pragma GCC diagnostic pop

// y = 2·x
template <class T>
lariat_status run(const lariat_kernel* k) {
  const auto* x = static_cast<T*>(k->inputs[0]->data);
  auto* y = static_cast<T*>(k->outputs[0]->data);
  const int64_t n = k->inputs[0]->count;
  if (const lariat_status status = misbehave("")) return status;
  Work<T> work{x, y};
  const lariat_status status = host->parallel_for(k->run, n, 2, copy_range<T>, &work);
  if (is("parallel_arguments")) return host->parallel_for(k->run, n, 0, copy_range<T>, &work);
  // Whoever swallows it does not get away with it.
  if (status != LARIAT_OK && !is("message_in_body")) return LARIAT_OK;
  if (status != LARIAT_OK) return status;
  if (is("past_the_end")) y[n] = 1;
  if (is("before_the_start")) y[-1] = 1;
  if (is("into_input")) const_cast<T*>(x)[0] = -1;
  if (is("past_scratch")) static_cast<char*>(k->scratch)[64] = 1;
  if (is("far_away")) y[100000] = 1;
  if (is("keeps_pointers")) {
    if (kept) *static_cast<T*>(kept) = 1;
    kept = y;
  }
  if (is("locale")) std::setlocale(LC_ALL, "C.UTF-8");
  if (is("signal_handler")) signal(SIGUSR1, [](int) {});
  if (is("exit")) exit(0);
  if (is("abort")) abort();
  if (is("stack_overflow")) return overflow(reinterpret_cast<char*>(&work)) != 0;
  if (is("endless"))
    for (volatile bool ever = true; ever;) usleep(1000);
  static std::atomic<int> calls = 0;
  if (is("random")) y[0] = static_cast<T>(++calls);
  if (is("not_reentrant")) {
    for (int64_t i = 0; i < n; ++i) shared_buffer[i] = 0;
    for (int round = 0; round < 20000; ++round) {
      for (int64_t i = 0; i < n; ++i) shared_buffer[i] += x[i] / 1000;
      asm volatile("" ::: "memory");
    }
    for (int64_t i = 0; i < n; ++i) y[i] = static_cast<T>(shared_buffer[i]);
  }
  return LARIAT_OK;
}

lariat_status forward(const lariat_kernel* k) {
  if (is("unwritten")) return LARIAT_OK;
  return k->outputs[0]->dtype == LARIAT_F64 ? run<double>(k) : run<float>(k);
}

template <class T>
lariat_status elementwise(void*, const void* const* inputs, const int64_t* strides, void* output,
                          int64_t count, const lariat_attributes*) {
  for (int64_t i = 0; i < count; ++i)
    static_cast<T*>(output)[i] = 2 * static_cast<const T*>(inputs[0])[i * strides[0]];
  return misbehave("_elementwise");
}

lariat_status infer(const lariat_infer* call) {
  if (is("no_type")) return LARIAT_OK;
  lariat_type* out = call->outputs[0];
  const uint64_t size = out->size;
  *out = *call->inputs[0];
  out->size = size;
  if (out->dtype == LARIAT_I32) {
    host->fail("takes f32 or f64");
    return LARIAT_BAD_INPUT;
  }
  if (is("infer_exception")) throw std::logic_error("no");
  if (is("wrong_dtype")) out->dtype = 9;
  if (is("wrong_rank")) out->rank = 99;
  if (is("wrong_dimension")) out->dims[0] = INT64_MIN;
  if (is("wrong_shape")) out->dims[0] = out->dims[0] < 0 ? 5 : out->dims[0];
  static int calls = 0;
  if (is("fickle_shape")) out->dims[0] = ++calls;
  return LARIAT_OK;
}

lariat_status gradient(const lariat_gradient* g) {
  lariat_value factor = 0;
  if (is("unknown_value")) {
    g->gradients[0] = 123456789;
    return LARIAT_OK;
  }
  if (is("gradient_exception")) throw 1;
  if (const lariat_status status =
          host->constant(g->graph, is("wrong_gradient") ? 3 : 2, g->adjoints[0], &factor))
    return status;
  const lariat_value operands[] = {g->adjoints[0], factor};
  return host->build(g->graph, is("unknown_op") ? "multiplly" : "multiply", operands, 2, nullptr, 0,
                     &g->gradients[0]);
}

lariat_status scratch_bytes(const lariat_kernel*, uint64_t* bytes) {
  *bytes = 64;
  return LARIAT_OK;
}

const int64_t shape[] = {7};
const double values[] = {1, 2, 3, 4, 5, 6, 7};
lariat_sample_input sample_input;
lariat_sample sample;
lariat_reject reject;
lariat_argument_spec argument;
lariat_attribute other_kind;
lariat_attribute_spec attribute;
lariat_penalty penalty;
lariat_op ops[2];
lariat_plugin plugin;

// As a header of the future may have it.
struct LargerOp {
  lariat_op op;
  uint64_t more[8];
} larger[2];

void describe() {
  sample_input = sized<lariat_sample_input>();
  sample_input.shape = shape;
  sample_input.rank = 1;
  sample_input.values = values;
  sample_input.dtype = LARIAT_F64;
  sample = sized<lariat_sample>();
  sample.name = "values";
  sample.inputs = &sample_input;
  sample.input_count = 1;
  argument = sized<lariat_argument_spec>();
  argument.name = "x";
  reject = sized<lariat_reject>();
  reject.inputs = &sample_input;
  reject.input_count = 1;
  reject.message = "is never said";
  other_kind = sized<lariat_attribute>();
  other_kind.kind = LARIAT_INTEGER;
  attribute = sized<lariat_attribute_spec>();
  attribute.name = "a";
  attribute.doc = "nothing";
  attribute.kind = is("attribute_kind") ? 17 : LARIAT_REAL;
  attribute.otherwise = &other_kind;
  penalty = sized<lariat_penalty>();
  penalty.formula = penalty.operator_name = "p";

  lariat_op& op = ops[0];
  op = sized<lariat_op>();
  op.name = is("op_name") ? "Bad-Name" : is("built_in_name") ? "tanh" : "hostile";
  op.doc = is("no_documentation") ? nullptr : "2 x, and worse.";
  op.flags = LARIAT_THREAD_SAFE | LARIAT_DETERMINISTIC;
  op.inputs = op.outputs = &argument;
  op.input_count = is("no_inputs") ? 0 : is("many_inputs") ? 65 : 1;
  op.output_count = 1;
  op.infer = infer;
  op.forward = is("no_forward") ? nullptr : forward;
  op.dtypes = is("no_dtypes") ? 0 : 1u << LARIAT_F32 | 1u << LARIAT_F64;
  op.scratch_bytes = scratch_bytes;
  if (const char* chosen = getenv("HOSTILE"); chosen && strstr(chosen, "_elementwise")) {
    op.forward = nullptr;
    op.elementwise[LARIAT_F32] = elementwise<float>;
    op.elementwise[LARIAT_F64] = elementwise<double>;
  }
  op.gradient = gradient;
  if (is("two_gradients")) op.backward = [](const lariat_backward*) -> lariat_status { return LARIAT_OK; };
  op.samples = &sample;
  op.sample_count = 1;
  if (is("wrong_value")) sample.expected = values;
  sample.expected_count = 7;
  if (is("wrong_reject")) {
    op.rejects = &reject;
    op.reject_count = 1;
  }
  if (is("attribute_kind") || is("other_default")) {
    op.attributes = &attribute;
    op.attribute_count = 1;
  }
  if (is("penalty_without_prox")) op.penalty = &penalty;
  if (is("truncated_op")) op.size = 40;
  ops[1] = op;

  plugin = sized<lariat_plugin>();
  plugin.magic = is("magic") ? 1 : LARIAT_OP_MAGIC;
  plugin.major = is("major") ? 2 : LARIAT_OP_MAJOR;
  plugin.minor = is("newer_minor") ? 77 : LARIAT_OP_MINOR;
  plugin.needs_minor = is("needs_minor") ? 77 : 0;
  plugin.name = is("no_name") ? nullptr : "hostile";
  plugin.version = "1";
  plugin.ops = is("no_array") ? nullptr : ops;
  plugin.op_count = is("no_ops") ? 0 : is("fewer_than_no_ops") ? -3 : is("twice") ? 2 : 1;
  if (is("newer_minor")) {
    for (LargerOp& entry : larger) entry = {op, {1, 2, 3, 4, 5, 6, 7, 8}};
    larger[0].op.size = larger[1].op.size = sizeof(LargerOp);
    larger[1].op.name = "hostile_two";
    plugin.ops = &larger[0].op;
    plugin.op_count = 2;
  }
  if (is("truncated")) plugin.size = 16;
  if (is("huge")) plugin.size = UINT64_MAX;
}

}  // namespace

extern "C" LARIAT_EXPORT const lariat_plugin* lariat_plugin_entry(const lariat_host* given) {
  host = given;
  if (is("null")) return nullptr;
  if (is("refusal")) {
    host->fail("it wants another host");
    return nullptr;
  }
  if (is("entry_exception")) throw std::runtime_error("no");
  if (is("entry_integer")) throw 1;
  if (is("entry_foreign")) throw_foreign();
  if (is("entry_state")) {
    fesetround(FE_DOWNWARD);
    _mm_setcsr(_mm_getcsr() ^ 0x8040);
    std::setlocale(LC_ALL, "C.UTF-8");
    signal(SIGUSR1, [](int) {});
    return nullptr;
  }
  if (is("entry_exit")) exit(0);
  describe();
  return &plugin;
}
