#include <limits>

#include "ops/kernels/axes.hpp"
#include "ops/ops.hpp"

namespace lariat {

namespace {

const Shape& checked_shape(std::string_view function, const Operand& x) {
  if (!x.value) refuse(function, x, "takes x [batch, time, channels]; got no value of a graph");
  if (x.value.rank() != 3)
    refuse(function, x, "takes x [batch, time, channels]; got " + text(x.value.shape()));
  return x.value.shape();
}

// The mask of the steps within each row's length as [batch, time, 1], to broadcast over channels.
Operand mask_of(Operand x, Operand lengths, const Shape& shape) {
  return {reshape(Operand(sequence_mask(lengths, x), x.where), {shape[0], shape[1], 1}), x.where};
}

}  // namespace

Value masked_mean_time(Operand x, Operand lengths) {
  const Shape shape = checked_shape("masked_mean_time", x);
  // `where` rather than a product: whatever the padding holds does not reach the mean.
  const Value total = sum(Operand(where(mask_of(x, lengths, shape), x, 0), x.where), {1});
  return total / reshape(maximum(cast(lengths, x.value.dtype()), 1), {shape[0], 1});
}

Value masked_max_time(Operand x, Operand lengths) {
  const Shape shape = checked_shape("masked_max_time", x);
  const Value kept = where(mask_of(x, lengths, shape), x, -std::numeric_limits<double>::infinity());
  return reduce_max(Operand(kept, x.where), {1});
}

Value last_step(Operand x, Operand lengths) {
  const Shape shape = checked_shape("last_step", x);
  // Of a sequence of no frames, the first: what its states begin with.
  const Value before = maximum(Operand(lengths - 1, x.where), Operand(0, x.where));
  const Value last = reshape(Operand(before, x.where), {shape[0], 1, 1});
  const Value step = gather_steps(x, Operand(broadcast_to(last, {shape[0], 1, shape[2]}), x.where));
  return reshape(Operand(step, x.where), {shape[0], shape[2]});
}

}  // namespace lariat
