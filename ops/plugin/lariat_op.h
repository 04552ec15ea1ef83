/* The boundary between Lariat and an op that is compiled elsewhere: C99, no dependency.
 *
 * A plugin is a shared object with one function, lariat_plugin_entry. It gets what the host offers and returns
 * a description of its ops. In C++ `lariat_op.hpp` beside this file makes that as short as a built-in op.
 *
 * Versions. The major version of both sides must be equal. A minor version only appends: members to structs,
 * constants to enumerations. So every struct begins with its size as its maker knew it; the other side takes
 * members behind that as zero. In an array of structs the next one begins `size` bytes after the last. A plugin
 * that is newer than its host asks host->minor what it may use, or says in `needs_minor` what it cannot do
 * without.
 *
 * Rules. No exception leaves a callback. Memory belongs to who made it; what a callback is given is valid until
 * it returns, what a plugin returns from its entry must stay for ever. Callbacks leave floating-point modes,
 * locale and signal handlers as they are, start no threads, and write to nothing but results and scratch.
 */
#ifndef LARIAT_OP_H
#define LARIAT_OP_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define LARIAT_OP_MAGIC UINT32_C(0x4c617231)
#define LARIAT_OP_MAJOR 1
#define LARIAT_OP_MINOR 1
#define LARIAT_MAX_RANK 16

#define LARIAT_EXPORT __attribute__((visibility("default")))

/* What a callback returns. */
typedef int32_t lariat_status;
enum {
  LARIAT_OK = 0,
  LARIAT_BAD_INPUT = 1, /* the caller's mistake: say which by host->fail */
  LARIAT_FAULT = 2,     /* the plugin's own */
  LARIAT_NO_MEMORY = 3  /* memory is refused, which is nobody's fault */
};

typedef int32_t lariat_dtype;
enum { LARIAT_F32 = 0, LARIAT_F64 = 1, LARIAT_I32 = 2 };

/* A dimension while shapes are inferred: a size from 0, or, below 0, a symbol such as the batch, which may be
 * copied and compared, and calculated with by host->dim. */
typedef int64_t lariat_dim;

/* A node's output while a gradient is built; 0 is none. */
typedef int64_t lariat_value;

typedef struct lariat_attributes lariat_attributes; /* of the node: host->attribute reads them */
typedef struct lariat_graph lariat_graph;           /* that a gradient adds to */
typedef struct lariat_run lariat_run;               /* of a kernel: for host->parallel_for */

typedef struct lariat_type {
  uint64_t size;
  lariat_dtype dtype;
  int32_t rank;
  lariat_dim dims[LARIAT_MAX_RANK];
} lariat_type;

/* Row-major and dense: strides, in elements, follow from the shape. */
typedef struct lariat_tensor {
  uint64_t size;
  void *data;
  lariat_dtype dtype;
  int32_t rank;
  int64_t count;
  const int64_t *shape;
  const int64_t *strides;
} lariat_tensor;

typedef int32_t lariat_kind;
enum { LARIAT_BOOLEAN = 0, LARIAT_INTEGER = 1, LARIAT_REAL = 2, LARIAT_STRING = 3, LARIAT_INTEGERS = 4 };

/* An attribute's value: the member that belongs to its kind; a boolean is an integer. */
typedef struct lariat_attribute {
  uint64_t size;
  const char *name;
  lariat_kind kind;
  int32_t count; /* of integers */
  int64_t integer;
  double real;
  const char *string;
  const int64_t *integers;
} lariat_attribute;

typedef struct lariat_attribute_spec {
  uint64_t size;
  const char *name;
  const char *doc;
  lariat_kind kind;
  int32_t is_bounded;
  double minimum, maximum;           /* inclusive, of a number or of each one of a list */
  const lariat_attribute *otherwise; /* NULL: it must be given */
} lariat_attribute_spec;

/* An input or output. */
typedef struct lariat_argument_spec {
  uint64_t size;
  const char *name;
  const char *doc;
} lariat_argument_spec;

/* Runs over [begin, end). */
typedef lariat_status (*lariat_range)(void *data, int64_t begin, int64_t end);

/* result = op(a) * op(b), or more to what is there: row-major matrices, op(a) [rows, inner], op(b)
 * [inner, columns], result [rows, columns]. A matrix that is transposed lies in memory as [inner, rows] or
 * [columns, inner]. Strides are the elements from row to row in memory. The result overlaps with none. */
typedef struct lariat_product {
  uint64_t size;
  const void *a, *b;
  void *result;
  int64_t rows, columns, inner;
  int64_t a_stride, b_stride, result_stride;
  lariat_dtype dtype; /* f32 or f64, of all three */
  int32_t transpose_a, transpose_b;
  int32_t adds; /* whether it is added to what the result holds */
} lariat_product;

