#pragma once

#include "graph/ir/builder.hpp"

// The functions that build nodes. Shapes broadcast by numpy's rule unless a line says otherwise; a number
// stands for a constant. Every function throws UserError naming op, source line, shapes and the next step.

namespace lariat {

// Arithmetic; + - * / come with the builder. i32 wraps around.

/// |x|.
Value abs(Operand x);
/// -1, 0 or 1.
Value sign(Operand x);
/// The larger and the smaller of a and b; NaN from either comes through, and equal arguments share the
/// adjoint.
Value maximum(Operand a, Operand b);
Value minimum(Operand a, Operand b);
/// a·b + c, rounded once.
Value multiply_add(Operand a, Operand b, Operand c);
/// x limited to [low, high].
Value clip(Operand x, double low, double high);
/// x².
Value square(Operand x);
/// √x; NaN for negative x.
Value sqrt(Operand x);
/// 1 / x.
Value reciprocal(Operand x);
/// x^exponent, for x >= 0 or whole exponents; the derivative by the exponent needs x >= 0. NaN from either
/// comes through.
Value power(Operand x, Operand exponent);
/// e^x, and e^x - 1 without cancellation.
Value exp(Operand x);
Value expm1(Operand x);
/// The natural logarithm of x and of 1 + x, without cancellation.
Value log(Operand x);
Value log1p(Operand x);
/// In radians.
Value sin(Operand x);
Value cos(Operand x);
/// The error function 2/√π ∫₀ˣ e^(-t²) dt.
Value erf(Operand x);

// Activations.

/// max(x, 0).
Value relu(Operand x);
/// x for x > 0, else slope * x.
Value leaky_relu(Operand x, double slope = 0.01);
/// x for x > 0, else alpha * (e^x - 1) (Clevert et al. 2015).
Value elu(Operand x, double alpha = 1);
/// x Φ(x), Φ the standard normal distribution (Hendrycks and Gimpel 2016); exact, not the tanh approximation.
Value gelu(Operand x);
/// 1 / (1 + exp(-x)).
Value sigmoid(Operand x);
/// x * sigmoid(x) (Elfwing et al. 2017).
Value silu(Operand x);
/// The hyperbolic tangent.
Value tanh(Operand x);
/// ln(1 + e^x), finite for every finite x.
Value softplus(Operand x);
/// ln(sigmoid(x)), finite for every finite x.
Value log_sigmoid(Operand x);

// Comparisons: 1 or 0 in the operands' dtype, 0 where either is NaN. No gradient passes.

Value greater(Operand a, Operand b);
Value greater_equal(Operand a, Operand b);
Value less(Operand a, Operand b);
Value less_equal(Operand a, Operand b);
Value equal(Operand a, Operand b);
/// yes where condition is not 0, else no; all of one dtype. NaN where the condition is NaN. The op is called
/// `select`.
Value where(Operand condition, Operand yes, Operand no);

// Others, element by element.

/// S(v, t) = sign(v) max(|v| - t, 0), the prox of t |v|, for a threshold >= 0; zeros are +0.
Value soft_threshold(Operand v, Operand threshold);
/// S(v, weight step), the prox of weight |w| in the metric 1/step.
Value abs_prox(Operand v, Operand step, Operand weight);
/// argmin_w (w - v)²/(2 step) + Σ below·(w - at) left of each kink, above·(w - at) right of it. Operands are
/// v, step, and for each kink its place and the slopes below and above it.
Value kink_prox(const std::vector<Operand>& v_step_kinks);
/// x as a constant: gradients do not pass.
Value stop_gradient(Operand x);
/// `training` in training, and where a graph is run as it is; `inference` at inference. Gradients pass to the
/// first. An update by by_phase(next, state) is one of training alone.
Value by_phase(Operand training, Operand inference);

// Products and recurrence.

/// The matrix product over the last two dimensions: a [..., m, k], b [k, n] or [..., k, n] -> [..., m, n].
Value matmul(Operand a, Operand b);
/// X·w of a sparse matrix X [rows, columns] in compressed rows (CSR), values [entries], columns i32
/// [entries], row_starts i32 [rows + 1], and w [columns] or [columns, k] -> [rows] or [rows, k]. Starts that
/// fall, or a column outside [0, columns), are refused when the graph is run.
Value csr_matmul(Operand values, Operand columns, Operand row_starts, Operand w);
/// Xᵀ·d of the same, d [rows] or [rows, k] -> [count] or [count, k], X having `count` columns.
Value csr_transposed_matmul(Operand values, Operand columns, Operand row_starts, Operand d, Dim count);
/// The elements of a·bᵀ at the places of X's entries: a [rows] or [rows, k], b [columns] or [columns, k] ->
/// [entries].
Value csr_sampled_matmul(Operand columns, Operand row_starts, Operand a, Operand b);
/// a·X of a dense a [..., rows] and the same X with `count` columns -> [..., count]; or a·Xᵀ of a [...,
/// count] -> [..., rows]. The columns of a row must ascend. Where the places are constants, they are laid out
/// once for all runs.
Value matmul_csr(Operand a, Operand values, Operand columns, Operand row_starts, Dim count,
                 bool transpose = false);
/// The elements of w [rows, columns] at the places of X's entries -> [entries]; columns of a row ascend.
Value csr_gather(Operand columns, Operand row_starts, Operand w);
/// w with `values` [entries] at those places.
Value csr_put(Operand values, Operand columns, Operand row_starts, Operand w);

struct LstmState {
  Value hidden, cell;
};
/// One LSTM step (Hochreiter and Schmidhuber 1997; forget gate of Gers et al. 2000): x [batch, input], hidden
/// and cell [batch, units], input_kernel [input, 4·units], recurrent_kernel [units, 4·units], bias [4·units];
/// the gates lie side by side as input, forget, candidate, output.
LstmState lstm_cell(Operand x, Operand hidden, Operand cell, Operand input_kernel, Operand recurrent_kernel,
                    Operand bias, double forget_bias = 0);
/// A whole LSTM layer from zero states: x [batch, time, input] -> hidden states [batch, time, units]; kernels
/// and bias as in lstm_cell.
Value lstm(Operand x, Operand input_kernel, Operand recurrent_kernel, Operand bias, double forget_bias = 0);
/// The recurrent part of that layer, from `projected` [batch, time, 4·units] = x·W + b of every step. The
/// initial states broadcast to [batch, units]. Returns the hidden states [batch, time, units]; output 1 are
/// the cells. Behind `lengths`, i32 [batch], states stay as they are; without them all steps count.
/// `recurrent_mask` [batch, units] is what the hidden state is multiplied by before each product with the
/// recurrent kernel.
Value lstm_sequence(Operand projected, Operand recurrent_kernel, Operand initial_hidden, Operand initial_cell,
                    double forget_bias = 0, Value lengths = {}, Value recurrent_mask = {});
/// One step of a gated recurrent unit (Cho et al. 2014) -> hidden [batch, units]: x [batch, input], hidden
/// [batch, units], input_kernel [input, 3·units], recurrent_kernel [units, 3·units], bias [3·units]; the
/// gates lie side by side as update, reset, candidate. The reset gate is applied after the recurrent product,
/// to which candidate_bias [units] is added first, as Keras and cuDNN have it, or before.
Value gru_cell(Operand x, Operand hidden, Operand input_kernel, Operand recurrent_kernel, Operand bias,
               Operand candidate_bias, bool reset_after = true);
/// The recurrent part of a whole layer, as lstm_sequence has it: projected [batch, time, 3·units] -> hidden
/// states [batch, time, units].
Value gru_sequence(Operand projected, Operand recurrent_kernel, Operand initial_hidden,
                   Operand candidate_bias, bool reset_after = true, Value lengths = {},
                   Value recurrent_mask = {});
/// One step of a simple recurrent layer (Elman 1990), tanh or max(0, ·) of x·input_kernel + bias +
/// hidden·recurrent_kernel: x [batch, input], hidden [batch, units], bias [units].
Value simple_rnn_cell(Operand x, Operand hidden, Operand input_kernel, Operand recurrent_kernel, Operand bias,
                      bool relu = false);
/// The recurrent part of a whole layer, as lstm_sequence has it: projected [batch, time, units] -> hidden
/// states [batch, time, units].
Value simple_rnn_sequence(Operand projected, Operand recurrent_kernel, Operand initial_hidden,
                          bool relu = false, Value lengths = {}, Value recurrent_mask = {});

// Shapes.

/// The same elements in row-major order; one dimension may be -1 and is inferred. Element counts of symbolic
/// dimensions that cannot be compared are compared when the graph is run.
Value reshape(Operand x, Shape shape);
/// Axis i of the result is axis permutation[i] of x; without a permutation the axes are reversed.
Value transpose(Operand x, std::vector<int64_t> permutation = {});
/// The elements [begin, end) of one axis, or every step-th of them; negative places count from the end. One
/// of begin and (size - end) must be a number.
Value slice(Operand x, int64_t axis, Dim begin, Dim end, int64_t step = 1);
/// The adjoint of slice: zeros before and after the elements of one axis, and step - 1 zeros behind each of
/// them.
Value pad(Operand x, int64_t axis, Dim before, Dim after, int64_t step = 1);
/// Joins values of one dtype along one axis; all other dimensions must be equal.
Value concat(const std::vector<Value>& values, int64_t axis,
             std::source_location where = std::source_location::current());
/// Puts values of one shape side by side along a new axis; the steps of one sequence give the sequence
/// itself.
Value stack(const std::vector<Value>& values, int64_t axis,
            std::source_location where = std::source_location::current());
/// The parts of x [.., n, ..] along an axis of a known size: n values without it.
std::vector<Value> unstack(Operand x, int64_t axis);
/// Some steps of a sequence [batch, time, ...] as [batch, ...].
std::vector<Value> steps_of(Value sequence, std::span<const int64_t> wanted);
/// Repeats x along new leading dimensions and dimensions of size 1.
Value broadcast_to(Operand x, Shape shape);
/// The adjoint of broadcast_to: sums over the dimensions that broadcasting `shape` to x's shape stretches.
Value sum_to(Operand x, Shape shape);
Value zeros_like(Operand x);
Value ones_like(Operand x);
/// The same numbers as another dtype; to i32 they are cut off towards zero, and no gradient comes back.
Value cast(Operand x, DType dtype);
/// labels i32 [...] -> [..., classes]: 1 at each label's place, else 0. A label outside [0, classes) is
/// refused when the graph is run.
Value one_hot(Operand labels, int64_t classes, DType dtype = f32);
/// table [rows, ...], indices i32 [n...] -> [n..., ...]: an embedding lookup. An index outside [0, rows) is
/// refused when the graph is run.
Value gather_rows(Operand table, Operand indices);
/// The adjoint of gather_rows: values [n..., ...] added to the rows of zeros [rows, ...] that indices name,
/// in their order.
Value scatter_add_rows(Operand values, Operand indices, Dim rows);
/// x [batch, time, channels], indices i32 [batch, steps, channels] -> [batch, steps, channels]: each row and
/// channel has indices of its own into time.
Value gather_steps(Operand x, Operand indices);
/// The adjoint of gather_steps: [batch, steps, channels] -> [batch, time, channels].
Value scatter_add_steps(Operand values, Operand indices, Dim time);
/// The number of elements of x along the axes (none: all) as a scalar of x's dtype.
Value element_count(Operand x, std::vector<int64_t> axes = {});

// Reductions. Axes may be negative; none named means all; keep_dims leaves them with size 1. Floats are
// summed in double by a tree that the shapes alone fix, and NaN comes through.

Value sum(Operand x, std::vector<int64_t> axes = {}, bool keep_dims = false);
/// NaN over no elements.
Value mean(Operand x, std::vector<int64_t> axes = {}, bool keep_dims = false);
/// Elements equal to the maximum share its adjoint. Refuses axes of size 0.
Value reduce_max(Operand x, std::vector<int64_t> axes = {}, bool keep_dims = false);
/// The place of the maximum along the last axis as i32: the first of equals, or of NaN where there is one.
Value argmax(Operand x);
/// log Σ exp(x) along the last axis, finite for every finite x.
Value logsumexp(Operand x, bool keep_dims = false);
/// Σ|x| over all elements.
Value norm1(Operand x);
/// max |x| over axes, 0 over no elements. Elements whose magnitude is the maximum share its adjoint equally.
Value norm_inf(Operand x, std::vector<int64_t> axes = {}, bool keep_dims = false);
/// √Σx² over axes, 0 over no elements; its sum over groups is the group lasso's penalty. Where all x of a
/// group are 0 the derivative is 0.
Value norm2(Operand x, std::vector<int64_t> axes = {}, bool keep_dims = false);

/// exp(x) / Σ exp(x) along the last axis, and its logarithm.
Value softmax(Operand x);
Value log_softmax(Operand x);

// Losses and penalties.

/// -t·log σ(z) - (1 - t)·log(1 - σ(z)) element by element, finite for every finite logit z.
Value sigmoid_cross_entropy(Operand logits, Operand targets);
/// logits [batch, classes], labels i32 [batch] -> [batch]: -log softmax(logits)[label]. With label smoothing
/// s in [0, 1) the target is (1 - s)·one_hot + s/classes (Szegedy et al. 2016). A label outside [0, classes)
/// is refused when the graph is run. Output 1 of the node holds the probabilities.
Value softmax_cross_entropy(Operand logits, Operand labels, double label_smoothing = 0);
/// logits [batch, frames, classes], labels i32 [batch, most labels] from 1, padded with 0 at the end, lengths
/// i32 [batch] -> [batch]: -log of the probability of the labels, over all ways to spread them over an
/// example's frames with blanks, class 0, between them (Graves et al. 2006). A label outside [1, classes),
/// one behind padding, and more labels than frames are refused when the graph is run. Output 1 of the node
/// holds the gradient.
Value ctc_loss(Operand logits, Operand labels, Operand lengths);
/// The mean of (prediction - target)² over all elements.
Value mean_squared_error(Operand prediction, Operand target);
/// The mean over all elements e = prediction - target of e²/2 where |e| <= delta, else delta·(|e| - delta/2)
/// (Huber 1964).
Value huber(Operand prediction, Operand target, double delta = 1);
/// Σ|x| (lasso) and Σx² (ridge) as a scalar: penalties that an optimizer handles by their prox.
Value abs_penalty(Operand x);
Value square_penalty(Operand x);

// Other penalties that an optimizer handles by their prox (docs/proximal.md).

/// 1 where x is not 0, else 0, element by element.
Value count_nonzero(Operand x);
/// |xᵢ₊₁ - xᵢ| along one axis, which gets shorter by 1; the sum is the total variation (the fused lasso's).
Value absolute_differences(Operand x, int64_t axis);
/// The sum of the singular values of x [m, n].
Value nuclear_norm(Operand x);
/// The minimax concave penalty (Zhang 2010), element by element: lambda |x| - x²/(2 gamma), constant from
/// |x| = gamma·lambda on. gamma > 0.
Value mcp(Operand x, double lambda, double gamma = 3);
/// The smoothly clipped absolute deviation (Fan and Li 2001), element by element: of slope lambda to
/// |x| = lambda, then falling to 0 at |x| = a·lambda. a > 1.
Value scad(Operand x, double lambda, double a = 3.7);
/// log(1 + |x|/epsilon), element by element (Candès, Wakin and Boyd 2008). epsilon > 0.
Value log_sum(Operand x, double epsilon);
/// 0 where low <= x <= high, else infinity, element by element: bounds as a term of a loss. The gradient is 0
/// everywhere; the prox clips. 0 times the term is NaN outside the bounds.
Value within(Operand x, double low, double high);
/// Its sum, and that for x >= 0.
Value box(Operand x, double low, double high);
Value nonnegative(Operand x);

// Proximal operators: argmin_w weight·φ(w) + Σ (w - v)²/(2 step), for v of any shape and a step that is a
// scalar or of v's shape. Zeros are +0, and NaN comes through. See also soft_threshold and kink_prox.

/// φ = norm2 of groups of elements that differ in `axes` only (none: all of them); the weight is a scalar or
/// one number for each group. A group is 0 where ‖v/step‖₂ <= weight.
Value group_soft_threshold(Operand v, Operand step, Operand weight, std::vector<int64_t> axes = {});
/// φ = norm_inf of such groups: v clipped to [-τ, τ] with Σ (|v| - τ)₊/step = weight.
Value norm_inf_prox(Operand v, Operand step, Operand weight, std::vector<int64_t> axes = {});
/// φ = absolute_differences along one axis; the weight is a scalar or one number for each difference.
Value total_variation_prox(Operand v, Operand step, Operand weight, int64_t axis);
/// φ = nuclear_norm of v [m, n]: its singular values less weight·step, scalars both, those below it 0.
Value singular_value_threshold(Operand v, Operand step, Operand weight);
/// φ = count_nonzero, mcp, scad, log_sum element by element: v, step and weight broadcast together. Where
/// two points are minimal the one nearer to 0 is taken.
Value hard_threshold(Operand v, Operand step, Operand weight);
Value mcp_prox(Operand v, Operand step, Operand weight, double lambda, double gamma);
Value scad_prox(Operand v, Operand step, Operand weight, double lambda, double a);
Value log_sum_prox(Operand v, Operand step, Operand weight, double epsilon);

// Sequences: x [batch, time, ...] with the lengths i32 [batch] of its rows. A length outside [0, time] is
// refused when the graph is run.

/// [batch, time] of x's dtype: 1 within a row's length, 0 in the padding behind.
Value sequence_mask(Operand lengths, Operand like);
/// Reverses the steps within each row's length and leaves the padding as it is.
Value reverse_sequence(Operand x, Operand lengths);
/// x [batch, time, channels] -> [batch, channels]: the mean (0 for length 0) and the maximum (-inf for length
/// 0) over each row's steps, whatever the padding holds.
Value masked_mean_time(Operand x, Operand lengths);
Value masked_max_time(Operand x, Operand lengths);
/// x [batch, time, channels] -> [batch, channels]: each row's last step. A length of 0 is refused as well.
Value last_step(Operand x, Operand lengths);

// Windows that slide over the time axis of [batch, time, channels].

/// x [batch, time, in], w [kernel, in, out] -> [batch, steps, out], a cross-correlation. Padding "same" gives
/// ⌈time / stride⌉ steps with the zeros on both sides (the larger half behind), "causal" as many with all
/// zeros in front, "valid" pads nothing.
Value conv1d(Operand x, Operand w, int64_t stride = 1, const std::string& padding = "same",
             int64_t dilation = 1);
/// The maximum and the mean over windows of `size` steps, without padding. Of equal elements the first gets
/// the adjoint.
Value max_pool1d(Operand x, int64_t size, int64_t stride);
Value average_pool1d(Operand x, int64_t size, int64_t stride);

// Windows that slide over height and width of [batch, height, width, channels].

struct Size2d {
  int64_t height = 1, width = 1;
};
/// x [batch, height, width, in], w [kernel_height, kernel_width, in, out] -> [batch, rows, columns, out], a
/// cross-correlation; padding "same" and "valid" as in conv1d, along both axes.
Value conv2d(Operand x, Operand w, Size2d stride = {}, const std::string& padding = "same",
             Size2d dilation = {});
/// The maximum and the mean over windows of `size`, without padding. Of equal elements the first gets the
/// adjoint, row by row.
Value max_pool2d(Operand x, Size2d size, Size2d stride);
Value average_pool2d(Operand x, Size2d size, Size2d stride);

/// Sets elements to 0 with probability `rate` in [0, 1) and divides the others by 1 - rate (Srivastava et al.
/// 2014); the identity at inference. Draws from the graph's random state, each node from a stream of its own.
Value dropout(Operand x, double rate);
/// x plus normal noise of mean 0 and this standard deviation in training; x at inference.
Value gaussian_noise(Operand x, double deviation);

}  // namespace lariat
