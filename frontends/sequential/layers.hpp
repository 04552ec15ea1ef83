#pragma once

#include "frontends/sequential/layer.hpp"
#include "frontends/spec/activation.hpp"

// The layers as C++ writes them: `Dense(512, relu, {.kernel_penalty = l1(1e-4)})`. Each throws UserError for
// an option out of its range. Sequences are [batch, time, channels] with lengths; frames behind a sequence's
// end never matter.

namespace lariat {

/// `same`: a window around every stride-th frame. `valid`: only windows that lie within the sequence.
/// `causal`, of Conv1d: a window that ends at every stride-th frame.
enum class Padding { same, valid, causal };

struct DenseOptions {
  bool use_bias = true;
  WeightPenalty kernel_penalty = {}, bias_penalty = {};
};
/// activation(x·kernel + bias), on each frame where x is a sequence; kernel [channels, units]. 0 units: one
/// for each class, label or number that is learned.
struct Dense : LayerSpec {
  explicit Dense(int64_t units, ActivationFunction activation = {}, const DenseOptions& options = {});
};

struct Conv1dOptions {
  int64_t stride = 1;
  Padding padding = Padding::same;
  /// From one frame that a window sees to the next.
  int64_t dilation = 1;
  /// Channels and filters are in so many groups, one behind the other, and a filter sees the channels of its
  /// own; 0: each channel is a group (depthwise).
  int64_t groups = 1;
  bool use_bias = true;
  WeightPenalty kernel_penalty = {}, bias_penalty = {};
};
/// Convolution over time of sequences: `kernel` neighbouring frames at a time; kernel [kernel,
/// channels / groups, filters].
struct Conv1d : LayerSpec {
  Conv1d(int64_t filters, int64_t kernel, ActivationFunction activation = {},
         const Conv1dOptions& options = {});
};

struct Conv2dOptions {
  int64_t stride_height = 1, stride_width = 1;
  Padding padding = Padding::same;
  int64_t dilation_height = 1, dilation_width = 1;
  /// As Conv1d has them; depthwise convolutions (Howard et al. 2017) have 0.
  int64_t groups = 1;
  bool use_bias = true;
  WeightPenalty kernel_penalty = {}, bias_penalty = {};
};
/// Convolution over height and width of images, or over time and channels of sequences; kernel
/// [kernel_height, kernel_width, channels / groups, filters].
struct Conv2d : LayerSpec {
  Conv2d(int64_t filters, int64_t kernel_height, int64_t kernel_width, ActivationFunction activation = {},
         const Conv2dOptions& options = {});
};

struct PoolOptions {
  /// 0: as large as the window.
  int64_t stride = 0;
  Padding padding = Padding::same;
};
/// The largest of `size` neighbouring frames, per channel.
struct MaxPool1d : LayerSpec {
  explicit MaxPool1d(int64_t size, const PoolOptions& options = {});
};
/// The mean of `size` neighbouring frames, per channel, over those within the sequence.
struct AveragePool1d : LayerSpec {
  explicit AveragePool1d(int64_t size, const PoolOptions& options = {});
};

struct Pool2dOptions {
  /// 0: as high and as wide as the window.
  int64_t stride_height = 0, stride_width = 0;
  Padding padding = Padding::same;
};
/// The largest and the mean of `height` by `width` neighbouring pixels, per channel, of those within the
/// image; images as Conv2d takes them.
struct MaxPool2d : LayerSpec {
  MaxPool2d(int64_t height, int64_t width, const Pool2dOptions& options = {});
};
struct AveragePool2d : LayerSpec {
  AveragePool2d(int64_t height, int64_t width, const Pool2dOptions& options = {});
};

// Recurrent layers, each with a bidirectional form: one forwards and one backwards over each sequence, side
// by side, 2·units channels (Schuster and Paliwal 1997). `dropout` drops inputs, `recurrent_dropout` channels
// of the state, the same ones at all frames of a sequence (Gal and Ghahramani 2016). group_units adds
// group_units Σ‖all that comes into unit u‖₂, its weights and biases of all gates: whole units become 0, and
// lariat compact takes them out (Wen et al. 2018, "Learning Intrinsic Sparse Structures within LSTM").

struct LstmOptions {
  /// The states of all frames rather than the last one.
  bool return_sequences = false;
  /// How many rows a batch has that go on where the same rows of the batch before have ended; 0: each begins
  /// with zeros.
  int64_t stateful = 0;
  /// From each sequence's last frame to its first.
  bool go_backwards = false;
  /// Added to the forget gate (Gers et al. 2000; 1 after Jozefowicz et al. 2015).
  double forget_bias = 1;
  /// The share of inputs, and of the state's channels, that training drops.
  double dropout = 0, recurrent_dropout = 0;
  WeightPenalty kernel_penalty = {}, recurrent_penalty = {}, bias_penalty = {};
  double group_units = 0;
};
/// Long short-term memory; kernel [channels, 4·units], recurrent_kernel [units, 4·units], bias [4·units].
struct Lstm : LayerSpec {
  explicit Lstm(int64_t units, const LstmOptions& options = {});
};

struct GruOptions {
  bool return_sequences = false;
  int64_t stateful = 0;
  bool go_backwards = false;
  /// The reset gate after the recurrent product, with a bias of its own (Keras 2 and 3, cuDNN), or before it
  /// (Cho et al. 2014).
  bool reset_after = true;
  double dropout = 0, recurrent_dropout = 0;
  WeightPenalty kernel_penalty = {}, recurrent_penalty = {}, bias_penalty = {};
  double group_units = 0;
};
/// Gated recurrent unit; kernel [channels, 3·units], recurrent_kernel [units, 3·units], bias [3·units] as
/// update, reset, candidate, and candidate_bias [units] with reset_after.
struct Gru : LayerSpec {
  explicit Gru(int64_t units, const GruOptions& options = {});
};

enum class RnnActivation { tanh, relu };
struct SimpleRnnOptions {
  RnnActivation activation = RnnActivation::tanh;
  bool return_sequences = false;
  int64_t stateful = 0;
  bool go_backwards = false;
  double dropout = 0, recurrent_dropout = 0;
  WeightPenalty kernel_penalty = {}, recurrent_penalty = {}, bias_penalty = {};
  double group_units = 0;
};
/// activation(x·kernel + bias + state·recurrent_kernel). Elman (1990).
struct SimpleRnn : LayerSpec {
  explicit SimpleRnn(int64_t units, const SimpleRnnOptions& options = {});
};

struct Bidirectional : LayerSpec {
  explicit Bidirectional(const Lstm& layer);
  explicit Bidirectional(const Gru& layer);
  explicit Bidirectional(const SimpleRnn& layer);
};

/// `frames` neighbouring frames as one frame of as many times the channels; the last one is filled up with
/// zeros. Pundak and Sainath (2016).
struct StackFrames : LayerSpec {
  explicit StackFrames(int64_t frames);
};

struct LayerNormOptions {
  double epsilon = 1e-5;
};
/// scale·(x - mean)/√(variance + ε) + offset over the channels. Ba et al. (2016).
struct LayerNorm : LayerSpec {
  explicit LayerNorm(const LayerNormOptions& options = {});
};

struct BatchNormOptions {
  /// How much of the running statistics stays at each step.
  double momentum = 0.99;
  double epsilon = 1e-3;
  /// Whether there is an offset beta, and a scale gamma.
  bool center = true, scale = true;
  /// Whether the running variance is that of n - 1 values rather than n.
  bool unbiased = false;
  WeightPenalty gamma_penalty = {}, beta_penalty = {};
};
/// gamma·(x - mean)/√(variance + ε) + beta for each channel, over a batch in training, where frames behind a
/// sequence's end do not count, and over what training saw at inference. Ioffe and Szegedy (2015). Where it
/// is frozen it takes those in training, too, and leaves them as they are. Applied twice it has one gamma and
/// beta, and statistics for each place, of what comes there.
struct BatchNorm : LayerSpec {
  explicit BatchNorm(const BatchNormOptions& options = {});
};

struct TimeDistributedOptions {
  /// Of the kernels and biases of its layers that have none of their own.
  WeightPenalty kernel_penalty = {}, bias_penalty = {};
};
/// Layers, one after the other, on each frame of a sequence by itself: for those that take no sequences, such
/// as Image and Conv2d on the pixels of each. The frames must come out as one vector each.
struct TimeDistributed : LayerSpec {
  explicit TimeDistributed(const std::vector<LayerSpec>& layers, const TimeDistributedOptions& options = {});
};

struct Activation : LayerSpec {
  explicit Activation(ActivationFunction function);
};
struct OpLayerOptions {
  /// The op's inputs behind the first, as "gamma = channels : 1, kernel = channels 32": sizes, of which
  /// `channels` is the input's, and behind a colon the first value, or glorot, as matrices have it by
  /// default.
  std::string weights = {};
  /// Of each of them.
  WeightPenalty weight_penalty = {};
};
/// An op, a plugin's for instance, of the layer's input and of weights; frames behind a sequence's end are 0
/// for it. `attributes` as "beta = 2, axes = 0 1".
struct OpLayer : LayerSpec {
  explicit OpLayer(const std::string& op, const std::string& attributes = {},
                   const OpLayerOptions& options = {});
};
/// Zeros a share `rate` of the values in training and scales the others by 1/(1 - rate). Srivastava et al.
/// (2014).
struct Dropout : LayerSpec {
  explicit Dropout(double rate);
};
/// Adds normal noise of this standard deviation in training.
struct GaussianNoise : LayerSpec {
  explicit GaussianNoise(double deviation);
};
/// Ends each sequence behind its last frame that holds anything but `value`; one that holds nothing else
/// keeps its first.
struct Masking : LayerSpec {
  explicit Masking(double value = 0);
};
/// [batch, height·width·channels] to images [batch, height, width, channels].
struct Image : LayerSpec {
  Image(int64_t height, int64_t width);
};
/// [batch, a, b, …] to [batch, a·b·…]; the frames of sequences that are images to [batch, time,
/// width·channels].
struct Flatten : LayerSpec {
  Flatten();
};
/// Plain data [batch, …] to [batch, shape…].
struct Reshape : LayerSpec {
  explicit Reshape(const std::vector<double>& shape);
};
/// The axes of plain data behind the batch, counted from 1, in another order.
struct Permute : LayerSpec {
  explicit Permute(const std::vector<double>& axes);
};
struct EmbeddingOptions {
  WeightPenalty table_penalty = {};
};
/// A trained vector for each of `symbols` numbers from 0: data [batch, n] to [batch, n, units], sequences
/// [batch, time, 1] to [batch, time, units]. A number that is none of them is refused when the model runs.
struct Embedding : LayerSpec {
  Embedding(int64_t symbols, int64_t units, const EmbeddingOptions& options = {});
};
/// These of the channels, which are counted from 0 and in rising order.
struct Select : LayerSpec {
  explicit Select(const std::vector<int64_t>& channels);
};
/// The mean over a sequence's frames, their largest values, or its last frame: [batch, channels]. The first
/// two also of the pixels of images.
struct GlobalAveragePool : LayerSpec {
  GlobalAveragePool();
};
struct GlobalMaxPool : LayerSpec {
  GlobalMaxPool();
};
struct LastStep : LayerSpec {
  LastStep();
};

/// The sum and the product, element by element, of inputs of one shape; and inputs side by side, the channels
/// of one behind those of the other: `Concat()(left, right)` in a Model.
struct Add : LayerSpec {
  Add();
};
struct Multiply : LayerSpec {
  Multiply();
};
struct Concat : LayerSpec {
  Concat();
};

}  // namespace lariat