/* What the host offers. Its functions may be called from callbacks only, in the same call. */
typedef struct lariat_host {
  uint64_t size;
  uint32_t magic;
  uint32_t major, minor;
  uint32_t reserved;
  const char *version;

  /* The message of the status that the callback is about to return: one line, what is wrong and the next
   * step. The host puts op, node and source line in front. */
  void (*fail)(const char *message);
  /* Fills *value, whose size must be set. */
  lariat_status (*attribute)(const lariat_attributes *attributes, const char *name, lariat_attribute *value);
  /* Runs `body` over [0, count) in chunks of `grain`, perhaps on several threads; the chunks depend on these
   * numbers only. The first status that is not LARIAT_OK is returned. */
  lariat_status (*parallel_for)(const lariat_run *run, int64_t count, int64_t grain, lariat_range body,
                                void *data);
  /* a + b, a - b, a * b, or the floor of a / b for a known b above 0, as `operation` is + - * or /. */
  lariat_status (*dim)(char operation, lariat_dim a, lariat_dim b, lariat_dim *result);
  /* numpy's rule: *result is a's dtype with the shape that a and b broadcast to. */
  lariat_status (*broadcast)(const lariat_type *a, const lariat_type *b, lariat_type *result);
  /* Adds a node of any op that the host knows; *result is its output 0. */
  lariat_status (*build)(lariat_graph *graph, const char *op, const lariat_value *inputs, int32_t input_count,
                         const lariat_attribute *attributes, int32_t attribute_count, lariat_value *result);
  /* A scalar of the dtype of `like`. */
  lariat_status (*constant)(lariat_graph *graph, double number, lariat_value like, lariat_value *result);
  /* Another output of the node that `value` belongs to. */
  lariat_status (*output_of)(lariat_graph *graph, lariat_value value, int32_t index, lariat_value *result);
  /* Fills *type, whose size must be set. */
  lariat_status (*type_of)(lariat_graph *graph, lariat_value value, lariat_type *type);

  /* From version 1.1 on, which host->minor tells. */

  /* For kernels: on the host's threads, or, in the body of a parallel_for, on the body's own. */
  lariat_status (*product)(const lariat_run *run, const lariat_product *call);
} lariat_host;

typedef struct lariat_infer {
  uint64_t size;
  void *user;
  const lariat_attributes *attributes;
  const lariat_type *const *inputs;
  lariat_type *const *outputs; /* to be filled */
  int32_t input_count, output_count;
} lariat_infer;

typedef struct lariat_kernel {
  uint64_t size;
  void *user;
  const lariat_attributes *attributes;
  const lariat_tensor *const *inputs;
  const lariat_tensor *const *outputs; /* every element to be written; not initialised */
  int32_t input_count, output_count;
  void *scratch;
  const lariat_run *run;
} lariat_kernel;

/* The gradient as a kernel: gradients[i] = sum over o of adjoints[o] * d outputs[o] / d inputs[i]. */
typedef struct lariat_backward {
  uint64_t size;
  void *user;
  const lariat_attributes *attributes;
  const lariat_tensor *const *inputs;    /* NULL where gradient_inputs has no bit */
  const lariat_tensor *const *outputs;   /* NULL where gradient_outputs has no bit */
  const lariat_tensor *const *adjoints;  /* NULL for saved outputs */
  const lariat_tensor *const *gradients; /* NULL where nobody needs it; else every element to be written */
  int32_t input_count, output_count;
  void *scratch;
  const lariat_run *run;
} lariat_backward;

/* The gradient as nodes, which can be differentiated again. */
typedef struct lariat_gradient {
  uint64_t size;
  void *user;
  const lariat_attributes *attributes;
  lariat_graph *graph;
  const lariat_value *inputs;
  const lariat_value *outputs;
  const lariat_value *adjoints; /* 0 for saved and i32 outputs */
  const uint8_t *needed;        /* by input */
  lariat_value *gradients;      /* by input; left at 0: zero */
  int32_t input_count, output_count;
} lariat_gradient;

/* result = argmin over w of sum(weight * f(w)) + sum((w - point)^2 / (2 * step)). `step` has point's count, or
 * 1 where all are the same; `weight` that of the op's output 0, or 1. */
typedef struct lariat_prox {
  uint64_t size;
  void *user;
  const lariat_attributes *attributes;
  const lariat_tensor *point;
  const lariat_tensor *step;
  const lariat_tensor *weight;
  const lariat_tensor *result;
  const lariat_run *run;
} lariat_prox;

/* result = the element of gradient + subdifferential of sum(weight * f) at x with the least norm. */
typedef struct lariat_residual {
  uint64_t size;
  void *user;
  const lariat_attributes *attributes;
  const lariat_tensor *x;
  const lariat_tensor *gradient;
  const lariat_tensor *weight;
  const lariat_tensor *result;
  const lariat_run *run;
} lariat_residual;

enum {
  LARIAT_PENALTY_SMOOTH = 1,       /* no kink: a gradient step does as well */
  LARIAT_PENALTY_NONCONVEX = 2,    /* the prox is a global minimiser all the same */
  LARIAT_PENALTY_SCALAR_METRIC = 4 /* the prox is exact only where all steps are the same: step has count 1 */
};

