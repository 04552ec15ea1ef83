/* Compiled against the header as version 1.0 had it, whatever the present one has: C99, no library. */
#include "lariat_op.h"

static lariat_status triple(void *user, const void *const *inputs, const int64_t *strides, void *output, int64_t count,
                            const lariat_attributes *attributes) {
  const float *x = (const float *)inputs[0];
  float *y = (float *)output;
  (void)user;
  (void)attributes;
  for (int64_t i = 0; i < count; ++i) y[i] = 3 * x[i * strides[0]];
  return LARIAT_OK;
}

static lariat_status triple_double(void *user, const void *const *inputs, const int64_t *strides, void *output,
                                   int64_t count, const lariat_attributes *attributes) {
  const double *x = (const double *)inputs[0];
  double *y = (double *)output;
  (void)user;
  (void)attributes;
  for (int64_t i = 0; i < count; ++i) y[i] = 3 * x[i * strides[0]];
  return LARIAT_OK;
}

static const lariat_host *host;

static lariat_status gradient(const lariat_gradient *g) {
  lariat_value operands[2];
  lariat_status status;
  operands[0] = g->adjoints[0];
  status = host->constant(g->graph, 3.0, operands[0], &operands[1]);
  if (status != LARIAT_OK) return status;
  return host->build(g->graph, "multiply", operands, 2, 0, 0, &g->gradients[0]);
}

static const int64_t shape[] = {3};
static const double values[] = {1, -2, 0.5}, expected[] = {3, -6, 1.5};
static const lariat_sample_input input = {.size = sizeof(lariat_sample_input), .shape = shape, .rank = 1, .values = values};
static const lariat_sample sample = {.size = sizeof(lariat_sample),
                                     .name = "values",
                                     .inputs = &input,
                                     .input_count = 1,
                                     .expected = expected,
                                     .expected_count = 3};
static const lariat_argument_spec x = {.size = sizeof(lariat_argument_spec), .name = "x"};
static const lariat_op op = {.size = sizeof(lariat_op),
                             .name = "triple",
                             .doc = "3 x.",
                             .version = 1,
                             .flags = LARIAT_THREAD_SAFE | LARIAT_DETERMINISTIC,
                             .inputs = &x,
                             .outputs = &x,
                             .input_count = 1,
                             .output_count = 1,
                             .elementwise = {triple, triple_double, 0},
                             .linear_inputs = 1,
                             .gradient = gradient,
                             .samples = &sample,
                             .sample_count = 1};
static const lariat_plugin plugin = {.size = sizeof(lariat_plugin),
                                     .magic = LARIAT_OP_MAGIC,
                                     .major = LARIAT_OP_MAJOR,
                                     .minor = LARIAT_OP_MINOR,
                                     .name = "first_release",
                                     .version = "1.0.0",
                                     .ops = &op,
                                     .op_count = 1};

const lariat_plugin *lariat_plugin_entry(const lariat_host *given) {
  host = given;
  return &plugin;
}