/* With which other terms on the same elements the prox can be combined exactly; squares go with all. */
enum {
  LARIAT_PROX_ALONE = 0, /* with nothing else */
  LARIAT_PROX_FIRST = 1, /* before kinks and bounds that are the same for all elements */
  LARIAT_PROX_LAST = 2   /* after kinks at 0 */
};

/* Makes the op a penalty f of its first and only input. */
typedef struct lariat_penalty {
  uint64_t size;
  const char *formula;       /* with x for the parameter */
  const char *operator_name; /* of the prox, for the report */
  uint32_t flags;
  int32_t combination;
  lariat_status (*prox)(const lariat_prox *call);
  lariat_status (*residual)(const lariat_residual *call);
} lariat_penalty;

/* An input of a sample: `values` where given, else uniform in [low, high] and `gap` away from every kink. */
typedef struct lariat_sample_input {
  uint64_t size;
  const int64_t *shape;
  const double *values;
  const double *kinks;
  double low, high, gap;
  lariat_dtype dtype; /* f32 stands for every dtype that the op takes */
  int32_t rank;
  int32_t kink_count;
  int32_t reserved;
} lariat_sample_input;

/* A use of the op that its author vouches for; gradcheck, benchmarks and documentation take it. */
typedef struct lariat_sample {
  uint64_t size;
  const char *name;
  const lariat_sample_input *inputs;
  const lariat_attribute *attributes;
  const double *expected; /* of output 0, from a source outside this code; NULL: only gradients are checked */
  int64_t expected_count;
  int32_t input_count, attribute_count;
} lariat_sample;

/* A use that must be refused, and the end of the message. Only dtype and shape of the inputs count. */
typedef struct lariat_reject {
  uint64_t size;
  const lariat_sample_input *inputs;
  const lariat_attribute *attributes;
  const char *message;
  int32_t input_count, attribute_count;
} lariat_reject;

/* `count` consecutive elements of dtype T; an input's stride is 1, or 0 where one element stands for all. */
typedef lariat_status (*lariat_elementwise)(void *user, const void *const *inputs, const int64_t *strides,
                                            void *output, int64_t count, const lariat_attributes *attributes);

enum {
  LARIAT_COMMUTATIVE = 1,
  LARIAT_IN_PLACE = 2,     /* output 0 may be written over input 0 */
  LARIAT_THREAD_SAFE = 4,  /* else the host makes one call at a time, on one thread */
  LARIAT_DETERMINISTIC = 8 /* equal inputs give equal bits, on any number of threads */
};

typedef struct lariat_op {
  uint64_t size;
  const char *name;   /* [a-z][a-z0-9_]* */
  const char *domain; /* whose op it is; may be NULL */
  const char *doc;    /* one line */
  const char *kinks;  /* what it does where it has no derivative; may be NULL */
  uint32_t version;   /* a saved model names it */
  uint32_t flags;
  void *user; /* given to every callback */

  const lariat_argument_spec *inputs;
  const lariat_argument_spec *outputs;
  const lariat_attribute_spec *attributes;
  int32_t input_count, output_count, attribute_count;
  /* Outputs from this one on are for the gradient only, and none passes through them; 0: all are results. */
  int32_t first_saved_output;
  uint64_t linear_inputs; /* bit i: linear in input i while the others are fixed */

  /* NULL: inputs of one float dtype, broadcast together, give every output's type. */
  lariat_status (*infer)(const lariat_infer *call);
  /* Either one function per dtype (NULL: not that dtype) for an op with one output whose elements depend on the
   * inputs' elements at their place, which passes can fuse with others… */
  lariat_elementwise elementwise[3];
  /* …or one for the dtypes whose bits are set in `dtypes`, by the dtype of output 0. */
  lariat_status (*forward)(const lariat_kernel *call);
  uint32_t dtypes;
  uint32_t reserved;
  /* May be NULL; tensors have no data then. */
  lariat_status (*scratch_bytes)(const lariat_kernel *call, uint64_t *bytes);

  /* At most one of the two; none: the op has no gradient. */
  lariat_status (*gradient)(const lariat_gradient *call);
  lariat_status (*backward)(const lariat_backward *call);
  uint64_t gradient_inputs, gradient_outputs; /* what `backward` reads, by bit */
  lariat_status (*backward_scratch_bytes)(const lariat_backward *call, uint64_t *bytes);

  const lariat_penalty *penalty; /* NULL: it is none */
  const lariat_sample *samples;
  const lariat_reject *rejects;
  int32_t sample_count, reject_count;
} lariat_op;

typedef struct lariat_plugin {
  uint64_t size;
  uint32_t magic;
  uint32_t major, minor; /* of the header it was compiled with */
  uint32_t needs_minor;  /* the least that it can do with */
  const char *name;
  const char *version;
  const char *doc;
  const lariat_op *ops;
  int32_t op_count;
  int32_t reserved;
} lariat_plugin;

/* What a plugin defines. NULL, after host->fail, where it cannot work with this host. */
LARIAT_EXPORT const lariat_plugin *lariat_plugin_entry(const lariat_host *host);

#ifdef __cplusplus
}
#endif

#endif
